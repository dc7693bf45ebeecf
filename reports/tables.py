"""The tables of a report as words, the same for the terminal, Markdown and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from reports import text
from reports.intervals import ALPHA, POWER
from reports.outcomes import DONE, FAILED, MISSING, not_applicable, records
from reports.statistics.scores import ROUNDING
from reports.summary import Summary

HOW_TO_READ = (
    "Loss: the incumbent's observed loss at the budget; its mean over seeds is taken on logs of the regret (of the "
    "loss where the best of the table is not known) and transformed back, with a 95 % t interval. "
    "Regret: 0 is the best final loss of the table, 1 the median random config, clipped at 1 above and below at the "
    "noise of the final loss; geometric mean. "
    "Inference regret: that of the selected config, looked up at full resource without the luck of a seed, which no "
    "user sees; on the validation metric, and on the test metric. A failed study counts as the median random config. "
    "Rank: mean over the seeds that all methods have. Trials, reports and times: means per study. "
    "Outside: the share of a study's configs that lie further from every measured config than those from each other, "
    "where a surrogate's answer is a guess. "
    "Pairs: paired t tests over the same seeds, with Holm's correction over the pairs of a benchmark; the smallest "
    f"detectable difference is that for a power of {POWER} at level {ALPHA}, before the correction."
)


class Words(NamedTuple):
    """A table: its head, its rows, and for each row whether it is set in bold."""

    head: list[str]
    rows: list[list[str]]
    bold: list[bool]


def benchmarks(summary: Summary) -> list[str]:
    """The benchmarks in their declared order."""
    return [str(name) for name in summary.table["benchmark"].unique()]


def completeness(summary: Summary) -> Words:
    """What became of the studies of each method on each benchmark; of one that cannot run there, why."""
    rows: list[list[str]] = []
    for row in records(summary.table):
        mine = (summary.studies["benchmark"] == row["benchmark"]) & (summary.studies["arm"] == row["arm"])
        reasons = Counter(str(why) for why in summary.studies.loc[mine, "why"] if why)
        ended = ", ".join(f"{why} {reasons[why]}" for why in sorted(reasons))
        counts = [str(row[name]) for name in ("wanted", DONE, FAILED, MISSING)]
        rows.append([str(row["benchmark"]), str(row["arm"]), *counts, ended])
    rows += [
        [benchmark, arm, *["0"] * 4, f"not applicable: {why}"]
        for benchmark in benchmarks(summary)
        for arm, why in not_applicable(summary.facts, benchmark).items()
    ]
    return Words(["benchmark", "method", "wanted", DONE, FAILED, MISSING, "ended by"], rows, [False] * len(rows))


def errors(summary: Summary) -> list[str]:
    """One line for each way in which studies of a method failed: which studies, and the last line of the error."""
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for row in records(summary.studies[summary.studies["state"] == FAILED]):
        seeds.setdefault((row["arm"], row["benchmark"], _last_line(str(row["error"]))), []).append(row["seed"])
    return [
        f"{arm} on {benchmark}, {'seed' if len(these) == 1 else 'seeds'} {', '.join(map(str, these))}: {error}"
        for (arm, benchmark, error), these in seeds.items()
    ]


def numbers(summary: Summary, benchmark: str) -> Words:
    """A benchmark's main table: what is known of loss, regret and test metric, and what it took."""
    here = records(summary.table[summary.table["benchmark"] == benchmark])
    metric = str(summary.facts[benchmark].get("metric", "loss"))
    estimates = {
        f"{metric} [95 %]": "loss",
        "regret [95 %]": "regret",
        "inference regret [95 %]": "inference",
        "on test [95 %]": "inference_test",
        "test [95 %]": "test",
    }
    shown = {head: name for head, name in estimates.items() if any(row[name] == row[name] for row in here)}
    columns = [_estimates(here, name) for name in shown.values()]
    rows = [
        [str(row["arm"]), _done(row), *estimates, *_counts(row)] for row, *estimates in zip(here, *columns, strict=True)
    ]
    head = ["method", "done", *shown, "rank", "trials", "reports", "time", "took"]
    if any(row["outside"] > 0 for row in here):
        head.append("outside")
        rows = [[*words, text.share(row["outside"])] for words, row in zip(rows, here, strict=True)]
    return Words(head, rows, [bool(row["best"]) for row in here])


def notes(summary: Summary) -> list[str]:
    """What must stand below the tables: what is bold, what is not whole, what may be claimed, what it took."""
    failed = summary.studies[summary.studies["state"] == FAILED]
    missing = int(summary.table[MISSING].sum())
    uncounted = int(failed["counted"].isna().sum())
    return [
        note
        for note in (
            "Bold: the best, and all that could not be told apart from it." if summary.table["best"].any() else "",
            f"{text.plural(len(failed), 'failed study')} counted as the median random config." if len(failed) else "",
            f"{uncounted} of them without a number: no median is known." if uncounted else "",
            f"{text.plural(missing, 'study')} missing." if missing else "",
            *(
                f"{arm} on {benchmark} not applicable: {why}."
                for benchmark in benchmarks(summary)
                for arm, why in not_applicable(summary.facts, benchmark).items()
            ),
            *(_beaten(summary, benchmark) for benchmark in benchmarks(summary)),
            summary.across,
            *summary.declared,
            _totals(summary),
        )
        if note
    ]


def _beaten(summary: Summary, benchmark: str) -> str:
    """That studies hold configs better than the best that was known, so that the regrets are too small; else empty."""
    optimum = summary.facts[benchmark].get("optimum")
    if optimum is None:
        return ""
    finals = summary.studies.loc[summary.studies["benchmark"] == benchmark, "final"].to_numpy(dtype=float)
    beaten = int(np.sum(finals < optimum - ROUNDING * max(1.0, abs(optimum))))
    if not beaten:
        return ""
    return (
        f"{text.plural(beaten, 'study')} on {benchmark} hold a config that is better than the best known one: that is "
        "no optimum, and regrets are larger than they look."
    )


def _totals(summary: Summary) -> str:
    ran = summary.studies[summary.studies["state"] != MISSING]
    spent, took = (text.seconds(float(ran[name].sum())) for name in ("seconds", "real_seconds"))
    real = [bool(about.get("real")) for about in summary.facts.values()]
    clock = "wall-clock time" if all(real) else "simulated and real time" if any(real) else "simulated time"
    return (
        f"{text.plural(len(ran), 'study')}: {spent} of {clock}, which took {took}. Counts and times: means per study."
    )


def _done(row: Mapping[str, Any]) -> str:
    return f"{row[DONE]}/{row['wanted']}"


def _estimates(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """A column of estimates with their intervals, all as exact as the narrowest."""
    centers, lows, highs = ([float(row[f"{name}{end}"]) for row in rows] for end in ("", "_low", "_high"))
    exact = text.decimals(centers, lows, highs)
    return [text.interval(*parts, exact) for parts in zip(centers, lows, highs, strict=True)]


def _counts(row: Mapping[str, Any]) -> list[str]:
    rank = text.NONE if row["rank"] != row["rank"] else f"{row['rank']:.1f}"
    whole = [text.NONE if row[name] != row[name] else f"{row[name]:.0f}" for name in ("trials", "reports")]
    return [rank, *whole, text.seconds(row["seconds"]), text.seconds(row["real_seconds"])]


def _last_line(error: str) -> str:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
