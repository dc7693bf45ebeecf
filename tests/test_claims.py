"""Claims are decided as they say: on made-up studies of which the answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reports import claims, claims_page, style
from reports.claims import CLAIMS, FAILS, HOLDS, OPEN, Evidence
from reports.claims_page import World
from reports.figures import poor_configs
from reports.summary import Summary, summarise

BUDGET = 100.0
FACTS = {"levels": [1], "metric": "loss", "optimum": 0.0, "median": 1.0, "noise": None, "real": False}
Steps = list[tuple[float, float]]


def made(paths: dict[str, Steps], seeds: int = 8, names: tuple[str, ...] = ("toy",)) -> Summary:
    """Arms whose trials end at given times with given losses, on each benchmark and with each seed a little apart."""
    studies, events = [], []
    for name in names:
        for arm, steps in paths.items():
            for seed in range(seeds):
                identity = {"arm": arm, "benchmark": name, "seed": seed}
                studies.append(
                    {**identity, "why": "budget", "error": "", "workers": 1, "budget": BUDGET, "seconds": BUDGET,
                     "trials": len(steps) + seed % 2, "reports": len(steps), "real_seconds": 0.0}
                )  # fmt: skip
                luck = 1 + 0.01 * np.random.default_rng([seed, *arm.encode()]).random()
                for trial, (time, loss) in enumerate(steps):
                    row = {**identity, "time": time, "trial": trial, "resource": 1, "test": np.nan, "worker": 0}
                    events.append({**row, "kind": "report", "loss": loss * luck, "reason": "reached"})
                    events.append({**row, "kind": "ended", "loss": np.nan, "reason": "reached"})
    return summarise(pd.DataFrame(studies), pd.DataFrame(events), dict.fromkeys(names, FACTS))


def tried(shares: dict[str, tuple[float, float]], seeds: int = 8, names: tuple[str, ...] = ("toy",)) -> pd.DataFrame:
    """Forty configs of each study, so many of the first and of the second half of them poor."""
    rows = []
    for name in names:
        for arm, halves in shares.items():
            for seed in range(seeds):
                rng = np.random.default_rng([seed, *arm.encode()])
                poor = np.concatenate([rng.permutation(np.arange(20) < round(20 * share)) for share in halves])
                identity = {"benchmark": name, "arm": arm, "seed": seed}
                rows += [{**identity, "place": place, "final": 2.0 if bad else 0.5} for place, bad in enumerate(poor)]
    return pd.DataFrame(rows)


TRUE = {
    "rs": [(30.0, 0.8), (90.0, 0.6)],
    "asha": [(9.0, 0.7), (20.0, 0.6), (50.0, 0.4), (70.0, 0.4)],
    "bo": [(25.0, 0.7), (90.0, 0.3)],
    "mobster": [(8.0, 0.5), (50.0, 0.2), (80.0, 0.1)],
}
LEARNING = {"rs": (0.5, 0.5), "asha": (0.5, 0.5), "bo": (0.5, 0.1), "mobster": (0.4, 0.1)}


def decided(summary: Summary, proposals: pd.DataFrame) -> dict[str, Any]:
    frame = claims.verdicts(summary, proposals, "toy", np.random.default_rng(1))
    assert frame["claim"].tolist() == [claim.text for claim in CLAIMS]
    return dict(zip(frame["claim"], frame.to_dict("records"), strict=True))


def test_all_claims_hold_where_they_are_true() -> None:
    rows = decided(made(TRUE), tried(LEARNING))
    assert {text: row["verdict"] for text, row in rows.items()} == {claim.text: HOLDS for claim in CLAIMS}
    time = rows["MOBSTER reaches BO's final value in about half the time"]
    assert (time["center"], time["low"], time["high"]) == (0.5, 0.5, 0.5)
    assert rows["ASHA explores more configs than random search"]["center"] == pytest.approx(np.sqrt(2 * 5 / 3))
    assert rows["BO learns to avoid poor configs"]["center"] == pytest.approx(0.1)


def test_no_claim_holds_where_the_opposite_is_true() -> None:
    roles = {"rs": "mobster", "bo": "asha", "asha": "bo", "mobster": "rs"}
    rows = decided(
        made({arm: TRUE[other] for arm, other in roles.items()}),
        tried({"rs": (0.2, 0.8), "asha": (0.5, 0.1), "bo": (0.5, 0.5), "mobster": (0.5, 0.6)}),
    )
    assert {text: row["verdict"] for text, row in rows.items()} == {claim.text: FAILS for claim in CLAIMS}
    assert rows["MOBSTER reaches BO's final value in about half the time"]["low"] == np.inf


def test_what_so_few_seeds_cannot_tell_is_left_open() -> None:
    same = dict.fromkeys(TRUE, TRUE["rs"])
    rows = decided(made(same, seeds=3), tried(LEARNING, seeds=3))
    for text in ("MOBSTER has the best performance at the end", "MOBSTER falls the most at first"):
        assert rows[text]["verdict"] == OPEN
    assert rows["Model-based sampling helps: BO ends better than random search"]["verdict"] == OPEN


def test_to_be_best_is_to_beat_each_of_the_others() -> None:
    nearly = TRUE | {"bo": [(25.0, 0.7), (60.0, 0.1)]}
    seen = Evidence(made(nearly), "toy", tried(LEARNING), np.random.default_rng(1))
    found = claims.best("mobster", 1.0)(seen)
    assert (found.against, found.verdict) == ("bo", OPEN)
    assert claims.best("mobster", 0.55)(seen).verdict == HOLDS


def test_a_failed_or_missing_study_is_not_left_out() -> None:
    summary = made(TRUE)
    summary.studies.loc[3, "state"] = "failed"
    with pytest.raises(ValueError, match="rs has not done all its studies on toy: a claim needs every seed"):
        claims.verdicts(summary, tried(LEARNING), "toy", np.random.default_rng(1))
    with pytest.raises(ValueError, match="every study done"):
        claims_page.ranked(World("a", summary), World("b", summary), np.random.default_rng(1))


def test_two_worlds_that_rank_alike_agree() -> None:
    one, turned = made(TRUE, names=("toy", "other")), made(dict(zip(TRUE, reversed(TRUE.values()), strict=True)))
    found = claims_page.ranked(World("a", one), World("b", made(TRUE)), np.random.default_rng(1))
    assert (found.agreed.tau, found.agreed.opposed) == (1, 0) and found.agreed.agreed >= 4
    opposed = claims_page.ranked(World("a", one), World("b", turned), np.random.default_rng(1))
    assert opposed.agreed.tau < 0 and opposed.arms == list(TRUE)


def test_the_page_has_every_claim_and_its_command(tmp_path: Path) -> None:
    names = ("toy", "a<b & c")
    summary = made(TRUE, names=names)
    proposals = tried(LEARNING, names=names)
    found = claims_page.write(
        tmp_path, World("small", summary), World("large", made(TRUE)), proposals, np.random.default_rng(1),
        command="python claims.py --out 'x<y'",
    )  # fmt: skip
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(found) == len(names) * len(CLAIMS) and all(claim.text.replace("'", "&#39;") in page for claim in CLAIMS)
    assert "a&lt;b &amp; c" in page and "a<b" not in page and "x&lt;y" in page
    assert page.count("made by <code>python claims.py --out") == page.count("<figure") == 3
    plain = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert plain["ranking"]["tau"] == 1 and len(plain["verdicts"]) == len(found)
    assert (tmp_path / "figures" / "poor-configs.pdf").is_file()
    words = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert words.count("| holds |") == len(found) and "python claims.py --out 'x<y'" in words


def test_the_figure_of_poor_configs_shows_their_share_over_a_study() -> None:
    axes = Figure().add_subplot()
    poor_configs.draw(tried({"rs": (1.0, 0.0)}), axes, styles=style.styles(["rs"]), median=1.0)
    assert list(axes.lines[-1].get_ydata()) == [1, 1, 1, 1, 0, 0, 0, 0]
