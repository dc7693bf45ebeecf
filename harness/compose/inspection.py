"""What there is, and whether it keeps its promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import catalog
from harness.compose import suites
from harness.compose.cards import verdict
from harness.compose.comparisons import store_of
from harness.methods import method_names, own_methods, parse_method
from harness.names import UnknownName


def listed(what: str) -> dict[str, str]:
    """Every method, benchmark, half of a suite or figure with one sentence."""
    match what:
        case "methods":
            return method_names()
        case "benchmarks":
            return {name: _sentence(entry) for name, entry in catalog.benchmarks().items()}
        case "suites":
            return suites.said()
        case "figures":
            return catalog.figures()
        case _:
            raise UnknownName("list", what, ("methods", "benchmarks", "suites", "figures"))


def _sentence(entry: catalog.Entry) -> str:
    benchmark = entry.benchmark
    names, unit = ", ".join(benchmark.space.names), benchmark.fidelity.unit
    objectives = ", ".join(objective.metric for objective in benchmark.objectives)
    judged = ""
    if entry.table is not None and (entry.table / "surrogate.json").exists():
        judged = f", its surrogate {verdict(benchmark.name) or 'not judged'}"
    said = f"{entry.ways}{judged}: {objectives} over {names}; up to {unit} {benchmark.fidelity.maximum}"
    halves = suites.containing(benchmark.name)
    return f"{said}; in {', '.join(halves)}" if halves else said


def check(what: Path | None) -> dict[str, Any]:
    """Check all methods of ours and the known answers, one method by its name or file, or a store."""
    from harness import checks

    if what is not None and what.is_dir():
        return checks.check_store(store_of(what))
    texts = [str(what)] if what is not None else own_methods()
    found = {text: checks.check_method(parse_method(text)) for text in texts}
    if what is None:
        found["known answers"] = checks.known_answers()
    said = {
        text: "; ".join(f"{finding.check}: {finding.problem}" for finding in findings if finding.problem)
        or "; ".join(["holds", *(f"not applicable ({f.refusal}): {f.check}" for f in findings if f.refusal)])
        for text, findings in found.items()
    }
    return said | {"broken": [text for text, words in said.items() if not words.startswith("holds")]}
