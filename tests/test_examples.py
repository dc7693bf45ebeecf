"""The small benchmarks: each learns, resumes as if it had not stopped, and runs by hand as a script."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from real_benchmarks import _command_line, lstm_wikitext2

PROJECT = Path(__file__).resolve().parents[1]
CONFIGS: dict[str, dict[str, Any]] = {
    "digits_network": {"lr": 0.1, "momentum": 0.9, "width": 16, "dropout": 0.2, "batch_size": 100},
    "diabetes_boosting": {"learning_rate": 0.05, "max_depth": 3, "subsample": 0.8, "min_leaf": 5},
    "digits_folds": {"C": 10.0, "kernel": "rbf", "gamma": 1e-3},
    "lstm_wikitext2": {"lr": 5.0, "dropout": 0.1, "batch_size": 16, "clip": 0.25},
}
RANDOM = {"digits_network": 2.3, "diabetes_boosting": 1.0, "digits_folds": 0.9, "lstm_wikitext2": 6.9}
"""The loss of a guess: on ten digits, of the mean, on 1,000 tokens."""


def reports_of(name: str, until: int, checkpoints: Path | None = None) -> list[dict[str, float]]:
    module = import_module(f"real_benchmarks.{name}")
    benchmark = module.BENCHMARKS[-1]
    benchmark.space.check(CONFIGS[name])
    said: list[dict[str, float]] = []
    module.train(
        benchmark.name, CONFIGS[name], seed=3, until=until, report=lambda **m: said.append(m), checkpoints=checkpoints
    )
    return said


@pytest.mark.parametrize("name", CONFIGS)
def test_a_benchmark_learns_and_resumes_as_if_it_had_not_stopped(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in ("digits_network", "lstm_wikitext2"):
        pytest.importorskip("torch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lstm_wikitext2, "TRAIN", 6_000)
    monkeypatch.setattr(lstm_wikitext2, "HELD_OUT", 1_000)
    benchmark = import_module(f"real_benchmarks.{name}").BENCHMARKS[-1]
    first, second, third = benchmark.fidelity.levels[:3]
    whole = reports_of(name, third)
    assert [report[benchmark.fidelity.unit] for report in whole] == [first, second, third]
    losses = [benchmark.losses(report)[0] for report in whole]
    assert losses[-1] < RANDOM[name]
    pieces = reports_of(name, second, tmp_path) + reports_of(name, third, tmp_path)
    assert pieces == whole if benchmark.resumable else pieces == whole[:2] + whole


def test_a_benchmark_runs_by_hand_and_says_what_it_takes(tmp_path: Path) -> None:
    script = str(PROJECT / "real_benchmarks" / "digits_folds.py")
    call = [sys.executable, script, "--C=10", "--kernel=linear", "--epochs=2"]
    said = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[1].startswith("fold 2  error 0.0")
    wrong = subprocess.run([*call[:-1], "--epochs=11"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "invalid choice: 11" in wrong.stderr


def test_the_language_model_takes_its_text_from_pythons_manual_where_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand, without a network: the same as the benchmark on that text."""
    pytest.importorskip("torch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lstm_wikitext2, "TRAIN", 6_000)
    monkeypatch.setattr(lstm_wikitext2, "HELD_OUT", 1_000)
    (wanted,) = reports_of("lstm_wikitext2", 1)
    values = [f"--{name}={value}" for name, value in CONFIGS["lstm_wikitext2"].items()]
    monkeypatch.setattr(sys, "argv", ["script", *values, "--corpus=pydoc", "--epochs=1", "--seed=3"])
    texts = tuple(lstm_wikitext2.CORPORA.values())
    _command_line.main("By hand.", lstm_wikitext2.BENCHMARKS, lstm_wikitext2.train, corpus=texts)
    assert capsys.readouterr().out == "  ".join(f"{name} {value:.6g}" for name, value in wanted.items()) + "\n"
