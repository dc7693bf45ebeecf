"""A validation as a folder: a page on how far real studies and simulated ones agree, the numbers, and the figures.

What the page says it says whatever comes out.
"""

# pyright: reportUnknownMemberType=false
# (matplotlib does not type its keyword arguments)

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from reports import agreement, curves, findings, style, text
from reports.agreement import MARGIN, OUTSIDE, QUANTITIES, TIMED, TOLERANCE, UNKNOWN, UNSETTLED, WITHIN, World
from reports.findings import Findings, Line
from reports.outcomes import records, unique
from reports.summary import Summary, summarise
from reports.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from reports.drawing import Drawn

WORLDS = ("real", "simulated", "uncorrected")
STEM = "validation"

HOW_TO_READ = (
    "Each real study has a simulated one of the same method, seed, workers and budget, whose training times are "
    "multiplied by what the machine took for a fixed training of the same script just before the real study, over what "
    "the table says for it, and whose processes begin and leave in the seconds that they took then; `uncorrected` is "
    "the simulation as it is declared. What stands for a simulated study is the mean over it and ten more in which the "
    "curves have other luck: what is asked is what to expect of a real one. The figure over time and the decisions are "
    "of the first alone. Ratios: real / simulated, geometric means over seeds with 95 % t intervals on logs, of all "
    "methods together over the seeds' geometric means; a pair of studies of which one does not tell a quantity is left "
    "out of its row, and its seed out of that of all methods. Occupancy: the share of the workers' time in which they "
    "had a job. Seconds to start a job: the median over jobs of at least three reports of what its first report cost "
    "above those between it and the last. Regret: of the observed loss of the incumbent (rule maxfid) at the budget, 0 "
    "at the best final loss of the table, 1 at the median random config, and nothing counts as worse than that; failed "
    "studies count as the median. An agreement is claimed only where the whole interval lies within the bounds; the "
    "smallest difference that could have been found is that of a paired t test with power 0.8 at level 0.05. Same "
    "choice: a trial of the same number and config that has reported the same level in both worlds, where at least one "
    "of them ended its job."
)


@dataclass(frozen=True)
class Validation:
    """What was run.

    repeats: the simulated studies again, each time with other luck of the curves; facts: of the benchmark, as a report
    has them; about: what else the page states, in words; notes: what must be said of the studies.
    """

    benchmark: str
    worlds: Mapping[str, World]
    repeats: Sequence[World]
    facts: Mapping[str, Any]
    continues: bool
    about: Mapping[str, str]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Numbers:
    """All that was found: frames as `agreement` gives them; real against the corrected and the uncorrected world."""

    summaries: Mapping[str, Summary]
    ratios: pd.DataFrame
    uncorrected: pd.DataFrame
    differences: pd.DataFrame
    uncorrected_differences: pd.DataFrame
    tau: float
    pairs: pd.DataFrame
    decisions: pd.DataFrame

    def plain(self) -> dict[str, Any]:
        """As plain JSON; what is not known is None."""
        names = ("ratios", "uncorrected", "differences", "uncorrected_differences", "pairs", "decisions")
        frames = {name: getattr(self, name) for name in names}
        return {"tau": _plain(self.tau), "margin": MARGIN, "tolerance": TOLERANCE} | {
            name: [{key: _plain(value) for key, value in row.items()} for row in records(frame)]
            for name, frame in frames.items()
        }


def found(validation: Validation) -> Numbers:
    """All numbers of a validation; its facts must say best and median of the table."""
    facts, name = validation.facts, validation.benchmark
    optimum, median = float(facts["optimum"]), float(facts["median"])
    worlds = validation.worlds
    summaries = {key: summarise(world.studies, world.events, {name: facts}) for key, world in worlds.items()}
    counts = {key: agreement.counts(world, continues=validation.continues) for key, world in worlds.items()}
    regrets = {key: agreement.regrets(summary.studies, optimum, median) for key, summary in summaries.items()}
    again = [summarise(world.studies, world.events, {name: facts}).studies for world in validation.repeats]
    lucky = [agreement.counts(world, continues=validation.continues) for world in validation.repeats]
    counts["simulated"] = (
        pd.concat([counts["simulated"], *lucky]).groupby(["arm", "seed"], sort=False, as_index=False).mean()
    )
    lucky = [agreement.regrets(one, optimum, median) for one in again]
    regrets["simulated"] = pd.concat([regrets["simulated"], *lucky]).groupby("seed").mean()
    tau, pairs = agreement.ranking(regrets["real"], regrets["simulated"])
    return Numbers(
        summaries=summaries,
        ratios=agreement.ratios(counts["real"], counts["simulated"]),
        uncorrected=agreement.ratios(counts["real"], counts["uncorrected"]),
        differences=agreement.differences(regrets["real"], regrets["simulated"]),
        uncorrected_differences=agreement.differences(regrets["real"], regrets["uncorrected"]),
        tau=tau,
        pairs=pairs,
        decisions=agreement.decisions(worlds["real"], worlds["simulated"], max(facts["levels"])),
    )


def lines(numbers: Numbers, unit: str) -> list[Line]:
    """What a validation comes to, statement by statement."""
    said = [_of_regret(row) for row in records(numbers.differences)]
    for row in records(numbers.ratios[numbers.ratios["quantity"].isin(TIMED)]):
        said.append(_of_time(row, unit))
    if not np.isnan(numbers.tau):
        agree, pairs = int(numbers.pairs["same"].sum()), len(numbers.pairs)
        kind = "better" if agree == pairs else ""
        words = f"Ranking of the methods by mean regret: Kendall's tau {numbers.tau:.2f}"
        said.append(Line(f"{words}; {agree} of {text.plural(pairs, 'pair')} in the same order.", kind))
    for row in records(numbers.decisions):
        if row["choices"]:
            share = f"{row['same']} of {row['choices']} ({text.share(row['same'] / row['choices'])})"
            said.append(Line(f"{row['arm']}: where both had the same choice, they chose the same in {share}.", ""))
    return said


def _of_regret(row: Mapping[str, Any]) -> Line:
    known = text.interval(row["difference"], row["low"], row["high"], 3)
    said = f"{row['arm']}: final regret, real less simulated, {known}"
    seeds = text.plural(row["seeds"], "seed")
    limit = f"with {seeds} a difference of {text.number(row['detectable'])} would be found"
    enough = "" if np.isnan(row["enough"]) else f", and some {int(row['enough'])} seeds would settle it"
    alike = ", the same difference at each" if row["seeds"] > 1 else ""
    words = {
        WITHIN: f"within the margin of {MARGIN:g}; {limit}",
        OUTSIDE: f"outside the margin of {MARGIN:g}",
        UNSETTLED: f"not settled against the margin of {MARGIN:g}; {limit}{enough}",
        UNKNOWN: f"not enough data ({seeds}{alike})",
    }
    return Line(f"{said}: {words[row['verdict']]}.", _kind(row["verdict"]))


def _of_time(row: Mapping[str, Any], unit: str) -> Line:
    known = text.interval(row["ratio"], row["low"], row["high"], 3)
    bound = f"{100 * TOLERANCE:g} %"
    words = {
        WITHIN: f"within {bound}",
        OUTSIDE: f"more than {bound} apart",
        UNSETTLED: f"not settled against {bound}",
        UNKNOWN: f"not enough data ({text.plural(row['seeds'], 'seed')})",
    }
    said = f"{row['arm']}: {_named(row['quantity'], unit)}, real / simulated, {known}"
    return Line(f"{said}: {words[row['verdict']]}.", _kind(row["verdict"]))


def _kind(verdict: str) -> str:
    return {WITHIN: "better", OUTSIDE: "error"}.get(verdict, "")


def _named(quantity: str, unit: str) -> str:
    """A quantity in the words of a benchmark."""
    return {"epochs": f"{unit}s trained", "per_epoch": f"seconds per {unit}"}.get(quantity, QUANTITIES[quantity])


def tables(numbers: Numbers, unit: str) -> list[tuple[str, Table]]:
    """The tables of the page with their titles."""
    return [
        ("Final regret", _regrets(numbers)),
        ("Times and counts", _times(numbers, unit)),
        (
            "Pairs of methods: difference of final regret",
            Table(
                ["first", "second", "real [95 %]", "simulated [95 %]", "same order"],
                [
                    [
                        *(row["first"], row["second"]),
                        *(text.interval(row[w], row[f"{w}_low"], row[f"{w}_high"], 3) for w in WORLDS[:2]),
                        "yes" if row["same"] else "no",
                    ]
                    for row in records(numbers.pairs)
                ],
            ),
        ),
        (
            "Decisions",
            Table(
                ["method", "trials in both", "with the same config", "same choices", "chosen the same"],
                [
                    [str(row[name]) for name in ("arm", "trials", "configs", "choices", "same")]
                    for row in records(numbers.decisions)
                ],
            ),
        ),
    ]


def _regrets(numbers: Numbers) -> Table:
    """Final regrets in the three worlds, with differences; verdict and smallest difference are of the corrected one."""
    rows: list[list[str]] = []
    for row, other in zip(records(numbers.differences), records(numbers.uncorrected_differences), strict=True):
        means = [text.number(value) for value in (row["real"], row["simulated"], other["simulated"])]
        apart = [text.interval(one["difference"], one["low"], one["high"], 3) for one in (row, other)]
        rows.append([row["arm"], *means, *apart, row["verdict"], text.number(row["detectable"]), str(row["seeds"])])
    head = ["method", "real", "simulated", "uncorrected", "real less simulated [95 %]", "real less uncorrected [95 %]"]
    return Table([*head, "verdict", "smallest to be found", "seeds"], rows)


def _times(numbers: Numbers, unit: str) -> Table:
    """Real, simulated and uncorrected means, with ratios; the seeds are those of the corrected ones."""
    rows: list[list[str]] = []
    for row, other in zip(records(numbers.ratios), records(numbers.uncorrected), strict=True):
        ratios = [text.interval(one["ratio"], one["low"], one["high"], 3) for one in (row, other)]
        means = [text.number(value) for value in (row["real"], row["simulated"], other["simulated"])]
        rows.append([row["arm"], _named(row["quantity"], unit), *means, *ratios, row["verdict"], str(row["seeds"])])
    head = ["method", "mean of", "real", "simulated", "uncorrected", "real / simulated [95 %]"]
    return Table([*head, "real / uncorrected [95 %]", "verdict", "seeds"], rows)


def write(folder: Path, validation: Validation, *, command: str) -> list[Line]:
    """Write the page of a validation; gives its statements. command: the line that makes it."""
    numbers = found(validation)
    unit = str(validation.facts["unit"])
    said = lines(numbers, unit)
    figures = draw(validation, numbers)
    about = {"benchmark": validation.benchmark, "about": dict(validation.about), "notes": list(validation.notes)}
    page = Findings(
        title=f"{validation.benchmark}: the same studies for real and simulated",
        lead=" ".join(validation.notes),
        lines=said,
        figures=figures,
        tables=tables(numbers, unit),
        how_to_read=HOW_TO_READ,
        facts=validation.about,
        numbers=about | numbers.plain(),
        small=[figure.name for figure in figures if figure.name.startswith("differences")],
    )
    findings.write(folder, page, command=command, stem=STEM)
    return said


def draw(validation: Validation, numbers: Numbers) -> list[Drawn]:
    """The figures of a validation."""
    import matplotlib  # takes a second to import

    from reports.drawing import Drawn, caption, figure_of, save
    from reports.figures import differences, worlds

    name, facts = validation.benchmark, validation.facts
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    frame = pd.concat(
        [curves.anytime(summary, name).assign(world=world) for world, summary in numbers.summaries.items()]
    )
    _, *limits = curves.window(frame, facts["optimum"], facts["median"])
    arms = unique(validation.worlds["real"].studies["arm"])
    budget = float(validation.worlds["real"].studies["budget"].max())
    with matplotlib.rc_context(cast(Any, style.RC)):
        over_time = figure_of(height=2.7 * -(-len(arms) // 3))
        panels = over_time.subplots(-(-len(arms) // 3), min(len(arms), 3), squeeze=False, sharey=True)
        for arm, axes in zip(arms, panels.flat, strict=False):
            worlds.draw(
                frame[frame["arm"] == arm], axes, budget=budget, metric=str(facts["metric"]),
                limits=cast(Any, tuple(limits)), optimum=facts["optimum"],
            )  # fmt: skip
            axes.set_title(arm, loc="left")
        for axes in panels.flat[len(arms) :]:
            axes.set_axis_off()
        for axes in panels[:, 1:].flat:
            axes.set_ylabel("")
        panels[0, 0].legend(loc="upper right")
        apart = figure_of(4.6, 0.9 + 0.3 * len(arms))
        differences.draw(numbers.differences, apart.add_subplot(), margin=MARGIN)
        return [
            Drawn(f"worlds-{stem}", caption(worlds, f"{name}."), save(over_time), frame),
            Drawn(f"differences-{stem}", caption(differences, f"{name}."), save(apart), numbers.differences),
        ]


def _plain(value: Any) -> Any:
    plain: Any = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not np.isfinite(plain) else plain
