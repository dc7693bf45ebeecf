"""The tables over all benchmarks of a comparison, and what can be said of it in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports import text
from reports.outcomes import records, unique
from reports.regret import scale
from reports.suite import targets
from reports.suite.pairs import BETTER, REGION
from reports.suite.suite import FINAL, HYPERVOLUME, INFERENCE, INFERENCE_FINAL, IQM, MEAN, TENTH
from reports.summary import Summary
from reports.table import Table, bold_rows, csv, latex
from reports.tables import benchmarks, completeness, differences, methods

IN_MAIN = (IQM, MEAN, INFERENCE, TENTH, FINAL, INFERENCE_FINAL, HYPERVOLUME)
"""The quantities of the main table, those that are known."""
MOST = 10
"""Statements about pairs that a reader takes in at once."""
FORMS = {"csv": csv, "tex": latex}


def over_benchmarks(summary: Summary) -> dict[str, Table]:
    """The tables over all benchmarks by name; of a single one only the times to its targets."""
    suite, found = summary.suite, dict[str, Table]()
    if _together(summary):
        found |= {"main": main(summary)} if suite.selection.arms else {}
        found["benchmarks"] = per_benchmark(summary)
    if len(suite.targets):
        found["targets"] = time_to_target(summary)
    if len(suite.pairs):
        found["pairs"] = pairwise(summary)
    return found


def every(summary: Summary) -> dict[str, Table]:
    """All tables of a report that have files of their own, by name."""
    tables = {"completeness": completeness(summary), "methods": methods(summary), "differences": differences(summary)}
    return tables | over_benchmarks(summary) | {"environment": environment(summary)}


def files(summary: Summary, forms: Sequence[str] = ("csv", "tex")) -> dict[str, bytes]:
    """The files of all tables, in some of the `FORMS`, by their places in the report's folder."""
    return {
        f"tables/{name}.{form}": FORMS[form](table).encode() for name, table in every(summary).items() for form in forms
    }


def main(summary: Summary) -> Table:
    """A row a method: its numbers over all benchmarks, and how it stands against the first method."""
    suite = summary.suite
    columns = {name: suite.aggregates[suite.aggregates["quantity"] == name] for name in IN_MAIN}
    columns = {name: frame for name, frame in columns.items() if frame["center"].notna().any()}
    ends = ("center", "low", "high")
    words = [text.estimates(*(frame[end].tolist() for end in ends)) for frame in columns.values()]
    rows = [
        [arm, *cells, f"{rank:.2f}", *_against(summary, arm)]
        for arm, rank, *cells in zip(suite.ranks["arm"], suite.ranks["rank"], *words, strict=True)
    ]
    first = suite.selection.arms[0]
    head = ["method", *(f"{name} [95 %]" for name in columns), "mean rank"]
    if len(suite.pairs):
        head += [f"wins–ties–losses against {first}", "Holm p", "P(equal)"]
    wide = suite.aggregates.pivot(index="arm", columns="quantity", values=["center", "low", "high"])
    wide.columns = [f"{quantity} {end}".removesuffix(" center") for end, quantity in wide.columns]
    numbers = suite.ranks.merge(wide.reset_index(), on="arm")
    return Table(head, rows, bold_rows([arm in best(summary) for arm in suite.ranks["arm"]]), _what(summary), numbers)


def per_benchmark(summary: Summary) -> Table:
    """A row a benchmark, a column a method: the regret at the budget, in bold the best and all that are like it."""
    arms, rows, bold = unique(summary.studies["arm"]), list[list[str]](), set[tuple[int, int]]()
    numbers: list[dict[str, Any]] = []
    for row, name in enumerate(benchmarks(summary)):
        known = {entry["arm"]: entry for entry in records(summary.table[summary.table["benchmark"] == name])}
        shown = "loss" if scale(summary.facts[name]) is None else "regret"
        of = shown if shown == "regret" else str(summary.facts[name].get("metric", "loss"))
        cells = [text.number(known[arm][shown]) if arm in known else text.NONE for arm in arms]
        rows.append([name, of, *cells])
        bold |= {(row, 2 + column) for column, arm in enumerate(arms) if arm in known and known[arm]["best"]}
        for arm, entry in known.items():
            ends = {end: entry[f"{shown}_{end}"] for end in ("low", "high")}
            about = {"benchmark": name, "of": of, "arm": arm}
            numbers.append({**about, "mean": entry[shown], **ends, "best": entry["best"]})
    caption = (
        "Regret at the budget on each benchmark (0 the best final loss, 1 the median random config; the loss where "
        "these are not known). Bold: the best, and all that could not be told apart from it."
    )
    return Table(["benchmark", "of", *arms], rows, frozenset(bold), caption, pd.DataFrame(numbers))


def time_to_target(summary: Summary) -> Table:
    """A row a method, two columns a target: the expected running time, and how much sooner than by the first method."""
    frame = summary.suite.targets
    whole = frame[frame["benchmark"] == targets.EVERY]
    names, (first, *others) = unique(whole["target"]), summary.suite.selection.arms
    known = {(row["arm"], row["target"]): row for row in records(whole)}
    than_first = names if others else []
    rows = [
        [arm, *(_reached(known[arm, one]) for one in names), *(_sooner(known[arm, one], first) for one in than_first)]
        for arm in (first, *others)
    ]
    over, ends = "", ""
    if _together(summary):
        over, ends = ", over all benchmarks that have it", ", with 95 % intervals for these benchmarks"
    sooner = (
        f"; and how many times sooner than by the first method half of the studies have reached it{ends} (only: by "
        "the other less than half do)"
    )
    caption = (
        f"Expected running time to a target, in budgets{over}, with the share of studies that reached it"
        f"{sooner if others else ''}. A target is the final loss that the best so many of a benchmark's configs "
        "reach; it is reached where the observed loss of the incumbent is as low."
    )
    head = ["method", *names, *(f"sooner than {first}: {name}" for name in than_first)]
    return Table(head, rows, caption=caption, numbers=frame)


def pairwise(summary: Summary) -> Table:
    """A row a pair: what they differ by over benchmarks, and how sure that is."""
    frame = summary.suite.pairs
    rows: list[list[str]] = []
    for row in records(frame):
        shift = text.interval(row["shift"], row["shift_low"], row["shift_high"], 3)
        truly = text.interval(row["inference"], row["inference_low"], row["inference_high"], 3)
        chance = text.interval(row["improvement"], row["improvement_low"], row["improvement_high"], 2)
        shares = " / ".join(f"{row[part]:.2f}" for part in ("better", "equal", "worse"))
        wins = f"{row['wins']}–{row['ties']}–{row['losses']}"
        said = [row["verdict"], row["practically"], text.number(row["detectable"])]
        rows.append([row["first"], row["second"], shift, truly, chance, wins, text.p_cell(row["holm"]), shares, *said])
    head = ["first", "second", "shift of the anytime score [95 %]", "difference of the inference score [95 %]"]
    head += ["P(first is better) [95 %]", "wins–ties–losses", "Holm p", "P(better / equal / worse)", "verdict"]
    head += ["practically", "detectable"]
    design = (
        f" {summary.suite.impossible[:1].upper()}{summary.suite.impossible[1:]}." if summary.suite.impossible else ""
    )
    caption = (
        f"Pairs of methods over {len(summary.suite.selection.benchmarks)} benchmarks: signed-rank tests of mean "
        f"anytime scores with Holm's correction; practically equal are those that differ by at most {REGION:g}.{design}"
    )
    numbers = frame.drop(columns="statement")
    return Table(head, rows, bold_rows([row["verdict"] == BETTER for row in records(frame)]), caption, numbers)


def environment(summary: Summary) -> Table:
    """What each benchmark was, as far as a number can depend on it."""
    rows: list[dict[str, Any]] = []
    for name in benchmarks(summary):
        facts, here = summary.facts[name], summary.studies[summary.studies["benchmark"] == name]
        levels = list(facts["levels"])
        rows.append(
            {
                "benchmark": name,
                "family": facts.get("family", name),
                "metric": facts.get("metric", "loss"),
                "levels": f"{levels[0]} to {levels[-1]} ({len(levels)} {facts.get('unit', 'level')}s)",
                "budget [s]": _several(here["budget"]),
                "workers": _several(here["workers"]),
                "seeds": int(here["seed"].nunique()),
                "world": "real" if facts.get("real") else "simulated",
                "configs": facts.get("configs"),
                "not in the table": facts.get("table"),
                "best": facts.get("optimum"),
                "median": facts.get("median"),
                "noise": facts.get("noise"),
                "data": facts.get("digest"),
            }
        )
    frame = pd.DataFrame(rows)
    words = [[_short(value) for value in row.values()] for row in rows]
    caption = "The benchmarks as they were compared: losses are final ones, to be minimised; data names its digest."
    return Table([*frame.columns], words, caption=caption, numbers=frame)


def statements(summary: Summary) -> list[str]:
    """What can be said over all benchmarks: what is left out, whether methods differ, and about pairs.

    Where there are many pairs, those of the best-ranked method.
    """
    suite = summary.suite
    if not _together(summary):
        return []
    said = [f"Left out over benchmarks: {why}." for why in suite.selection.left_out]
    said += [suite.few] if suite.few else []
    if not len(suite.pairs):
        return [
            *said,
            "Nothing can be said over benchmarks: it takes two methods on two benchmarks that can be measured.",
        ]
    if suite.impossible:
        said.append(f"A claim over benchmarks {suite.impossible}.")
    shown = suite.pairs
    if len(shown) > MOST:
        shown = shown[(shown[["first", "second"]] == lead(summary)).any(axis=1)]
    said += [f"{statement}." for statement in shown["statement"]]
    rest = len(suite.pairs) - len(shown)
    return [*said, f"The other {text.plural(rest, 'pair')} stand in the table of pairs."] if rest else said


def best(summary: Summary) -> set[str]:
    """The best-ranked method over benchmarks, and all that it is not better than; empty without pairs."""
    if not len(summary.suite.pairs):
        return set()
    first = lead(summary)
    return {*summary.suite.selection.arms} - {other for better, other in told_apart(summary) if better == first}


def lead(summary: Summary) -> str:
    """The method with the best mean rank over benchmarks."""
    return str(summary.suite.ranks.sort_values("rank", kind="stable")["arm"].iloc[0])


def told_apart(summary: Summary) -> list[tuple[str, str]]:
    """The pairs of methods that are told apart over benchmarks, the better one first."""
    told = [row for row in records(summary.suite.pairs) if row["verdict"] == BETTER]
    pairs = [(str(row["first"]), str(row["second"]), row["shift"]) for row in told]
    return [(first, second) if shift > 0 else (second, first) for first, second, shift in pairs]


def _together(summary: Summary) -> bool:
    """Whether there are several benchmarks, which can be taken together."""
    return len(benchmarks(summary)) > 1


def _what(summary: Summary) -> str:
    suite = summary.suite
    ends = ", with 95 % intervals for these benchmarks" if summary.table["wanted"].max() > 1 else ""
    return (
        f"Methods over {len(suite.selection.benchmarks)} benchmarks of "
        f"{text.plural(suite.selection.families, 'family')}{ends}. "
        "Bold: the best rank, and all that it could not be shown to be better than."
    )


def _against(summary: Summary, arm: str) -> list[str]:
    """Wins, ties and losses against the first method, Holm's p, and the probability of being practically equal."""
    suite, first = summary.suite, summary.suite.selection.arms[0]
    if not len(suite.pairs):
        return []
    if arm == first:
        return [text.NONE] * 3
    row = records(suite.pairs[(suite.pairs["first"] == first) & (suite.pairs["second"] == arm)])[0]
    return [f"{row['losses']}–{row['ties']}–{row['wins']}", text.p_cell(row["holm"]), f"{row['equal']:.2f}"]


def _reached(row: dict[str, Any]) -> str:
    share = text.share(row["reached"] / row["studies"])
    return f"{text.number(row['expected'])} ({share})" if np.isfinite(row["expected"]) else f"> budget ({share})"


def _sooner(row: dict[str, Any], first: str) -> str:
    """How many times sooner a target is reached than by the first method."""
    speed, low, high = (row[f"speed_up{end}"] for end in ("", "_low", "_high"))
    if row["arm"] == first or np.isnan(speed):
        return text.NONE
    if speed == 0 or np.isinf(speed):
        return f"only {row['arm'] if speed else first}"
    ends = "" if np.isnan(low) else f" [{text.number(low)}, {text.number(high)}]"
    return f"×{text.number(speed)}{ends}"


def _several(column: pd.Series[Any]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(column.dropna().unique()))


def _short(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return text.NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)
