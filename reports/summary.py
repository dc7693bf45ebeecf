"""What a comparison comes to: completeness first, then each arm's numbers, then what can be said about pairs.

The first numbers are of *observed* validation losses of the incumbent at the budget: what a user of the method sees.
They are biased down by selection, alike for all arms. Beside them stands inference regret: what the selected config is
truly worth, at full resource and without the luck of a seed, on the validation metric and on the test metric.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from reports import fronts
from reports import pairs as pair_statements
from reports.incumbent import DEFAULT_RULE, Finals, Floats, Key, Trajectory, silent, trajectories
from reports.intervals import Interval, mean
from reports.outcomes import DONE, FAILED, MISSING, Facts, outcomes, records, unique
from reports.publishing import plain_json
from reports.regret import counted, measure, ranks, scale
from reports.statistics.scores import random_search_equivalent
from reports.suite.suite import Suite, over_benchmarks

ROUNDING = 1e-12
"""By so much, as a share of it, a config's mean over seeds may differ from the same in the table."""
HELD = {
    "optimum", "median", "noise", "metric", "unit", "levels", "configs", "table", "real", "verdict", "full_seconds",
    "not_applicable", "test", "family", "optimum_is", "objectives", "front",
}  # fmt: skip
"""The facts that the JSON repeats (not the table's thousand losses)."""


@dataclass(frozen=True)
class Summary:
    """All numbers of a report."""

    rule: str
    """The incumbent rule that they stand on."""
    studies: pd.DataFrame
    """One row per wanted study: see `outcomes`; with `hypervolume` where studies have several objectives."""
    table: pd.DataFrame
    """One row per benchmark and arm: see `row`."""
    pairs: pd.DataFrame
    """One row per benchmark and pair of arms: see `pairs.compare`."""
    suite: Suite
    """What the benchmarks say together."""
    trajectories: Mapping[Key, Trajectory]
    facts: Facts
    declared: Sequence[str] = ()
    """What was declared before the studies ran, in words."""
    remarks: Sequence[str] = ()
    """What must be said of what the store holds, in words."""
    hypervolumes: Mapping[Key, fronts.Held] = field(default_factory=dict[Key, fronts.Held])
    """Of the studies with several objectives: see `fronts`."""
    silent: Sequence[str] = ()
    """Arms of which the rule `recommend`, where it is that, can only say what `maxfid` says."""

    def statements(self, benchmark: str) -> list[str]:
        """What can be said about the pairs of arms on a benchmark, in words."""
        return [str(text) for text in self.pairs.loc[self.pairs["benchmark"] == benchmark, "statement"]]

    def numbers(self) -> dict[str, Any]:
        """Every number as plain dicts and lists for JSON; what is not known or not finite is None."""
        facts = {
            name: {key: value for key, value in about.items() if key in HELD} for name, about in self.facts.items()
        }
        frames = {"table": self.table, "pairs": self.pairs, "studies": self.studies}
        return {
            "incumbent_rule": self.rule,
            "declared": list(self.declared),
            "benchmarks": plain_json(facts),
            **{name: [plain_json(row) for row in records(frame)] for name, frame in frames.items()},
            "suite": plain_json(self.suite.numbers()),
        }


class Observed(NamedTuple):
    """What became of each study, and what it says of each pair of arms, by one incumbent rule."""

    rule: str
    studies: pd.DataFrame
    """See `Summary`, as the next two."""
    pairs: pd.DataFrame
    trajectories: Mapping[Key, Trajectory]


def observed(studies: pd.DataFrame, events: pd.DataFrame, facts: Facts, rule: str = DEFAULT_RULE) -> Observed:
    """What the frames of studies and events come to, pair by pair; arguments and errors as for `summarise`."""
    if studies.empty:
        raise ValueError("there is no study to report: run some first")
    names = unique(studies["benchmark"])
    unknown = [name for name in names if not facts.get(name, {}).get("levels")]
    if unknown:
        raise ValueError(f"benchmarks without levels in their facts: {', '.join(unknown)}")
    found = trajectories(events, {name: int(max(facts[name]["levels"])) for name in names}, rule, _finals(studies))
    wanted = outcomes(studies, found, facts)
    here = [(name, wanted[wanted["benchmark"] == name]) for name in names]
    said = [pair_statements.compare(mine, scale(facts[name])) for name, mine in here]
    return Observed(rule, wanted, pd.concat(said, ignore_index=True), found)


def summarise(
    studies: pd.DataFrame,
    events: pd.DataFrame,
    facts: Facts,
    rule: str = DEFAULT_RULE,
    declared: Sequence[str] = (),
    *,
    remarks: Sequence[str] = (),
) -> Summary:
    """Compute all numbers of a report from the frames of studies and events.

    studies: a row each; in `finals`, where that was looked up, what the configs of its trials end with; facts: of each
    benchmark; `levels` must be there, all else may be missing; declared: what was before the studies ran, and remarks:
    what must be said of what the store holds, in words.
    Raises ValueError where there is no study or one is given twice, the rule is unknown, or a benchmark has no levels.
    """
    seen, hypervolumes = observed(studies, events, facts, rule), fronts.held(events)
    wanted = seen.studies
    if fronts.COLUMN in events:
        wanted = wanted.assign(**{fronts.COLUMN: fronts.at_the_budget(wanted, hypervolumes, facts)})
    rows: list[dict[str, Any]] = []
    for name in unique(wanted["benchmark"]):
        here = wanted[wanted["benchmark"] == name]
        table = _table(here, facts[name])
        found = here.loc[(here["state"] == DONE) & np.isfinite(here["loss"]), "arm"]
        _mark_best(table, seen.pairs[seen.pairs["benchmark"] == name], set(found.astype(str)))
        rows += table
    return Summary(
        rule=rule,
        studies=wanted,
        table=pd.DataFrame(rows),
        pairs=seen.pairs,
        suite=over_benchmarks(wanted, seen.trajectories, facts),
        trajectories=seen.trajectories,
        facts=facts,
        declared=declared,
        remarks=remarks,
        hypervolumes=hypervolumes,
        silent=silent(events, rule),
    )


def _finals(studies: pd.DataFrame) -> dict[Key, Finals] | None:
    """What was looked up of the trials of each study, where the frame has it."""
    if "finals" not in studies:
        return None
    columns = (studies[name].tolist() for name in ("arm", "benchmark", "seed", "finals"))
    return {(str(arm), str(benchmark), int(seed)): known for arm, benchmark, seed, known in zip(*columns, strict=True)}


def _table(here: pd.DataFrame, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One benchmark's rows; `here` holds its outcomes."""
    placed = _placed(here)
    rows: list[dict[str, Any]] = []
    for arm in unique(here["arm"]):
        rank = placed[arm].mean() if len(placed) else np.nan
        rows.append(row(here[here["arm"] == arm], facts) | {"rank": float(rank), "rank_blocks": len(placed)})
    return rows


def _placed(here: pd.DataFrame) -> pd.DataFrame:
    """The rank of each arm at each seed that no arm misses, on the same data; `here` holds one benchmark's outcomes."""
    blocks = here.groupby("seed")
    whole = blocks["state"].transform(lambda states: (states != MISSING).all()).astype(bool)
    met = here[whole & (blocks["data"].transform("nunique") <= 1)]
    return ranks(met.pivot(index="seed", columns="arm", values="counted").fillna(np.inf))


def rank_of_each(studies: pd.DataFrame) -> Floats:
    """The rank (n,) of each study among the arms of its benchmark at its seed, 1 the best; ties share their mean rank.

    studies: as a summary holds them. NaN at a seed that an arm misses, or where not all met the same data.
    """
    found: dict[tuple[Any, ...], float] = {}
    for name in unique(studies["benchmark"]):
        placed = _placed(studies[studies["benchmark"] == name])
        for arm in unique(studies["arm"]):
            if arm in placed.columns:
                for seed, rank in zip(placed.index, placed[arm], strict=True):
                    found[name, arm, seed] = float(rank)
    keys = zip(studies["benchmark"], studies["arm"], studies["seed"], strict=True)
    return np.array([found.get(key, np.nan) for key in keys], dtype=np.float64)


def row(mine: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """One arm's numbers on one benchmark; `mine` holds its outcomes, a row per seed.

    wanted, done, failed, missing: studies; loss (low, high): the mean on the benchmark's scale, transformed back;
    regret, inference, inference_test: geometric means of normalised regrets, clipped: as observed, and of the selected
    config without the luck of a seed, on the validation and on the test metric; equivalent: how many random configs,
    each trained to the end, it takes on average until one is as good as that, a geometric mean; all with a 95 % t
    interval; loss_mean: the plain mean; overtuned: studies of which an earlier incumbent was better on test; at_floor,
    at_median: studies whose regret was clipped; trials, reports, seconds, real_seconds, outside (the share of its
    configs that lie where the data says little, NaN where that is not known): means per study; hypervolume (low, high):
    the mean share of that of the front, NaN where there is none, only in comparisons of several objectives.
    """
    ran = mine[mine["state"] != MISSING]
    counts = mine["state"].value_counts()
    losses, ruler = ran["counted"].to_numpy(dtype=float), scale(facts)
    on = measure(losses, ruler)
    estimate = mean(on.of(losses))
    regrets = ran["regret"].to_numpy(dtype=float)
    test = mean(_finite_or_nan(ran["test"].to_numpy(dtype=float)))
    numbers = {
        "benchmark": mine["benchmark"].iloc[0],
        "arm": mine["arm"].iloc[0],
        "wanted": len(mine),
        **{name: int(counts.get(name, 0)) for name in (DONE, FAILED, MISSING)},
        "loss": float(on.losses(estimate.center)),
        "loss_low": float(on.losses(estimate.low)),
        "loss_high": float(on.losses(estimate.high)),
        "loss_mean": float(losses.mean()) if len(losses) else np.nan,
        **_geometric("regret", regrets),
        **_geometric("inference", ran["inference"].to_numpy(dtype=float)),
        **_geometric("inference_test", ran["inference_test"].to_numpy(dtype=float)),
        **_equivalent(ran, facts),
        "overtuned": int(np.sum(ran["overtuned"] > 0)),
        "at_floor": 0 if ruler is None else int(np.sum(regrets <= ruler.floor)),
        "at_median": 0 if ruler is None else int(np.sum(regrets >= 1)),
        "test": float(test.center),
        "test_low": float(test.low),
        "test_high": float(test.high),
    }
    means = {name: float(ran[name].mean()) for name in ("trials", "reports", "seconds", "real_seconds", "outside")}
    return numbers | means | _hypervolume(ran)


def _hypervolume(ran: pd.DataFrame) -> dict[str, float]:
    """The mean hypervolume with its t interval, which begins at 0; nothing where no study has several objectives."""
    if fronts.COLUMN not in ran:
        return {}
    found = mean(ran[fronts.COLUMN].to_numpy(dtype=float))
    low = float(np.maximum(found.low, 0))
    return {fronts.COLUMN: float(found.center), f"{fronts.COLUMN}_low": low, f"{fronts.COLUMN}_high": float(found.high)}


def _geometric(name: str, regrets: Floats) -> dict[str, float]:
    """The geometric mean of normalised regrets with its t interval, which ends at 1."""
    found = mean(np.log(regrets)).exp()
    return _columns(name, found._replace(high=np.minimum(found.high, 1.0)))


def _equivalent(ran: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, float]:
    """How many random configs are worth the selected one; NaN where that is not known."""
    worth = np.empty(0)
    if facts.get("final_losses") and ran["inference"].notna().all():
        finals = np.where(ran["state"] == DONE, ran["final"].to_numpy(dtype=float), np.nan)
        finals = counted(finals, facts.get("median"))
        worth = random_search_equivalent(finals + ROUNDING * np.abs(finals), np.array(facts["final_losses"]))
    found = mean(np.log(worth)).exp()
    return _columns("equivalent", found._replace(low=np.maximum(found.low, 1.0)))


def _columns(name: str, found: Interval) -> dict[str, float]:
    return {name: float(found.center), f"{name}_low": float(found.low), f"{name}_high": float(found.high)}


def _mark_best(table: list[dict[str, Any]], pairs: pd.DataFrame, found: set[str]) -> None:
    """Set `best` on the arm of the lowest mean loss and on those that were tested against it and not told apart.

    found: the arms that ended a study with a finite loss; an arm of which all that is known is imputed is not the best.
    """
    tested = pairs[pairs["holm"].notna()]
    arms = {str(name) for side in ("first", "second") for name in tested[side]}
    known = [entry for entry in table if entry["arm"] in arms and not math.isnan(entry["loss"])]
    lead = min(known, key=lambda entry: (np.nan_to_num(entry["regret"]), entry["loss"]), default=None)
    alike = set[str]()
    if lead:
        met = tested[(tested["first"] == lead["arm"]) | (tested["second"] == lead["arm"])]
        alike = {*map(str, met["first"]), *map(str, met["second"])} - pair_statements.told_apart(pairs, lead["arm"])
    for entry in table:
        entry["best"] = entry["arm"] in alike and entry["arm"] in found


def _finite_or_nan(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)
