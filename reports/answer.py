"""What a comparison comes to in plain words, and what must be said beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reports import suite_tables, text
from reports.outcomes import DONE, FAILED, MISSING, records, unique
from reports.pairs import ALIKE, BETTER, NO_DATA
from reports.suite.suite import HYPERVOLUME
from reports.summary import Summary

FEW = 5
"""With fewer seeds than this an interval is hardly more than a guess, and the page says so."""


def answer(summary: Summary) -> str:
    """One paragraph: which arms are best, by how much, how sure, and what cannot be concluded."""
    arms, names = unique(summary.studies["arm"]), unique(summary.studies["benchmark"])
    if len(arms) == 1:
        return f"Only {arms[0]} was run, so there is nothing to compare it with; below is how it did. {_ran(summary)}"
    if not ((summary.studies["state"] == DONE) & np.isfinite(summary.studies["loss"])).any():
        return f"Nothing can be concluded: no study came to its end with a finite loss. {_ran(summary)}"
    said = _on_one(summary, names[0]) if len(names) == 1 else _on_many(summary, names, arms)
    return " ".join(part for part in (said, _by_hypervolume(summary), _ran(summary)) if part)


def caveats(summary: Summary) -> list[str]:
    """What a reader must know before believing any of it, the gravest first."""
    said: dict[str, list[str]] = {}
    for name in unique(summary.studies["benchmark"]):
        here, facts = summary.studies[summary.studies["benchmark"] == name], summary.facts[name]
        ran = here[here["state"] != MISSING]
        lines = [*_unequal(ran), *_outside(ran), *_unrepeatable(facts), *_several(facts)]
        if facts.get("optimum") is None or facts.get("median") is None:
            lines.append("the best and the median config are not known, so there is no regret, only losses.")
        for line in lines:
            said.setdefault(line, []).append(name)
    verdicts = [str(facts["verdict"]) for facts in summary.facts.values() if facts.get("verdict")]
    of_benchmarks = [f"{_listed(names)}: {line}" for line, names in said.items()]
    return [
        *_failures(summary), *_seeds(summary), *_by_inference(summary), *dict.fromkeys(verdicts), *of_benchmarks
    ]  # fmt: skip


def _on_one(summary: Summary, name: str) -> str:
    """What is said of the only benchmark."""
    table = records(summary.table[summary.table["benchmark"] == name])
    pairs = records(summary.pairs[summary.pairs["benchmark"] == name])
    lead = _lead(table)
    if lead is None or all(pair["verdict"] == NO_DATA for pair in pairs):
        return f"On {name} nothing can be concluded: {_why_no_data(summary, name)}."
    best = [row["arm"] for row in table if row["best"]]
    beaten = [pair for pair in pairs if pair["verdict"] == BETTER and pair["first"] == lead["arm"]]
    held = f"{_value(lead, 'loss')} at the end of the budget"
    if not beaten and not any(pair["verdict"] == BETTER for pair in pairs):
        return (
            f"On {name} no two of the {len(table)} methods could be told apart. {lead['arm']} has the lowest mean "
            f"loss, {held}, but so small a lead may be luck. {_power(pairs)}"
        ).rstrip()
    others = [arm for arm in best if arm != lead["arm"]]
    first = f"On {name} {lead['arm']} has the lowest mean loss, {held}"
    apart = "; ".join(_better(pair) for pair in beaten)
    alike = f"; it could not be told apart from {_listed(others)}" if others else ""
    if not beaten:
        return f"{first}{alike}. {_some_apart(pairs)} {_power(pairs)}"
    return f"{first}: {apart}{alike}. {_power([pair for pair in pairs if pair['verdict'] == ALIKE])}".rstrip()


def _on_many(summary: Summary, names: Sequence[str], arms: Sequence[str]) -> str:
    """What is said of several benchmarks: over all of them, then on each of them."""
    among = {arm: int(summary.table.loc[summary.table["arm"] == arm, "best"].sum()) for arm in arms}
    most = max(among.values())
    known = summary.pairs[summary.pairs["verdict"] != NO_DATA]
    together = _together(summary)
    if known.empty:
        return f"{together} On no single benchmark can anything be concluded: {_why_no_data(summary, names[0])}."
    leading = [arm for arm in arms if among[arm] == most]
    verb = "is" if len(leading) == 1 else "are"
    return (
        f"{together} Each benchmark by itself, by what was held at the end of the budget: on {most} of {len(names)} "
        f"{_listed(leading)} {verb} the best or cannot be told apart from the best, and of "
        f"{text.plural(len(known), 'pair')} of methods {int((known['verdict'] == BETTER).sum())} could be told apart."
    )


def _together(summary: Summary) -> str:
    """What is said over all benchmarks: who ranks best, from whom it is told apart, and by how much."""
    suite = summary.suite
    if not len(suite.pairs):
        why = " (what is left out stands below, and why)" if suite.selection.left_out else ""
        return f"Over all benchmarks nothing can be said: it takes two methods on two that can be measured{why}."
    ranked, apart = suite.ranks.sort_values("rank", kind="stable"), suite_tables.told_apart(summary)
    lead, *others = map(str, ranked["arm"])
    said = (
        f"Over {text.plural(len(suite.selection.benchmarks), 'benchmark')} of "
        f"{text.plural(suite.selection.families, 'family')} {lead} has the best mean rank of anytime scores, "
        f"{ranked['rank'].iloc[0]:.2f}"
    )
    if suite.impossible:
        return f"{said}, but a claim over benchmarks {suite.impossible}."
    beaten, above = [arm for arm in others if (lead, arm) in apart], [arm for arm in others if (arm, lead) in apart]
    alike = [arm for arm in others if arm not in (*beaten, *above)]
    verb = "is" if len(above) == 1 else "are"
    rest = [f"{_listed(above)} {verb} better than it all the same, benchmark by benchmark."] if above else []
    rest += [f"It could not be told apart from {_listed(alike)}."] if alike else []
    if not beaten:
        return " ".join([f"{said}, but so small a lead may be luck.", *rest])
    mine = suite.pairs[(suite.pairs[["first", "second"]] == lead).any(axis=1)]
    shifts = mine.loc[mine[["first", "second"]].isin(beaten).any(axis=1), "shift"].abs()
    low, high = text.number(float(shifts.min()), 2), text.number(float(shifts.max()), 2)
    by = low if low == high else f"{low} to {high}"
    return " ".join([f"{said}. It is better than {_listed(beaten)}, whose scores (0 to 1) are lower by {by}.", *rest])


def _by_hypervolume(summary: Summary) -> str:
    """Who is ahead where all objectives are weighed; empty where there is one, or where that is not known."""
    frame = summary.suite.aggregates
    ranked = records(frame[frame["quantity"] == HYPERVOLUME].sort_values("center", ascending=False, kind="stable"))
    if not ranked or any(np.isnan(row["center"]) for row in ranked):
        return ""
    held = text.estimates(*([float(row[end]) for row in ranked] for end in ("center", "low", "high")))
    said = ", then ".join(f"{row['arm']} with {words}" for row, words in [*zip(ranked, held, strict=True)][:2])
    return f"By the hypervolume of all objectives the first is {said} of the front's; that is not tested."


def _lead(table: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    known = [row for row in table if row["best"]]
    return min(known, key=lambda row: (np.nan_to_num(row["regret"]), row["loss"]), default=None)


def _better(pair: Mapping[str, Any]) -> str:
    """By how much one is better than another, and how sure that is."""
    bounds = f"95 % interval {text.number(pair['low'])} to {text.number(pair['high'])}"
    if np.isnan(pair["low"]):
        bounds = "the same at every seed"
    sure = f"p {text.p_value(pair['holm'])}"
    if pair["measure"] == "difference":
        return f"its loss is lower than that of {pair['second']} by {text.number(-pair['effect'])} ({bounds}, {sure})"
    return f"its {pair['measure']} is {text.number(pair['effect'])} times that of {pair['second']} ({bounds}, {sure})"


def _some_apart(pairs: Sequence[Mapping[str, Any]]) -> str:
    said = [f"{pair['first']} is better than {pair['second']}" for pair in pairs if pair["verdict"] == BETTER]
    return f"Told apart are: {_listed(said)}."


def _power(pairs: Sequence[Mapping[str, Any]]) -> str:
    """What so few seeds could have shown of the pairs that were not told apart."""
    limits = [pair["detectable"] for pair in pairs if pair["low"] < pair["high"]]  # others show no spread over seeds
    ratios = [pair["measure"] != "difference" for pair in pairs if pair["verdict"] != NO_DATA]
    if not limits or not all(ratios):
        return ""
    seeds = min(pair["seeds"] for pair in pairs if pair["verdict"] != NO_DATA)
    low, high = (text.number(limit, 2) for limit in (min(limits), max(limits)))
    measure = next(pair["measure"] for pair in pairs if pair["verdict"] != NO_DATA)
    span = low if low == high else f"between {low} and {high}"
    return (
        f"With {text.plural(seeds, 'seed')} a difference is found reliably only where one method's {measure} is at "
        f"most {span} times the other's; smaller ones there may be."
    )


def _why_no_data(summary: Summary, name: str) -> str:
    here = summary.studies[summary.studies["benchmark"] == name]
    if (here["state"] == FAILED).any() and here["counted"].isna().any():
        return "studies failed, and no median config is known to count them as"
    if here["seed"].nunique() < 2:
        return "one seed tells nothing of how much is luck; two or more are needed for any interval or test"
    return "too few studies of any two methods share a seed"


def _ran(summary: Summary) -> str:
    """What was wanted and what came of it."""
    counts = {state: int((summary.studies["state"] == state).sum()) for state in (DONE, FAILED, MISSING)}
    said = f"{counts[DONE]} of {text.plural(len(summary.studies), 'study')} came to their end"
    rest = [f"{count} {state}" for state, count in counts.items() if count and state != DONE]
    return f"{said} ({_listed(rest)})." if rest else f"{_all(len(summary.studies))} done."


def _all(studies: int) -> str:
    return f"All {studies} studies are" if studies > 1 else "The only study is"


def _value(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return text.interval(value, low, high, text.decimals([value], [low], [high]))


def _seeds(summary: Summary) -> list[str]:
    counts = summary.studies.groupby("benchmark", sort=False)["seed"].nunique()
    least = int(counts.min())
    if least >= FEW:
        return []
    names = [str(name) for name, count in counts.items() if count == least]
    where = "" if len(names) == len(counts) else f"{_listed(names)}: "
    if least == 1:
        return [f"{where}One seed tells nothing of how much is luck, so there are no intervals and no tests."]
    return [f"{where}{least} seeds are few: an interval may well miss the truth where losses are not spread evenly."]


def _failures(summary: Summary) -> list[str]:
    """Which methods failed, or found nothing, how often, and what that counts as."""
    studies = summary.studies
    failed, found = studies["state"] == FAILED, np.isfinite(studies["loss"])
    kinds = {"Failed": failed, "Ended without a finite loss": (studies["state"] == DONE) & ~found}
    said: list[str] = []
    for kind, some in kinds.items():
        counts = some.groupby(studies["arm"], sort=False).agg(["sum", "size"])
        listed = _listed([f"{arm} {count} of {whole}" for arm, count, whole in counts.itertuples() if count])
        said += [f"{kind}: studies of {listed}; each counts as the median random config."] if listed else []
    return said


def _by_inference(summary: Summary) -> list[str]:
    """That another arm ranks best by what its selected configs are truly worth."""
    ranks = summary.suite.ranks
    if not len(summary.suite.pairs) or ranks["inference_rank"].isna().any():
        return []
    seen, true = (records(ranks.sort_values(of, kind="stable"))[0] for of in ("rank", "inference_rank"))
    if seen["inference_rank"] == true["inference_rank"]:
        return []
    return [
        f"Over benchmarks {seen['arm']} ranks best by the losses that were observed, but {true['arm']} by inference "
        "regret, by what the selected configs are truly worth."
    ]


def _unequal(ran: Any) -> list[str]:
    """What the methods of a benchmark did not have alike."""
    said: list[str] = []
    for column, what, words in (
        ("budget", "budgets", text.seconds),
        ("workers", "numbers of workers", lambda value: f"{value:.0f}"),
    ):
        of = {str(arm): sorted(mine[column].dropna().unique()) for arm, mine in ran.groupby("arm", sort=False)}
        if len({tuple(values) for values in of.values()}) > 1:
            listed = ", ".join(f"{arm} {' and '.join(words(value) for value in values)}" for arm, values in of.items())
            said.append(f"the methods had different {what} ({listed}); that too is in every difference.")
    data = {str(arm): set(mine["data"].dropna()) for arm, mine in ran.groupby("arm", sort=False)}
    if len({tuple(sorted(map(str, digests))) for digests in data.values()}) > 1:
        said.append(f"{_listed(list(data))} met different data, so their losses cannot be compared.")
    return said


def _outside(ran: Any) -> list[str]:
    shares = ran.groupby("arm", sort=False)["outside"].mean()
    asked = [f"{arm} {text.share(share)}" for arm, share in shares.items() if share > 0]
    if not asked:
        return []
    return [f"configs far from all that were measured, where the answers are guesses: {_listed(asked)}."]


def _several(facts: Mapping[str, Any]) -> list[str]:
    """What the numbers are of where there are several objectives."""
    metrics = facts.get("objectives", ())
    if len(metrics) < 2:
        return []
    rest = "the hypervolume weighs all" if "front" in facts else "the others are weighed by none"
    return [f"of {_listed(metrics)} losses, regrets and what is said of pairs are of the first; {rest}."]


def _unrepeatable(facts: Mapping[str, Any]) -> list[str]:
    if facts.get("real"):
        return ["trained for real in wall-clock time, so the same command will not give the same numbers."]
    if facts.get("decision_time") == "measured":
        return [
            "the methods' own decision time was measured on this machine and counts, so the same command will "
            "not give the same numbers."
        ]
    return []


def _listed(names: Sequence[str]) -> str:
    """All names in a row: here none is left out."""
    return text.listed(names, len(names))
