"""foretune: the wind tunnel of hyperparameter optimisation."""
