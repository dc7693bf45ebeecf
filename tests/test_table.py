"""Tables: what cannot be trusted is refused with its place; what is there is looked up, the same for everybody."""

from __future__ import annotations

import io
import json
import math
import pickle  # only to make what must not be run
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from toys import ending, study, toy_benchmark, toy_data

from harness.known_answers import expected_minimum
from harness.loop import run
from harness.methods import build, parse_method
from harness.randomness import stream
from harness.simulated import Simulated
from harness.space import Space
from harness.types import End, Event, Objective
from surrogates import table as tables
from surrogates.table import Table, TableData, load, save


def changed(data: TableData, array: str, place: Any, value: float) -> TableData:
    copy = getattr(data, array).copy()
    copy[place] = value
    return replace(data, **{array: copy})


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda d: replace(d, values=d.values[:-1]), r"values has the shape \(11, 3, 4, 2\), expected \(12, 3, 4, 2\)"),
        (lambda d: replace(d, seconds=d.seconds[..., :-1]), "seconds has the shape"),
        (lambda d: replace(d, ends=d.ends.T), "ends has the shape"),
        (lambda d: replace(d, values=d.values.astype("f4")), "must be float64, given float32"),
        (lambda d: changed(d, "ends", (0, 0), 3), "ends must lie between -1"),
        (lambda d: changed(d, "ends", (0, 0), -2), "ends must lie between -1"),
        (lambda d: replace(d, ends=d.ends.astype("f8")), "ends must be whole numbers, given float64"),
        (lambda d: changed(d, "values", (5, 1, 2, 0), np.nan), "row 5, seed 2: metric 'loss' is missing at level 3"),
        (
            lambda d: changed(d, "seconds", (5, 1, 2), np.nan),
            "row 5, seed 2: no seconds at epoch 3, though .* complete",
        ),
        (lambda d: changed(d, "seconds", (5, 1, 2), 0.5), "row 5, seed 2: the seconds must be finite and rise"),
        (lambda d: changed(d, "seconds", (5, 1, 0), 0.0), "row 5, seed 2: the seconds must be finite and rise"),
        (lambda d: changed(d, "ends", 7, -1), "row 7: no replicate was measured"),
        (lambda d: replace(d, metrics=("accuracy", "test")), "no metric 'loss'; there are accuracy, test"),
        (lambda d: replace(d, configs=({"lr": 7.0}, *d.configs[1:])), "row 0: .*layers.* is missing|row 0: lr = 7.0"),
    ],
)
def test_a_table_that_cannot_be_trusted_is_refused_with_its_place(
    data: TableData, tmp_path: Path, broken: Callable[[TableData], TableData], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        save(broken(data), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "made", [lambda d: d, lambda d: ending(d, 3, 2, End.DIVERGED), lambda d: ending(d, 3, 1, End.EARLY)]
)
def test_a_table_reads_back_the_same(data: TableData, tmp_path: Path, made: Callable[[TableData], TableData]) -> None:
    data = changed(made(data), "ends", (0, 2), -1)
    data = replace(data, made={"how": "by hand"})
    save(data, tmp_path)
    again = load(tmp_path).data
    assert again.digest() == data.digest()
    assert (again.benchmark, again.made, again.configs) == (data.benchmark, data.made, data.configs)


def test_a_changed_file_is_refused(data: TableData, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"table\.json"):
        load(tmp_path)
    save(data, tmp_path)
    path = tmp_path / "table.npz"
    whole = path.read_bytes()
    np.savez_compressed(path, values=data.values + 1e-9, seconds=data.seconds, ends=data.ends)
    with pytest.raises(ValueError, match="do not have the digest"):
        load(tmp_path)
    for raw in (whole[:-200], b"", b"garbage"):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"table\.npz: not the plain arrays of a table"):
            load(tmp_path)
    path.write_bytes(whole)
    text = (tmp_path / "table.json").read_text()
    for wrong in (text[:-50], "{}", "[]", text.replace('"metrics"', '"metric"')):
        (tmp_path / "table.json").write_text(wrong)
        with pytest.raises(ValueError, match=r"table\.json: not the description of a table"):
            load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("values", (5, 1, 2, 0), np.nan), r"table\.npz, row 5, seed 2: metric 'loss' is missing at level 3"),
        (("values", (5, 1), np.nan), r"table\.npz, row 5, seed 2: metric 'loss' is missing at level 1"),
        (("seconds", (5, 1, 2), 0.5), r"table\.npz, row 5, seed 2: the seconds must be finite and rise"),
        (("seconds", (5, 1, 2), np.inf), r"table\.npz, row 5, seed 2: no seconds at epoch 3, though .* complete"),
        (("seconds", (5, 1), np.nan), r"table\.npz, row 5, seed 2: no seconds at epoch 1, though .* complete"),
        (("ends", (7, slice(None)), -1), r"table\.npz, row 7: no replicate was measured"),
        (("ends", (0, 0), 9), r"table\.npz: ends must lie between -1"),
    ],
)
def test_arrays_that_cannot_be_trusted_are_refused_at_load(
    data: TableData, tmp_path: Path, change: tuple[str, Any, float], words: str
) -> None:
    save(data, tmp_path)
    broken = changed(data, *change)
    np.savez(tmp_path / "table.npz", values=broken.values, seconds=broken.seconds, ends=broken.ends)
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


def test_levels_or_arrays_that_lack_are_refused_at_load(data: TableData, tmp_path: Path) -> None:
    save(data, tmp_path)
    np.savez(tmp_path / "table.npz", values=data.values[:, :, :-1], seconds=data.seconds[..., :-1], ends=data.ends)
    with pytest.raises(ValueError, match=r"table\.npz: values has the shape \(12, 3, 3, 2\), expected \(12, 3, 4, 2\)"):
        load(tmp_path)
    np.savez(tmp_path / "table.npz", values=data.values, seconds=data.seconds)
    with pytest.raises(ValueError, match=r"table\.npz: not the plain arrays of a table .*ends"):
        load(tmp_path)
    (tmp_path / "table.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"table\.npz"):
        load(tmp_path)


class Trap:
    """Touches a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_pickled_content_is_refused_and_never_run(data: TableData, tmp_path: Path) -> None:
    save(data, tmp_path)
    marker = tmp_path / "PWNED"
    trap = np.array([Trap(marker)], dtype=object)
    plain = io.BytesIO()
    np.save(plain, trap, allow_pickle=True)
    np.savez(tmp_path / "table.npz", values=trap, seconds=data.seconds, ends=data.ends)
    for raw in ((tmp_path / "table.npz").read_bytes(), pickle.dumps(Trap(marker)), plain.getvalue()):
        (tmp_path / "table.npz").write_bytes(raw)
        with pytest.raises(ValueError, match=r"table\.npz: not the plain arrays of a table"):
            load(tmp_path)
    assert not marker.exists()


def test_restrict_answers_rows_only_and_snap_the_nearest(data: TableData) -> None:
    restricted, snapping = Table(data), Table(data).under(toy_benchmark(table_miss="snap"))
    config = dict(data.configs[4])
    near = config | {"lr": config["lr"] * 1.0001}
    with pytest.raises(ValueError, match=r"holds no config .*: choose one of its 12 rows, or declare --table snap"):
        restricted.curve(near, 0)
    assert restricted.row(config) == snapping.row(config) == snapping.row(near) == 4
    assert snapping.curve(near, 3) == restricted.curve(config, 3)
    assert restricted.restricted_space().size == 12


@given(st.floats(1e-4, 1.0), st.integers(1, 4), st.sampled_from(["relu", "tanh", "gelu"]))
def test_snap_finds_what_the_distance_says(lr: float, layers: int, act: str) -> None:
    data = toy_data(table_miss="snap")
    config = {"lr": lr, "layers": layers, "act": act}
    space = data.benchmark.space
    distances = ((space.encode(data.configs) - space.encode([config])) ** 2).sum(1)
    assert distances[Table(data).row(config)] == pytest.approx(distances.min(), abs=1e-12)


def test_a_curve_is_what_was_measured(data: TableData, table: Table) -> None:
    curve = table.curve(data.configs[2], 0)
    finals = data.values[2, :, -1, 0].tolist()
    assert curve.losses[-1][0] in finals
    assert all(metrics.keys() == {"loss", "test_loss"} for metrics in curve.metrics)
    assert all(metrics.keys() == {"loss"} for metrics in curve.visible)
    assert list(curve.nanoseconds) == sorted(curve.nanoseconds)
    replicate = finals.index(curve.losses[-1][0])
    assert curve.nanoseconds == tuple(np.rint(data.seconds[2, replicate] * 1e9).astype(int).tolist())


def test_a_maximised_metric_becomes_a_loss_and_nan_is_the_worst(data: TableData) -> None:
    up = ending(
        replace(data, benchmark=toy_benchmark(objectives=(Objective("loss", maximize=True),))), 1, 2, End.DIVERGED
    )
    curve = Table(up).curve(data.configs[0], 0)
    assert [loss for (loss,) in curve.losses] == [-metrics["loss"] for metrics in curve.metrics]
    assert Table(up).curve(data.configs[1], 0).losses[-1] == (math.inf,)
    assert np.isinf(up.final_losses()[1]).all()


def test_every_method_meets_the_same_replicate(data: TableData) -> None:
    met: dict[tuple[int, str], set[tuple[float, ...]]] = {}
    for method in ("rs", "asha", "asha-stop", "grid"):
        for seed in range(5):
            model = Table(data)
            benchmark = data.benchmark.with_space(model.restricted_space())
            scheduler = build(parse_method(method), benchmark, stream(method, seed))
            log = run(benchmark, scheduler, Simulated(model, 3, seed, benchmark.delays), 10**12)
            configs = {e.job.trial: json.dumps(e.job.config) for e in log.events if hasattr(e, "job")}  # type: ignore[union-attr]
            for event in log.events:
                if isinstance(event, Event) and event.report.resource == 1:
                    met.setdefault((seed, configs[event.report.trial]), set()).add(event.report.losses)
    assert len(met) == 5 * 12
    assert all(len(losses) == 1 for losses in met.values())
    of_one = [losses for (_, config), losses in met.items() if config == json.dumps(data.configs[0])]
    assert len(set[tuple[float, ...]]().union(*of_one)) > 1


def test_replicates_are_chosen_evenly_among_those_measured() -> None:
    data = changed(toy_data(rows=3, seeds=4), "ends", (1, 2), -1)
    table = Table(data)
    finals = data.values[1, :, -1, 0].tolist()
    chosen = Counter(finals.index(table.curve(data.configs[1], seed).losses[-1][0]) for seed in range(3000))
    assert set(chosen) == {0, 1, 3}
    assert chisquare(list(chosen.values())).pvalue > 1e-4


def test_the_exact_law_of_random_search_holds_on_a_table() -> None:
    data = toy_data(rows=30, seeds=1)
    seconds = np.broadcast_to(np.arange(1.0, 5.0), data.seconds.shape).copy()
    model = Table(replace(data, seconds=seconds))
    space, method = model.restricted_space(), parse_method("rs")
    best: list[float] = []
    for seed in range(1500):
        benchmark = model.benchmark.with_space(space.opened())
        scheduler = build(method, benchmark, stream("law", seed))
        executor = Simulated(model, 3, seed, benchmark.delays)
        log = run(benchmark, scheduler, executor, 10**12, finished_trials=6)
        ends = [e.report.losses[0] for e in log.events if isinstance(e, Event) and e.report.resource == 4]
        assert len(ends) == 6
        best.append(min(ends))
    exact = expected_minimum(data.final_losses()[:, 0].tolist(), 6)
    assert abs(np.mean(best) - exact) < 3 * np.std(best) / math.sqrt(len(best))


def test_seeds_say_how_noisy_a_config_is(data: TableData) -> None:
    spread = np.median(np.std(data.values[:, :, -1, 0], axis=1, ddof=1))
    assert data.seed_spread() == pytest.approx(spread)
    assert toy_data(seeds=1).seed_spread() is None


def test_the_digest_covers_what_a_study_sees_and_no_more(data: TableData) -> None:
    others = [
        changed(data, "values", (0, 0, 0, 1), 9.0),
        changed(data, "seconds", (0, 0, 0), 0.01),
        changed(data, "ends", (0, 0), 1),
        replace(data, configs=(data.configs[1], data.configs[0], *data.configs[2:])),
        replace(data, metrics=("test_loss", "loss")),
    ]
    assert len({one.digest() for one in [data, *others]}) == 6
    same = replace(data, made={"by": "others"}, benchmark=toy_benchmark(budget=1.0))
    assert same.digest() == data.digest()
    assert tables.ENDS[0] is End.COMPLETE
    assert study().key == study().key


def test_an_arm_may_search_a_part_of_the_space(table: Table) -> None:
    """Narrower bounds and constants: only rows inside are proposed, and each is still found."""
    plain = table.benchmark.space.to_json()
    layers = table.data.configs[0]["layers"]
    space = Space.from_json({**plain, "layers": layers})
    part = table.under(table.benchmark.with_space(space))
    rows = part.restricted_space().rows
    assert rows is not None
    assert len(rows) == sum(config["layers"] == layers for config in table.data.configs)
    for config in rows:
        assert "layers" not in config
        assert table.data.configs[part.row(config)] == {**config, "layers": layers}
    nothing = Space.from_json({**plain, "lr": {"type": "uniform", "lower": 5.0, "upper": 6.0}})
    with pytest.raises(ValueError, match="none of the 12 rows"):
        table.under(table.benchmark.with_space(nothing)).restricted_space()


def test_other_objectives_are_other_curves(table: Table) -> None:
    config = table.data.configs[0]
    loss = table.curve(config, 0).losses[0]
    other = table.under(replace(table.benchmark, objectives=(Objective("test_loss"),), test_metric=None))
    assert other.curve(config, 0).losses[0] == (other.curve(config, 0).metrics[0]["test_loss"],)
    assert table.curve(config, 0).losses[0] == loss


def test_levels_are_those_of_the_table(table: Table) -> None:
    """Another level would be answered by the one at its place."""
    fidelity = replace(table.benchmark.fidelity, levels=(1, 3))
    with pytest.raises(ValueError, match="the table of 'toy' has its own levels, epoch 1 to 4, which cannot be set"):
        table.under(replace(table.benchmark, fidelity=fidelity))


def test_a_curve_that_diverged_ends_at_infinity_whatever_it_said_last(data: TableData) -> None:
    final = changed(data, "ends", 3, tables.ENDS.index(End.DIVERGED)).final_losses()
    assert np.isinf(final[3]).all() and np.isfinite(np.delete(final, 3, axis=0)).all()


def test_a_surrogate_that_is_not_there_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="declare --table restrict or --table snap"):
        table.under(replace(table.benchmark, table_miss="surrogate"))
