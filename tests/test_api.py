"""The Python entry points, as a notebook uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli import RAISES
from threadpoolctl import threadpool_limits

import harness
from harness.compose import comparisons
from harness.compose.trainings import warnings_in
from harness.space import choice, loguniform
from harness.study import KINDS, Record

SCRIPT = """
import argparse
from harness import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
report = Reporter()
for epoch in range(1, given.epochs + 1):
    report(epoch=epoch, loss=abs(given.lr - 0.1) + 1 / epoch)
"""
FUNCTION = """
def train(lr, report):
    for epoch in range(1, 4):
        report(epoch=epoch, accuracy=1 - abs(lr - 0.1))
"""
TYPED = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Settings:
    nesterov: bool
    kind: str

def train(nesterov, kind, epochs, report):
    given = Settings(nesterov, kind)
    assert given.nesterov in (True, False) and isinstance(given.kind, str) and isinstance(epochs, int)
    for epoch in range(1, epochs + 1):
        report(epoch=epoch, loss=1.0 + given.nesterov)
"""
UNGUARDED = """
import harness
from harness.space import uniform

def train(x, report):
    report(epoch=1, loss=x)

if {guard}:
    space = {{"x": uniform(0.0, 1.0)}}
    found = harness.tune(train, space, metric="loss", maximum=1, method="rs", budget={budget}, out="out")
    print(sorted(found.config))
"""
SPACE = {"lr": loguniform(1e-3, 1.0)}


def told_at(study: Record, metric: str, resource: int) -> np.ndarray:
    """What the trials of a study reported at a resource."""
    reports = study.kind == KINDS.index("report")
    return study.values[study.resource[reports] == resource, study.metrics.index(metric)]


def test_compare_gives_a_row_a_study_and_keeps_what_it_is_asked_to(tmp_path: Path) -> None:
    with threadpool_limits(1):
        frame = harness.compare(["rs", "wide=asha"], seeds=2, out=tmp_path / "kept", budget=60.0)
        summary, _ = comparisons.report(tmp_path / "kept", brief=True)
    assert sorted(frame["arm"]) == ["rs", "rs", "wide", "wide"]
    assert frame["loss"].between(4, 7).all()
    assert list((tmp_path / "kept" / "studies").glob("segment-*"))
    assert {"arm", "benchmark", "seed", "loss", "regret", "rank", "state", "error"} <= {*frame.columns}
    mine, theirs = (told.set_index(["arm", "seed"]) for told in (frame, summary.studies))
    for column in ("loss", "regret"):
        assert mine[column].to_dict() == theirs[column].to_dict()
    assert frame["rank"].tolist() == frame.groupby("seed")["counted"].rank().tolist()
    assert frame.groupby("arm")["rank"].mean().to_dict() == summary.table.set_index("arm")["rank"].to_dict()


def test_compare_says_of_a_method_that_raises_what_it_raised(tmp_path: Path) -> None:
    (tmp_path / "raises.py").write_text(RAISES)
    with threadpool_limits(1):
        frame = harness.compare(["rs", f"bad={tmp_path / 'raises.py'}"], seeds=2, budget=60.0)
    failed, done = frame[frame["arm"] == "bad"], frame[frame["arm"] == "rs"]
    assert failed["state"].tolist() == ["failed", "failed"]
    assert failed["error"].str.contains("the fifth ask").all() and failed["rank"].gt(1).all()
    assert done["state"].tolist() == ["done", "done"] and done["error"].eq("").all()


def test_compare_refuses_names_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="did you mean workers"):
        harness.compare(["rs"], seeds=1, worker=3)


def test_tune_runs_a_script_and_gives_the_best_config(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    best = harness.tune(
        script, SPACE, metric="loss", maximum=3, max_arg="epochs", budget=6.0, workers=2, out=tmp_path / "out"
    )
    assert best.config is not None
    assert best.resource == 3
    assert best.value == pytest.approx(abs(float(best.config["lr"]) - 0.1) + 1 / 3)
    assert best.value == told_at(best.record, "loss", 3).min()
    assert best.record.why == "budget"
    # It keeps no checkpoints: what was resumed began again, which is written down.
    again = {reason for reasons in warnings_in(tmp_path / "out").values() for reason in reasons}
    assert again == {"trained epoch 1 again, having stood at epoch 1: no later checkpoint to go on from"}


def test_tune_runs_a_function_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tuned_module.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    from tuned_module import train  # type: ignore[import-not-found]

    best = harness.tune(
        train, SPACE, metric="accuracy", maximize=True, maximum=3, method="rs", budget=6.0, workers=2,
        out=tmp_path / "out",
    )  # fmt: skip
    assert best.config is not None
    assert best.value == pytest.approx(1 - abs(float(best.config["lr"]) - 0.1))
    said = told_at(best.record, "accuracy", 3)
    assert len(set(said)) > 1 and best.value == said.max()


def test_a_function_is_given_its_values_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bool stays one, a text that looks like a number stays a text, and a dataclass finds the names of its file."""
    (tmp_path / "typed_module.py").write_text(TYPED)
    monkeypatch.syspath_prepend(str(tmp_path))
    from typed_module import train  # type: ignore[import-not-found]

    space = {"nesterov": choice([True, False]), "kind": choice(["1", "2"])}
    best = harness.tune(
        train, space, metric="loss", maximum=2, max_arg="epochs", method="rs", budget=5.0, workers=2,
        out=tmp_path / "out",
    )  # fmt: skip
    assert best.record.failures == ()
    assert best.config is not None and (best.config["nesterov"], best.value) == (False, 1.0)


def test_tune_takes_the_space_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "space.toml").write_text('[space]\nlr = {type = "loguniform", lower = 1e-4, upper = 1.0}\n')
    call = {"metric": "loss", "maximum": 3, "max_arg": "epochs", "method": "rs", "budget": 3.0}
    best = harness.tune(tmp_path / "train.py", str(tmp_path / "space.toml"), **call, out=tmp_path / "out")  # type: ignore[arg-type]
    assert best.config is not None and 1e-4 <= float(best.config["lr"]) <= 1.0  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"no space at nothing\.toml"):
        harness.tune(tmp_path / "train.py", "nothing.toml", **call)  # type: ignore[arg-type]


def test_tune_says_what_it_cannot_call(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text("")
    with pytest.raises(ValueError, match=r"chmod \+x"):
        harness.tune(tmp_path / "train.sh", SPACE, metric="loss", maximum=3, budget=1.0)
    with pytest.raises(FileNotFoundError, match="no training script"):
        harness.tune(tmp_path / "nothing.py", SPACE, metric="loss", maximum=3, budget=1.0)


def test_tune_says_why_a_function_of_no_file_cannot_be_tuned() -> None:
    with pytest.raises(ValueError, match="must stand at the top of a file"):
        harness.tune(lambda lr, report: None, SPACE, metric="loss", maximum=3, budget=1.0)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "torch", "matplotlib", "pyarrow", "scipy")
    code = f"import sys, harness; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("guard", "budget"), [("True", 90), ('__name__ == "__main__"', 5)])
def test_a_file_that_tunes_its_own_function_needs_a_guard_and_is_told_so(
    tmp_path: Path, guard: str, budget: int
) -> None:
    """Without one each trial would tune anew, and its trials too: ten fail, long before the budget is spent."""
    (tmp_path / "mine.py").write_text(UNGUARDED.format(guard=guard, budget=budget), encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, text=True, capture_output=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    if guard == "True":
        assert done.returncode == 1 and 'call it below if __name__ == "__main__":' in done.stderr
    else:
        assert (done.returncode, done.stdout) == (0, "['x']\n"), done.stderr
