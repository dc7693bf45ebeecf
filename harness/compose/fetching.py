"""Bringing a family of tables: found, checked and converted once into plain files in the user's cache."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from harness import catalog


@dataclass(frozen=True)
class Fetched:
    """A family that was converted: its benchmarks, where its files lie, and under which terms."""

    benchmarks: tuple[str, ...]
    folder: Path
    licence: str
    citation: str


def families() -> dict[str, str]:
    """The families that can be fetched, each with the first line of its file."""
    modules = {
        path.stem: import_module(f"surrogates.families.{path.stem}")
        for path in sorted((catalog.PROJECT / "surrogates" / "families").glob("[a-z]*.py"))
    }
    return {name: (m.__doc__ or "").split("\n")[0] for name, m in modules.items() if hasattr(m, "convert")}


def fetch(family: str, source: Path | None = None) -> Fetched:
    """Convert a family from `source`, or from where it is found; FileNotFoundError that says how to get it."""
    from surrogates import _converted

    if family not in families():
        raise catalog.UnknownName("family", family, families())
    if source is not None and not source.exists():
        raise FileNotFoundError(f"there is nothing at {source}: --from names where the data of {family!r} lies")
    module = import_module(f"surrogates.families.{family}")
    found = source or module.find()
    with _converted.published(family) as making:
        module.convert(found, making)
    names = tuple(benchmark.name for benchmark in module.BENCHMARKS)
    return Fetched(names, _converted.cache() / family, module.LICENCE, module.CITATION)
