"""The quality card of a surrogate, or of a table without one: in words, as tables, on a terminal of 100 columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from reports import text
from reports.table import Table

Card = Mapping[str, Any]

COLOURS = {"trusted": "green", "usable": "yellow", "not for conclusions": "red"}
UNKNOWN, NOT_STATED = "–", "not stated"
SHOWN_LEVELS = 6


def terminal(card: Card) -> list[RenderableType]:
    """A card as things that rich prints."""
    return _of_surrogate(card) if card["surrogate"] else _of_table(card)


def _of_surrogate(card: Card) -> list[RenderableType]:
    """The verdict and its lines, then what they stand on."""
    head = Text.assemble((card["benchmark"], "bold"), "   its surrogate is ", _word(card["verdict"]))
    judged, *others = (_shown(title, table) for title, table in tables(card))
    return [head, judged, Text("\n".join(sentences(card))), *others]


ERRORS = ("rmse", "r2", "kendall", "spearman")
AGREEMENT = ("measured", "surrogate", "measured, better half", "surrogate, better half")


def tables(card: Card) -> list[tuple[str, Table]]:
    """The tables of a surrogate's card with their titles; what the verdict stands on is the first."""
    fewer = card["with fewer configs"]
    predicted = [name for name in fewer[0] if name != "configs"]
    shown = [
        (
            "What the verdict stands on",
            Table(
                ("", "measured", "trusted where", "verdict"),
                [(of["line"], _rounded(of["value"]), of["trusted"], of["verdict"]) for of in card["lines"]],
            ),
        ),
        (
            "Final loss of configs that the fit had not seen",
            Table(
                ("", "configs", "RMSE", "R2", "Kendall", "Spearman"),
                [(name, str(of["n"]), *_all_rounded(of, ERRORS)) for name, of in card["final"].items()],
            ),
        ),
        (
            "The same where so many other configs taught it",
            Table(
                ("configs", *predicted),
                [(str(of["configs"]), *_all_rounded(of, predicted)) for of in fewer],
            ),
        ),
        ("The same at each level, neither diverged nor on a plateau", _each_level(card["each level"])),
        *(
            (f"The same at each level, {name}", _each_level(rows))
            for name, rows in card.get("each level, other sets", {}).items()
        ),
        (
            "Spearman of a level with the last",
            Table(
                ("level", *AGREEMENT),
                [(str(of["level"]), *_all_rounded(of, AGREEMENT)) for of in card["levels agree with the last"]],
            ),
        ),
        (
            "What the loss depends on (shares of its variance)",
            Table(
                ("", "alone", "with interactions"),
                [(name, *_all_rounded(share, ("alone", "total"))) for name, share in card["importance"].items()],
            ),
        ),
    ]
    if len(card["objectives"]) > 1:
        shown.insert(1, ("Objectives, in the end, and how the surrogate knows them", _objectives(card["objectives"])))
    return shown


def _each_level(rows: Sequence[Mapping[str, Any]]) -> Table:
    shown = [(str(of["level"]), *_all_rounded(of, ERRORS)) for of in spread(rows, SHOWN_LEVELS)]
    return Table(("level", "RMSE", "R2", "Kendall", "Spearman"), shown)


EXTENT = ("least", "median", "most")
KNOWN = {"exact": "exactly, from declared terms", "seconds": "as the training time", "predicted": "predicted, Spearman"}


def _objectives(objectives: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for of in objectives:
        known = KNOWN[of["known"]] + (f" {_rounded(of['spearman'])}" if of["known"] == "predicted" else "")
        rows.append((of["metric"], *_all_rounded(of, EXTENT), known))
    return Table(("", *EXTENT, "known"), rows)


def _all_rounded(of: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_rounded(of.get(name)) for name in names]


def _rounded(value: float | None) -> str:
    return text.number(math.nan if value is None else value)


def sentences(card: Card) -> list[str]:
    """What a card says besides its tables, a sentence each."""
    parts = ", ".join(f"{count} {name}" for name, count in card["configs"].items())
    seeds = ", ".join(f"{count} with {n}" for n, count in card["seeds"].items())
    unseen = _share(card["coverage"]["unseen"])
    diverged, first = card["diverged"], card["objectives"][0]["metric"]
    return [
        f"Configs: {parts}; seeds: {seeds}; {card['levels']} levels.",
        *(f"{how[0].upper()}{how[1:]}." for how in (card["provenance"],) if how),
        f"Data: {card.get('source') or NOT_STATED}. Licence: {card['licence'] or NOT_STATED}.",
        f"Model: {card['regressor']}, chosen by its error on held-out configs among {', '.join(card['candidates'])}.",
        *_of_time(card["time"]),
        _of_noise(card["noise"]),
        f"Diverged: {_share(diverged['true'])} of the runs of independent configs, {_share(diverged['predicted'])} of "
        "those that it draws.",
        f"Configs not seen: {unseen} of their runs lie in the 90 % band of what it may draw.",
        *([_of_kept_out(card["kept out"])] if "kept out" in card else []),
        *([f"Losses, noise, optimum and ranking are of the first objective, {first}."] * (len(card["objectives"]) > 1)),
        _of_optimum(card["optimum"]),
        *([_of_ranking(card["ranking"])] if card["ranking"] is not None else []),
    ]


def _of_time(time: Mapping[str, Any]) -> list[str]:
    """How well seconds are known, and by which fit."""
    fit, no_terms = time["fit"], ("median_error", "residual_spread")
    said = [
        f"Seconds: the table's differ by {_share(time['table'])} (median) from what was measured "
        f"({fit.get('measured', 'not known how')}), the surrogate's from the table's by {_share(time['surrogate'])}."
    ]
    if "fit" in fit:
        known = [(name, value) for name, value in fit.items() if isinstance(value, float) and name not in no_terms]
        terms, spread = ", ".join(f"{name} = {_number(value)}" for name, value in known), fit.get("residual_spread")
        around = "" if spread is None else f"; what was measured scatters around it by {_share(spread)}"
        said.append(f"The table's are a fit, {fit['fit']}{f': {terms}' * bool(terms)}{around}.")
    return said


def _of_noise(noise: Mapping[str, Any]) -> str:
    if noise["seed_spread"] is None:
        return (
            "Noise: no config has a second seed here, so nobody knows how far seeds spread the final loss, and which "
            "regret means anything."
        )
    return (
        f"Noise: seeds spread the final loss by {_number(noise['seed_spread'])} (median of standard deviations), "
        f"{_share(noise['smallest_regret'])} of the gap from median to best: a smaller regret means nothing here."
    )


def _of_kept_out(kept_out: Mapping[str, Any]) -> str:
    return (
        f"Kept out of the fit: the final losses of {kept_out['n']} more independent configs, neither diverged nor on a "
        f"plateau, are told with an RMSE of {_number(kept_out['rmse'])}, R2 {_number(kept_out['r2'])}, Spearman "
        f"{_number(kept_out['spearman'])}."
    )


def _of_optimum(optimum: Mapping[str, Any]) -> str:
    begin = f"Its optimum promises {_number(optimum['promised'])}"
    if optimum["held"] is not None:
        return f"{begin}; trained again, {optimum['seeds']} seeds gave {_number(optimum['held'])}."
    if optimum.get("possible", True):
        return f"{begin} and has not been trained again yet."
    return f"{begin}; what it holds is unknown: a table that was assembled from others is not measured itself."


def _of_ranking(ranking: Mapping[str, Any]) -> str:
    taus = [
        f"{worlds}: {', '.join(map(_number, found))}, mean {_number(ranking['tau'][worlds])}"
        for worlds, found in ranking["taus"].items()
    ]
    return (
        f"Methods {', '.join(ranking['methods'])}, {ranking['seeds']} seeds in each world, ranked at "
        f"{', '.join(f'{budget:.3g}' for budget in ranking['budgets'])} s; by tau-b (1 where all are ties in both), "
        f"means where several tables are compared, {'; '.join(taus)}."
    )


def _of_table(card: Card) -> list[RenderableType]:
    """What is known of the table, and what does not apply to it."""
    said: list[RenderableType] = [
        Text.assemble((card["benchmark"], "bold"), "   what is known of it"),
        Text("\n".join([*_origin(card), *_held(card)])),
    ]
    if rows := card.get("finals"):
        said.append(
            _table(
                "Metrics in the end, means over replicates",
                ("", "least", "median", "most"),
                ((of["metric"], *_numbers(of, ("least", "median", "most"))) for of in rows),
            )
        )
    if rows := card.get("random search"):
        metric = card["objectives"][0]["metric"]
        said.append(
            _table(
                "Random search without repeats, on average after so many whole trainings (exact)",
                ("trainings", metric, "normalised regret"),
                ((str(of["trials"]), *_numbers(of, ("expected", "regret"))) for of in rows),
            )
        )
    if rows := card.get("levels agree with the last"):
        said.append(
            _table(
                f"Spearman of a level with the last, {rows[0]['configs']} configs (an early end keeps its value)",
                ("level", "all", "better half"),
                ((str(of["level"]), *_numbers(of, ("all", "better half"))) for of in spread(rows, SHOWN_LEVELS)),
            )
        )
    absent = [f"Not applicable ({what}): {why}." for what, why in card["not_applicable"].items()]
    return [*said, Text("\n".join(absent))] if absent else said


def _origin(card: Card) -> list[str]:
    """Where a table comes from, a sentence each; what is not stated is said to be not stated.

    Only a table of ours says apart what it was trained on.
    """
    named = (("Source", "provenance"), ("Data", "source"), ("Licence", "licence"), ("Cite", "citation"))
    return [f"{word}: {card[field] or NOT_STATED}." for word, field in named if field in card]


def _held(card: Card) -> list[str]:
    """What a table holds, a sentence each."""
    levels, seconds, missing = card["levels"], card["seconds"], card["missing"]
    fidelity = f"{len(levels)} levels, up to {card['unit']} {levels[-1]}" if len(levels) > 1 else "final values only"
    said = [f"Any config is answered; {fidelity}."]
    if "configs" in card:
        seeds = ", ".join(f"{count} with {n}" for n, count in card["seeds"].items())
        share = "the whole space" if card["configs"] == card["space"] else "rows of the space"
        said = [f"Configs: {card['configs']}, {share}; replicates: {seeds}; {fidelity}."]
    test = card["test_metric"]
    apart = f"; {test} is kept from the methods" if test else ""
    said.append(f"Metrics: {', '.join(card['metrics'])}{apart}.")
    for of in card["objectives"]:
        way = "maximised" if of["maximize"] else "minimised"
        values = (("best", of.get("optimum")), ("median", of.get("median")))
        known = ", ".join(f"{word} {_number(value)}" for word, value in values if value is not None) or "nothing known"
        known += " (means over replicates)" if "configs" in card else ""
        at = ", ".join(f"{name}={_value(value)}" for name, value in (of.get("config") or {}).items())
        said.append(f"Objective {of['metric']}, {way}: {known}{f'; best at {at}' * bool(at)}.")
        if of.get("optimum is"):
            said.append(f"That best is no optimum: it is {of['optimum is']}. A method may find a better one.")
    noise = card.get("noise")
    if noise and noise["seed_spread"] is not None:
        said.append(
            f"Noise: seeds spread it by {_number(noise['seed_spread'])} (median of standard deviations), the best tenth"
            f" by {_number(noise['best tenth'])}; the gap from median to best is {_number(noise['gap'])}."
        )
    counts = ", ".join(f"{missing[what]} {what}" for what in ("early", "diverged", "left out") if missing.get(what))
    said.append(f"Missing: {missing['policy'] or 'no policy stated'}{f' ({counts})' * bool(counts)}.")
    each = "" if seconds["median"] is None else f"a whole training takes {_number(seconds['median'])} s (median); "
    trainings = f", enough for {_number(seconds['trainings'])} of them" if "trainings" in seconds else ""
    said.append(
        f"Seconds: {seconds['how'] or NOT_STATED}; {each}"
        f"the budget is {_number(card['budget'])} s for {card['workers']} workers{trainings}."
    )
    return said


def spread(rows: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of some rows, the first and the last among them, closer together at the beginning."""
    if len(rows) <= count:
        return list(rows)
    ratio = len(rows) ** (1 / (count - 1))
    places = sorted({min(round(ratio**step), len(rows)) - 1 for step in range(count)})
    return [rows[place] for place in places]


def _shown(title: str, table: Table) -> Grid:
    judged = [name == "verdict" for name in table.head]
    rows = ([_word(cell) if word else cell for word, cell in zip(judged, row, strict=True)] for row in table.rows)
    return _table(title, table.head, rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Grid:
    table = Grid(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", show_edge=False)
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


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.2g} %"
