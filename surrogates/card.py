"""The quality card of a surrogate: how far to trust what is concluded on it.

Every number is measured: of configs that the fit had not seen, of seeds that were left out, of short runs alone on the
machine, of the surrogate's own optimum trained again. A line that has a threshold is `trusted`, `usable` or `not for
conclusions`, and so is the card, as its worst line; what has not been measured yet counts as usable at best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from surrogates.declared import Declared
from surrogates.fitting import (
    CANDIDATES,
    HeldOut,
    Prepared,
    mean_of,
    mean_over,
    places_of,
    predicted_by_others,
    unbounded_runs,
)
from surrogates.noise import Noise
from surrogates.surrogate import Surrogate
from surrogates.table import IID, TableData

Array = NDArray[np.float64]

FILE = "card.json"
TRUSTED, USABLE, DOUBTFUL = "trusted", "usable", "not for conclusions"
LEARNING, QUARTER = "neither diverged nor on a plateau", "best quarter"
BAND = 0.9
DRAWN = 2_000
"""Random configs from which shares are estimated."""
POINTS = 11
"""Importances come from 2^11 points for each hyperparameter, and as many twice besides."""
FEWEST_COVERED = 10
FEWER = (0.25, 0.5, 0.75)
"""Shares of the configs from which the others are predicted too, to see what more of them would bring."""
FEWEST_TAUGHT = 20


@dataclass(frozen=True)
class Line:
    """A line of the card that has a threshold.

    trusted, usable: the worst values that still deserve the word; a range where both too small and too large is wrong.
    """

    name: str
    trusted: tuple[float, float]
    usable: tuple[float, float]

    def judged(self, value: float | None) -> str:
        """The word that a value deserves; `usable` where it was not measured."""
        if value is None or not np.isfinite(value):
            return USABLE
        if self.trusted[0] <= value <= self.trusted[1]:
            return TRUSTED
        return USABLE if self.usable[0] <= value <= self.usable[1] else DOUBTFUL


INF = float("inf")
LINES = (
    Line("Spearman of the final loss", (0.95, 1.0), (0.85, 1.0)),
    Line("R2 of the final loss", (0.90, 1.0), (0.75, 1.0)),
    Line("Spearman in the best quarter", (0.75, 1.0), (0.50, 1.0)),
    Line("regret of its optimum, trained again", (-INF, 0.05), (-INF, 0.15)),
    Line("Kendall tau of methods, on a table drawn from it", (0.8, 1.0), (0.6, 1.0)),
    Line("Kendall tau of methods, on any config", (0.8, 1.0), (0.6, 1.0)),
    Line("coverage of the 90 % band", (0.85, 0.95), (0.75, 0.99)),
    Line("diverged share, predicted less true", (-0.02, 0.02), (-0.05, 0.05)),
    Line("median error of the time of a level", (0.0, 0.05), (0.0, 0.15)),
)
PREDICTED = tuple(line.name for line in LINES[:3])
"""The lines that say how well final losses are predicted."""


def verdict(words: Sequence[str]) -> str:
    """The worst of some words."""
    return max(words, key=(TRUSTED, USABLE, DOUBTFUL).index)


def card(
    data: TableData,
    declared: Declared,
    learned: Prepared,
    held_out: HeldOut,
    model: Surrogate,
    *,
    ranking: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The card of a surrogate as plain JSON.

    ranking: what comparing methods on the surrogate and on the raw table gave: its `tau` on a table drawn from the
    surrogate and on any config; None where not done.
    """
    first, good = learned.first, learned.good
    truth = mean_over(learned.values[..., first] * learned.signs[first], good)
    guess = held_out.values[..., first] * learned.signs[first]
    iid = np.array([data.parts[row] == IID for row in learned.rows])
    alive = iid & good.any(axis=1)
    learning = alive & (np.nan_to_num(truth[:, -1], nan=np.inf) <= declared.plateau)
    quarter = _best(truth[:, -1], iid, 0.25)
    sets = {
        "all that did not diverge": alive,
        LEARNING: learning,
        QUARTER: quarter,
        "best tenth": _best(truth[:, -1], iid, 0.1),
    }
    final = {name: _errors(truth[rows, -1], guess[rows, -1]) for name, rows in sets.items()}
    levels = data.benchmark.fidelity.levels
    coverage = _coverage(learned, held_out.candidate) | {"unseen": _coverage_of_unseen(learned, held_out, model)}
    diverged = _diverged(declared, learned, iid, model, held_out)
    time = _time(data, learned, held_out)
    optimum = _optimum(data, model)
    values = (
        final[LEARNING]["spearman"],
        final[LEARNING]["r2"],
        final[QUARTER]["spearman"],
        optimum["regret"],
        *((None, None) if ranking is None else ranking["tau"].values()),
        coverage["share"],
        diverged["difference"],
        time["median_error"],
    )
    words = [line.judged(value) for line, value in zip(LINES, values, strict=True)]
    lines = [
        {"line": line.name, "value": value, "trusted": _spelt(line.trusted), "bounds": line.trusted, "verdict": word}
        for line, value, word in zip(LINES, values, words, strict=True)
    ]
    gap, spread = model.fitted.facts["median"] - model.fitted.facts["optimum"], data.seed_spread()
    seeds: list[int] = (data.ends >= 0).sum(axis=1).tolist()
    plain = {
        "benchmark": data.benchmark.name,
        "surrogate": model.digest,
        "verdict": verdict(words),
        "lines": lines,
        "regressor": held_out.candidate,
        "candidates": dict(held_out.errors),
        "configs": {part: data.parts.count(part) for part in dict.fromkeys(data.parts)},
        "seeds": {str(n): seeds.count(n) for n in sorted(set(seeds))},
        "levels": len(levels),
        "provenance": data.made.get("how", ""),
        "licence": data.made.get("licence", ""),
        "machines": [machine.get("processor", "") for machine in data.made.get("machines", [])],
        "final": final,
        "held_out": _held_out(learned, truth[:, -1], guess[:, -1], iid),
        "with fewer configs": _with_fewer(learned, held_out, model, truth[:, -1], learning, quarter),
        "each level": [
            {"level": level} | _errors(truth[learning, place], guess[learning, place])
            for place, level in enumerate(levels)
        ],
        "coverage": coverage,
        "diverged": diverged,
        "levels agree with the last": _agreement(levels, truth, alive, model),
        "importance": _importance(model),
        "time": time,
        "noise": {
            "seed_spread": spread,
            "gap": gap,
            "smallest_regret": None if spread is None else spread / gap,
        },
        "optimum": optimum,
        "ranking": ranking,
    }
    return without_nan(plain)


def _spelt(bounds: tuple[float, float]) -> str:
    low, high = bounds
    if low == -INF or (low == 0.0 and high < 1):
        return f"at most {high:g}"
    return f"at least {low:g}" if high == 1.0 else f"{low:g} to {high:g}"


def _best(final: Array, iid: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """The best share of the i.i.d. configs, by their measured final loss."""
    known = np.where(np.isnan(final), np.inf, final)
    return iid & (final <= np.quantile(known[iid], share, method="inverted_cdf"))


def _errors(truth: Array, guess: Array) -> dict[str, float]:
    """How far guesses are from the truth; NaN for fewer than three."""
    from scipy import stats

    kendall: Any = stats.kendalltau
    if len(truth) < 3:
        return {"n": len(truth), "rmse": np.nan, "r2": np.nan, "kendall": np.nan, "spearman": np.nan}
    errors, scatter = ((guess - truth) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    return {
        "n": len(truth),
        "rmse": float(np.sqrt(errors / len(truth))),
        "r2": float(1 - errors / scatter) if scatter > 0 else np.nan,
        "kendall": float(kendall(truth, guess).statistic),
        "spearman": spearman(truth, guess),
    }


def spearman(first: Array, second: Array) -> float:
    """Spearman's correlation of ranks; NaN where one is constant."""
    from scipy.stats import rankdata

    ranks = np.array([rankdata(first), rankdata(second)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    scatter = (ranks**2).sum(axis=1).prod()
    return float(ranks[0] @ ranks[1] / np.sqrt(scatter)) if scatter > 0 else np.nan


def _held_out(learned: Prepared, truth: Array, guess: Array, iid: NDArray[np.bool_]) -> list[list[Any]]:
    """The final loss of each i.i.d. config, measured and predicted without it, and whether all its runs diverged.

    truth, guess: signed, (n,); six digits are kept.
    """
    gone = ~learned.good.any(axis=1)
    return [[*(float(f"{one[row]:.6g}") for one in (truth, guess)), bool(gone[row])] for row in np.flatnonzero(iid)]


def _with_fewer(
    learned: Prepared,
    held_out: HeldOut,
    model: Surrogate,
    final: Array,
    learning: NDArray[np.bool_],
    quarter: NDArray[np.bool_],
) -> list[dict[str, float]]:
    """The lines `PREDICTED` where so many other configs teach; the last row is of all that there are.

    final: measured, signed, (n,); learning, quarter: which configs are judged, (n,).
    """
    last, sign = (slice(None), -1, learned.first), learned.signs[learned.first]
    guesses = {
        share: predicted_by_others(learned, CANDIDATES[held_out.candidate], share)[0][last] * sign
        for share in FEWER
        if share * learned.good.any(axis=1).sum() >= FEWEST_TAUGHT
    }
    others = len(final) * (1 - 1 / model.fitted.made["folds"])
    rows: list[dict[str, float]] = []
    for share, guess in {**guesses, 1.0: held_out.values[last] * sign}.items():
        errors, best = (_errors(final[chosen], guess[chosen]) for chosen in (learning, quarter))
        judged = (errors["spearman"], errors["r2"], best["spearman"])
        rows.append({"configs": round(share * others)} | dict(zip(PREDICTED, judged, strict=True)))
    return rows


def _coverage(learned: Prepared, candidate: str) -> dict[str, Any]:
    """How often a seed that was left out lies in the band around what the others predict, at the last level.

    The last seed of every config that has several is left out of the mean; the noise comes from the other configs'
    folds, wider by what a mean over so few runs does not know itself.
    """
    good = learned.good
    again = np.flatnonzero(good.sum(axis=1) > 1)
    if len(again) < FEWEST_COVERED:
        return {"share": None, "configs": len(again), "band": BAND}
    measured = learned.measured.copy()
    for row in again:
        measured[row, np.flatnonzero(good[row])[-1]] = False
    mean = mean_of(replace(learned, measured=measured), np.arange(len(learned.x)), CANDIDATES[candidate])
    place = (len(mean.times.mean) - 1) * len(learned.modelled) + learned.first
    expected, places = mean.predict(learned.x[again])[0][:, place], places_of(learned, mean, learned.x[again])
    every = unbounded_runs(learned, mean.scale)
    runs = [every[row] for row in again]
    inside, widths = 0, []
    for fold in range(5):
        there = np.arange(len(again)) % 5 == fold
        noise = Noise.of(places[~there], [runs[i] for i in np.flatnonzero(~there)])
        for i in np.flatnonzero(there):
            wider = np.sqrt(1 + 1 / (len(runs[i]) - 1))
            low, high = wider * noise.quantiles(places[i], place, [(1 - BAND) / 2, (1 + BAND) / 2])
            inside += bool(low <= runs[i][-1, place] - expected[i] <= high)
            widths.append(high - low)
    return {"share": inside / len(again), "configs": len(again), "band": BAND, "median_width": float(np.median(widths))}


def _coverage_of_unseen(learned: Prepared, held_out: HeldOut, model: Surrogate) -> float:
    """How often a run of a config that was held out lies in the band of what the surrogate may draw, at the last level.

    What the mean misses is lent by other configs, not by the one that is judged.
    """
    fitted, kept = model.fitted, np.flatnonzero(learned.good.any(axis=1))
    place = (len(fitted.mean.times.mean) - 1) * len(learned.modelled) + learned.first
    expected = fitted.mean.scale.unbounded(held_out.values[kept])[:, -1, learned.first]
    every = unbounded_runs(learned, fitted.mean.scale)
    inside = 0
    for i, row in enumerate(kept):
        stands = fitted.misses.x[i]
        near = fitted.misses.near(stands)
        missed = fitted.misses.residuals[near[near != i], 0, place]
        lucky = fitted.noise.near(stands)
        drawn = [fitted.noise.residuals[one, : fitted.noise.runs[one], place] for one in lucky]
        luck = np.concatenate(drawn or [np.zeros(1)])
        both = np.add.outer(np.concatenate([missed, -missed]), np.concatenate([luck, -luck]))
        low, high = np.quantile(both, [(1 - BAND) / 2, (1 + BAND) / 2])
        inside += bool(low <= every[row][0, place] - expected[i] <= high)
    return inside / len(kept)


def _diverged(
    declared: Declared, learned: Prepared, iid: NDArray[np.bool_], model: Surrogate, held_out: HeldOut
) -> dict[str, Any]:
    """The share of runs that diverged, and of those that the surrogate lets diverge."""
    true = float(learned.diverged[iid].sum() / learned.measured[iid].sum())
    space, luck = model.benchmark.space, stream("diverged", model.benchmark.name)
    final = np.array([model.curve(config, 0).losses[-1][0] for config in space.sample(luck, DRAWN)])
    predicted = float(np.mean(~np.isfinite(final) | (final > declared.diverged)))
    return {
        "true": true,
        "predicted": predicted,
        "difference": predicted - true,
        "held_out": float(held_out.chance[iid].mean()),
    }


def _agreement(levels: Sequence[int], truth: Array, alive: NDArray[np.bool_], model: Surrogate) -> list[dict[str, Any]]:
    """Spearman of some levels with the last, over all configs and the better half: measured, and of the surrogate."""
    luck = stream("levels", model.benchmark.name)
    drawn = [model.curve(config, 0).losses for config in model.benchmark.space.sample(luck, DRAWN // 4)]
    whole = [curve for curve in drawn if len(curve) == len(levels) and np.isfinite(curve[-1][0])]
    worlds = {"measured": truth[alive], "surrogate": np.array([[losses[0] for losses in curve] for curve in whole])}
    rows: list[dict[str, Any]] = []
    for place in np.unique(np.geomspace(1, len(levels), 6).astype(int))[:-1] - 1:
        row: dict[str, Any] = {"level": levels[place]}
        for name, curves in worlds.items():
            better = curves[:, -1] <= np.median(curves[:, -1])
            row[name] = spearman(curves[:, place], curves[:, -1])
            row[f"{name}, better half"] = spearman(curves[better, place], curves[better, -1])
        rows.append(row)
    return rows


def _importance(model: Surrogate) -> dict[str, dict[str, float]]:
    """Shares of the variance of the expected final loss, on the model's scale, that hyperparameters account for.

    alone: without the others (Sobol's first-order index by Janon et al. 2014); total: with all interactions (Jansen
    1999). Both from the points of a Sobol sequence, moved at random; one hyperparameter at a time is exchanged.
    """
    from scipy.stats.qmc import Sobol

    space, luck = model.benchmark.space, stream("importance", model.benchmark.name)
    count = len(space.names)
    points = (Sobol(2 * count, scramble=False).random_base2(POINTS) + luck.random(2 * count)) % 1
    first, second = points[:, :count], points[:, count:]
    base, other = _scores(model, first), _scores(model, second)
    shares: dict[str, dict[str, float]] = {}
    for place, name in enumerate(space.names):
        exchanged = first.copy()
        exchanged[:, place] = second[:, place]
        moved = _scores(model, exchanged)
        centre = (other.mean() + moved.mean()) / 2
        pair = other - centre, moved - centre
        alone = 2 * (pair[0] * pair[1]).mean() / (pair[0] ** 2 + pair[1] ** 2).mean()
        total = ((base - moved) ** 2).mean() / 2 / np.concatenate([base, moved]).var()
        shares[name] = {"alone": max(float(alone), 0.0), "total": float(total)}
    return dict(sorted(shares.items(), key=lambda share: -share[1]["total"]))


def _scores(model: Surrogate, quantiles: Array) -> Array:
    """Expected final losses on the mean's scale, where differences among good configs count too, shape (n,).

    quantiles: (n, hyperparameters), of configs; those of inactive hyperparameters change nothing.
    """
    configs = model.benchmark.space.at_quantiles(quantiles.tolist())
    unbounded, seconds = model.fitted.mean.predict(np.array([model.features(config) for config in configs]))
    place = model.fitted.modelled.index(model.benchmark.objectives[0].metric)
    return unbounded.reshape(*seconds.shape, -1)[:, -1, place]


def _time(data: TableData, learned: Prepared, held_out: HeldOut) -> dict[str, Any]:
    """Errors of seconds: of the table's fit against measured runs, and of the surrogate against the table."""
    known = np.isfinite(learned.seconds).all(axis=1)
    surrogate = float(np.median(np.abs(np.log(held_out.seconds[known]) - learned.seconds[known])))
    fit = dict(data.made.get("time", {}))
    table = fit.get("median_error")
    return {"median_error": max(surrogate, table or 0.0), "surrogate": surrogate, "table": table, "fit": fit}


def _optimum(data: TableData, model: Surrogate) -> dict[str, Any]:
    """What the surrogate's optimum promised and, where it was trained again, what it held.

    Regret is in units of the gap from the median of the i.i.d. configs to the best config that was measured.
    """
    facts = model.fitted.facts
    config, final = facts["optimum_config"], np.nanmean(data.final_losses(), axis=1)
    found: dict[str, Any] = {
        "config": config,
        "promised": facts.get("promised", facts["optimum"]),
        "held": None,
        "regret": None,
        "seeds": 0,
    }
    iid = np.array([part == IID for part in data.parts])
    for row, part in enumerate(data.parts):
        if part == "optimum" and dict(data.configs[row]) == config:
            best, median = float(final.min()), float(np.median(final[iid]))
            found["held"] = float(final[row])
            found["regret"] = (float(final[row]) - best) / (median - best)
            found["seeds"] = int((data.ends[row] >= 0).sum())
    return found


def save(plain: Mapping[str, Any], folder: Path) -> None:
    """Write a card beside its surrogate."""
    (folder / FILE).write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def load(folder: Path) -> dict[str, Any]:
    """The card in a folder; FileNotFoundError where there is none."""
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


def without_nan(plain: Any) -> Any:
    """The same with None in place of what is no finite number, and with plain numbers, for JSON."""
    if isinstance(plain, Mapping):
        return {str(name): without_nan(value) for name, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [without_nan(value) for value in plain]
    if isinstance(plain, float) and not np.isfinite(plain):
        return None
    return plain.item() if isinstance(plain, np.generic) else plain
