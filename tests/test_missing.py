"""What a comparison wanted and does not have is counted as missing, and what there is is compared all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from toys import run_study, study, toy_data

from harness.comparison import Arm, Comparison
from harness.compose import comparisons
from harness.compose.declarations import Declared, declare
from harness.compose.studies import model_of
from harness.frames import frames, with_missing
from reports import drawing
from reports.answer import answer
from reports.suite_tables import statements
from reports.tables import completeness, notes
from surrogates import table


@pytest.fixture(autouse=True)
def svg_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Figures are drawn in one format: the others take time and add nothing here."""
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})
    yield
    model_of.cache_clear()


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tables") / "toy"
    table.save(toy_data(rows=40), folder)
    return str(folder)


def begun(problem: str, folder: Path, wanted: Comparison) -> None:
    """Run two arms with two seeds on the problem, and declare that more is wanted."""
    first = Comparison((Arm("rs", "rs"), Arm("asha", "asha")), (problem,), (0, 1))
    comparisons.compare(first, folder, command="compare", jobs=1)
    declare(Declared(wanted, "compare", ()), folder)


def test_seeds_that_no_method_has_are_missing(problem: str, tmp_path: Path) -> None:
    begun(problem, tmp_path, Comparison((Arm("rs", "rs"), Arm("asha", "asha")), (problem,), (0, 1, 2, 3)))
    summary, _ = comparisons.report(tmp_path)
    rows = completeness(summary).rows
    assert [row[:6] for row in rows] == [["toy", arm, "4", "2", "0", "2"] for arm in ("rs", "asha")]
    assert all(row[6].endswith(" 2") for row in rows)  # why the two that there are ended, and no reason for the others
    assert answer(summary).endswith("4 of 8 studies came to their end (4 missing).")
    assert "4 studies missing." in notes(summary)
    assert summary.table["rank_blocks"].tolist() == [2, 2] and summary.pairs["seeds"].tolist() == [2]
    plain = json.loads((tmp_path / "report" / "summary.json").read_text(encoding="utf-8"))
    assert [row["missing"] for row in plain["table"]] == [2, 2]


@pytest.mark.parametrize("form", [{}, {"static": True}, {"brief": True}], ids=["live", "static", "brief"])
def test_methods_and_benchmarks_without_any_study_are_missing_and_take_nothing_from_the_others(
    problem: str, form: dict[str, bool], tmp_path: Path
) -> None:
    arms = (Arm("rs", "rs"), Arm("asha", "asha"), Arm("sobol", "sobol"))
    begun(problem, tmp_path, Comparison(arms, ("branin", problem), (0, 1)))
    summary, drawn = comparisons.report(tmp_path, **form)
    counts = {(row[0], row[1]): row[2:6] for row in completeness(summary).rows}
    none, all_ = ["2", "0", "0", "2"], ["2", "2", "0", "0"]
    assert counts == {
        **{("branin", arm.label): none for arm in arms},
        ("toy", "rs"): all_, ("toy", "asha"): all_, ("toy", "sobol"): none,
    }  # fmt: skip
    assert drawn and not comparisons.report(tmp_path, **form)[1]
    chosen = summary.suite.selection
    assert (chosen.arms, chosen.benchmarks) == (("rs", "asha"), ("toy",))
    words = " ".join(statements(summary))
    assert "branin: no study is there yet" in words and "sobol: it has no study on toy" in words
    assert ((tmp_path / "report" / "benchmarks" / "branin.html").is_file()) == ("brief" not in form)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<td>branin</td><td>sobol</td><td>2</td><td>0</td><td>0</td><td>2</td>", page)


def test_a_segment_that_is_damaged_beside_its_keys_is_named_and_its_study_missing(problem: str, tmp_path: Path) -> None:
    wanted = Comparison((Arm("rs", "rs"), Arm("asha", "asha")), (problem,), (0, 1))
    comparisons.compare(wanted, tmp_path, command="compare", jobs=1)
    assert comparisons.report(tmp_path, brief=True)[1] and not comparisons.report(tmp_path, brief=True)[1]
    segment = min((tmp_path / "studies").glob("segment-*"))
    damage(segment, "values")
    summary, drawn = comparisons.report(tmp_path, brief=True)
    assert drawn and summary.table["missing"].sum() == 1
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert f"{segment.name} cannot be read (" in page
    segment.unlink()
    assert len(comparisons.compare(wanted, tmp_path, command="compare", jobs=1).outcomes) == 1
    again, drawn = comparisons.report(tmp_path, brief=True)
    assert drawn and again.table["missing"].sum() == 0 and not again.remarks


def damage(segment: Path, column: str) -> None:
    """Change the last byte of a column's last page."""
    group = pq.read_metadata(segment).row_group(0)
    chunks = [group.column(place) for place in range(group.num_columns)]
    (chunk,) = (one for one in chunks if one.path_in_schema.split(".")[0] == column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    raw = bytearray(segment.read_bytes())
    raw[start + chunk.total_compressed_size - 1] ^= 255
    segment.write_bytes(raw)


def test_rows_stand_in_the_order_of_what_is_wanted_and_hold_what_was_asked_for() -> None:
    wanted = [study(arm, seed) for arm in ("rs", "asha") for seed in range(3)]
    seen, _ = frames([run_study(wanted[place].spec()) for place in (4, 1)])
    whole = with_missing(seen, wanted)
    assert list(zip(whole["arm"], whole["seed"], strict=True)) == [(one.arm, one.seed) for one in wanted]
    assert [bool(why) for why in whole["why"]] == [False, True, False, False, True, False]
    assert whole["workers"].tolist() == [2] * 6 and whole["budget"].tolist() == [60.0] * 6
    assert whole["trials"].notna().tolist() == [False, True, False, False, True, False]
    everything, _ = frames([run_study(one.spec()) for one in wanted])
    again = with_missing(everything.sample(frac=1, random_state=1), wanted)
    pd.testing.assert_frame_equal(again[everything.columns], everything)
    nobody_wants = with_missing(everything, [replace(wanted[0], arm="other")])
    assert nobody_wants["arm"].tolist() == ["other"] and nobody_wants["why"].tolist() == [""]
    assert with_missing(pd.DataFrame(), wanted).empty
