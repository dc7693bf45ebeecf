"""What can be said about two arms: which is better, or how large a difference these seeds could have shown.

Arms meet in pairs, seed by seed, on logs of normalised regret (of the loss, or on the loss itself, where the benchmark
has no ruler). The p-values of a benchmark's pairs are Holm's. A "could not be told apart" never goes without the
smallest difference that could have been detected, or that none is known, where two arms differ alike at every seed.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats
from reports.intervals import ALPHA, holm, paired, smallest_detectable
from reports.outcomes import MISSING, unique
from reports.regret import Scale, measure
from reports.statistics.sign_flip import sign_flip
from reports.text import number, p_value, plural

BETTER, ALIKE, NO_DATA = "better", "not told apart", "not enough data"


COLUMNS = [
    *("benchmark", "first", "second", "verdict", "measure", "effect", "low", "high", "detectable"),
    *("p", "holm", "flip", "seeds", "statement"),
]


def compare(outcomes: pd.DataFrame, ruler: Scale | None) -> pd.DataFrame:
    """Every pair of arms on one benchmark, a row each, in the order of the arms.

    Columns: benchmark, first, second (where one is better, it is `first`), verdict, measure (`regret` or `loss`: then
    effect, low, high and detectable are ratios first / second; or `difference`: then they are differences of losses),
    p, holm, flip (the p of the sign-flip test, Holm's too), seeds (blocks that both arms have), statement. low, high
    and detectable are NaN where the arms differ alike at every seed.
    """
    ran = outcomes[outcomes["state"] != MISSING]
    blocks: dict[str, dict[int, tuple[float, str]]] = {}
    for arm, seed, loss, data in zip(*(ran[name].tolist() for name in ("arm", "seed", "counted", "data")), strict=True):
        blocks.setdefault(arm, {})[seed] = (loss, "" if pd.isna(data) else str(data))
    found: list[dict[str, Any]] = []
    for first, second in combinations(unique(outcomes["arm"]), 2):
        one, other = (blocks.get(arm, {}) for arm in (first, second))
        both = [seed for seed in one if seed in other]
        common = [seed for seed in both if one[seed][1] == other[seed][1]]
        losses = (np.array([known[seed][0] for seed in common], dtype=float) for known in (one, other))
        pair = _pair(first, next(losses), second, next(losses), ruler)
        found.append({"benchmark": outcomes["benchmark"].iloc[0], **pair, "apart": len(both) - len(common)})
    adjusted, flips = (holm(np.array([pair[name] for pair in found], dtype=float)) for name in ("p", "flip"))
    for pair, p, flip in zip(found, adjusted, flips, strict=True):
        pair["holm"], pair["flip"] = float(p), float(flip)
        pair["verdict"] = NO_DATA if np.isnan(p) else BETTER if p <= ALPHA else ALIKE
        pair["statement"] = _statement(pair)
    return pd.DataFrame(found, columns=COLUMNS)


def told_apart(pairs: pd.DataFrame, best: str) -> set[str]:
    """The arms than which `best` is significantly better."""
    return {str(name) for name in pairs.loc[(pairs["verdict"] == BETTER) & (pairs["first"] == best), "second"]}


def _pair(first: str, one: Floats, second: str, other: Floats, ruler: Scale | None) -> dict[str, Any]:
    """The difference of two arms, the better one first; one, other: losses as counted, shape (seeds,)."""
    scale = measure(np.concatenate([one, other]), ruler)
    if ruler is not None:  # nothing counts as worse than the median config
        one, other = np.minimum(one, ruler.median), np.minimum(other, ruler.median)
    one, other = scale.of(one), scale.of(other)
    if one.size and np.mean(one - other) > 0:
        first, one, second, other = second, other, first, one
    difference = paired(one, other)
    shown = float if scale.kind == "difference" else np.exp
    return {
        "first": first,
        "second": second,
        "measure": scale.kind,
        "effect": float(shown(difference.mean)),
        "low": float(shown(difference.low)),
        "high": float(shown(difference.high)),
        "detectable": float(shown(-smallest_detectable(difference.deviation, difference.n))),
        "p": difference.p,
        "flip": difference.p if np.isnan(difference.p) or difference.deviation == 0 else sign_flip(one - other),
        "seeds": difference.n,
    }


def _statement(pair: dict[str, Any]) -> str:
    first, second, seeds = pair["first"], pair["second"], pair["seeds"]
    if pair["verdict"] == NO_DATA:
        if seeds < 2 and pair["apart"]:
            return f"{first} and {second}: cannot be compared (they met different data)"
        if seeds < 2:
            return f"{first} and {second}: not enough data ({plural(seeds, 'seed')} that both have)"
        return f"{first} and {second}: not enough data (a study without a loss, and no median config to count it as)"
    effect = _effect(pair)
    if pair["verdict"] == BETTER:
        return f"{first} is better than {second} ({effect}, Holm p {p_value(pair['holm'])}, {plural(seeds, 'seed')})"
    if pair["low"] == pair["high"]:
        return f"{first} and {second} could not be told apart: they are equal at each of {plural(seeds, 'seed')}"
    sure = f"{effect}, Holm p {p_value(pair['holm'])}"
    return f"{first} and {second} could not be told apart: {sure}; {_detectable(pair)}"


def _effect(pair: dict[str, Any]) -> str:
    times = "" if pair["measure"] == "difference" else "×"
    name = "difference" if pair["measure"] == "difference" else pair["measure"]
    sure = "at every seed" if np.isnan(pair["low"]) else f"[{number(pair['low'])}, {number(pair['high'])}]"
    return f"{name} {times}{number(pair['effect'])} {sure}"


def _detectable(pair: dict[str, Any]) -> str:
    """What so many seeds could have shown."""
    if np.isnan(pair["detectable"]):
        return "without a spread over seeds no smallest detectable difference is known"
    times = "" if pair["measure"] == "difference" else "×"
    return f"the smallest detectable with {plural(pair['seeds'], 'seed')} is {times}{number(pair['detectable'])}"
