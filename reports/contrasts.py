"""What a comparison waits for where seeds are added as they are needed: its contrasts, and how well they are known.

A contrast is the difference of two arms at each seed, measured as the report measures pairs and averaged over the
benchmarks: on logs of the regret, so that 0.1 is about 10 %. Benchmarks without a ruler are measured by their losses,
and never averaged with the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats
from reports.outcomes import Facts
from reports.regret import LOWEST_FLOOR, Scale, measure, scale
from reports.statistics import sequential
from reports.statistics.sequential import LOOKS

__all__ = ["HALF_REGION", "LOOKS", "check", "contrasts", "look"]

REGION = -0.02 * float(np.log(LOWEST_FLOOR))
"""Differences of log regret that do not matter: 0.02 of the way from the median config to the lowest floor, 20 %."""
HALF_REGION = REGION / 2

Pairs = Sequence[tuple[str, str]]


def check(facts: Facts, width: float) -> None:
    """ValueError where contrasts over these benchmarks cannot be known to plus or minus `width`."""
    if not 0 < width < np.inf:
        raise ValueError(f"contrasts known to plus or minus {width:g}: say how narrow they shall be, above 0")
    ruled = [name for name, about in facts.items() if scale(about) is not None]
    others = [name for name in facts if name not in ruled]
    if ruled and others:
        raise ValueError(
            f"seeds cannot be added until contrasts are narrow: {', '.join(ruled)} are measured by regret, "
            f"{', '.join(others)} by loss, for want of a best or a median config; compare them apart"
        )
    if others and width == HALF_REGION:
        raise ValueError(
            f"without the best and the median config of {', '.join(others)} half a region of practical equivalence is "
            "not known: say how narrow the contrasts shall be, in units of the loss (or of its log), as auto:0.05"
        )


def contrasts(outcomes: pd.DataFrame, facts: Facts, pairs: Pairs) -> dict[tuple[str, str], Floats]:
    """The difference of each pair at each seed, a mean over the benchmarks on which both arms meet the same data.

    outcomes: as `outcomes.outcomes` gives them. Each of shape (seeds,), NaN where a study is missing, or failed on a
    benchmark without a median config; pairs that meet on no benchmark are left out.
    """
    grids = {
        str(name): here.pivot(index="seed", columns="arm", values="counted").astype(float)
        for name, here in outcomes.groupby("benchmark", sort=False)
    }
    rulers = {name: scale(facts[name]) for name in grids}
    on, data = _measured(grids, rulers), _data(outcomes)
    found: dict[tuple[str, str], Floats] = {}
    for first, second in pairs:
        met = [
            grid[first] - grid[second]
            for name, grid in on.items()
            if {first, second} <= set(grid.columns) and len(data[name, first] | data[name, second]) < 2
        ]
        if met:
            found[first, second] = np.mean([one.to_numpy() for one in met], axis=0)
    return found


def _data(outcomes: pd.DataFrame) -> Mapping[tuple[str, str], set[str]]:
    """The digests of what the studies of each arm on each benchmark met; none where all are missing."""
    met: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for benchmark, arm, digest in outcomes[["benchmark", "arm", "data"]].dropna().itertuples(index=False):
        met[str(benchmark), str(arm)].add(str(digest))
    return met


def look(width: float, looks: Sequence[int], outcomes: pd.DataFrame, facts: Facts, pairs: Pairs) -> dict[str, Any]:
    """What one sees after some seeds, as plain JSON: `seeds`, `half_widths` of the pairs, and whether that is `enough`.

    looks: how many seeds there are each time that one looks. Where a study has no number, `enough` is None and `error`
    says why: no further seed would change that.
    """
    seeds, known = int(outcomes["seed"].nunique()), contrasts(outcomes, facts, pairs)
    try:
        seen = sequential.look(sequential.plan(width, looks), np.array(list(known.values())).reshape(-1, seeds))
    except ValueError as error:
        return {"seeds": seeds, "half_widths": [], "enough": None, "error": str(error)}
    halves = (seen.contrasts.high - seen.contrasts.center).tolist()
    named = [[*pair, half] for pair, half in zip(known, halves, strict=True)]
    return {"seeds": seeds, "half_widths": named, "enough": bool(seen.narrow.all())}


def _measured(grids: Mapping[str, pd.DataFrame], rulers: Mapping[str, Scale | None]) -> dict[str, pd.DataFrame]:
    """Losses, seeds x arms of each benchmark, on the scale on which pairs are compared; nothing is above the median."""
    unruled = [grid.to_numpy() for name, grid in grids.items() if rulers[name] is None]
    common = measure(np.concatenate([losses.ravel() for losses in unruled]), None) if unruled else None
    found: dict[str, pd.DataFrame] = {}
    for name, grid in grids.items():
        ruler = rulers[name]
        losses = grid.to_numpy() if ruler is None else np.minimum(grid.to_numpy(), ruler.median)
        on = common if ruler is None and common is not None else measure(losses, ruler)
        found[name] = pd.DataFrame(on.of(losses), index=grid.index, columns=grid.columns)
    return found
