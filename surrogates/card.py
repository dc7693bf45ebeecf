"""The quality card of a surrogate: how far to trust what is concluded on it.

Every number is measured: of configs that the fit had not seen, of seeds that were left out, of short runs alone on the
machine, of the surrogate's own optimum trained again. A line that has a threshold is `trusted`, `usable` or `not for
conclusions`, and so is the card, as its worst line; what has not been measured yet counts as usable at best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.files import whole
from harness.randomness import stream
from surrogates.cross_validation import HeldOut
from surrogates.declared import Declared
from surrogates.prepared import LEFT_DIGITS, Prepared, mean_over
from surrogates.quality import coverage, lines
from surrogates.quality.importance import importance
from surrogates.quality.prediction import ALL, LEARNING, QUARTER, TENTH, Predicted, of_kept_out, spearman
from surrogates.surrogate import Surrogate
from surrogates.table import IID, TableData

FILE = "card.json"
DRAWN = 2_000
"""Random configs from which shares are estimated."""


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

    ranking: what comparing methods on the surrogate and on the raw table gave, of which the first `tau`, on tables
    drawn from the surrogate, has a threshold; None where not done.
    """
    levels, regressor = data.benchmark.fidelity.levels, held_out.candidate
    predicted = Predicted.of(data, declared, learned, held_out)
    final, time, optimum = predicted.final(), _time(data, learned, held_out), _optimum(data, model)
    diverged = _diverged(declared, learned, predicted, model, held_out)
    covered = coverage.of_new_seeds(learned, held_out, model)
    judged = lines.judged(
        (
            final[LEARNING]["spearman"],
            final[LEARNING]["r2"],
            final[QUARTER]["spearman"],
            optimum["regret"],
            None if ranking is None else next(iter(ranking["tau"].values())),
            covered["share"],
            diverged["difference"],
            time["median_error"],
        )
    )
    folds, kept_out = model.fitted.made["folds"], of_kept_out(data, declared, model)
    plain = {
        "benchmark": data.benchmark.name,
        "surrogate": model.digest,
        "verdict": lines.verdict([line["verdict"] for line in judged]),
        "lines": judged,
        "regressor": regressor,
        "candidates": dict(held_out.errors),
        "objectives": _objectives(data, learned, held_out, predicted),
        **_origin(data),
        "final": final,
        "held_out": predicted.singles(),
        **({} if kept_out is None else {"kept out": kept_out}),
        "with fewer configs": predicted.with_fewer(learned, regressor, len(learned.x) * (1 - 1 / folds)),
        "each level": predicted.each_level(levels, LEARNING),
        "each level, other sets": {name: predicted.each_level(levels, name) for name in (ALL, TENTH)},
        "coverage": covered | {"unseen": coverage.of_unseen_configs(learned, held_out, model)},
        "diverged": diverged,
        "levels agree with the last": _agreement(levels, predicted, model),
        "importance": importance(model),
        "time": time,
        "noise": _noise(model),
        "optimum": optimum,
        "ranking": ranking,
    }
    return without_nan(plain)


def _origin(data: TableData) -> dict[str, Any]:
    """What the table holds, and where it comes from."""
    seeds: list[int] = (data.ends >= 0).sum(axis=1).tolist()
    return {
        "configs": {part: data.parts.count(part) for part in dict.fromkeys(data.parts)},
        "seeds": {str(n): seeds.count(n) for n in sorted(set(seeds))},
        "levels": len(data.benchmark.fidelity.levels),
        "provenance": data.made.get("how", ""),
        "licence": data.made.get("licence", ""),
        "machines": [machine.get("processor", "") for machine in data.made.get("machines", [])],
    }


def _objectives(data: TableData, learned: Prepared, held_out: HeldOut, predicted: Predicted) -> list[dict[str, Any]]:
    """Each objective: its last values over the i.i.d. configs, means over seeds, and how the surrogate knows it.

    known: exactly, from declared terms; as the seconds; or predicted, then with Spearman's correlation of the last
    values over configs that were not seen.
    """
    rows: list[dict[str, Any]] = []
    for metric in (objective.metric for objective in data.benchmark.objectives):
        measured = data.values[learned.rows][..., -1, data.metrics.index(metric)]
        final = mean_over(measured, learned.good)[predicted.alive]
        source, factor = learned.derived.get(metric, (metric, 1.0))
        known = "exact" if metric in learned.sums else "seconds" if source is None else "predicted"
        row = {"metric": metric, "least": final.min(), "median": np.median(final), "most": final.max(), "known": known}
        if known == "predicted":
            guess = factor * held_out.values[predicted.alive, -1, learned.modelled.index(source or metric)]
            row["spearman"] = spearman(final, guess)
        rows.append(row)
    return rows


def _noise(model: Surrogate) -> dict[str, float | None]:
    """The spread of seeds against the gap from median to best: the smallest regret that means anything."""
    facts = model.fitted.facts
    gap, spread = facts["median"] - facts["optimum"], facts["noise"]
    return {"seed_spread": spread, "gap": gap, "smallest_regret": None if spread is None else spread / gap}


def _diverged(
    declared: Declared, learned: Prepared, predicted: Predicted, model: Surrogate, held_out: HeldOut
) -> dict[str, Any]:
    """The share of runs that diverged, and of those that the surrogate lets diverge."""
    iid = predicted.iid
    true = float(learned.diverged[iid].sum() / learned.measured[iid].sum())
    space, luck = model.benchmark.space, stream("diverged", model.benchmark.name)
    final = np.array([model.curve(config, 0).losses[-1][0] for config in space.sample(luck, DRAWN)])
    share = float(np.mean(~np.isfinite(final) | (final > declared.diverged)))
    return {
        "true": true,
        "predicted": share,
        "difference": share - true,
        "held_out": float(held_out.chance[iid].mean()),
    }


def _agreement(levels: Sequence[int], predicted: Predicted, model: Surrogate) -> list[dict[str, Any]]:
    """Spearman of some levels with the last, over all configs and the better half: measured, and of the surrogate."""
    luck = stream("levels", model.benchmark.name)
    drawn = [model.curve(config, 0).losses for config in model.benchmark.space.sample(luck, DRAWN // 4)]
    whole = [curve for curve in drawn if len(curve) == len(levels) and np.isfinite(curve[-1][0])]
    drawn_losses = np.array([[losses[0] for losses in curve] for curve in whole])
    worlds = {"measured": predicted.truth[predicted.alive], "surrogate": drawn_losses}
    rows: list[dict[str, Any]] = []
    for place in np.unique(np.geomspace(1, len(levels), 6).astype(int))[:-1] - 1:
        row: dict[str, Any] = {"level": levels[place]}
        for name, curves in worlds.items():
            better = curves[:, -1] <= np.median(curves[:, -1])
            row[name] = spearman(curves[:, place], curves[:, -1])
            row[f"{name}, better half"] = spearman(curves[better, place], curves[better, -1])
        rows.append(row)
    return rows


def _time(data: TableData, learned: Prepared, held_out: HeldOut) -> dict[str, Any]:
    """Errors of seconds: of the table's fit against measured runs, and of the surrogate against the table.

    The larger of both is judged. Where the first was not measured that is not known, unless the second is bad enough.
    """
    known = np.isfinite(learned.seconds).all(axis=1)
    missed = np.median(np.abs(np.log(held_out.seconds[known]) - learned.seconds[known]))
    surrogate = round(float(missed), LEFT_DIGITS)
    fit = dict(data.made.get("time", {}))
    table = fit.get("median_error")
    unknown = table is None and lines.TIME.judged(surrogate) == lines.TRUSTED
    larger = None if unknown else max(surrogate, table or 0.0)
    return {"median_error": larger, "surrogate": surrogate, "table": table, "fit": fit}


def _optimum(data: TableData, model: Surrogate) -> dict[str, Any]:
    """What the surrogate's optimum promised and, where it was trained again, what it held.

    Regret is in units of the gap from the median of the i.i.d. configs to the best config that was measured. Where the
    table was assembled from others it has no runs of its own, and no optimum can be trained for it.
    """
    facts = model.fitted.facts
    config, final = facts["optimum_config"], np.nanmean(data.final_losses(), axis=1)
    found: dict[str, Any] = {
        "config": config,
        "promised": facts["promised"],
        "held": None,
        "regret": None,
        "seeds": 0,
        "possible": "tables" not in data.made,
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
    with whole(folder / FILE) as making:
        making.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def without_nan(plain: Any) -> Any:
    """The same with None in place of what is no finite number, and with plain numbers, for JSON."""
    if isinstance(plain, Mapping):
        return {str(name): without_nan(value) for name, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [without_nan(value) for value in plain]
    if isinstance(plain, float) and not np.isfinite(plain):
        return None
    return plain.item() if isinstance(plain, np.generic) else plain
