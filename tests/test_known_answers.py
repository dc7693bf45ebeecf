"""The answers that are known without running anything are given, and a wrong one is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from harness import checks, known_answers, known_formulas
from harness._parts.gp import Factor
from harness._parts.parzen import Parzen
from harness.methods import parse_method
from harness.simulated import Simulated
from harness.toys import Toy


def test_known_answers_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_answers, "STUDIES", 1000)
    findings = checks.known_answers()
    assert len(findings) == 13 and [finding for finding in findings if finding.problem] == []


def test_wrong_fronts_and_volumes_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_answers, "ranks", lambda losses: np.argsort(losses[:, 0]))
    monkeypatch.setattr(known_answers, "hypervolume", lambda losses, reference: 1.0)
    assert "sorted at once" in known_answers._fronts()
    assert "by inclusion and exclusion" in known_answers._volume()


def test_a_wrong_law_of_random_search_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_answers, "STUDIES", 1000)
    monkeypatch.setattr(known_answers, "expected_minimum", lambda values, draws: sorted(values)[7])
    assert "exact is" in known_answers._random_search()


def with_crossing_curves(rows: Callable[..., Toy], *given: object) -> Toy:
    """A toy whose best config in the end is the worst at first."""
    toy = rows(*given)
    toy.loss = lambda place, level: place if level > 1 else 1 - place
    return toy


WRONG_ANSWERS: list[tuple[str, object, Callable[[], str], str]] = [
    ("heapreplace", lambda heap, item: heap.append(item), known_answers._makespan, "list scheduling at"),
    ("parse_method", lambda text: parse_method(f"{text}:eta=2"), known_answers._shares, "expected about 0.333"),
    ("_rows", partial(with_crossing_curves, known_answers._rows), known_answers._keeps_the_best, "leaves the best"),
    ("HYPERBAND", (((27, 3), (9, 9)),), known_answers._hyperband_table, "the paper Counter"),
    (
        "Simulated",
        lambda model, workers, seed, delays: Simulated(model, workers, seed, replace(delays, save=0.0)),
        known_answers._promotes_after_the_pause,
        "its checkpoint is there at",
    ),
    ("parse_method", lambda text: parse_method("rs"), known_answers._promotes_after_the_pause, "ever goes on"),
]


@pytest.mark.parametrize(("name", "wrong", "check", "words"), WRONG_ANSWERS)
def test_a_wrong_answer_is_noticed(
    name: str, wrong: object, check: Callable[[], str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_answers, name, wrong)
    assert words in check()


def test_the_expected_minimum_of_all_draws_is_the_minimum() -> None:
    values = [3.0, 1.0, 2.0]
    assert known_answers.expected_minimum(values, 3) == 1.0
    assert known_answers.expected_minimum(values, 1) == pytest.approx(2.0)
    assert known_answers.expected_minimum(values, 2) == pytest.approx((1 + 1 + 2) / 3)


WRONG_FORMULAS: list[tuple[str, object, Callable[[], str], str]] = [
    (
        "Factor",
        SimpleNamespace(of=lambda hyper, x: Factor.of(replace(hyper, noise=2 * hyper.noise), x)),
        known_formulas._posterior,
        "apart",
    ),
    (
        "log_marginal_likelihood",
        lambda at, x, y: (float(at.sum()), 2 * np.ones(len(at)), 0.0),
        known_formulas._likelihood_gradient,
        "of the largest slope",
    ),
    (
        "log_expected_improvement",
        lambda mean, deviation, best: np.zeros(1),
        known_formulas._improvement,
        "by integration",
    ),
    (
        "Parzen",
        lambda axes, points, bandwidths: Parzen(axes, points, bandwidths=bandwidths / 2),
        known_formulas._density_ratio,
        "in closed form",
    ),
    ("default_offspring", lambda n: 200, known_formulas._sphere, "known is .08"),
]


@pytest.mark.parametrize(("name", "wrong", "check", "words"), WRONG_FORMULAS)
def test_a_wrong_formula_is_noticed(
    name: str, wrong: object, check: Callable[[], str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_formulas, name, wrong)
    assert words in check()


def test_every_check_is_seen_to_notice_something() -> None:
    broken = [check for _, _, check, _ in (*WRONG_ANSWERS, *WRONG_FORMULAS)]
    broken += [known_answers._random_search, known_answers._fronts, known_answers._volume]
    assert {*broken} == {*known_answers.CHECKS, *known_formulas.CHECKS}
