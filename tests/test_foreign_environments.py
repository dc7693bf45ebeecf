"""Where foreign optimisers come from: listed without being imported, fetched whole or not at all, missed in words."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from test_cli import harness

from harness.comparison import Arm, Comparison
from harness.compose import comparisons, fetching
from harness.foreign import _environment, _scheduler
from harness.plug_ins import find_plug_in, optimisers
from harness.store import Store
from reports.tables import notes

PROJECT = Path(__file__).resolve().parents[1]
OPTIMISERS = optimisers()


def test_listing_imports_no_library_and_cites_each_method() -> None:
    code = (
        "import sys; from harness.methods import method_names; names = method_names();"
        "print(names['optuna-tpe']); assert not {'optuna', 'torch', 'numpy'} & set(sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == ("Optuna's tree-structured Parzen estimator. Watanabe 2023, arXiv 2304.11127, section 3")
    assert all(find_plug_in(name).summary for one in OPTIMISERS.values() for name in one.methods)


def test_an_extra_asks_for_what_the_file_asks_for() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    core = ("numpy", "scipy")
    for name, optimiser in OPTIMISERS.items():
        wanted = {text for text in optimiser.requirements if not text.startswith(core)}
        assert wanted <= set(extras[name]), name
        assert optimiser.licence and optimiser.citation


def wheel(folder: Path, name: str, version: str) -> None:
    """The smallest distribution that pip installs."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)


def test_an_environment_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    wheel(tmp_path / "wheels", "toyopt", "1.0")
    with pytest.raises(ValueError, match=r"environment of toy cannot be made: ERROR: .*toyopt==2\.0"):
        _environment.make("toy", ("toyopt==2.0",), tmp_path / "wheels")
    assert list((tmp_path / "cache" / "environments").iterdir()) == []
    assert _environment.python_of("toy", ("toyopt==1.0",)) is None
    assert (
        _environment.make("toy", ("toyopt==1.0",), tmp_path / "wheels") == tmp_path / "cache" / "environments" / "toy"
    )
    python = _environment.python_of("toy", ("toyopt==1.0",))
    assert python is not None and python.is_relative_to(tmp_path)
    assert _environment.versions("toy", ("toyopt==1.0",)) == {"toyopt": "1.0"}
    said = subprocess.run([python, "-c", "import toyopt; print(toyopt.__version__)"], capture_output=True, check=True)
    assert said.stdout == b"1.0\n"
    # Another version is wanted now: that environment is no longer the one.
    assert _environment.python_of("toy", ("toyopt==1.1",)) is None


def test_who_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scheduler, "python_of", lambda *_: None)
    arms = (Arm("rs", "rs"), Arm("optuna-tpe", "optuna-tpe"))
    wanted = Comparison(arms, ("synthetic_curves",), (0,), {"budget": 60.0})
    done = comparisons.compare(wanted, tmp_path, command="compare", jobs=1)
    assert (done.wanted, done.failed) == (1, [])
    refused = comparisons.refusals(comparisons.studies_of(wanted), Store(tmp_path / comparisons.STUDIES))
    assert refused["synthetic_curves", "optuna-tpe"] == (
        "optuna-tpe is not installed, so it cannot run on 'synthetic_curves': `python -m harness fetch optuna` makes "
        "its environment"
    )


def test_alone_that_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    # In a Python that has none of the libraries: what `Distribution.discover` finds is cut to ours.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "found = m.Distribution.discover\n"
        "m.Distribution.discover = lambda **asked: () if asked.get('name') == 'optuna' else found(**asked)\n"
    )
    path = f"{tmp_path}:{PROJECT}"
    given = ("--methods", "optuna-gp", "--seeds", "1", "--out", tmp_path / "out")
    done = harness("compare", *given, cwd=tmp_path, env={"PYTHONPATH": path, "FORETUNE_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 2
    assert "`python -m harness fetch optuna` makes its environment" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_program_that_fails_at_once_fails_its_studies_and_the_others_run(tmp_path: Path) -> None:
    methods = ("--methods", "rs,cat=foreign:command=/bin/cat", "--benchmarks", "synthetic_curves")
    given = (*methods, "--seeds", "1", "--budget", "60s", "--out", tmp_path / "out")
    done = harness("compare", *given, cwd=tmp_path)
    assert done.returncode == 3
    assert "failed: cat on synthetic_curves, seed 0: /bin/cat answered " in " ".join(done.stderr.split())
    told = harness("report", tmp_path / "out", "--json", cwd=tmp_path)
    rows = json.loads(told.stdout)["table"]
    assert {(row["arm"], row["done"], row["failed"]) for row in rows} == {("rs", 1, 0), ("cat", 0, 1)}


def test_a_program_that_is_none_ends_a_comparison_before_it_begins(tmp_path: Path) -> None:
    given = ("--methods", "rs,none=foreign:command=./nowhere", "--seeds", "1", "--out", tmp_path / "out")
    done = harness("compare", *given, cwd=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr.startswith("harness: arm 'none': ./nowhere cannot be started: ")
    assert done.stderr.count("\n") == 1


def test_a_report_keeps_what_was_run_with_other_versions_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra `optuna` is not installed")
    arms = (Arm("rs", "rs"), Arm("optuna-tpe", "optuna-tpe"))
    wanted = Comparison(arms, ("synthetic_curves",), (0, 1), {"budget": 60.0})
    installed = {"numpy": "1.26.4", "optuna": "5.0.0"}
    monkeypatch.setattr(_environment, "versions", lambda *_: installed)
    comparisons.compare(wanted, tmp_path, command="compare", jobs=1)
    assert not any("than there are here" in note for note in notes(comparisons.report(tmp_path, brief=True)[0]))
    said = "optuna-tpe was run with numpy 1.26.4, optuna 5.0.0: other versions than there are here."
    for now in ({"numpy": "2.4.6", "optuna": "5.0.0"}, {}):
        monkeypatch.setattr(_environment, "versions", lambda *_, now=now: now)
        monkeypatch.setattr(_scheduler, "python_of", lambda *_: None)
        summary, drawn = comparisons.report(tmp_path, brief=True)
        assert summary.table.set_index("arm")["done"].to_dict() == {"rs": 2, "optuna-tpe": 2}
        assert said in notes(summary) and said in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
        assert drawn == bool(now)  # the page is the same whatever there is here instead
    monkeypatch.setattr(_environment, "versions", lambda *_: installed | {"optuna": "4.0.0"})
    again = comparisons.compare(wanted, tmp_path, command="compare", jobs=1)
    assert (again.wanted, again.outcomes) == (2, [])  # to a comparison they are other studies, here of no library


def test_on_a_python_that_a_library_does_not_run_on_nothing_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("platform.python_version", lambda: "3.12.1")
    with pytest.raises(ValueError, match=r"hebo needs Python <3\.12, this is 3\.12\.1: run `fetch hebo` once with"):
        fetching.bring("hebo")
    assert not (tmp_path / "cache").exists()


def test_what_cannot_be_fetched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        fetching.bring("optuna", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="unknown family or foreign optimiser 'optun': did you mean optuna"):
        fetching.bring("optun")
