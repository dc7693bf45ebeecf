"""Random search against itself, from end to end: a small shape of the run that is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.a_against_a import BENCHMARKS, SEED, pool
from matplotlib.figure import Figure

from harness.compose.suites import family_of
from harness.randomness import stream
from reports import calibration, style
from reports.calibration import COVERAGE, REJECTIONS, Calibrated, calibrated, measured
from reports.figures import p_values
from reports.statistics.calibration import stop_when_narrow
from reports.statistics.sequential import plan

SUITES = 60
NAMES = (
    "transformer_wikitext2_small",
    "branin",
    "hartmann3",
    "hartmann6",
    "synthetic_curves",
    "synthetic_curves:noise=0.05",
)
POOL = 200
"""All suites draw from it, so its own luck must be small."""


@pytest.fixture(scope="module")
def pools() -> dict[str, tuple[pd.DataFrame, dict[str, Any]]]:
    return {name: pool(name, POOL) for name in NAMES}


@pytest.fixture(scope="module")
def found(pools: dict[str, tuple[pd.DataFrame, dict[str, Any]]]) -> Calibrated:
    held, facts = ({name: both[place] for name, both in pools.items()} for place in (0, 1))
    return calibrated(held, facts, [family_of(name) for name in NAMES], suites=SUITES, rng=stream("a test", SEED))


def test_the_arms_are_the_same_method_with_luck_of_their_own(pools: dict[str, Any]) -> None:
    for held, _ in pools.values():
        one, other = (held[held["arm"] == arm].set_index("seed") for arm in ("one", "other"))
        assert (held["state"] == "done").all() and len(one) == len(other) == POOL
        assert (one["loss"] != other["loss"]).mean() > 0.5
        assert abs(np.corrcoef(one["score"], other["score"])[0, 1]) < 4 / np.sqrt(POOL)


def test_what_the_report_says_is_the_paired_t_test(found: Calibrated) -> None:
    assert found.reported == found.judged["regret"].t
    assert found.reported == pytest.approx((found.p.loc[found.p["test"].str.contains("paired"), "p"] <= 0.05).mean())
    assert found.benchmarks["told_apart"].mean() == pytest.approx(found.reported)


def test_random_search_is_not_told_apart_from_itself(found: Calibrated) -> None:
    """Bounds are four standard errors of so few suites around what is promised."""
    rows = measured(found).set_index(["quantity", "endpoint"])
    error = np.sqrt(0.05 * 0.95 / SUITES)
    for (quantity, _), row in rows.iterrows():
        if quantity in calibration.TESTS:
            assert row["share"] <= REJECTIONS[1] + 4 * error, quantity
        elif quantity in calibration.PROMISED:
            assert row["share"] >= COVERAGE - 4 * error, quantity


def test_a_method_that_is_better_is_told_apart(pools: dict[str, Any]) -> None:
    better = {name: held.copy() for name, (held, _) in pools.items()}
    facts = {name: about for name, (_, about) in pools.items()}
    for name, held in better.items():
        mine = held["arm"] == "one"
        held.loc[mine, "score"] += 0.5
        held.loc[mine, "regret"] /= 50
        held.loc[mine, "counted"] = facts[name]["optimum"]
    found = calibrated(better, facts, [family_of(name) for name in NAMES], suites=10, rng=stream("b", 1))
    assert found.judged["regret"].suite_difference == found.judged["score"].suite_difference == 0
    assert found.judged["regret"].t > 0.9
    told = found.benchmarks.set_index("benchmark")["told_apart"]
    # Where most studies end within the noise of a seed, nobody can claim to be better.
    assert told.pop("synthetic_curves:noise=0.05") == 0 and told.mean() > 0.9


def test_pools_of_unequal_size_are_refused(pools: dict[str, Any]) -> None:
    held = {name: both[0] for name, both in pools.items()}
    held["branin"] = held["branin"][held["branin"]["seed"] < 45]
    with pytest.raises(ValueError, match=r"pools of 45, 200 seeds: give each benchmark as many, at least 50"):
        calibrated(held, {}, NAMES, suites=2, rng=stream("c", 1))


def test_seeds_are_added_until_a_contrast_is_narrow() -> None:
    held = np.random.default_rng(5).normal(size=(2, 300, 4, 50))
    wide, narrow = stop_when_narrow(held, plan(9.0)), stop_when_narrow(held, plan(1e-9))
    assert (wide.seeds, narrow.seeds) == (10, 50)
    assert narrow.ever == wide.ever == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 300))
    assert max(wide.stopped, narrow.stopped) <= wide.ever
    assert stop_when_narrow(held + np.array([9.0, 0])[:, None, None, None], plan(1.0)).stopped == 1


def test_the_page_says_every_number(found: Calibrated, tmp_path: Path) -> None:
    calibration.write(tmp_path, found, command="python made.py --suites 60 & more")
    plain = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    rows = measured(found)
    assert [row["share"] for row in plain["measured"]] == pytest.approx(rows["share"].tolist(), rel=1e-7)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "python made.py --suites 60 &amp; more" in page
    assert page.count('class="error"') == (~rows.groupby("quantity")["within"].all()).sum()
    assert all(name in page for name in NAMES)
    assert (tmp_path / "figures" / "p-values.png").is_file()


def test_the_figure_is_the_law_of_the_p_values() -> None:
    axes = Figure().add_subplot()
    frame = pd.DataFrame({"test": ["t"] * 4, "p": [0.5, 0.02, 0.8, 0.04]})
    p_values.draw(frame, axes, styles=style.styles(["t"]))
    x, y = axes.lines[-1].get_data()
    assert (list(x), list(y)) == ([0, 0.02, 0.04, 0.5, 0.8, 1], [0, 0.25, 0.5, 0.75, 1, 1])
    assert axes.get_legend().get_texts()[0].get_text() == "t\n50.0 %"


def test_the_published_run_is_of_benchmarks_that_need_no_data() -> None:
    assert len(BENCHMARKS) >= 10 and len({family_of(name) for name in BENCHMARKS}) >= 4
