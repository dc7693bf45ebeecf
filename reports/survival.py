"""Do a comparison's statements survive? What it says of each pair of arms when it is made under other settings.

A pair is oriented as the comparison has it: `first` is the arm that is ahead there. In each setting the pair is tested
as the report tests it, and what comes of it stands in one of five relations to the comparison. A setting that changes
the incumbents of neither arm tests nothing; it is shown, and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from reports import text
from reports.incumbent import Trajectory
from reports.outcomes import records
from reports.pairs import ALIKE, BETTER, NO_DATA
from reports.summary import Observed

if TYPE_CHECKING:
    from reports.drawing import Drawn
    from reports.table import Table

HOLDS, SAME, EQUAL, OTHER, REVERSED = RELATIONS = ("holds", "same sign", "equal", "other sign", "reversed")
UNTOUCHED, UNKNOWN = "untouched", "not enough data"

ALWAYS = "No setting turns the sign."
SHOWN = ("benchmark", "first", "second")
NUMBERS = ("effect", "low", "high")
NOTHING: dict[str, Any] = {"measure": "", "verdict": NO_DATA, "holm": np.nan, **dict.fromkeys(NUMBERS, np.nan)}
"""What a setting says of a pair that it does not have."""

Place = tuple[str, str]
"""A benchmark and an arm."""


class Setting(NamedTuple):
    """One way in which the comparison was made, and all numbers of it; the first is the comparison itself."""

    axis: str
    """What is changed."""
    name: str
    """To what: said in a few words, each once."""
    step: int
    """How large the change is: 0 luck alone, 1 the next step on its axis."""
    seen: Observed


class Told(NamedTuple):
    """What was found, as the terminal and the report of the comparison show it.

    lines: the lead, how far to trust each surrogate that answered, then a statement a pair; digest: of all of it;
    command: the line that makes it.
    """

    lines: list[str]
    marks: Table
    figures: list[Drawn]
    digest: str
    command: str


def effects(settings: Sequence[Setting]) -> pd.DataFrame:
    """What each setting says of each pair: a row per pair and setting, in the order of the pairs and of the settings.

    Columns: benchmark, first, second, axis, setting, step; measure, effect, low, high (as `pairs.compare` has them, of
    `first` against `second`), holm; told (whether the two are told apart there) and relation, one of RELATIONS, or
    `untouched` or `not enough data`.
    """
    own = settings[0].seen
    of_pairs = [_pairs(setting.seen) for setting in settings]
    untouched = [set[Place](), *(_untouched(own, setting.seen) for setting in settings[1:])]
    rows: list[dict[str, Any]] = []
    for pair in records(own.pairs):
        about = {name: pair[name] for name in SHOWN}
        arms = {(pair["benchmark"], pair[name]) for name in ("first", "second")}
        for setting, known, same in zip(settings, of_pairs, untouched, strict=True):
            seen = known.get(tuple(about.values()), NOTHING)
            relation = UNTOUCHED if arms <= same else _relation(seen)
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


def everywhere(row: Mapping[str, Any]) -> bool:
    """Whether a statement holds in every setting, each of which has enough data; row: as `statements` gives them."""
    return bool(row["settings"] and row[HOLDS] == row["settings"] and not row[UNKNOWN])


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
    held = sum(map(everywhere, records(made)))
    turned = int((made[OTHER] + made[REVERSED] > 0).sum())
    return (
        f"{begin} It tells {len(made)} of {text.plural(len(statements), 'pair')} apart. Statements that hold in every "
        f"setting: {held}; whose sign turns in at least one: {turned}."
    )


def _pairs(seen: Observed) -> dict[tuple[str, ...], dict[str, Any]]:
    """What a setting says of each pair, by the names of benchmark, first and second, in both directions."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for pair in records(seen.pairs):
        turn = np.negative if pair["measure"] == "difference" else np.reciprocal
        effect, low, high = (float(turn(pair[name])) for name in NUMBERS)
        benchmark, first, second = (pair[name] for name in SHOWN)
        found[benchmark, first, second] = pair
        found[benchmark, second, first] = {**pair, "effect": effect, "low": high, "high": low}
    return found


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


def _untouched(own: Observed, other: Observed) -> set[Place]:
    """The arms that on a benchmark have the same losses at all times in all studies, over the same budget."""
    theirs = _by_arm(other)
    found: set[Place] = set()
    for place, studies in _by_arm(own).items():
        if (
            place in theirs
            and studies == theirs[place]
            and all(
                _same(*(seen.trajectories.get((place[1], place[0], seed)) for seen in (own, other)))
                for seed, *_ in studies
            )
        ):
            found.add(place)
    return found


def _by_arm(seen: Observed) -> dict[Place, list[tuple[int, str, float]]]:
    """Of each arm on each benchmark the seeds, what became of their studies, and their budgets."""
    found: dict[Place, list[tuple[int, str, float]]] = {}
    columns = seen.studies[["benchmark", "arm", "seed", "state", "budget"]]
    for benchmark, arm, *study in columns.itertuples(index=False):
        found.setdefault((str(benchmark), str(arm)), []).append((int(study[0]), str(study[1]), float(study[2])))
    return found


def _same(one: Trajectory | None, other: Trajectory | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one.times, other.times) and np.array_equal(one.losses, other.losses)


def _smallest(others: pd.DataFrame, relations: Sequence[str]) -> list[str]:
    """The settings of the smallest step among those with one of some relations."""
    found = others[others["relation"].isin(relations)]
    return [str(name) for name in found.loc[found["step"] == found["step"].min(), "setting"]]


def _statement(row: dict[str, Any], own: pd.Series[Any]) -> str:
    first, second, settings = row["first"], row["second"], row["settings"]
    where = f"on {row['benchmark']}"
    lacking = [f"not enough data in {row[UNKNOWN]}"] if row[UNKNOWN] else []
    if not settings:
        begin = f"{first} and {second} {where}: no setting says more of them than the comparison itself"
        return f"{', '.join([begin, *lacking])}."
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
        return f"{', '.join([begin, *rest, *lacking])}. {turns}{lost}"
    ahead, behind = row[HOLDS] + row[SAME], row[OTHER] + row[REVERSED]
    counts = [f"{first} is ahead in {ahead} of {of}" + (f" (told apart in {row[HOLDS]})" if row[HOLDS] else "")]
    counts += [f"behind in {behind}" + (f" (told apart in {row[REVERSED]})" if row[REVERSED] else "")] if behind else []
    counts += [f"equal in {row[EQUAL]}"] if row[EQUAL] else []
    counts += lacking
    begin = f"{first} and {second} {where} could not be told apart"
    if own["relation"] in (UNKNOWN, EQUAL):  # nobody is ahead whose sign could turn
        return f"{begin}: {', '.join(counts)}."
    return f"{begin}: {', '.join(counts)}. {turns}"
