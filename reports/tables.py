"""The tables of a report as words, the same for the terminal, Markdown and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reports import fronts, text
from reports.intervals import ALPHA, POWER, benchmarks_needed
from reports.outcomes import DONE, FAILED, MISSING, not_applicable, records
from reports.pairs import BETTER
from reports.summary import Summary
from reports.table import Table, bold_rows

ROUNDING = 1e-9
"""So little below the optimum, as a share of its size, is not below it."""
HOW_TO_READ = (
    "Loss: the incumbent's observed loss at the budget; its mean over seeds is taken on logs of the regret (of the "
    "loss where no best is known) and transformed back, with a 95 % t interval. "
    "Regret: 0 is the best final loss that the benchmark has, 1 the median random config, clipped at 1 above and below "
    "at the noise of the final loss; geometric mean. "
    "Inference regret: that of the selected config, looked up at full resource without the luck of a seed, which no "
    "user sees; on the validation metric, and on the test metric. Over benchmarks it is on test where there is a test "
    "metric, and where a config that was held could not be looked up there is no number. "
    "Random configs: so many it takes on average, each trained to the end, until one is as good as the selected one. "
    "A failed study counts as the median random config, and so does one that ends worse than that. "
    "Rank: mean over the seeds that all methods have. Trials, reports and times: means per study. "
    "Outside: the share of a study's configs that lie further from every measured config than those from each other, "
    "where a surrogate's answer is a guess. "
    "Pairs: paired t tests over the same seeds, with Holm's correction over the pairs of a benchmark; where two differ "
    "alike at every seed there is no interval, and p is that of a sign-flip test; the smallest detectable difference "
    f"is that for a power of {POWER} at level {ALPHA}, before the correction."
)


def benchmarks(summary: Summary) -> list[str]:
    """The benchmarks in their declared order."""
    return [str(name) for name in summary.table["benchmark"].unique()]


def completeness(summary: Summary) -> Table:
    """What became of the studies of each method on each benchmark; of one that cannot run there, why."""
    rows: list[list[str]] = []
    known = Counter(zip(*(summary.studies[name].tolist() for name in ("benchmark", "arm", "why")), strict=True))
    for row in records(summary.table):
        reasons = {why: count for (*of, why), count in known.items() if why and of == [row["benchmark"], row["arm"]]}
        ended = ", ".join(f"{why} {reasons[why]}" for why in sorted(reasons))
        counts = [str(row[name]) for name in ("wanted", DONE, FAILED, MISSING)]
        rows.append([str(row["benchmark"]), str(row["arm"]), *counts, ended])
    rows += [
        [benchmark, arm, *["0"] * 4, f"not applicable: {why}"]
        for benchmark in benchmarks(summary)
        for arm, why in not_applicable(summary.facts, benchmark).items()
    ]
    head = ["benchmark", "method", "wanted", DONE, FAILED, MISSING, "ended by"]
    numbers = summary.table[["benchmark", "arm", "wanted", DONE, FAILED, MISSING]]
    return Table(head, rows, caption="What became of the studies.", numbers=numbers)


def errors(summary: Summary) -> list[str]:
    """One line for each way in which studies of a method failed: which studies, and the last line of the error."""
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for row in records(summary.studies[summary.studies["state"] == FAILED]):
        seeds.setdefault((row["arm"], row["benchmark"], _last_line(str(row["error"]))), []).append(row["seed"])
    return [
        f"{arm} on {benchmark}, {'seed' if len(these) == 1 else 'seeds'} {', '.join(map(str, these))}: {error}"
        for (arm, benchmark, error), these in seeds.items()
    ]


def numbers(summary: Summary, benchmark: str) -> Table:
    """A benchmark's main table: what is known of loss, regret and test metric, and what it took."""
    here = records(summary.table[summary.table["benchmark"] == benchmark])
    metric = str(summary.facts[benchmark].get("metric", "loss"))
    estimates = {
        f"{metric} [95 %]": "loss",
        "regret [95 %]": "regret",
        "inference regret [95 %]": "inference",
        "random configs [95 %]": "equivalent",
        "on test [95 %]": "inference_test",
        "test [95 %]": "test",
    }
    if fronts.COLUMN in summary.table:
        estimates["hypervolume [95 %]"] = fronts.COLUMN
    shown = {head: name for head, name in estimates.items() if any(row[name] == row[name] for row in here)}
    columns = [_estimates(here, name) for name in shown.values()]
    rows = [
        [str(row["arm"]), _done(row), *estimates, *_counts(row)] for row, *estimates in zip(here, *columns, strict=True)
    ]
    head = ["method", "done", *shown, "rank", "trials", "reports", "time", "took"]
    if any(row["outside"] > 0 for row in here):
        head.append("outside")
        rows = [[*words, text.share(row["outside"])] for words, row in zip(rows, here, strict=True)]
    return Table(head, rows, bold_rows([bool(row["best"]) for row in here]), benchmark)


def methods(summary: Summary) -> Table:
    """The numbers of every method on every benchmark."""
    head = [
        "benchmark",
        "metric",
        "method",
        "done",
        "loss [95 %]",
        "regret [95 %]",
        "rank",
        "trials",
        "reports",
        "time",
    ]
    rows: list[list[str]] = []
    bold: list[bool] = []
    for name in benchmarks(summary):
        here = records(summary.table[summary.table["benchmark"] == name])
        words = (_estimates(here, column) for column in ("loss", "regret"))
        for row, *cells in zip(here, *words, strict=True):
            metric = str(summary.facts[name].get("metric", "loss"))
            rows.append([name, metric, str(row["arm"]), _done(row), *cells, *_counts(row)])
        bold += [bool(row["best"]) for row in here]
    cells = frozenset((row, 2) for row, wanted in enumerate(bold) if wanted)
    caption = "Every method on every benchmark. Bold: the best, and all that could not be told apart from it."
    return Table([*head, "took"], rows, cells, caption, summary.table)


def differences(summary: Summary) -> Table:
    """What every pair of methods differs by on every benchmark."""
    rows: list[list[str]] = []
    for row in records(summary.pairs):
        times = "" if row["measure"] == "difference" else "×"
        effect, low, high, limit = (text.number(row[name]) for name in ("effect", "low", "high", "detectable"))
        chances = [text.p_cell(row[name]) for name in ("holm", "flip")]
        said = [f"{times}{effect} [{low}, {high}]", *chances, f"{times}{limit}"]
        if row["low"] != row["low"]:  # alike at every seed
            said = [f"{times}{effect}", *chances, text.NONE]
        said = said if row["holm"] == row["holm"] else [text.NONE] * len(said)
        pair = [str(row[name]) for name in ("benchmark", "first", "second", "measure")]
        rows.append([*pair, *said, str(row["seeds"]), str(row["verdict"])])
    head = ["benchmark", "first", "second", "measure", "effect [95 %]", "Holm p", "sign-flip p", "detectable", "seeds"]
    caption = (
        "Pairs of methods on each benchmark: paired t tests over seeds, ratios of the first to the second on logs, and "
        "sign-flip permutation tests of the same differences, which assume nothing of how they are spread; both with "
        "Holm's correction. Where two differ alike at every seed there is no interval, and both p are of sign flips."
    )
    return Table([*head, "verdict"], rows, caption=caption, numbers=summary.pairs.drop(columns="statement"))


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
            *summary.remarks,
            *(
                f"{arm} on {benchmark} not applicable: {why}."
                for benchmark in benchmarks(summary)
                for arm, why in not_applicable(summary.facts, benchmark).items()
            ),
            f"No recommendation of {text.listed(summary.silent)}: held is what maxfid says." if summary.silent else "",
            *_searched(summary),
            _weighed(summary),
            *(_beaten(summary, benchmark) for benchmark in benchmarks(summary)),
            _flipped(summary),
            *summary.declared,
            _totals(summary),
        )
        if note
    ]


def _searched(summary: Summary) -> Iterator[str]:
    """That regret is measured from a best that a search found, where no optimum is known; alike benchmarks together."""
    found: dict[str, list[str]] = {}
    for benchmark in benchmarks(summary):
        if how := summary.facts[benchmark].get("optimum_is"):
            found.setdefault(how, []).append(benchmark)
    for how, names in found.items():
        yield f"No optimum is known of {text.listed(names)}: a regret of 0 is {how}."


def _weighed(summary: Summary) -> str:
    """What hypervolume is, where benchmarks have several objectives; else empty."""
    if fronts.COLUMN not in summary.table:
        return ""
    return (
        "Hypervolume: what a study's non-dominated trials dominate, as a share of what the front of the benchmark's "
        "own configs does, with a 95 % t interval; a failed study holds 0. Each objective counts from its best final "
        "value to a tenth beyond the worse of its median and of its worst on that front. All other numbers are of the "
        "first objective."
    )


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


def _flipped(summary: Summary) -> str:
    """How many of the differences that t tests find sign flips do not, and for how many there are too few seeds."""
    told = summary.pairs[summary.pairs["verdict"] == BETTER]
    lost = told[told["flip"] > ALPHA]
    if lost.empty:
        return ""
    tests = summary.pairs.groupby("benchmark")["holm"].count()
    few = sum(row["seeds"] < benchmarks_needed(int(tests[row["benchmark"]])) for row in records(lost))
    why = f", {few} of them for want of seeds" if few else ""
    return (
        f"Of {text.plural(len(told), 'pair')} of methods that t tests tell apart on a benchmark, sign-flip tests, "
        f"which assume nothing of how differences are spread, do not tell apart {len(lost)}{why}."
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
    """A column of a table of numbers, with its intervals."""
    return text.estimates(*([float(row[f"{name}{end}"]) for row in rows] for end in ("", "_low", "_high")))


def _counts(row: Mapping[str, Any]) -> list[str]:
    rank = text.NONE if row["rank"] != row["rank"] else f"{row['rank']:.1f}"
    whole = [text.NONE if row[name] != row[name] else f"{row[name]:.0f}" for name in ("trials", "reports")]
    return [rank, *whole, text.seconds(row["seconds"]), text.seconds(row["real_seconds"])]


def _last_line(error: str) -> str:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
