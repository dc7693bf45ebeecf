"""Suites: named halves of benchmarks, `multi-fidelity/development` and so on, declared in `harness/suites.toml`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from harness import catalog
from harness.compose.studies import model_of
from harness.names import ROOT, UnknownName

HALVES = ("development", "test")
FIELDS = "fields"


@cache
def suites() -> dict[str, dict[str, dict[str, Any]]]:
    """Of each half of a suite its benchmarks by name, each with the fields that the suite sets for it."""
    import tomllib

    found: dict[str, dict[str, dict[str, Any]]] = {}
    declared = tomllib.loads((ROOT / "suites.toml").read_text(encoding="utf-8"))
    for suite, parts in declared.items():
        fields = parts.get(FIELDS, {})
        for half in HALVES:
            found[f"{suite}/{half}"] = {
                name: fields.get(name) or fields.get(family_of(name), {}) for name in parts[half]
            }
    return found


def family_of(name: str) -> str:
    """The family of a benchmark; one with a table of ours, or a script, is a family of its own."""
    return catalog.find_benchmark(name).family or name


def containing(name: str) -> list[str]:
    """The halves of suites that a benchmark is in."""
    return [half for half, benchmarks in suites().items() if name in benchmarks]


def said() -> dict[str, str]:
    """Every half of a suite with one sentence."""
    sentences: dict[str, str] = {}
    for half, benchmarks in suites().items():
        families = Counter(map(family_of, benchmarks))
        named = ", ".join(f"{family} ({count})" if count > 1 else family for family, count in families.items())
        sentences[half] = f"{len(benchmarks)} benchmarks of {len(families)} families: {named}"
    return sentences


def expanded(names: Sequence[str], fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The benchmarks that names mean, those of a suite in its place, each with the fields that its suite sets for it.

    fields: what is set for all of them; where that has `workers`, the budgets of a suite follow. FileNotFoundError
    where data of a suite is not here, with what is absent and how to get it; ValueError where a benchmark is wanted
    twice, with different fields.
    """
    known = {half.partition("/")[0] for half in suites()}
    wanted: dict[str, dict[str, Any]] = {}
    for name in names:
        benchmarks: Mapping[str, Mapping[str, Any]] = {name: {}}
        if name in suites():
            demand_data(name)
            benchmarks = {one: {**own, **_budget(one, own, fields)} for one, own in suites()[name].items()}
        elif name.partition("/")[0] in known:
            raise UnknownName("suite", name, suites())
        for one, own in benchmarks.items():
            if wanted.setdefault(one, dict(own)) != own:
                raise ValueError(f"benchmark {one!r} is wanted twice, with different fields: compare the suites apart")
    return wanted


def _budget(name: str, own: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, float]:
    """The budget for another number of workers: as many trainings."""
    if "workers" not in fields:
        return {}
    benchmark = catalog.find_benchmark(name).benchmark
    return {"budget": own.get("budget", benchmark.budget) * benchmark.workers / fields["workers"]}


def demand_data(half: str) -> None:
    """FileNotFoundError where data of a suite's half is not here: what is absent, how to get it, and what is here."""
    why, here = absent(half), list(suites()[half])
    if not why:
        return
    missing = [name for names in why.values() for name in names]
    here = [name for name in here if name not in missing]
    said = "; ".join(f"{', '.join(names)}: {how}" for how, names in why.items())
    rest = f"; what is here: --benchmarks {','.join(here)}" if here else ""
    raise FileNotFoundError(f"{half}: {len(missing)} of {len(suites()[half])} benchmarks are absent ({said}){rest}")


def absent(half: str) -> dict[str, list[str]]:
    """The benchmarks of a suite's half whose data is not here, by how to get it: said by the first of its family."""
    how: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    for name in suites()[half]:
        family = family_of(name)
        try:
            model_of(name, catalog.find_benchmark(name).benchmark.table_miss)
        except (FileNotFoundError, ImportError) as error:
            missing.setdefault(how.setdefault(family, str(error)), []).append(name)
    return missing
