"""What can be said about two arms: which is better, or how large a difference these seeds could have shown.

Arms meet in pairs, seed by seed, on logs of normalised regret (of the loss, or on the loss itself, where the benchmark
has no ruler). The p-values of a benchmark's pairs are Holm's. A "could not be told apart" never goes without the
smallest difference that could have been detected.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from reports.incumbent import Floats
from reports.intervals import ALPHA, Difference, holm, paired, smallest_detectable
from reports.outcomes import MISSING, unique
from reports.regret import Scale, measure
from reports.text import number, p_value, plural

BETTER, ALIKE, NO_DATA = "better", "not told apart", "not enough data"


COLUMNS = [
    *("benchmark", "first", "second", "verdict", "measure", "effect", "low", "high", "detectable"),
    *("p", "holm", "seeds", "statement"),
]


def compare(outcomes: pd.DataFrame, ruler: Scale | None) -> pd.DataFrame:
    """Every pair of arms on one benchmark, a row each, in the order of the arms.

    Columns: benchmark, first, second (where one is better, it is `first`), verdict, measure (`regret` or `loss`: then
    effect, low, high and detectable are ratios first / second; or `difference`: then they are differences of losses),
    p, holm, seeds (blocks that both arms have), statement.
    """
    ran = outcomes[outcomes["state"] != MISSING]
    blocks = {str(arm): mine.set_index("seed")["counted"].astype(float) for arm, mine in ran.groupby("arm", sort=False)}
    found: list[dict[str, Any]] = []
    for first, second in combinations(unique(outcomes["arm"]), 2):
        one, other = (blocks.get(arm, pd.Series(dtype=float)) for arm in (first, second))
        common = one.index.intersection(other.index)
        pair = _pair(first, np.asarray(one[common], dtype=float), second, np.asarray(other[common], dtype=float), ruler)
        found.append({"benchmark": outcomes["benchmark"].iloc[0], **pair})
    adjusted = holm(np.array([pair["p"] for pair in found], dtype=float))
    for pair, p in zip(found, adjusted, strict=True):
        pair["holm"] = float(p)
        pair["verdict"] = NO_DATA if np.isnan(p) else BETTER if p <= ALPHA else ALIKE
        pair["statement"] = _statement(pair)
    return pd.DataFrame(found, columns=COLUMNS)


def told_apart(pairs: pd.DataFrame, best: str) -> set[str]:
    """The arms than which `best` is significantly better."""
    return {str(name) for name in pairs.loc[(pairs["verdict"] == BETTER) & (pairs["first"] == best), "second"]}


def _pair(first: str, one: Floats, second: str, other: Floats, ruler: Scale | None) -> dict[str, Any]:
    """The difference of two arms, the better one first; one, other: losses as counted, shape (seeds,)."""
    kind, difference = _difference(one, other, ruler)
    if difference.mean > 0:
        first, second = second, first
        kind, difference = _difference(other, one, ruler)
    shown = float if kind == "difference" else np.exp
    return {
        "first": first,
        "second": second,
        "measure": kind,
        "effect": float(shown(difference.mean)),
        "low": float(shown(difference.low)),
        "high": float(shown(difference.high)),
        "detectable": float(shown(-smallest_detectable(difference.deviation, difference.n))),
        "p": difference.p,
        "seeds": difference.n,
    }


def _difference(one: Floats, other: Floats, ruler: Scale | None) -> tuple[str, Difference]:
    scale = measure(np.concatenate([one, other]), ruler)
    if ruler is not None:  # nothing counts as worse than the median config
        one, other = np.minimum(one, ruler.median), np.minimum(other, ruler.median)
    return scale.kind, paired(scale.of(one), scale.of(other))


def _statement(pair: dict[str, Any]) -> str:
    first, second, seeds = pair["first"], pair["second"], pair["seeds"]
    if pair["verdict"] == NO_DATA:
        if seeds < 2:
            return f"{first} and {second}: not enough data ({plural(seeds, 'seed')} that both have)"
        return f"{first} and {second}: not enough data (a study without a loss, and no median config to count it as)"
    effect = _effect(pair)
    if pair["verdict"] == BETTER:
        return f"{first} is better than {second} ({effect}, Holm p {p_value(pair['holm'])}, {plural(seeds, 'seed')})"
    if pair["low"] == pair["high"]:
        return f"{first} and {second} could not be told apart: they are equal at each of {plural(seeds, 'seed')}"
    limit = number(pair["detectable"]) if pair["measure"] == "difference" else f"×{number(pair['detectable'])}"
    return (
        f"{first} and {second} could not be told apart: {effect}, Holm p {p_value(pair['holm'])}; the smallest "
        f"detectable with {plural(seeds, 'seed')} is {limit}"
    )


def _effect(pair: dict[str, Any]) -> str:
    times = "" if pair["measure"] == "difference" else "×"
    name = "difference" if pair["measure"] == "difference" else pair["measure"]
    return f"{name} {times}{number(pair['effect'])} [{number(pair['low'])}, {number(pair['high'])}]"
