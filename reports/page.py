"""A report as a folder of pages: the answer first, a page per benchmark, a page per method's study.

The figures of a benchmark and of a study are drawn in the browser from the data that lies in their page, by the one
script beside them; `static` pages hold pictures instead, as files too, and no script. A `brief` report is the first of
these only, small enough to be kept beside code. `publishing` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports import page_figures, study_page, suite_tables, text
from reports.answer import answer, caveats
from reports.incumbent import DEFAULT_RULE
from reports.interactive import Room
from reports.markdown import markdown
from reports.outcomes import DONE, Facts, records, unique
from reports.page_figures import Figures
from reports.pairs import BETTER, NO_DATA
from reports.publishing import as_json, publish, stems
from reports.rendering import TEMPLATES, packed, rendered
from reports.summary import Summary, summarise
from reports.table import Table
from reports.tables import HOW_TO_READ, benchmarks, completeness, errors, notes, numbers

if TYPE_CHECKING:
    from reports.survival import Told

PLOTTING = "plotly.min.js"
"""The plotting library's script: one file beside the pages, shared by all."""


@dataclass(frozen=True)
class Report:
    """What all pages of a report are made from."""

    summary: Summary
    studies: Sequence[study_page.Study]
    """Those that have a page."""
    title: str
    command: str
    made_by: str
    room: Room | None
    """For the data of figures that the browser draws; None in a static report."""
    brief: bool
    """Whether there is the first page only."""
    columns: int
    """Of a paper, that pictures are as wide as."""
    stem: Mapping[str, str]
    """Of the files of a benchmark."""
    arm_stem: Mapping[str, str]

    def place(self, benchmark: str, arm: str | None = None) -> str:
        """Where the page of a benchmark lies in the folder, or that of a method's study on it."""
        stem = self.stem[benchmark]
        return f"benchmarks/{stem}.html" if arm is None else f"studies/{stem}/{self.arm_stem[arm]}.html"

    def on(self, benchmark: str) -> list[study_page.Study]:
        """The studies on a benchmark that have a page."""
        return [study for study in self.studies if study.benchmark == benchmark]


def write(
    folder: Path,
    studies: pd.DataFrame,
    events: pd.DataFrame,
    facts: Facts,
    *,
    title: str,
    command: str,
    made_by: str,
    digest: str,
    rule: str = DEFAULT_RULE,
    declared: Sequence[str] = (),
    remarks: Sequence[str] = (),
    static: bool = False,
    brief: bool = False,
    columns: int = 2,
    survived: Told | None = None,
) -> Summary:
    """Write the report of a comparison and return its summary.

    command: the line that makes the comparison; made_by: the one that makes the report; digest: of the inputs, for
    `publishing.up_to_date`; declared: what was before the studies ran, in words; remarks: what must be said of what the
    store holds, in words; static: with pictures and without scripts; brief: so and without pages of benchmarks and
    studies, each figure and table in one form; columns: of a paper, 1 or 2, that pictures are as wide as; survived:
    what became of its statements under other settings, where that is known. Raises what `summarise` does.
    """
    summary = summarise(studies, events, facts, rule, declared, remarks=remarks)
    names, arms = benchmarks(summary), unique(summary.studies["arm"])
    room = None if static or brief else Room.of(len(names) * len(arms))
    shown = [] if brief else study_page.shown(summary, events)
    report = Report(summary, shown, title, command, made_by, room, brief, columns, stems(names), stems(arms))
    own = _over_time(report, names[0]) if len(names) == 1 else Figures()
    together = page_figures.over_benchmarks(summary, events, static=room is None, columns=columns)
    files = _first_page(report, own, together, survived)
    files |= suite_tables.files(summary, ("csv",) if brief else ("csv", "tex"))
    files["summary.md"] = markdown(summary, title, [command, made_by], (own + together).drawn).encode()
    files["style.css"] = (TEMPLATES / "style.css").read_bytes()
    if not brief:
        files["summary.json"] = as_json({"title": title, "command": command, **_numbers(summary)})
        for name in names:
            files |= _benchmark_page(report, name, own if len(names) == 1 else _over_time(report, name))
        for study in report.studies:
            files |= _study_page(report, study)
    publish(folder, files if room is None else files | _scripts(), digest)
    return summary


def _numbers(summary: Summary) -> dict[str, Any]:
    """Every number but those of single studies, which are the store's and `report --json` prints; no statements."""
    plain = replace(summary, studies=summary.studies.iloc[:0]).numbers()
    pairs = [{name: value for name, value in row.items() if name != "statement"} for row in plain["pairs"]]
    return {name: value for name, value in plain.items() if name != "studies"} | {"pairs": pairs}


def _scripts() -> dict[str, bytes]:
    plotting = resources.files("plotly") / "package_data" / PLOTTING
    return {PLOTTING: plotting.read_bytes(), "page.js": (TEMPLATES / "page.js").read_bytes()}


def _over_time(report: Report, name: str) -> Figures:
    """The figures over time of a benchmark: the best so far and, where it has several objectives, the hypervolume."""
    room, stem = report.room and report.room.curve, report.stem[name]
    anytime = page_figures.anytime(report.summary, name, f"anytime-{stem}", room, columns=report.columns)
    hypervolume = page_figures.hypervolume(report.summary, name, f"hypervolume-{stem}", room, columns=report.columns)
    return anytime + hypervolume


def _first_page(report: Report, own: Figures, together: Figures, survived: Told | None) -> dict[str, bytes]:
    """own: the figures of the only benchmark; together: those over all benchmarks."""
    summary, names = report.summary, benchmarks(report.summary)
    whole = (own, together, Figures((), survived.figures if survived else []))
    own, together, others = (figures.slim() if report.brief else figures for figures in whole)
    page = rendered(
        "index.html",
        **_frame(report, own + together, "") | {"figures": own.shown("")},
        together={
            "statements": suite_tables.statements(summary) if len(names) > 1 else [],
            "figures": together.shown(""),
            "tables": suite_tables.over_benchmarks(summary).values(),
        },
        title=report.title,
        answer=answer(summary),
        lead=notes(summary)[-1],
        rule=summary.rule,
        caveats=caveats(summary),
        completeness=completeness(summary),
        complete=_complete(summary),
        errors=errors(summary),
        overview=_overview(summary),
        links={} if report.brief else {name: report.place(name) for name in names},
        benchmark=_benchmark(summary, names[0]) if len(names) == 1 else None,
        survived=survived and {**survived._asdict(), "figures": others.shown("")},
        notes=notes(summary),
        how_to_read=HOW_TO_READ,
        command=report.command,
        numbers=["summary.md"] if report.brief else ["summary.json", "summary.md"],
    )
    return {"index.html": page.encode(), **own.files, **together.files, **others.files}


def _benchmark_page(report: Report, name: str, over_time: Figures) -> dict[str, bytes]:
    summary, studies, room, stem = report.summary, report.on(name), report.room, report.stem[name]
    panels = page_figures.learning_curves(
        studies, summary.facts[name], f"learning-curves-{stem}", room and room.panel, columns=report.columns
    )
    on_test = page_figures.validation_test(
        summary, name, f"validation-test-{stem}", room and room.curve, columns=report.columns
    )
    figures = over_time + on_test + panels
    page = rendered(
        "benchmark.html",
        **_frame(report, figures, "../", ("report", "index.html")),
        title=name,
        here=name,
        among=len(benchmarks(summary)),
        benchmark=_benchmark(summary, name),
        studies=[(study.arm, f"../{report.place(name, study.arm)}") for study in studies],
        seed=studies[0].seed if studies else None,
    )
    return {report.place(name): page.encode(), **figures.files}


def _study_page(report: Report, study: study_page.Study) -> dict[str, bytes]:
    facts, root, room = report.summary.facts[study.benchmark], "../../", report.room
    stem = f"{report.stem[study.benchmark]}-{report.arm_stem[study.arm]}"
    figures = page_figures.learning_curves(
        [study], facts, f"trials-{stem}", room and room.study, columns=report.columns
    )
    figures += page_figures.workers(study, facts, f"workers-{stem}", room and room.jobs, columns=report.columns)
    benchmark = (study.benchmark, report.place(study.benchmark))
    page = rendered(
        "study.html",
        **_frame(report, figures, root, ("report", "index.html"), benchmark),
        title=f"{study.arm} on {study.benchmark}, seed {study.seed}",
        here=study.arm,
        **study_page.content(study, facts),
        jobs=study_page.table(study) if room is None else study_page.HEAD,
        filled_from=f"workers-{stem}" if room else "",
    )
    return {report.place(study.benchmark, study.arm): page.encode(), **figures.files}


def _frame(report: Report, figures: Figures, root: str, *crumbs: tuple[str, str]) -> dict[str, Any]:
    """What every page has: where it stands in the report, its figures, how they are made again."""
    return {
        "root": root,
        "crumbs": [(name, f"{root}{place}") for name, place in crumbs],
        "made_by": report.made_by,
        "live": report.room is not None,
        "figures": figures.shown(root),
        "data": packed(figures.data) if figures.data else "",
    }


def _complete(summary: Summary) -> str:
    """That there is every study, in words that stand for the whole table; empty where one failed, is missing or odd."""
    studies = summary.studies
    if (studies["state"] != DONE).any() or any(facts.get("not_applicable") for facts in summary.facts.values()):
        return ""
    ends = " and ".join(f"{count} by {why}" for why, count in studies["why"].value_counts(sort=False).items())
    return f"All {text.plural(len(studies), 'study')} came to their end, {ends}: the table of each method and benchmark"


def _overview(summary: Summary) -> Table:
    """The benchmarks in one table: what is best there, and how many pairs could be told apart."""
    rows: list[list[str]] = []
    for name in benchmarks(summary):
        here = summary.table[summary.table["benchmark"] == name]
        pairs = summary.pairs.loc[summary.pairs["benchmark"] == name, "verdict"]
        best = [str(arm) for arm in here.loc[here["best"], "arm"]]
        whole = f"{int(here['done'].sum())}/{int(here['wanted'].sum())}"
        apart = f"{int((pairs == BETTER).sum())} of {int((pairs != NO_DATA).sum())}"
        rows.append([name, whole, ", ".join(best) or text.NONE, apart])
    head = ["benchmark", "done", "best, or not told apart from it", "pairs told apart"]
    return Table(head, rows)


def _benchmark(summary: Summary, name: str) -> dict[str, Any]:
    facts = summary.facts[name]
    return {
        "name": name,
        "numbers": numbers(summary, name),
        "statements": records(summary.pairs[summary.pairs["benchmark"] == name]),
        "verdict": facts.get("verdict"),
        "facts": _facts(facts),
    }


def _objectives(facts: Mapping[str, Any]) -> dict[str, str]:
    """Several objectives in words, and what their hypervolume is measured by."""
    metrics, front = facts.get("objectives", ()), facts.get("front")
    if not metrics:
        return {}
    if front is None:
        return {"objectives": ", ".join(metrics)}
    each = zip(metrics, front["best"], front["reference"], strict=True)
    ends = (f"{name} from {text.number(best, 4)} to {text.number(worst, 4)}" for name, best, worst in each)
    return {
        "objectives, to be minimised, from the best to the reference point": ", ".join(ends),
        "front": f"{text.plural(front['configs'], 'config')} of {front['of']}",
    }


def _facts(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the benchmark is, in words."""
    levels = list(facts["levels"])
    spelt = ", ".join(map(str, levels)) if len(levels) <= 8 else f"{levels[0]} to {levels[-1]} ({len(levels)})"
    known = {
        "metric": facts.get("metric"),
        **_objectives(facts),
        "world": "real training" if facts.get("real") else "simulated",
        facts.get("unit") or "level": spelt,
        "configs in the table": facts.get("configs"),
        "configs not in the table": facts.get("table"),
        "best final loss": facts.get("optimum"),
        "median final loss": facts.get("median"),
        "noise of the final loss (sd between seeds)": facts.get("noise"),
    }
    return {
        what: f"{value:.4g}" if isinstance(value, float) else str(value)
        for what, value in known.items()
        if value is not None
    }
