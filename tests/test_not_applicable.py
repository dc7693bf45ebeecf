"""A method that cannot run on a benchmark: refused before anything runs, shown with its reason, in nobody's way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import harness
from harness.comparison import Arm, Comparison
from harness.compose import comparisons
from harness.compose.inspection import check
from harness.compose.studies import study_of
from harness.types import refuses
from reports.tables import completeness, notes
from reports.terminal import terminal

NAME = "synthetic_stateful"
WHY = f"moasha weighs several objectives, but {NAME!r} has only 'loss': use `asha`, which orders by one loss"


def comparison(*methods: str, **fields: object) -> Comparison:
    overrides = {"budget": 300.0, **fields}
    return Comparison(tuple(Arm(method, method) for method in methods), (NAME,), (0, 1), overrides)


def test_its_studies_are_shown_with_the_reason_and_the_others_are_compared(tmp_path: Path) -> None:
    wanted = comparison("rs", "moasha", "pbt")
    done = comparisons.compare(wanted, tmp_path, command="compare", jobs=1)
    assert (done.wanted, done.there, done.failed) == (4, 0, [])
    assert {outcome.arm for outcome in done.outcomes} == {"rs", "pbt"}
    summary, drawn = comparisons.report(tmp_path)
    assert drawn
    assert completeness(summary).rows[-1] == [NAME, "moasha", "0", "0", "0", "0", f"not applicable: {WHY}"]
    assert f"moasha on {NAME} not applicable: {WHY}." in notes(summary)
    assert summary.table["arm"].tolist() == ["rs", "pbt"]
    assert summary.table["rank_blocks"].tolist() == [2, 2]  # nobody waits for who cannot come
    assert (summary.table["missing"] == 0).all() and len(summary.pairs) == 1
    assert any("not applicable" in str(part) for part in terminal(summary))
    page = tmp_path / comparisons.REPORT
    for name in ("index.html", "summary.md"):
        assert "not applicable: moasha weighs several objectives" in (page / name).read_text(), name
    facts = json.loads((page / "summary.json").read_text())["benchmarks"][NAME]
    assert facts["not_applicable"] == {"moasha": WHY}
    again = comparisons.compare(wanted, tmp_path, command="compare", jobs=1)
    assert (again.wanted, again.there, again.outcomes) == (4, 4, [])
    assert comparisons.report(tmp_path)[1] is False


def test_from_python_the_others_have_their_rows(tmp_path: Path) -> None:
    frame = harness.compare(["rs", "moasha"], [NAME], seeds=2, out=tmp_path, budget=300.0)
    assert frame["arm"].tolist() == ["rs", "rs"]


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        (("moasha", "bo-constrained"), "arm 'moasha': moasha weighs.*; arm 'bo-constrained': .* no constraints"),
        (("rs", "asha:eta=1"), "arm 'asha:eta=1': eta must be greater than 1"),
    ],
)
def test_where_nothing_can_run_or_an_option_has_no_sense_nothing_is_begun(
    tmp_path: Path, methods: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        comparisons.compare(comparison(*methods), tmp_path / "out", command="compare", jobs=1)
    assert not (tmp_path / "out").exists()


def test_an_error_refuses_the_benchmark_that_it_names() -> None:
    benchmark = study_of(comparison("rs"), Arm("rs", "rs"), NAME, 0).benchmark
    assert refuses(ValueError(WHY), benchmark)
    assert not refuses(ValueError("eta must be greater than 1, given 1"), benchmark)


REFUSING = '''
"""A method that refuses."""
__all__ = ["Bad"]
class Bad:
    def __init__(self, benchmark, rng, *, sampler):
        raise ValueError({words})
    def ask(self):
        return None
    def tell(self, report):
        return None
'''


@pytest.mark.parametrize(
    ("words", "said"),
    [('f"not on {benchmark.name!r}"', "it runs on no toy: not on 'toy'"), ("'nowhere'", "ValueError: nowhere")],
)
def test_who_runs_nowhere_does_not_keep_the_contract(tmp_path: Path, words: str, said: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(REFUSING.replace("{words}", words))
    found = check(path)
    assert found["broken"] == [str(path)] and said in found[str(path)]


def test_a_check_says_which_laws_do_not_apply(tmp_path: Path) -> None:
    source = Path(harness.__file__).parent / "schedulers" / "pbt.py"
    said = check(source)[str(source)]
    assert said.startswith("holds; not applicable (pbt changes configs while they train")
