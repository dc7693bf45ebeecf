"""Ax's own loop, with its client: python with_ax.py SEED."""

import sys

from _toy import loss, say
from ax.api.client import Client
from ax.api.configs import RangeParameterConfig

seed = int(sys.argv[1])
client = Client(random_seed=seed)
client.configure_experiment(
    parameters=[
        RangeParameterConfig(name="rate", bounds=(1e-4, 1.0), parameter_type="float", scaling="log"),
        RangeParameterConfig(name="share", bounds=(0.0, 1.0), parameter_type="float"),
    ]
)
client.configure_optimization(objective="-loss")
client.configure_generation_strategy(initialization_random_seed=seed)
tried = []
while len(tried) < 20:
    for number, config in client.get_next_trials(max_trials=1).items():
        tried.append([config, 9])
        client.complete_trial(trial_index=number, raw_data={"loss": loss(config, 9)})
say(tried)
