"""What a study is worth: a bounded score, its mean over log time, overtuning, and random-search equivalents.

All of it is computed from one study and its benchmark's facts; the normalisation itself is `reports.regret`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reports.statistics.steps import mean_over_log_time

Floats = NDArray[np.float64]

SINCE = 100
"""The anytime score counts from this fraction of the budget: budget / 100."""


def overtuning(regrets: Floats) -> Floats:
    """How much worse the incumbent is on test than the best incumbent so far was.

    regrets: shape (steps,), inference regret or test loss in order of time. Returns shape (steps,), at least 0
    (Schneider, Bischl, Feurer, "Overtuning in hyperparameter optimization", AutoML 2025).
    """
    return regrets - np.minimum.accumulate(regrets)


def score(regrets: Floats, floor: float) -> Floats:
    """Log regret as a score, higher better: 0 at the median random config, 1 at the floor.

    regrets: normalised, any shape; clipped to [floor, 1]. floor: within (0, 1]; at 1 no two configs can be told apart,
    and all scores are NaN.
    """
    if floor <= 0:
        raise ValueError(f"a score with floor {floor:g}: the floor must be above 0, logs need one")
    if floor >= 1:
        return np.full(np.shape(regrets), np.nan)
    return np.abs(np.log(np.clip(regrets, floor, 1)) / np.log(floor))  # abs: no score of -0


def anytime_score(times: Floats, regrets: Floats, budget: float, floor: float) -> float:
    """The mean score over log time from budget / 100 to the budget: 0 as good as the median config, 1 at the floor.

    times: shape (steps,), seconds, rising; regrets: shape (steps,), normalised. Before the first step the study has
    the median config, whose score is 0. The area over the convergence curve (Lopez-Ibanez & Stutzle, EJOR 2014; van
    Stein et al. 2024), on log time.
    """
    return mean_over_log_time(times, score(regrets, floor), budget / SINCE, budget, before=0.0)


def share_as_good(losses: Floats, table: Floats) -> Floats:
    """The share of random configs that are at least as good: a scale that no monotone change of the metric alters.

    losses: any shape, of configs of this benchmark; table: shape (configs,), final losses of all configs of the table,
    or of a stored random sample. At least 1 / configs: a sample cannot tell rarer configs apart. A loss that is not
    finite is as good as all are: 1.
    """
    known = np.sort(table)
    count = np.searchsorted(known, losses, side="right")
    share = np.maximum(count, 1) / len(known)
    return np.where(np.isfinite(losses), share, 1.0)


def random_search_equivalent(losses: Floats, table: Floats) -> Floats:
    """How many random configs, fully trained, it takes on average until one is at least as good.

    losses: any shape; table: shape (configs,). The mean of a geometric distribution, 1 / share: random search in the
    space that the table is a sample of. One that draws the table's own rows without repeats needs fewer of them,
    (M + 1) / (K + 1) where K of M are as good.
    """
    return 1 / share_as_good(losses, table)
