"""Do a comparison's statements survive? What it says of each pair of arms when it is made under other settings.

A pair is oriented as the comparison has it: `first` is the arm that is ahead there. In each setting the pair is tested
as the report tests it, and what comes of it stands in one of five relations to the comparison. A setting that changes
the incumbents of neither arm tests nothing; it is shown, and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reports import text
from reports.outcomes import records
from reports.pairs import ALIKE, BETTER, NO_DATA
from reports.summary import Summary

if TYPE_CHECKING:
    from reports.drawing import Drawn
    from reports.table import Table

HOLDS, SAME, EQUAL, OTHER, REVERSED = RELATIONS = ("holds", "same sign", "equal", "other sign", "reversed")
UNTOUCHED, UNKNOWN = "untouched", "not enough data"

ALWAYS = "No setting turns the sign."
SHOWN = ("benchmark", "first", "second")
NUMBERS = ("effect", "low", "high")


class Setting(NamedTuple):
    """One way in which the comparison was made, and all numbers of it; the first is the comparison itself."""

    axis: str
    """What is changed."""
    name: str
    """To what: said in a few words, each once."""
    step: int
    """How large the change is: 0 luck alone, 1 the next step on its axis."""
    summary: Summary


class Told(NamedTuple):
    """What was found, as the terminal and the report of the comparison show it.

    lines: the lead, then a statement a pair; digest: of all of it.
    """

    lines: list[str]
    marks: Table
    figures: list[Drawn]
    digest: str


def effects(settings: Sequence[Setting]) -> pd.DataFrame:
    """What each setting says of each pair: a row per pair and setting, in the order of the pairs and of the settings.

    Columns: benchmark, first, second, axis, setting, step; measure, effect, low, high (as `pairs.compare` has them, of
    `first` against `second`), holm; told (whether the two are told apart there) and relation, one of RELATIONS, or
    `untouched` or `not enough data`.
    """
    own = settings[0].summary
    rows: list[dict[str, Any]] = []
    for pair in records(own.pairs):
        about = {name: pair[name] for name in SHOWN}
        for setting in settings:
            seen = _oriented(setting.summary, **about)
            relation = _relation(seen)
            if setting.summary is not own and _untouched(own, setting.summary, **about):
                relation = UNTOUCHED
            place = {"axis": setting.axis, "setting": setting.name, "step": setting.step}
            rows.append({**seen, **about, **place, "told": seen["verdict"] == BETTER, "relation": relation})
    columns = [*SHOWN, "axis", "setting", "step", "measure", *NUMBERS, "holm", "told", "relation"]
    return pd.DataFrame(rows, columns=columns)


def statements(effects: pd.DataFrame) -> pd.DataFrame:
    """What survives of each pair's statement: a row per pair, those told apart by the comparison first.

    Columns: benchmark, first, second, made (whether the comparison tells them apart), settings (that count), one of
    counts for each of RELATIONS and for `untouched` and `not enough data`, turns and loses (the names of the smallest
    changes after which the sign is another, or the statement no longer holds), statement.
    """
    rows: list[dict[str, Any]] = []
    for _, of_pair in effects.groupby(list(SHOWN), sort=False):
        own, others = of_pair.iloc[0], of_pair.iloc[1:]
        counts = {name: int((others["relation"] == name).sum()) for name in (*RELATIONS, UNTOUCHED, UNKNOWN)}
        row = {name: own[name] for name in SHOWN} | {"made": bool(own["told"])}
        row |= {"settings": sum(counts[name] for name in RELATIONS), **counts}
        row["turns"] = _smallest(others, (OTHER, REVERSED))
        row["loses"] = _smallest(others, (SAME, EQUAL)) if row["made"] else []
        rows.append(row | {"statement": _statement(row, own)})
    rows.sort(key=lambda row: not row["made"])  # stable: else in the order of the pairs
    columns = [*SHOWN, "made", "settings", *RELATIONS, UNTOUCHED, UNKNOWN, "turns", "loses", "statement"]
    return pd.DataFrame(rows, columns=columns)


def lead(statements: pd.DataFrame, settings: int) -> str:
    """What it comes to, in one paragraph.

    settings: how many there are besides the comparison itself.
    """
    made = statements[statements["made"]]
    begin = (
        f"The comparison was made again under {text.plural(settings, 'other setting')}, one thing changed at a time."
    )
    if statements.empty:
        return f"{begin} It has no pair of methods, so there is nothing that could survive."
    if made.empty:
        return (
            f"{begin} It tells none of its {text.plural(len(statements), 'pair')} apart, so it makes no statement that "
            "a setting could overturn; shown is who is ahead in each."
        )
    everywhere = int((made["settings"] == made[HOLDS]).sum())
    turned = int((made[OTHER] + made[REVERSED] > 0).sum())
    return (
        f"{begin} It tells {len(made)} of {text.plural(len(statements), 'pair')} apart. Statements that hold in every "
        f"setting: {everywhere}; whose sign turns in at least one: {turned}."
    )


def _oriented(summary: Summary, benchmark: str, first: str, second: str) -> dict[str, Any]:
    """What a summary says of a pair, as a comparison of `first` with `second`."""
    here = summary.pairs[summary.pairs["benchmark"] == benchmark]
    for pair in records(here):
        if (pair["first"], pair["second"]) == (first, second):
            return pair
        if (pair["first"], pair["second"]) == (second, first):
            turn = np.negative if pair["measure"] == "difference" else np.reciprocal
            effect, low, high = (float(turn(pair[name])) for name in NUMBERS)
            return {**pair, "effect": effect, "low": high, "high": low}
    return {"measure": "", "verdict": NO_DATA, "holm": np.nan} | dict.fromkeys(NUMBERS, np.nan)


def _relation(seen: dict[str, Any]) -> str:
    """How what is seen stands to "first is ahead of second"."""
    if seen["verdict"] == NO_DATA:
        return UNKNOWN
    even = 0.0 if seen["measure"] == "difference" else 1.0
    if seen["verdict"] == ALIKE and seen["effect"] == even:
        return EQUAL
    ahead = seen["effect"] < even
    if seen["verdict"] == BETTER:
        return HOLDS if ahead else REVERSED
    return SAME if ahead else OTHER


def _untouched(own: Summary, other: Summary, benchmark: str, first: str, second: str) -> bool:
    """Whether both arms hold the same trials with the same losses at all times, over the same budget."""
    studies = [summary.studies for summary in (own, other)]
    mine, theirs = (
        frame[(frame["benchmark"] == benchmark) & frame["arm"].isin([first, second])]
        .set_index(["arm", "seed"])
        .sort_index()
        for frame in studies
    )
    if not mine.index.equals(theirs.index) or not mine["budget"].equals(theirs["budget"]):
        return False
    if not mine["state"].equals(theirs["state"]):
        return False
    for arm, seed in mine.index:
        one, two = (summary.trajectories.get((arm, benchmark, int(seed))) for summary in (own, other))
        if one is None or two is None or not all(map(np.array_equal, one[:2], two[:2])):
            return False
    return True


def _smallest(others: pd.DataFrame, relations: Sequence[str]) -> list[str]:
    """The settings of the smallest step among those with one of some relations."""
    found = others[others["relation"].isin(relations)]
    return [str(name) for name in found.loc[found["step"] == found["step"].min(), "setting"]]


def _statement(row: dict[str, Any], own: pd.Series[Any]) -> str:
    first, second, settings = row["first"], row["second"], row["settings"]
    where = f"on {row['benchmark']}"
    if not settings:
        return f"{first} and {second} {where}: no setting says more of them than the comparison itself."
    of = text.plural(settings, "setting")
    turns = f"The smallest change that turns the sign: {', '.join(row['turns'])}." if row["turns"] else ALWAYS
    if row["made"]:
        words = {
            SAME: "{} only with the same sign",
            EQUAL: "{} with the two equal",
            OTHER: "{} with the other sign",
            REVERSED: "{} told apart the other way",
        }
        share = f"{row[HOLDS]} of {of} ({text.share(row[HOLDS] / settings)})"
        rest = [said.format(row[name]) for name, said in words.items() if row[name]]
        begin = f"{first} is better than {second} {where}: told apart the same way in {share}"
        lost = f" The smallest that leaves them not told apart: {', '.join(row['loses'])}." if row["loses"] else ""
        return f"{', '.join([begin, *rest])}. {turns}{lost}"
    ahead, behind = row[HOLDS] + row[SAME], row[OTHER] + row[REVERSED]
    counts = [f"{first} is ahead in {ahead} of {of}" + (f" (told apart in {row[HOLDS]})" if row[HOLDS] else "")]
    counts += [f"behind in {behind}" + (f" (told apart in {row[REVERSED]})" if row[REVERSED] else "")] if behind else []
    counts += [f"equal in {row[EQUAL]}"] if row[EQUAL] else []
    begin = f"{first} and {second} {where} could not be told apart"
    if own["relation"] in (UNKNOWN, EQUAL):  # nobody is ahead whose sign could turn
        return f"{begin}: {', '.join(counts)}."
    return f"{begin}: {', '.join(counts)}. {turns}"
