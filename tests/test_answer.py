"""What the page says first: an answer where there is one, else why nothing can be concluded; and what to beware of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_reports import SMALL, comparison, fake

from reports.answer import answer, caveats
from reports.summary import summarise

Frames = tuple[Any, Any, dict[str, dict[str, Any]]]


def told(frames: Frames) -> tuple[str, str]:
    found = summarise(*frames)
    return answer(found), " ".join(caveats(found))


def test_who_is_better_is_said_with_by_how_much_and_how_sure() -> None:
    studies, events, facts = comparison(8, False)
    better = events["arm"] == "mobster"
    shifted = events.assign(loss=np.where(better, facts["lm"]["optimum"] + 1e-3 * events["loss"], events["loss"]))
    said, _ = told((studies, shifted, facts))
    assert said.startswith("On lm mobster has the lowest mean loss")
    assert "times that of rs (95 % interval" in said
    assert ", p " in said
    assert said.endswith("All 24 studies are done.")


@pytest.mark.parametrize(
    ("seeds", "words"),
    [(8, "times that of rs (the same at every seed, p = .023)"), (2, "may be luck. All 6 studies are done.")],
)
def test_a_lead_that_is_the_same_at_every_seed_has_no_interval(seeds: int, words: str) -> None:
    studies, events, facts = comparison(seeds, False)
    held = np.where(events["arm"] == "mobster", facts["lm"]["optimum"], facts["lm"]["median"])
    flat = events.assign(loss=np.where(events["kind"] == "report", held, np.nan))
    said, _ = told((studies, flat, facts))
    assert words in said


def test_what_cannot_be_told_apart_goes_with_what_could_have_been_seen() -> None:
    studies, events, facts = fake(3, {"rs": SMALL["rs"], "again": SMALL["rs"]}, failed=False)
    said, careful = told((studies, events, facts))
    assert "no two of the 2 methods could be told apart" in said
    assert "With 3 seeds a difference is found reliably only where" in said
    assert "3 seeds are few" in careful


def one_seed() -> Frames:
    return fake(1, SMALL, failed=False)


def one_method() -> Frames:
    return fake(3, {"rs": SMALL["rs"]}, failed=False)


def all_failed() -> Frames:
    studies, events, facts = comparison()
    return studies.assign(why="error"), events, facts


def nothing_known() -> Frames:
    studies, events, facts = comparison(3, False)
    return studies, events.assign(loss=np.nan), {"lm": {"levels": facts["lm"]["levels"]}}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (one_seed, "nothing can be concluded: one seed tells nothing of how much is luck"),
        (one_method, "Only rs was run, so there is nothing to compare it with"),
        (all_failed, "Nothing can be concluded: no study came to its end"),
        (nothing_known, "Nothing can be concluded: no study came to its end with a finite loss"),
    ],
)
def test_where_nothing_can_be_concluded_the_reason_is_said(make: Callable[[], Frames], said: str) -> None:
    assert said in told(make())[0]


def changed(**columns: Any) -> Frames:
    studies, events, facts = comparison()
    asha = studies["arm"] == "asha"
    return studies.assign(**{name: np.where(asha, *of) for name, of in columns.items()}), events, facts


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"budget": (3600.0, 7200.0)}, "different budgets (rs 2 h, asha 60 min, mobster 2 h)"),
        ({"workers": (8, 4)}, "different numbers of workers (rs 4, asha 8, mobster 4)"),
        ({"data": ("aa", "bb")}, "rs, asha and mobster met different data"),
        ({"outside": (0.25, 0.0)}, "where the answers are guesses: asha 25 %"),
    ],
)
def test_what_the_methods_did_not_have_alike_is_said(columns: dict[str, Any], said: str) -> None:
    assert said in told(changed(**columns))[1]


def test_methods_that_met_different_data_are_not_compared() -> None:
    found = summarise(*changed(data=("aa", "bb")))
    mixed = found.pairs[(found.pairs[["first", "second"]] == "asha").any(axis=1)]
    assert mixed["seeds"].eq(0).all()
    assert mixed["statement"].str.endswith("cannot be compared (they met different data)").all()
    assert found.pairs.drop(mixed.index)["seeds"].tolist() == [5]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"decision_time": "measured"}, "decision time was measured on this machine"),
        ({"real": True}, "trained for real"),
        ({"verdict": "The surrogate of lm is usable."}, "The surrogate of lm is usable."),
        ({"optimum": None}, "there is no regret"),
    ],
)
def test_what_a_benchmark_lacks_is_said(facts: dict[str, Any], said: str) -> None:
    studies, events, known = comparison()
    assert said in told((studies, events, {"lm": known["lm"] | facts}))[1]


def test_over_benchmarks_the_answer_says_what_so_few_can_show() -> None:
    said, _ = told(fake(3, SMALL, ("lm", "other"), failed=False))
    assert said.startswith("Over 2 benchmarks of 2 families ")
    assert "cannot be significant by design" in said
    assert "Each benchmark by itself" in said


def test_where_only_some_benchmarks_have_few_seeds_they_are_named() -> None:
    (many, many_events, facts), (one, one_events, _) = fake(6, SMALL, ("lm",), failed=False), fake(1, SMALL, ("other",))
    both = pd.concat([many, one]), pd.concat([many_events, one_events]), {**facts, "other": facts["lm"]}
    assert "other: One seed tells nothing of how much is luck" in told(both)[1]
    assert "One seed" not in told((many, many_events, facts))[1]


def nothing_found() -> Frames:
    """Every study ended, and none of them ever had a finite loss."""
    studies, events, facts = fake(3, SMALL, ("lm", "other"), failed=False)
    return studies, events.assign(loss=np.where(events["kind"] == "report", np.nan, events["loss"])), facts


@pytest.mark.parametrize("make", [all_failed, nothing_found])
def test_methods_that_found_nothing_are_not_called_equal_or_best(make: Callable[[], Frames]) -> None:
    found = summarise(*make())
    assert answer(found).startswith("Nothing can be concluded: no study came to its end with a finite loss.")
    assert not found.table["best"].any() and found.suite.pairs.empty
    assert any("each counts as the median random config" in line for line in caveats(found))


def test_what_holds_on_many_benchmarks_is_said_once() -> None:
    studies, events, facts = fake(3, SMALL, ("lm", "other"), failed=False)
    wider = studies.assign(workers=np.where(studies["arm"] == studies["arm"].iloc[0], 16, studies["workers"]))
    said = [line for line in caveats(summarise(wider, events, facts)) if "numbers of workers" in line]
    assert len(said) == 1 and all(name in said[0] for name in facts)
