"""The store: nothing finished is lost, nothing half-finished is read as finished; and files of checked lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import Scripted, ending, play, run_on, run_study, study, toy_data

from harness import store as stores
from harness.checks import check_store
from harness.frames import frames
from harness.lines import LineWriter, StorageError, read_lines
from harness.store import Store
from harness.study import Record, Study, record
from harness.trace import check_trace
from harness.types import End, Job

CONFIGS = toy_data().configs


def failed() -> Record:
    wanted = study("rs", 99)
    log = play(Scripted([Job(0, CONFIGS[0], 4), Job(1, CONFIGS[1], 9)]))
    assert log.error
    return record(wanted, log, 0.1)


def empty() -> Record:
    return record(study("rs", 98), play(Scripted([])), 0.0)


def diverged() -> Record:
    data = ending(toy_data(), 0, 2, End.DIVERGED)
    one = run_on(data, study("rs", 97).spec())
    assert np.isnan(one.values).any()
    return one


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [*(run_study(study(m, s).spec()) for m in ("rs", "asha") for s in range(3)), failed(), empty(), diverged()]


def same(one: Record, other: Record) -> bool:
    plain = all(getattr(one, name) == getattr(other, name) for name in ("metrics", "configs", "why", "end", "error"))
    return plain and one.digest() == other.digest() and one.key == other.key and one.spec == other.spec


def test_what_is_published_reads_back_whole(tmp_path: Path, records: list[Record]) -> None:
    store = Store(tmp_path / "deep" / "eta=4")
    store.publish(records)
    store.publish([])
    again = store.records()
    assert list(again) == sorted(one.key for one in records)
    for one in records:
        assert same(again[one.key], one)
        for name in stores.ARRAYS:
            assert getattr(again[one.key], name).dtype == getattr(one, name).dtype
        assert check_trace(again[one.key]) == []
        assert Study.from_spec(again[one.key].spec).key == one.key
    assert store.digests() == {one.key: one.digest() for one in records} == dict(sorted(store.digests().items()))
    assert store.records([records[0].key]).keys() == {records[0].key}
    assert not store.broken


def test_what_is_dropped_is_gone_with_its_segment_alone(tmp_path: Path, records: list[Record]) -> None:
    store, (first, second, third, *_) = Store(tmp_path), records
    for some in ([first], [second, third]):
        store.publish(some)
    (tmp_path / "segment-broken.parquet").write_bytes(b"no table")
    store.drop([second.key])
    assert store.digests().keys() == {first.key, second.key, third.key}
    store.drop([first.key, second.key])
    assert store.digests().keys() == {second.key, third.key}
    assert (tmp_path / "segment-broken.parquet").exists()


def test_frames_are_the_same_however_the_records_come(tmp_path: Path, records: list[Record]) -> None:
    store = Store(tmp_path)
    for one in records:
        store.publish([one])
    lengths = store.lengths()
    assert lengths == {one.key: len(one.kind) for one in records}
    for one, (start, end) in zip(records, pairwise(np.cumsum([0, *(len(one.kind) for one in records)])), strict=True):
        whole = frames(records)[1].iloc[start:end]
        assert whole["trial"].tolist() == one.trial.tolist() and set(whole["seed"]) <= {one.spec["seed"]}
        stands: dict[int, int] = {}
        for kind, trial, resource in zip(whole["kind"], whole["trial"], whole["resource"], strict=True):
            assert kind != "ended" or resource == stands.get(trial, 0)
            stands |= {trial: resource} if kind == "report" else {}
    kept = {one.key: lengths[one.key] for one in records}
    for mine, wanted in zip(frames(store.each(kept), lengths=kept), frames(records), strict=True):
        pd.testing.assert_frame_equal(mine, wanted)
    gone = [one for one in records if one is not records[1]]
    for mine, wanted in zip(frames(reversed(gone), lengths=kept), frames(gone), strict=True):
        pd.testing.assert_frame_equal(mine, wanted)
    assert all(frame.empty for frame in frames([], lengths=kept))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(9)), cuts=st.lists(st.integers(0, 9), max_size=4))
def test_the_logical_digest_knows_nothing_of_batches(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record], order: list[int], cuts: list[int]
) -> None:
    whole, parts = (Store(tmp_path_factory.mktemp("store")) for _ in range(2))
    whole.publish(records)
    shuffled = [records[i] for i in order]
    places = [0, *sorted(cuts), 9]
    for start, stop in pairwise(places):
        parts.publish(shuffled[start:stop])
    parts.publish(shuffled[:4])
    assert parts.logical_digest() == whole.logical_digest()


def test_the_same_content_has_the_same_name_whatever_it_cost(tmp_path: Path, records: list[Record]) -> None:
    store = Store(tmp_path)
    store.publish(records)
    store.publish([replace(one, real_seconds=77.0) for one in reversed(records)])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b"garbage" * 100,
        lambda raw: raw[:600] + bytes([raw[600] ^ 255]) + raw[601:],
    ],
)
def test_a_torn_segment_is_named_counts_as_missing_and_is_made_good(
    tmp_path: Path, records: list[Record], damage: Callable[[bytes], bytes]
) -> None:
    Store(tmp_path).publish(records[:3])
    (segment,) = tmp_path.iterdir()
    Store(tmp_path).publish(records[3:])
    segment.write_bytes(damage(segment.read_bytes()))
    store = Store(tmp_path)
    assert store.records().keys() == {one.key for one in records[3:]}
    assert list(store.broken) == [segment.name]
    assert check_store(tmp_path)["broken"].keys() == {segment.name}
    store.publish(records[:3])
    assert check_store(tmp_path) | {"digest": ""} == {"studies": 9, "digest": "", "broken": {}, "violations": {}}


def test_a_foreign_table_is_no_segment(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "segment-0.parquet")
    store = Store(tmp_path)
    assert store.records() == {} == store.digests()
    assert store.broken["segment-0.parquet"]


def test_two_outcomes_of_one_study_are_refused(tmp_path: Path, records: list[Record]) -> None:
    one = records[0]
    store = Store(tmp_path)
    store.publish([one])
    store.publish([replace(one, end=one.end + 1)])
    with pytest.raises(ValueError, match=f"study {one.key} is there with two different outcomes"):
        store.logical_digest()


def test_a_newer_store_is_refused_with_both_versions(
    tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stores, "STORE_VERSION", 7)
        Store(tmp_path).publish(records[:1])
    with pytest.raises(ValueError, match="has store version 7; this program reads up to 1"):
        Store(tmp_path).digests()


def test_check_store_names_what_cannot_have_happened(tmp_path: Path, records: list[Record]) -> None:
    one = records[0]
    table = stores._to_table([one])
    changed = table.column("time").to_pylist()
    changed[0][0] = 10**9
    index = table.schema.get_field_index("time")
    table = table.set_column(index, stores.SCHEMA.field("time"), [changed])
    pq.write_table(table, tmp_path / "segment-x.parquet")
    (problems,) = check_store(tmp_path)["violations"].values()
    assert any("recorded was" in problem for problem in problems)
    assert any("time falls" in problem for problem in problems)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["time"].__setitem__(-1, c["time"][-1] + 1), "lies after the end"),
        (lambda c: c["worker"].__setitem__(1, c["worker"][0]), "while it is busy"),
        (lambda c: c["cost"].__setitem__(0, 100.0), "where its worker was busy"),
        (lambda c: c["resource"].__setitem__(0, 2), "goes past 2"),
        (lambda c: c["kind"].__setitem__(0, 1), "costs and"),
        (lambda c: c["trial"].__setitem__(1, 0), "is started while it runs"),
        (lambda c: c["trial"].__setitem__(2, 11), "trial 11 is not on worker"),
        (lambda c: c["worker"].__setitem__(slice(None), 5), "there is no worker 5"),
    ],
)
def test_a_trace_that_cannot_have_happened_is_noticed(
    records: list[Record], change: Callable[[dict[str, Any]], None], words: str
) -> None:
    one = records[0]
    columns = {name: getattr(one, name).copy() for name in ("kind", "time", "worker", "trial", "resource", "cost")}
    change(columns)
    assert any(words in problem for problem in check_trace(replace(one, **columns)))


def test_an_end_that_is_missing_is_noticed(records: list[Record]) -> None:
    one = records[0]
    columns = {name: getattr(one, name)[:-1] for name in ("kind", "time", "worker", "trial", "resource", "code")}
    assert any("has no end" in problem for problem in check_trace(replace(one, **columns)))


def test_what_dead_writers_left_is_swept_and_the_living_are_spared(tmp_path: Path) -> None:
    host = stores.socket.gethostname()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        "dead": f".tmp-{host}-{dead.pid}-0",
        "own": f".tmp-{host}-{os.getpid()}-0",
        "elsewhere": ".tmp-other-host-1-0",
        "old": ".tmp-other-host-2-0",
        "odd": ".tmp-x",
    }
    for name in names.values():
        (tmp_path / name).touch()
    day = time.time() - 2 * stores.STALE_TEMPORARY_SECONDS
    os.utime(tmp_path / names["old"], (day, day))
    Store(tmp_path).sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((names["own"], names["elsewhere"], names["odd"]))


KILLED = """
import os, sys
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
sys.path.insert(0, {tests!r})
import toys
from harness.store import Store
left = [int(sys.argv[1])]
def counted(real):
    def call(*arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            os._exit(137)
        return real(*arguments, **options)
    return call
folder = Path(sys.argv[2])
records = [toys.run_study(toys.study("rs", seed).spec()) for seed in range(2)]
Store(folder).publish(records[:1])
for name in ("link", "fsync", "open", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
Store(folder).publish(records[1:])
"""


def test_a_kill_at_any_point_of_a_publication_leaves_a_valid_store(tmp_path: Path) -> None:
    script = KILLED.format(tests=str(Path(__file__).parent))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    both = [run_study(study("rs", seed).spec()) for seed in range(2)]
    wanted = {one.key: one.digest() for one in both}
    points = range(7)
    commands = [[sys.executable, "-c", script, str(point), str(tmp_path / str(point))] for point in points]
    codes = [process.wait() for process in [subprocess.Popen(command, env=environment) for command in commands]]
    assert codes == [137] * 6 + [0]
    for point, code in zip(points, codes, strict=True):
        store = Store(tmp_path / str(point))
        there = store.digests()
        assert not store.broken
        assert both[0].key in there
        assert there.items() <= wanted.items()
        assert code or there == wanted
        store.sweep()
        assert not list(store.folder.glob(".tmp-*"))
        store.publish(both)
        assert store.digests() == wanted


@pytest.mark.parametrize("function", ["link", "fsync"])
def test_a_disk_that_refuses_harms_nothing_that_was_there(
    tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    store = Store(tmp_path)
    store.publish(records[:2])
    before = store.logical_digest()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, refuse)
        with pytest.raises(StorageError, match=r"cannot store 3 studies: .*No space left"):
            store.publish(records[2:5])
    assert Store(tmp_path).logical_digest() == before
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_change_of_any_event_changes_the_digest(records: list[Record]) -> None:
    one = records[0]
    digests = {one.digest()}
    for name in stores.ARRAYS:
        column = getattr(one, name).copy()
        column.flat[-1] += 1
        digests.add(replace(one, **{name: column}).digest())
    for change in ({"why": "x"}, {"end": 1}, {"configs": one.configs[1:]}, {"metrics": ("a", "b")}):
        digests.add(replace(one, **change).digest())
    assert len(digests) == len(stores.ARRAYS) + 5
    assert replace(one, real_seconds=5.0, error="other").digest() == one.digest()


json_objects = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9) | st.booleans(), max_size=3)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(json_objects, min_size=1, max_size=4), cut=st.integers(1, 500))
def test_a_torn_tail_is_passed_over_and_cut_off(
    tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, Any]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.lines"
    with LineWriter(path) as writer:
        for entry in entries:
            writer.append(entry)
    assert list(read_lines(path)) == entries
    raw = path.read_bytes()
    path.write_bytes(raw[:-cut] if cut < len(raw) else b"")
    kept = list(read_lines(path))
    assert kept == entries[: len(kept)]
    with LineWriter(path) as writer:
        writer.append({"more": 1})
    assert list(read_lines(path)) == [*kept, {"more": 1}]


def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.lines"
    with LineWriter(path) as writer:
        for i in range(3):
            writer.append({"number": i})
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":7'))
    with pytest.raises(ValueError, match=r"a\.lines, line 2: the checksum does not fit"):
        list(read_lines(path))


def test_a_full_disk_is_said_and_harms_no_line(tmp_path: Path) -> None:
    """Fault 10: of the last line a part fits; the next writer cuts that off."""
    path = tmp_path / "a.lines"
    with LineWriter(path) as writer:
        for number in range(20):
            writer.append({"number": number, "padding": "x" * 1000})
        whole = path.read_bytes()
        limit, hard = getrlimit(RLIMIT_FSIZE)
        setrlimit(RLIMIT_FSIZE, (len(whole) + 9, hard))
        try:
            with pytest.raises(StorageError, match=r"a\.lines: a line cannot be written: .*File too large"):
                writer.append({"number": 20})
        finally:
            setrlimit(RLIMIT_FSIZE, (limit, hard))
    assert path.read_bytes()[:-9] == whole
    assert [entry["number"] for entry in read_lines(path)] == list(range(20))
    with LineWriter(path) as writer:
        writer.append({"number": 20})
    assert [entry["number"] for entry in read_lines(path)] == list(range(21))


def test_a_second_writer_is_refused_and_a_missing_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.lines"
    assert list(read_lines(path)) == []
    with LineWriter(path) as writer:
        writer.append({"a": 1})
        with pytest.raises(ValueError, match="another process is writing"):
            LineWriter(path)
        with pytest.raises(ValueError, match="not JSON compliant"):
            writer.append({"a": float("nan")})
    assert [json.dumps(entry) for entry in read_lines(path)] == ['{"a": 1}']
