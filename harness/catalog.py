"""What there is to run on: benchmarks, found where their scripts, tables and families lie; and what can be drawn."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.names import PROJECT, UnknownName

if TYPE_CHECKING:
    from harness.types import Benchmark

OF_YOUR_OWN = (
    "(Of your own: a folder with table.json, csv:PATH for runs in a file, syne_tune:PATH for a blackbox of Syne Tune, "
    "yahpo:PATH for a scenario of YAHPO Gym.)"
)


@dataclass(frozen=True)
class Entry:
    """A benchmark and how it can be evaluated: by a training script, by a table, or by both."""

    benchmark: Benchmark
    script: str | None
    table: Path | None
    family: str | None = None

    @property
    def ways(self) -> str:
        """How it is evaluated, in words."""
        ways = [word for word, way in (("table", self.table or self.family), ("real", self.script)) if way]
        return " + ".join(ways)


@cache
def benchmarks() -> dict[str, Entry]:
    """All benchmarks by name; a table that we measured gives its benchmark the delays measured with it."""
    found = {name: Entry(benchmark, script, None) for name, (benchmark, script) in _scripted().items()}
    for path in sorted((PROJECT / "surrogates" / "families").glob("[a-z]*.py")):
        for benchmark in import_module(f"surrogates.families.{path.stem}").BENCHMARKS:
            found[benchmark.name] = Entry(benchmark, None, None, path.stem)
    for path in sorted((PROJECT / "surrogates" / "data").glob("*/table.json")):
        entry = table_entry(path.parent)
        script = found[entry.benchmark.name].script if entry.benchmark.name in found else None
        found[entry.benchmark.name] = Entry(entry.benchmark, script, entry.table)
    return dict(sorted(found.items()))


@cache
def _scripted() -> dict[str, tuple[Benchmark, str]]:
    found: dict[str, tuple[Benchmark, str]] = {}
    for path in sorted((PROJECT / "real_benchmarks").glob("[a-z]*.py")):
        for benchmark in import_module(f"real_benchmarks.{path.stem}").BENCHMARKS:
            found[benchmark.name] = (benchmark, path.stem)
    return found


def scripted(name: str) -> tuple[Benchmark, str]:
    """A benchmark as its training script declares it, whatever a table says, and the script's name."""
    if name not in _scripted():
        raise UnknownName("benchmark with a training script", name, _scripted())
    return _scripted()[name]


def table_entry(folder: Path) -> Entry:
    """The benchmark of a table in a folder, read from its `table.json`.

    Where it has a surrogate, that answers by default, unless its card says that it is not for conclusions.
    """
    from harness.types import Benchmark

    path = folder / "table.json"
    try:
        benchmark = Benchmark.from_json(_plain(path)["benchmark"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the description of a table ({type(error).__name__}: {error})") from None
    card = card_of(folder)
    if card is not None and card["verdict"] != "not for conclusions":
        benchmark = replace(benchmark, table_miss="surrogate")
    return Entry(benchmark, None, folder)


def card_of(folder: Path) -> dict[str, Any] | None:
    """The card of a table's surrogate; None where there is none, or it judges another surrogate than the one there."""
    surrogate, card = folder / "surrogate.json", folder / "card.json"
    if not (surrogate.exists() and card.exists()):
        return None
    plain = _plain(card)
    return plain if plain.get("surrogate") == _plain(surrogate).get("digest") else None


def _plain(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no whole JSON: {error}") from None


def find_benchmark(name: str) -> Entry:
    """The benchmark of this name, the table in the folder of this path, or what a family makes of `FAMILY:TEXT`."""
    if name in benchmarks():
        return benchmarks()[name]
    family, colon, _ = name.partition(":")
    if colon and (PROJECT / "surrogates" / "families" / f"{family}.py").exists():
        return Entry(import_module(f"surrogates.families.{family}").named(name), None, None, family)
    if (Path(name) / "table.json").exists():
        entry = table_entry(Path(name).resolve())
        return replace(entry, benchmark=replace(entry.benchmark, name=Path(name).resolve().name))
    raise UnknownName("benchmark", name, benchmarks(), OF_YOUR_OWN)


def figures() -> dict[str, str]:
    """Every figure by name, with the first sentence of its caption."""
    found: dict[str, str] = {}
    for path in sorted((PROJECT / "reports" / "figures").glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        draw = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "draw"), None)
        if draw is not None:
            found[path.stem] = (ast.get_docstring(draw) or "").split("\n")[0]
    return found
