"""The quality card of a surrogate for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Card = Mapping[str, Any]

COLOURS = {"trusted": "green", "usable": "yellow", "not for conclusions": "red"}
UNKNOWN = "–"
SHOWN_LEVELS = 6


def terminal(card: Card) -> list[RenderableType]:
    """A card as things that rich prints: the verdict and its lines, then what they stand on."""
    head = Text.assemble((card["benchmark"], "bold"), "   its surrogate is ", _word(card["verdict"]))
    return [
        head,
        _table(
            "What the verdict stands on",
            ("", "measured", "trusted where", "verdict"),
            ((line["line"], _number(line["value"]), line["trusted"], _word(line["verdict"])) for line in card["lines"]),
        ),
        Text("\n".join(sentences(card))),
        _table(
            "Final loss of configs that the fit had not seen",
            ("", "configs", "RMSE", "R2", "Kendall", "Spearman"),
            ((name, str(of["n"]), *_numbers(of, ERRORS)) for name, of in card["final"].items()),
        ),
        _table(
            "The same at each level, neither diverged nor on a plateau",
            ("level", "RMSE", "R2", "Kendall", "Spearman"),
            ((str(of["level"]), *_numbers(of, ERRORS)) for of in spread(card["each level"], SHOWN_LEVELS)),
        ),
        _table(
            "Spearman of a level with the last",
            ("level", "measured", "surrogate", "better half", "surrogate"),
            ((str(of["level"]), *_numbers(of, AGREEMENT)) for of in card["levels agree with the last"]),
        ),
        _table(
            "What the loss depends on (shares of its variance)",
            ("", "alone", "with interactions"),
            ((name, *_numbers(share, ("alone", "total"))) for name, share in card["importance"].items()),
        ),
    ]


ERRORS = ("rmse", "r2", "kendall", "spearman")
AGREEMENT = ("measured", "surrogate", "measured, better half", "surrogate, better half")


def sentences(card: Card) -> list[str]:
    """What a card says besides its tables, a sentence each."""
    parts = ", ".join(f"{count} {name}" for name, count in card["configs"].items())
    seeds = ", ".join(f"{count} with {n}" for n, count in card["seeds"].items())
    noise, time, optimum = card["noise"], card["time"], card["optimum"]
    said = [
        f"Configs: {parts}; seeds: {seeds}; {card['levels']} levels.",
        *(f"{one[0].upper()}{one[1:]}." for one in (card["provenance"], card["licence"]) if one),
        f"Model: {card['regressor']}, chosen by its error on held-out configs among {', '.join(card['candidates'])}.",
        f"Seconds: the table's differ by {_share(time['table'])} (median) from what was measured "
        f"({time['fit'].get('measured', 'not known how')}), the surrogate's from the table's by "
        f"{_share(time['surrogate'])}.",
    ]
    if noise["seed_spread"] is not None:
        said.append(
            f"Noise: seeds spread the final loss by {_number(noise['seed_spread'])} (median of standard deviations), "
            f"{_share(noise['smallest_regret'])} of the gap from median to best: a smaller regret means nothing here."
        )
    if optimum["held"] is None:
        said.append(f"Its optimum promises {_number(optimum['promised'])} and has not been trained again yet.")
    else:
        said.append(
            f"Its optimum promises {_number(optimum['promised'])}; trained again, {optimum['seeds']} seeds gave "
            f"{_number(optimum['held'])}."
        )
    ranking = card["ranking"]
    if ranking is not None:
        taus = "; ".join(f"{world}: {', '.join(map(_number, found))}" for world, found in ranking["taus"].items())
        said.append(
            f"Methods {', '.join(ranking['methods'])}, {ranking['seeds']} seeds in each world, compared with the raw "
            f"table at {', '.join(f'{budget:.3g}' for budget in ranking['budgets'])} s by tau-b: {taus}."
        )
    return said


def spread(rows: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of some rows, the first and the last among them, closer together at the beginning."""
    if len(rows) <= count:
        return list(rows)
    ratio = len(rows) ** (1 / (count - 1))
    places = sorted({min(round(ratio**step), len(rows)) - 1 for step in range(count)})
    return [rows[place] for place in places]


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", show_edge=False)
    for place, name in enumerate(head):
        table.add_column(name, justify="left" if place == 0 or name == "verdict" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _word(verdict: str) -> Text:
    return Text(verdict, style=COLOURS[verdict])


def _numbers(of: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_number(of[name]) for name in names]


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.2g} %"
