"""What is known of a table without a surrogate: how large it is, where it comes from, what its numbers can tell.

Everything is counted or computed from the table itself; what a benchmark does not have is in `not_applicable`, with
the reason. Values are those of the metrics, as they are: to be maximised where an objective says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.randomness import stream
from harness.space import Config
from harness.types import CurveModel, End, Objective
from surrogates._converted import Grid, places_of
from surrogates.card import without_nan
from surrogates.quality.prediction import spearman
from surrogates.table import ENDS, Table

Array = NDArray[np.float64]
NO_ROWS = "any config is answered, none is held: there is no best row and no law of random search"


class Rows(NamedTuple):
    """The arrays of a finite table, as in `surrogates.table.TableData`."""

    metrics: tuple[str, ...]
    values: Array
    seconds: Array
    ends: NDArray[np.int8]


def rows_of(model: CurveModel) -> Rows | None:
    """The arrays behind a finite table; None where a formula or a fitted model answers."""
    if isinstance(model, Table):
        return Rows(model.data.metrics, model.data.values, model.data.seconds, model.data.ends)
    if isinstance(model, Grid):
        return Rows(model.metrics, model.values, model.seconds, model.ends)
    return None


def card(model: CurveModel) -> dict[str, Any]:
    """The card of a table, or of what answers like one, as plain JSON."""
    benchmark, facts = model.benchmark, model.facts()
    made: Mapping[str, Any] = facts.get("made", {})
    rows = rows_of(model)
    levels = benchmark.fidelity.levels
    plain: dict[str, Any] = {
        "benchmark": benchmark.name,
        "surrogate": None,
        "digest": model.digest,
        "provenance": made.get("how") or made.get("source"),
        "sha256": made.get("sha256"),
        "licence": made.get("licence"),
        "citation": made.get("citation"),
        "unit": benchmark.fidelity.unit,
        "levels": list(levels),
        "test_metric": benchmark.test_metric,
        "workers": benchmark.workers,
        "budget": benchmark.budget,
    }
    if rows is None:
        return without_nan(plain | _of_a_formula(model, facts, made))
    runs: list[int] = (rows.ends >= 0).sum(axis=1).tolist()
    agreement, why = _agreement(model, rows)
    missing = {
        "policy": made.get("missing"),
        "early": int((rows.ends == ENDS.index(End.EARLY)).sum()),
        "diverged": int((rows.ends == ENDS.index(End.DIVERGED)).sum()),
        "not measured": int((rows.ends < 0).sum()),
        "left out": made.get("left_out", 0),
    }
    not_applicable = {} if why is None else {"levels agree with the last": why}
    noise = _noise(model, rows, facts)
    if noise["seed_spread"] is None:
        not_applicable["noise"] = "no config has a second replicate"
    if benchmark.test_metric is None:
        not_applicable["test metric"] = "the data has none"
    return without_nan(
        plain
        | {
            "configs": len(runs),
            "space": benchmark.space.size,
            "runs": sum(runs),
            "seeds": {str(n): runs.count(n) for n in sorted(set(runs))},
            "metrics": list(rows.metrics),
            "finals": [_spread(rows, metric) for metric in rows.metrics],
            "objectives": [_objective(model, rows, objective) for objective in benchmark.objectives],
            "noise": noise,
            "missing": missing,
            "seconds": _seconds(model, rows, facts),
            "levels agree with the last": agreement,
            "not_applicable": not_applicable,
        }
    )


def _of_a_formula(model: CurveModel, facts: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What can be said where any config is answered: the facts that the model states of itself."""
    first, *others = model.benchmark.objectives
    sign = -1 if first.maximize else 1
    known = {of: None if facts.get(of) is None else sign * facts[of] for of in ("optimum", "median")}
    known |= {"config": facts.get("optimum_config"), "optimum is": facts.get("optimum_is")}
    objectives = [{"metric": first.metric, "maximize": first.maximize} | known]
    objectives += [{"metric": other.metric, "maximize": other.maximize} for other in others]
    not_applicable = {"configs": NO_ROWS}
    if known["optimum"] is None:
        not_applicable["optimum"] = "it is not known where any config is answered"
    (config,) = model.benchmark.space.sample(stream("card", model.benchmark.name), 1)
    noise: dict[str, Any] = {}
    if (spread := facts.get("noise")) is not None:  # the same for every config
        noise["noise"] = {"seed_spread": spread, "best tenth": spread, "gap": facts["median"] - facts["optimum"]}
    return noise | {
        "metrics": list(model.curve(config, 0).metrics[0]),
        "objectives": objectives,
        "missing": {"policy": made.get("missing")},
        "seconds": {"how": made.get("seconds"), "median": facts.get("full_seconds")},
        "not_applicable": not_applicable,
    }


def final_of(rows: Rows, metric: str) -> Array:
    """A metric at the last level that each run reached, shape (configs, seeds); NaN where not measured.

    A run that diverged counts as NaN too, though it was measured.
    """
    return np.where(_ended(rows), _at_the_end(rows, rows.values[..., rows.metrics.index(metric)]), np.nan)


def mean_losses(rows: Rows, objective: Objective) -> Array:
    """An objective of each config in the end, to be minimised, the mean over its replicates, shape (configs,).

    Infinite where one of them diverged.
    """
    final = final_of(rows, objective.metric) * (-1.0 if objective.maximize else 1.0)
    return np.nanmean(np.where(np.isnan(final) & (rows.ends >= 0), np.inf, final), axis=1)


def _ended(rows: Rows) -> NDArray[np.bool_]:
    """Which runs came to their end, whole or early by plan, shape (configs, seeds)."""
    return (rows.ends == ENDS.index(End.COMPLETE)) | (rows.ends == ENDS.index(End.EARLY))


def _at_the_end(rows: Rows, of: Array) -> Array:
    """Numbers (configs, seeds, levels) at the last level that each run reached, shape (configs, seeds)."""
    last = np.maximum(np.isfinite(rows.seconds).sum(axis=2) - 1, 0)
    return np.take_along_axis(of, last[..., None], axis=2)[..., 0]


def _spread(rows: Rows, metric: str) -> dict[str, Any]:
    """The least, the median and the most of a metric in the end, means over the replicates that did not diverge."""
    final = final_of(rows, metric)
    means = np.nanmean(final[np.isfinite(final).any(axis=1)], axis=1)
    found = (means.min(), np.median(means), means.max()) if len(means) else (np.nan,) * 3
    return {"metric": metric, **dict(zip(("least", "median", "most"), map(float, found), strict=True))}


def _objective(model: CurveModel, rows: Rows, objective: Objective) -> dict[str, Any]:
    """The best and the median config by an objective, means over replicates; one with a run that diverged is worst."""
    sign, mean = -1.0 if objective.maximize else 1.0, mean_losses(rows, objective)
    best = int(np.argmin(mean))
    return {
        "metric": objective.metric,
        "maximize": objective.maximize,
        "optimum": sign * float(mean[best]),
        "median": sign * float(np.median(mean)),
        "config": dict(_config(model, best)),
    }


def _noise(model: CurveModel, rows: Rows, facts: Mapping[str, Any]) -> dict[str, float | None]:
    """How far seeds spread the first objective: the median standard deviation of configs with several whole runs.

    Of all of them, and of the best tenth, where a large spread of bad configs counts for nothing.
    """
    first = model.benchmark.objectives[0]
    final = final_of(rows, first.metric) * (-1.0 if first.maximize else 1.0)
    several = final[np.isfinite(final).sum(axis=1) > 1]
    known: dict[str, float | None] = {
        "seed_spread": None,
        "best tenth": None,
        "gap": facts["median"] - facts["optimum"],
    }
    if len(several):
        spreads, means = np.nanstd(several, axis=1, ddof=1), np.nanmean(several, axis=1)
        known["seed_spread"] = float(np.median(spreads))
        known["best tenth"] = float(np.median(spreads[means <= np.quantile(means, 0.1)]))
    return known


def _config(model: CurveModel, row: int) -> Config:
    """The config of a row; that of a grid follows from the place of each of its values."""
    if isinstance(model, Table):
        return model.data.configs[row]
    config: dict[str, Any] = {}
    for name, places in places_of(model.benchmark.space).items():
        place, config[name] = max(
            ((place, value) for value, place in places.items() if place <= row), key=itemgetter(0)
        )
        row -= place
    return config


def _seconds(model: CurveModel, rows: Rows, facts: Mapping[str, Any]) -> dict[str, Any]:
    """How long trainings to the end take, those that ended early by plan among them, and how that is known."""
    made, benchmark, median = facts["made"], model.benchmark, facts["full_seconds"]
    whole = _at_the_end(rows, rows.seconds)[_ended(rows)]
    return {
        "how": made.get("seconds") or made.get("time", {}).get("fit"),
        "least": whole.min(),
        "median": median,
        "most": whole.max(),
        "trainings": benchmark.budget * benchmark.workers / median,
    }


def _agreement(model: CurveModel, rows: Rows) -> tuple[list[dict[str, Any]], str | None]:
    """Spearman of each level with the last over the configs that did not always diverge, and over their better half.

    Of means over a config's runs; one that ended early by plan keeps its last value. Where there is nothing to compare,
    why.
    """
    objective, levels = model.benchmark.objectives[0], model.benchmark.fidelity.levels
    if len(levels) == 1:
        return [], "there is one level"
    ended = _ended(rows)
    kept = ended.any(axis=1)
    if kept.sum() < 3:
        return [], f"fewer than three configs have a run that did not diverge: {int(kept.sum())}"
    lengths = np.isfinite(rows.seconds).sum(axis=2)
    places = np.clip(lengths[..., None] - 1, 0, np.arange(len(levels)))
    runs = np.take_along_axis(rows.values[..., rows.metrics.index(objective.metric)], places, axis=2)
    runs = np.where(ended[..., None], runs, np.nan)[kept]
    losses = np.nanmean(-runs if objective.maximize else runs, axis=1)
    better = losses[:, -1] <= np.median(losses[:, -1])
    return [
        {
            "level": level,
            "configs": len(losses),
            "all": spearman(losses[:, place], losses[:, -1]),
            "better half": spearman(losses[better, place], losses[better, -1]),
        }
        for place, level in enumerate(levels[:-1])
    ], None
