"""The claims of a tutorial as a page: a verdict each, and whether a small family ranks methods as large ones do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports import findings, style, text
from reports.claims import CLAIMS, FAILS, HALF, HOLDS, MARGIN, OPEN, verdicts
from reports.findings import Findings, Line
from reports.outcomes import DONE, records, unique
from reports.publishing import plain_json, stems
from reports.statistics import aggregates
from reports.statistics.agreement import Agreement, agreement
from reports.statistics.bootstrap import Resampled, resample
from reports.suite.suite import anytime
from reports.summary import Summary
from reports.table import Table, bold_rows

Floats = NDArray[np.float64]

EQUAL = 0.02
"""Anytime scores nearer than this are practically equal."""
STEM = "claims"
KINDS = {HOLDS: "better", FAILS: "error", OPEN: ""}

HOW_TO_READ = (
    "A claim holds where the whole 95 % interval of its statistic lies within what was claimed, does not hold where "
    "all of it lies outside, and cannot be told otherwise. Regrets are of the observed loss of the incumbent (rule "
    "maxfid), 0 at the best final loss of the table, 1 at the median random config, compared by paired t tests on logs "
    "over the same seeds; where MOBSTER must beat each of the others, that one is better is claimed after Holm's "
    "correction. The median time is Kaplan and Meier's, with a bootstrap over seeds; about half is taken as "
    f"{HALF[0]:g} to {HALF[1]:g} of the budget. Poor is a config that ends worse than the median random config, "
    f"without the luck of a seed; a share within {MARGIN:g} of another counts as the same. The bounds were set before "
    "these statistics were first computed; each benchmark is one problem, and a verdict is about it alone. The ranking "
    "is by anytime score, the mean over log time of a score that is 0 at the median config and 1 at the noise of the "
    f"best; scores nearer than {EQUAL:g} tie; its interval is a bootstrap over seeds within benchmarks, so it is about "
    "these tables. Four methods have six pairs: Kendall's tau has few values, and its interval is as coarse."
)


class World(NamedTuple):
    """Comparisons of the same arms on some benchmarks: their summary and what the benchmarks are called together."""

    name: str
    summary: Summary


class Ranked(NamedTuple):
    """The anytime score of each arm in two worlds, and how far they agree on the order."""

    arms: list[str]
    small: Resampled
    large: Resampled
    agreed: Agreement


def ranked(small: World, large: World, rng: np.random.Generator) -> Ranked:
    """Rank the arms of two worlds by their anytime scores."""
    arms = unique(small.summary.table["arm"])
    one, other = (_scores(world.summary, arms, rng) for world in (small, large))
    return Ranked(arms, one, other, agreement(one, other, equal=EQUAL))


def _scores(summary: Summary, arms: Sequence[str], rng: np.random.Generator) -> Resampled:
    """The anytime score of each arm over the benchmarks, which count the same."""
    if (summary.studies["state"] != DONE).any():
        raise ValueError("a ranking needs every study done: run what is missing first")
    chosen = summary.suite.selection
    assert list(chosen.arms) == list(arms)
    return resample(chosen.each(anytime), chosen.where, aggregates.mean, rng)


def write(
    folder: Path,
    small: World,
    large: World,
    proposals: pd.DataFrame,
    rng: np.random.Generator,
    *,
    command: str,
) -> pd.DataFrame:
    """Write the page and return the verdicts.

    small: where the claims are decided; large: what its ranking is compared with; proposals: as of `claims.Evidence`.
    """
    names = unique(small.summary.table["benchmark"])
    decided = pd.concat([verdicts(small.summary, proposals, name, rng) for name in names], ignore_index=True)
    order = ranked(small, large, rng)
    found = Findings(
        title="The tutorial's claims, put to the test",
        lead=_lead(decided, names),
        lines=[*_lines(decided, names), _ranking(order, small, large)],
        figures=_figures(small.summary, proposals, names),
        tables=[
            *((name, _verdicts(decided[decided["benchmark"] == name])) for name in names),
            ("Ranking by anytime score", _order(order, small, large)),
            ("Ranking on each benchmark", _each(small, large)),
        ],
        how_to_read=HOW_TO_READ,
        facts={
            "claims decided on": f"{small.name}: {', '.join(names)}",
            "ranking compared with": f"{large.name}: {', '.join(unique(large.summary.table['benchmark']))}",
            "seeds": f"{_seeds(small)} and {_seeds(large)}",
        },
        numbers={
            "verdicts": plain_json(records(decided)),
            "ranking": {"arms": order.arms, "equal": EQUAL, **plain_json(vars(order.agreed))},
            "scores": {
                world.name: {arm: dict(zip(("center", "low", "high"), values, strict=True)) for arm, *values in rows}
                for world, rows in ((small, _rows(order.arms, order.small)), (large, _rows(order.arms, order.large)))
            },
        },
    )
    findings.write(folder, found, command=command, stem=STEM)
    return decided


def _lead(decided: pd.DataFrame, names: Sequence[str]) -> str:
    said: list[str] = []
    for name in names:
        count = Counter(decided.loc[decided["benchmark"] == name, "verdict"])
        parts = (f"{count[HOLDS]} hold", f"{count[FAILS]} do not", f"{count[OPEN]} cannot be told")
        said.append(f"on {name} {', '.join(parts)}")
    return f"Of {len(CLAIMS)} claims about random search, BO, ASHA and MOBSTER, {'; '.join(said)}."


def _lines(decided: pd.DataFrame, names: Sequence[str]) -> list[Line]:
    lines: list[Line] = []
    for claim in CLAIMS:
        words = [str(decided.loc[(decided["benchmark"] == name) & (decided["claim"] == claim.text), "verdict"].iloc[0])
                 for name in names]  # fmt: skip
        said = words[0] if len(set(words)) == 1 else "; ".join(f"{w} on {n}" for w, n in zip(words, names, strict=True))
        lines.append(Line(f"{claim.text}: {said}", KINDS[words[0]] if len(set(words)) == 1 else ""))
    return lines


def _ranking(order: Ranked, small: World, large: World) -> Line:
    agreed = order.agreed
    pairs = agreed.agreed + agreed.opposed + agreed.undecided
    tau = text.interval(agreed.tau, agreed.low, agreed.high, 2)
    return Line(
        f"{small.name} against {large.name}: Kendall's tau of the ranking {tau}; {agreed.agreed} of {pairs} pairs in "
        f"the same order, {agreed.opposed} in the opposite one, {agreed.undecided} practically equal in one of the two"
    )


def _verdicts(decided: pd.DataFrame) -> Table:
    head = ["claim", "verdict", "found [95 %]", "must be", "statistic"]
    rows = [
        [
            row["claim"], row["verdict"], _estimate(row["center"], row["low"], row["high"]), row["must"],
            row["statistic"] + (f" ({row['against']})" if row["against"] else ""),
        ]
        for row in records(decided)
    ]  # fmt: skip
    return Table(head, rows, bold_rows([row[1] == HOLDS for row in rows]))


def _estimate(center: float, low: float, high: float) -> str:
    if not np.isinf([center, low, high]).any():
        return text.interval(center, low, high, text.decimals([center], [low], [high]))
    parts = ("never" if np.isinf(part) else text.number(part) for part in (center, low, high))
    return "{} [{}, {}]".format(*parts)


def _order(order: Ranked, small: World, large: World) -> Table:
    head = ["method", *(f"{world.name} [95 %]" for world in (small, large))]
    sides = [_rows(order.arms, order.small), _rows(order.arms, order.large)]
    rows = [
        [arm, *(text.interval(*side[place][1:], 3) for side in sides)] for place, arm in enumerate(order.arms)
    ]  # fmt: skip
    return Table(head, rows)


def _rows(arms: Sequence[str], found: Resampled) -> list[tuple[str, float, float, float]]:
    known = found.interval()
    return [(arm, float(center), float(low), float(high)) for arm, center, low, high in zip(arms, *known, strict=True)]


def _each(small: World, large: World) -> Table:
    """The arms on every benchmark from the best on, with their mean anytime scores."""
    rows: list[list[str]] = []
    for world in (small, large):
        for name, mine in world.summary.suite.scores.groupby("benchmark", sort=False):
            best = mine.sort_values("score", ascending=False)
            said = ", ".join(f"{arm} {score:.2f}" for arm, score in zip(best["arm"], best["score"], strict=True))
            rows.append([world.name, str(name), said])
    return Table(["", "benchmark", "from the best on"], rows)


def _seeds(world: World) -> str:
    return text.plural(int(world.summary.studies["seed"].nunique()), "seed")


def _figures(summary: Summary, proposals: pd.DataFrame, names: Sequence[str]) -> list[Any]:
    """For all benchmarks together the poor configs, for each the best loss over time."""
    import matplotlib  # takes a second to import

    from reports.drawing import Drawn, anytime_figure, caption, figure_of, save
    from reports.figures import anytime as over_time
    from reports.figures import poor_configs

    looks = style.styles(unique(summary.table["arm"]))
    with matplotlib.rc_context(cast(Any, style.RC)):
        figure = figure_of(height=2.9)
        panels = figure.subplots(1, len(names), squeeze=False, sharey=True)
        for name, axes in zip(names, panels.flat, strict=True):
            facts: Mapping[str, Any] = summary.facts[name]
            mine = proposals[proposals["benchmark"] == name]
            poor_configs.draw(mine, axes, styles=looks, median=float(facts["median"]))
            axes.set_title(name, loc="left")
        for axes in panels.flat[1:]:
            axes.set_ylabel("")
        panels.flat[-1].legend(loc="upper right", ncols=2)
        drawn = [Drawn("poor-configs", caption(poor_configs, ""), save(figure))]
        for name, stem in stems(names).items():
            files = save(anytime_figure(summary, name))
            drawn.append(Drawn(f"anytime-{stem}", caption(over_time, f"{name}."), files))
    return drawn
