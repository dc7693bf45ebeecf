"""How much of what is possible each study holds, where a benchmark has several objectives: its hypervolume.

Events carry it in a column `hypervolume`: where it changes, the hypervolume from there on, as a share of that of the
front of the benchmark's own configs. So it is known of right-continuous steps, carried forward to the budget. A study
that has nothing yet holds 0, and so does a failed one from its failure on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from reports.incumbent import Floats, Key, at, rows_of_studies
from reports.outcomes import DONE, MISSING, Facts, records

COLUMN = "hypervolume"


class Held(NamedTuple):
    """What a study holds as right-continuous steps: arrays of shape (steps,), times rising (seconds), shares."""

    times: Floats
    shares: Floats

    def by(self, times: Floats) -> Floats:
        """The share that is held at each time, 0 before the first step; any shape."""
        return np.nan_to_num(at(self.times, self.shares, times))


NOTHING = Held(np.empty(0), np.empty(0))


def held(events: pd.DataFrame) -> dict[Key, Held]:
    """What every study holds whose events say so."""
    if COLUMN not in events:
        return {}
    times, shares = (events[name].to_numpy(dtype=float) for name in ("time", COLUMN))
    found: dict[Key, Held] = {}
    for key, rows in rows_of_studies(events).items():
        when, share = times[rows], shares[rows]
        changes = ~np.isnan(share)
        if changes.any():
            found[key] = Held(when[changes], share[changes])
    return found


def at_the_budget(outcomes: pd.DataFrame, found: Mapping[Key, Held], facts: Facts) -> Floats:
    """What each wanted study holds in the end, shape (studies,); NaN of a missing one, and where there is no front."""
    shares: list[float] = []
    for row in records(outcomes):
        key = (str(row["arm"]), str(row["benchmark"]), int(row["seed"]))
        if row["state"] == MISSING or "front" not in facts[key[1]]:
            shares.append(np.nan)
        elif row["state"] == DONE:
            shares.append(float(found.get(key, NOTHING).by(np.array(float(row["budget"])))))
        else:
            shares.append(0.0)
    return np.array(shares)
