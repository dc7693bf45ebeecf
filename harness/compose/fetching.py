"""Bringing what is not shipped into the user's cache: families of tables, environments of foreign optimisers."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from harness.cache import cache, published
from harness.names import PROJECT, UnknownName
from harness.plug_ins import optimisers


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
        for path in sorted((PROJECT / "surrogates" / "families").glob("[a-z]*.py"))
    }
    return {name: (m.__doc__ or "").split("\n")[0] for name, m in modules.items() if hasattr(m, "convert")}


def fetch(family: str, source: Path | None = None) -> Fetched:
    """Convert a family from `source`, from where it is found, or from its publisher.

    source: its folder, file or archive; FileNotFoundError that says how to get it where nothing is there.
    """
    if family not in families():
        raise UnknownName("family or foreign optimiser", family, {*families(), *optimisers()})
    if source is not None and not source.exists():
        raise FileNotFoundError(f"there is nothing at {source}: --from names where the data of {family!r} lies")
    module = import_module(f"surrogates.families.{family}")
    with _found(module, family, source) as found, published(family) as making:
        module.convert(found, making)
    names = tuple(benchmark.name for benchmark in module.BENCHMARKS)
    return Fetched(names, cache() / family, module.LICENCE, module.CITATION)


@contextmanager
def _found(module: ModuleType, family: str, source: Path | None) -> Generator[Path]:
    """What a family can be converted from."""
    from surrogates import _publishers

    publisher: _publishers.Published = module.PUBLISHED
    with ExitStack() as stack:
        try:
            found = source or module.find()
        except FileNotFoundError as absent:
            if not publisher.files:
                raise
            try:
                found = stack.enter_context(_publishers.downloaded(publisher, family))
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{absent}; {error}") from None
        if _publishers.is_archive(found):
            found = stack.enter_context(_publishers.unpacked(found, publisher))
        yield found


def make_environment(name: str, source: Path | None = None) -> dict[str, str]:
    """Make the environment in which an optimiser runs; gives what is installed, by distribution.

    source: a folder of distributions to install from, instead of the package index.
    """
    from harness.foreign import _environment

    if source is not None and not source.is_dir():
        raise FileNotFoundError(f"there is no folder {source}: --from names where the distributions of {name!r} lie")
    optimiser = optimisers()[name]
    _environment.make(name, optimiser.requirements, source, optimiser.python)
    return _environment.versions(name, optimiser.requirements)


def bring(what: str, source: Path | None = None) -> dict[str, str]:
    """Fetch a family of tables or make an optimiser's environment; gives what is to be said of it, in order."""
    if what not in optimisers():
        fetched = fetch(what, source)
        said = {"benchmarks": ", ".join(fetched.benchmarks), "licence": fetched.licence, "cite": fetched.citation}
        return said | {"converted": str(fetched.folder)}
    from harness.foreign import _environment

    optimiser, versions = optimisers()[what], make_environment(what, source)
    return {
        "methods": ", ".join(optimiser.methods),
        "installed": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "licence": optimiser.licence,
        "cite": optimiser.citation,
        "environment": str(_environment.environment_of(what)),
    }
