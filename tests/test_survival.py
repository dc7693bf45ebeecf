"""Do conclusions survive: what settings are made of, what is said of pairs under them, the page, and going on."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from test_reports import SMALL, fake, write_page
from toys import toy_data
from typer.testing import CliRunner

from harness.__main__ import app
from harness.comparison import Arm, Comparison, Outcome
from harness.compose import comparisons, survival
from harness.compose.studies import run_simulated, studies_of
from harness.store import Store
from harness.study import Study
from harness.types import Delays
from reports import drawing, page, publishing, survival_page
from reports import survival as found
from reports.figures import survival as figure
from reports.summary import Observed, observed
from reports.terminal import survived as terminal_of
from surrogates import table

FACTS = {"metric": "loss", "unit": "epoch", "levels": [1, 2], "optimum": 0.0, "median": 1.0, "noise": 1e-3}
RNG = np.random.Generator(np.random.PCG64(7))
NOISE = np.exp(0.1 * RNG.normal(size=8))


def seen_of(losses: Mapping[str, Any], *, budget: float = 10.0, benchmark: str = "lm", seeds: int = 8) -> Observed:
    """What is seen of studies with one trial each, which ends with the given losses, one a seed."""
    studies: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for arm, final in losses.items():
        for seed, loss in enumerate(np.broadcast_to(final, seeds).tolist()):
            name = {"arm": arm, "benchmark": benchmark, "seed": seed}
            studies.append({**name, "why": "budget", "error": "", "budget": budget, "workers": 1, "seconds": budget,
                            "real_seconds": 0.1, "trials": 1, "reports": 1})  # fmt: skip
            row = {**name, "time": 1.0, "trial": 0, "resource": 2, "test": np.nan, "reason": ""}
            events.append({**row, "kind": "report", "loss": loss})
            events.append({**row, "kind": "ended", "loss": np.nan, "reason": "reached"})
    return observed(pd.DataFrame(studies), pd.DataFrame(events), {benchmark: FACTS})


def settings(*others: Observed, own: Observed | None = None) -> list[found.Setting]:
    own = own or seen_of({"a": 0.1 * NOISE, "b": 0.2 * NOISE[::-1]})
    first = found.Setting("as compared", "as compared", 0, own)
    return [first, *(found.Setting("other", f"setting {i}", i, other) for i, other in enumerate(others, 1))]


# -- what is said of pairs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "relation"),
    [
        ({"a": 0.1 * NOISE, "b": 0.3 * NOISE[::-1]}, found.HOLDS),
        ({"a": 0.1 * NOISE, "b": 0.102 * NOISE[::-1]}, found.SAME),
        ({"a": 0.1 * NOISE, "b": 0.1 * NOISE}, found.EQUAL),
        ({"a": 0.102 * NOISE, "b": 0.1 * NOISE[::-1]}, found.OTHER),
        ({"a": 0.3 * NOISE, "b": 0.1 * NOISE[::-1]}, found.REVERSED),
        ({"a": 0.1 * NOISE, "b": 0.2 * NOISE[::-1]}, found.UNTOUCHED),
        ({"a": 0.1 * NOISE}, found.UNKNOWN),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_how_a_setting_stands_to_the_comparison(losses: dict[str, Any], relation: str, *, reverse: bool) -> None:
    """Whatever the order in which the arms are declared there."""
    ordered = dict(reversed(losses.items())) if reverse else losses
    seen = found.effects(settings(seen_of(ordered)))
    assert seen["relation"].tolist() == [found.HOLDS, relation]
    assert (seen["first"] == "a").all() and (seen["second"] == "b").all()
    if relation != found.UNKNOWN:
        known = seen.iloc[1]
        assert known["low"] <= known["effect"] <= known["high"]
        assert known["effect"] == pytest.approx(np.exp(np.mean(np.log(losses["a"]) - np.log(losses["b"]))))


def test_another_budget_or_other_seeds_are_something_else_with_the_same_losses() -> None:
    losses = {"a": 0.1 * NOISE, "b": 0.2 * NOISE[::-1]}
    seen = found.effects(settings(seen_of(losses, budget=20.0), seen_of(losses)))
    assert seen["relation"].tolist() == [found.HOLDS, found.HOLDS, found.UNTOUCHED]


def test_shares_and_smallest_changes() -> None:
    same, other = seen_of({"a": 0.1 * NOISE, "b": 0.102 * NOISE[::-1]}), seen_of({"a": 0.3, "b": 0.1 * NOISE})
    held = seen_of({"a": 0.1 * NOISE, "b": 0.3 * NOISE[::-1]})
    made = settings(same, held, other, other)
    said = found.statements(found.effects(made)).iloc[0]
    assert said["made"] and said["settings"] == 4
    assert [said[name] for name in found.RELATIONS] == [1, 1, 0, 0, 2]
    assert (said["turns"], said["loses"]) == (["setting 3"], ["setting 1"])
    assert said["statement"] == (
        "a is better than b on lm: told apart the same way in 1 of 4 settings (25 %), 1 only with the same sign, 2 "
        "told apart the other way. The smallest change that turns the sign: setting 3. The smallest that leaves them "
        "not told apart: setting 1."
    )
    assert "tells 1 of 1 pair apart" in found.lead(pd.DataFrame([said]), 4)


def test_where_nothing_is_told_apart_the_signs_are_said() -> None:
    alike, again = (seen_of({"a": 0.1 * NOISE, "b": 0.102 * NOISE[::-1]}) for _ in range(2))
    other, told = seen_of({"a": 0.102 * NOISE, "b": 0.1 * NOISE[::-1]}), seen_of({"a": 0.1, "b": 0.3 * NOISE})
    said = found.statements(found.effects(settings(again, other, told, own=alike)))
    assert said["statement"].tolist() == [
        "a and b on lm could not be told apart: a is ahead in 1 of 2 settings (told apart in 1), behind in 1. The "
        "smallest change that turns the sign: setting 2."
    ]
    assert "makes no statement that a setting could overturn" in found.lead(said, 3)


def test_a_setting_that_touches_nothing_counts_for_nothing() -> None:
    losses = {"a": 0.1 * NOISE, "b": 0.2 * NOISE[::-1]}
    said = found.statements(found.effects(settings(seen_of(losses)))).iloc[0]
    assert (said["settings"], said[found.UNTOUCHED]) == (0, 1)
    assert said["statement"].endswith("no setting says more of them than the comparison itself.")
    assert "hold in every setting: 0;" in found.lead(pd.DataFrame([said]), 1)


def test_a_setting_without_enough_data_is_named_and_is_one_in_which_nothing_holds() -> None:
    held, one = seen_of({"a": 0.1 * NOISE, "b": 0.3 * NOISE[::-1]}), seen_of({"a": 0.1 * NOISE})
    for others, every, kind, words in (
        ([held], 1, "better", "in 1 of 1 setting (100 %). No"),
        ([held, one, one], 0, "", "in 1 of 1 setting (100 %), not enough data in 2. No"),
    ):
        said = found.statements(found.effects(settings(*others))).iloc[0]
        assert f"told apart the same way {words} setting turns the sign." in said["statement"]
        assert f"hold in every setting: {every};" in found.lead(pd.DataFrame([said]), len(others))
        assert survival_page._kind(said) == kind
    alone = found.statements(found.effects(settings(one))).iloc[0]["statement"]
    assert alone.endswith("no setting says more of them than the comparison itself, not enough data in 1.")


def test_one_arm_alone_has_nothing_to_survive() -> None:
    one = seen_of({"a": NOISE})
    said = found.statements(found.effects(settings(one, own=one)))
    assert said.empty and "nothing that could survive" in found.lead(said, 1)


# -- figure and page ---------------------------------------------------------------------------------------------------


def test_the_figure_marks_every_relation() -> None:
    assert set(figure.LOOKS) == {*found.RELATIONS, found.UNTOUCHED}
    told, alike = seen_of({"a": 0.3, "b": 0.1 * NOISE}), seen_of({"a": 0.1 * NOISE, "b": 0.102 * NOISE[::-1]})
    seen = found.effects(settings(told, alike, seen_of({"a": 0.1})))
    axes = Figure().add_subplot()
    figure.draw(seen, axes)
    marks = [line for line in axes.lines if line.get_marker() not in ("", "None", None)]
    assert [line.get_color() for line in marks] == [figure.AHEAD, figure.BEHIND, figure.AHEAD]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [False, False, True]
    assert [label.get_text() for label in axes.get_yticklabels()] == seen["setting"].tolist()
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert low * high == pytest.approx(1)


@pytest.fixture
def svg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in one format: the others take time and add nothing here."""
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})


@pytest.mark.usefixtures("svg_only")
def test_the_page_shows_odd_names_as_text_and_is_read_back(tmp_path: Path) -> None:
    odd = '<b>&"x=1'
    own = seen_of({odd: 0.1 * NOISE, "b": 0.2 * NOISE[::-1]}, benchmark="l<m")
    other = seen_of({odd: 0.3, "b": 0.1 * NOISE}, benchmark="l<m")
    survived = survival_page.Survival(settings(other, own=own), "own digest", {"not possible: <i>": "why & how"})
    for place in ("one", "two"):
        survival_page.write(tmp_path / place, survived, title=f"{odd} on l<m", command="survive <x>", digest="all")
    files = {p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*") if p.is_file()}
    assert files == {name: (tmp_path / "two" / name).read_bytes() for name in files}
    said = files[Path("index.html")].decode()
    assert "<b>" not in said and "<i>" not in said and "&lt;b&gt;&amp;" in said
    assert '<a href="figures/survival-l-m.csv">CSV</a>' in said and "made by <code>survive &lt;x&gt;</code>" in said
    told = survival_page.read(tmp_path / "one", "own digest")
    assert told is not None and told.digest == "all"
    assert "tells 1 of 1 pair apart" in told.lines[0] and told.lines[1].startswith(f"{odd} is better than b on l<m")
    assert [row[0] for row in told.marks.rows] == ["as compared", "setting 1"]
    assert told.marks.rows[1][1].startswith("✗")
    studies = fake(2, {"rs": SMALL["rs"]}, failed=False)
    write_page(tmp_path / "report", studies, static=True, survived=told)
    shown = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert shown.count("made by <code>survive &lt;x&gt;</code>") == 1 and told.lines[1].startswith(odd)
    assert (tmp_path / "report" / "figures" / "survival-l-m.csv").is_file()
    outdated = survival_page.read(tmp_path / "one", "another")
    assert outdated is not None and outdated.lines[0].startswith(survival_page.OUTDATED)
    assert outdated.digest != told.digest
    assert survival_page.read(tmp_path, "own digest") is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "FORM", publishing.FORM + 1)
        assert not publishing.up_to_date(tmp_path / "one", "all")  # made anew where `survive` runs, shown until then
        assert survival_page.read(tmp_path / "one", "own digest") == told
    (tmp_path / "one" / "index.html").unlink()
    assert survival_page.read(tmp_path / "one", "own digest") is None


@pytest.mark.usefixtures("svg_only")
def test_how_far_to_trust_a_surrogate_stands_on_the_page_and_wherever_it_is_read_back(tmp_path: Path) -> None:
    verdict = "The surrogate of lm is usable: `describe lm` says why."
    survived = survival_page.Survival(settings(seen_of({"a": 0.3, "b": 0.1 * NOISE})), "own digest", {}, [verdict])
    survival_page.write(tmp_path, survived, title="a on lm", command="survive", digest="all")
    assert f"<li>{verdict}</li>" in (tmp_path / "index.html").read_text(encoding="utf-8")
    told = survival_page.read(tmp_path, "own digest")
    assert told is not None and told.lines[1] == verdict and told.lines[2].startswith("a is better than b")
    console = Console(width=100, file=io.StringIO(), record=True)
    for part in terminal_of(told):
        console.print(part)
    assert verdict in " ".join(console.export_text().split())
    plain = json.loads((tmp_path / "survival.json").read_text(encoding="utf-8"))
    del plain["verdicts"]
    (tmp_path / "survival.json").write_text(json.dumps(plain), encoding="utf-8")
    older = survival_page.read(tmp_path, "own digest")
    assert older is not None and older.lines == [told.lines[0], *told.lines[2:]]


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A benchmark in a folder: a small table without a surrogate."""
    folder = tmp_path_factory.mktemp("tables") / "toy"
    table.save(toy_data(rows=40, delays=Delays(start_up=0.5, save=0.1)), folder)
    return str(folder)


def compared(problem: str, *arms: Arm, seeds: int = 3) -> Comparison:
    return Comparison(arms or (Arm("rs", "rs"), Arm("asha", "asha")), (problem,), tuple(range(seeds)))


def test_each_setting_changes_one_thing(problem: str) -> None:
    comparison = compared(problem)
    own = studies_of(comparison)
    changed = survival.settings_of(comparison, own)
    fields = {
        "luck": {"seed", "replicates"}, "table miss": {"table_miss"}, "workers": {"workers", "budget", "shared"},
        "delays": {"delays"}, "resumable": {"resumable"}, "decision time": {"decision_time"}, "budget": {"budget"},
        "incumbent rule": set[str](),
    }  # fmt: skip
    for one in changed:
        differing = {name for mine, other in zip(own, one.studies, strict=True) for name in differences(mine, other)}
        assert differing <= fields[one.axis], one.name
        assert bool(differing) == (one.axis != survival.RULE)
        if one.axis == "workers":
            spent = {study.benchmark.workers * study.benchmark.budget for study in one.studies}
            assert spent == {own[0].benchmark.workers * own[0].benchmark.budget}
    names = [one.name for one in changed]
    assert len(set(names)) == len(names) == len({(tuple(s.key for s in one.studies), one.rule) for one in changed})
    assert {one.name for one in changed if one.axis == "workers"} == {
        "1 worker", "4 workers", "8 workers", "16 workers"
    }  # fmt: skip
    assert {one.name: one.step for one in changed if one.axis in ("workers", "luck")} == {
        "other table seeds 1": 0, "other table seeds 2": 0, "other table seeds 3": 0, "fresh seeds 3 to 5": 0,
        "1 worker": 1, "4 workers": 1, "8 workers": 2, "16 workers": 3,
    }  # fmt: skip
    assert "table: snap" in names and "table: surrogate" not in names


def differences(mine: Study, other: Study) -> set[str]:
    plain = [{**study.spec(), **study.spec()["benchmark"], "replicates": study.replicates} for study in (mine, other)]
    return {name for name in plain[0] if plain[0][name] != plain[1][name]} - {"benchmark"}


def test_many_workers_where_each_gets_three_trainings(problem: str) -> None:
    comparison = Comparison((Arm("rs", "rs"),), (problem,), (0,), {"budget": 1000.0})
    names = {one.name for one in survival.settings_of(comparison, studies_of(comparison))}
    assert {"32 workers", "64 workers"} <= names


def test_what_arms_set_for_themselves_stays(problem: str) -> None:
    comparison = compared(problem, Arm("rs", "rs"), Arm("crowd", "rs", {"workers": 4}))
    axes = {one.axis for one in survival.settings_of(comparison, studies_of(comparison))}
    assert "workers" not in axes and "budget" in axes


def test_without_delays_nor_a_table_there_is_nothing_to_change_in_them() -> None:
    comparison = Comparison((Arm("rs", "rs"),), ("synthetic_curves",), (0,))
    axes = {one.axis for one in survival.settings_of(comparison, studies_of(comparison))}
    assert axes == {"luck", "workers", "resumable", "decision time", "budget", "incumbent rule"}


def test_a_surrogate_that_answers_in_any_setting_is_said_to_be_judged() -> None:
    name = "transformer_wikitext2_small"
    comparison = Comparison((Arm("rs", "rs"),), (name,), (0,), {"table_miss": "restrict"})
    own = studies_of(comparison)
    assert survival._verdicts([survival.Setting("as compared", "as compared", 0, own, "maxfid")]) == []
    (said,) = survival._verdicts(survival.settings_of(comparison, own))
    assert said.startswith(f"The surrogate of {name} is ")


def test_other_table_seeds_change_curves_and_nothing_else(problem: str) -> None:
    comparison = compared(problem)
    own = studies_of(comparison)[0]
    other = next(one for one in survival.settings_of(comparison, [own]) if one.name == "other table seeds 1")
    mine, theirs = run_simulated(own.spec()), run_simulated(other.studies[0].spec())
    assert Study.from_spec(other.studies[0].spec()) == other.studies[0]
    assert mine.configs[:5] == theirs.configs[:5]
    assert not np.array_equal(mine.values[:5], theirs.values[:5])


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("svg_only")
def test_it_goes_on_where_it_was_interrupted_and_stands_in_the_report(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = survival._changes
    kinds = ("luck", "workers")
    monkeypatch.setattr(survival, "_changes", lambda *of: [one for one in changes(*of) if one[0] in kinds])
    shown = quick_report(monkeypatch)
    comparison = compared(problem)
    comparisons.compare(comparison, tmp_path, command="compare", jobs=1)
    ended: list[Outcome] = []

    def interrupt(outcome: Outcome) -> None:
        ended.append(outcome)
        if len(ended) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survival.survive(tmp_path, command="survive", jobs=1, on_outcome=interrupt)
    kept = Store(tmp_path / "survival" / "studies").digests()
    assert len(kept) >= 16 and not (tmp_path / "survival" / "index.html").exists()
    done = survival.survive(tmp_path, command="survive", jobs=1)
    assert done.drawn and not done.failed
    there = Store(tmp_path / "survival" / "studies").digests()
    assert kept.items() <= there.items() and len(done.outcomes) == len(there) - len(kept)
    own = Store(tmp_path / "studies").digests()
    assert not own.keys() & there.keys()  # what the comparison has is never run again

    again = survival.survive(tmp_path, command="survive", jobs=1)
    assert (again.outcomes, again.drawn, again.told) == ([], False, done.told)
    plain = json.loads((tmp_path / "survival" / "survival.json").read_text(encoding="utf-8"))
    assert len(plain["settings"]) == len(done.told.marks.rows)
    assert comparisons.report(tmp_path)[1]
    assert shown[-1] == (done.told.lines, ["survival-toy"])
    assert not comparisons.report(tmp_path)[1]

    comparisons.compare(compared(problem, seeds=4), tmp_path, command="compare", jobs=1)
    assert comparisons.report(tmp_path)[1]
    assert shown[-1][0][0].startswith(survival_page.OUTDATED)


def quick_report(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], list[str]]]:
    """Reports that draw nothing; gives what each was to show of the survival: its lines, and names of figures."""
    shown: list[tuple[list[str], list[str]]] = []

    def write(
        folder: Path, studies: Any, events: Any, facts: Any, *, digest: str, survived: found.Told, **_: Any
    ) -> None:
        shown.append((survived.lines, [figure.name for figure in survived.figures]))
        publishing.publish(folder, {"index.html": b""}, digest)

    monkeypatch.setattr(page, "write", write)
    return shown


@pytest.mark.usefixtures("svg_only")
def test_the_command_prints_what_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survival, "_changes", lambda comparison, studies: [few(studies)])
    monkeypatch.setattr(survival, "said_of", lambda name, benchmark: "What answers is usable.")
    name = "synthetic_curves:correlation=1:noise=0"
    clear = Comparison((Arm("rs", "rs"), Arm("asha", "asha")), (name,), tuple(range(6)), {"budget": 300.0})
    comparisons.compare(clear, tmp_path, command="compare", jobs=1)
    done = CliRunner().invoke(app, ["survive", str(tmp_path), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert f"asha is better than rs on {name}: told apart the same way in" in said
    assert "half ✓" in said and "rule full" in said and said.count("What answers is usable.") == 1
    assert "<li>What answers is usable.</li>" in (tmp_path / "survival" / "index.html").read_text(encoding="utf-8")


def few(studies: list[Study]) -> tuple[str, str, int, survival.Change]:
    return "budget", "half", 1, lambda study: survival._with(study, budget=study.benchmark.budget / 2)


def test_a_comparison_that_is_not_whole_is_refused(problem: str, tmp_path: Path) -> None:
    comparison = compared(problem)
    with pytest.raises(FileNotFoundError, match="a comparison is a folder that `compare` wrote"):
        survival.survive(tmp_path, command="survive", jobs=1)

    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        comparisons.compare(comparison, tmp_path, command="compare", jobs=1, on_outcome=interrupt)
    with pytest.raises(FileNotFoundError, match=r"\d of 6 studies of .* are missing: run `compare` first"):
        survival.survive(tmp_path, command="survive", jobs=1)
    assert not (tmp_path / "survival").exists()


@pytest.mark.usefixtures("svg_only")
def test_a_setting_that_a_method_refuses_is_named(
    problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = survival._changes
    monkeypatch.setattr(survival, "_changes", lambda *of: [one for one in changes(*of) if one[0] == "workers"])
    (tmp_path / "picky.py").write_text(PICKY)
    comparison = compared(problem, Arm("picky", str(tmp_path / "picky.py")), seeds=2)
    comparisons.compare(comparison, tmp_path / "out", command="compare", jobs=1)
    survival.survive(tmp_path / "out", command="survive", jobs=1)
    said = (tmp_path / "out" / "survival" / "index.html").read_text(encoding="utf-8")
    assert "not possible: 8 workers" in said and "no more than four on &#39;toy&#39;" in said


PICKY = '''
"""Works with few."""
from harness.types import Decision, Job
__all__ = ["Picky"]

class Picky:
    """Works with few."""
    def __init__(self, benchmark, rng, *, sampler):
        if benchmark.workers > 4:
            raise ValueError(f"no more than four on {benchmark.name!r}")
        self.sampler, self.trials, self.until = sampler, 0, benchmark.fidelity.maximum
    def ask(self):
        self.trials += 1
        config = self.sampler.suggest(())
        return config and Job(self.trials, config, self.until)
    def tell(self, report):
        return Decision.CONTINUE
'''
