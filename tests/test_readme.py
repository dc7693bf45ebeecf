"""Every command of the README runs as it stands there, in the order in which it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)
FOR_REAL = ("harness run", "harness tabulate", "--journal results/run-")
INSTALLS = ("python3 -m venv",)


def commands() -> list[str]:
    """All lines of the shell blocks but those two that install, which CI runs itself."""
    lines = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    return [line for line in lines if not line.startswith(INSTALLS)]


def write_files(folder: Path) -> None:
    """Write the files that the README shows, by the name in their first line; its CSV has none."""
    for kind, block in BLOCKS:
        named = re.search(r"^# (\w+\.(?:py|sh|toml))$", block, re.M)
        if named or kind == "csv":
            path = folder / (named[1] if named else "runs.csv")
            path.write_text(block, encoding="utf-8")
            path.chmod(0o755)


def call(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line in `folder`, its `python` being ours and the project importable."""
    words = line.split()
    assert words[0] == "python"
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, env={**os.environ, "PYTHONPATH": path}, text=True,
        capture_output=True, timeout=300, check=False,
    )  # fmt: skip


def test_the_simulated_commands_run(tmp_path: Path) -> None:
    write_files(tmp_path)
    # The README's first command, which CI runs itself, leaves these results.
    first = call("python -m harness compare", tmp_path)
    assert first.returncode == 0, first.stderr
    for line in commands():
        if not any(real in line for real in FOR_REAL):
            done = call(line, tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "results" / "first" / "report" / "index.html").is_file()


@pytest.mark.skipif("FORETUNE_DATA" not in os.environ, reason="WikiText-2 is not here: FORETUNE_DATA is not set")
@pytest.mark.slow
def test_the_real_commands_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write_files(tmp_path)
    for line in commands():
        if any(real in line for real in FOR_REAL):
            done = call(line, tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_python_runs(tmp_path: Path) -> None:
    example, scheduler, *_ = [block for kind, block in BLOCKS if kind == "python"]
    (tmp_path / "example.py").write_text(example)
    (tmp_path / "halfway.py").write_text(scheduler)
    done = call("python example.py", tmp_path)
    assert done.returncode == 0, done.stderr
    done = call("python -m harness compare --methods rs,./halfway.py --seeds 2 --out compared", tmp_path)
    assert done.returncode == 0, done.stderr
    done = call("python -m harness check halfway.py", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_two_commands_are_marked_for_ci() -> None:
    for name in ("compare", "test"):
        assert re.search(rf"<!-- command: {name} -->\n```sh\npython3 -m venv ", README)


def test_what_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (PROJECT / target).exists(), target
