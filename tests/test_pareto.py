"""Ranks, crowding, nets and volumes against definitions, brute force and Monte Carlo."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._parts import pareto
from harness._parts.pareto import Ranks, crowding, epsilon_net, front, hypervolume, ranks, usable

LOSSES = st.integers(1, 4).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 5) | st.just(np.inf)] * m), min_size=1, max_size=25)
)


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def longest_chains(points: list[tuple[float, ...]]) -> list[int]:
    @cache
    def rank(i: int) -> int:
        return max((rank(j) + 1 for j in range(len(points)) if dominates(points[j], points[i])), default=0)

    return [rank(i) for i in range(len(points))]


@given(LOSSES)
def test_a_rank_is_the_longest_chain_of_who_dominates(points: list[tuple[float, ...]]) -> None:
    assert ranks(np.array(points, dtype=float)).tolist() == longest_chains(points)


@given(LOSSES)
def test_ranks_kept_one_by_one_are_those_of_all_at_once(points: list[tuple[float, ...]]) -> None:
    kept = Ranks(len(points[0]))
    for count, point in enumerate(points, 1):
        kept.add(point)
        assert len(kept) == count
        chains = longest_chains(points[:count])
        assert kept.ranks.tolist() == chains
        for rank in set(chains):
            assert kept.front(rank).tolist() == [i for i, length in enumerate(chains) if length == rank]
            assert kept.before(rank) == sum(length < rank for length in chains)
    assert kept.losses.tolist() == [list(point) for point in points]


def test_ranks_grow_past_their_first_room() -> None:
    points = np.random.default_rng(0).random((200, 3))
    kept = Ranks(3)
    for point in points:
        kept.add(tuple(point.tolist()))
    assert (kept.ranks == ranks(points)).all()


def test_crowding_is_the_perimeter_of_the_box_between_neighbours() -> None:
    front = np.array([[0.0, 10.0], [4.0, 2.0], [1.0, 6.0], [8.0, 0.0]])
    expected = [np.inf, (8 - 1) / 8 + (6 - 0) / 10, (4 - 0) / 8 + (10 - 2) / 10, np.inf]
    assert crowding(front) == pytest.approx(expected)
    assert crowding(front * [100.0, 0.01] + 3) == pytest.approx(expected)
    assert crowding(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]
    assert crowding(np.full((2, 2), np.inf)).tolist() == [0.0, 0.0]


@given(LOSSES)
def test_each_of_a_net_is_the_farthest_from_those_before(points: list[tuple[float, ...]]) -> None:
    losses = np.array([usable(point) for point in points], dtype=float)
    order = list(epsilon_net(losses))
    assert sorted(order) == list(range(len(points)))
    assert losses[order[0], 0] == losses[:, 0].min()
    finite = np.nan_to_num(losses, posinf=0.0)
    span = np.ptp(finite, axis=0)
    scaled = finite / np.where(span > 0, span, 1)
    for place in range(1, len(order)):
        gaps = [min(np.linalg.norm(scaled[i] - scaled[j]) for j in order[:place]) for i in order[place:]]
        assert gaps[0] == pytest.approx(max(gaps))


def test_a_net_covers_a_line_from_its_ends_and_scales_away_units() -> None:
    line = np.column_stack([np.arange(5.0), 1000 * np.arange(5.0)[::-1]])
    assert list(epsilon_net(line)) == [0, 4, 2, 1, 3]
    assert list(epsilon_net(np.array([[0.0, 0.0], [0.1, -1.0], [1.0, -1.01]]))) == [0, 2, 1]


@given(LOSSES)
def test_a_front_is_what_no_other_dominates_however_many_are_compared_at_once(points: list[tuple[float, ...]]) -> None:
    wanted = sorted({one for one in points if not any(dominates(other, one) for other in points)})
    for block in (1, 3, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pareto, "BLOCK", block)
            assert [tuple(row) for row in front(np.array(points, dtype=float)).tolist()] == wanted


@given(LOSSES)
def test_the_volume_is_what_the_cells_of_a_grid_count(points: list[tuple[float, ...]]) -> None:
    losses = np.array(points, dtype=float)
    reference = np.full(losses.shape[1], 4.0)
    cells = np.stack(np.meshgrid(*[np.arange(4)] * losses.shape[1], indexing="ij"), axis=-1).reshape(
        -1, losses.shape[1]
    )
    assert hypervolume(losses, reference) == (losses[:, None] <= cells).all(axis=2).any(axis=0).sum()


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_the_volume_agrees_with_monte_carlo(m: int) -> None:
    rng = np.random.default_rng(m)
    losses, reference = rng.random((12, m)), np.full(m, 1.1)
    draws = rng.random((40_000, m)) * reference
    share = (losses[:, None] <= draws).all(axis=2).any(axis=0).mean()
    error = np.sqrt(share * (1 - share) / len(draws)) * reference.prod()
    assert abs(hypervolume(losses, reference) - share * reference.prod()) < 4 * error


def test_who_failed_in_one_objective_failed() -> None:
    assert usable((1.0, 2.0)) == (1.0, 2.0)
    assert usable((np.inf, 2.0)) == usable((1.0, -np.inf)) == usable((np.nan, 1.0)) == (np.inf, np.inf)
