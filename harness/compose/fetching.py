"""Bringing a family of tables: found, checked and converted once into plain files in the user's cache."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

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
    """Convert a family from `source`, from where it is found, or from its publisher.

    source: its folder, file or archive; FileNotFoundError that says how to get it where nothing is there.
    """
    from surrogates import _converted

    if family not in families():
        raise catalog.UnknownName("family", family, families())
    if source is not None and not source.exists():
        raise FileNotFoundError(f"there is nothing at {source}: --from names where the data of {family!r} lies")
    module = import_module(f"surrogates.families.{family}")
    with _found(module, family, source) as found, _converted.published(family) as making:
        module.convert(found, making)
    names = tuple(benchmark.name for benchmark in module.BENCHMARKS)
    return Fetched(names, _converted.cache() / family, module.LICENCE, module.CITATION)


@contextmanager
def _found(module: ModuleType, family: str, source: Path | None) -> Generator[Path]:
    """What a family can be converted from."""
    from surrogates import _publishers

    published: _publishers.Published | None = getattr(module, "PUBLISHED", None)
    with ExitStack() as stack:
        try:
            found = source or module.find()
        except FileNotFoundError as absent:
            if published is None:
                raise
            try:
                found = stack.enter_context(_publishers.downloaded(published, family))
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{absent}; {error}") from None
        if published is not None and _publishers.is_archive(found):
            found = stack.enter_context(_publishers.unpacked(found, published))
        yield found
