"""Methods by their texts: a scheduler, its sampler and their options, from `asha:eta=4:sampler=gp` to what is asked.

Compositions are names for texts in one table. A method given as a path (`./mine.py`) is read as those of the house are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.names import UnknownName
from harness.plug_ins import PlugIn, find_plug_in, plug_ins
from harness.proposals import FirstConfigs, PriorConfigs

if TYPE_CHECKING:
    import numpy as np

    from harness.history import History
    from harness.space import Config
    from harness.types import Benchmark, Scheduler

COMPOSITIONS = {
    "bo": (
        "single:sampler=gp",
        "Bayesian optimisation: a Gaussian process proposes, every config is trained to the end.",
        "Snoek, Larochelle & Adams 2012, arXiv 1206.2944, section 2",
    ),
    "mobster": (
        "asha:sampler=gp",
        "MOBSTER: ASHA with a Gaussian process that sees the resource.",
        "Klein et al. 2020, arXiv 2003.10865, section 3",
    ),
}
PRIOR_AWARE = frozenset({"priorband"})
"""Methods that use the priors of the space themselves; all others are given proposals from them."""


@dataclass(frozen=True)
class Method:
    """A scheduler with its sampler and their options; a foreign one proposes for itself."""

    scheduler: PlugIn
    sampler: PlugIn | None
    scheduler_options: Mapping[str, Any]
    sampler_options: Mapping[str, Any]

    @property
    def learns(self) -> str:
        """The name of the part that learns from past tasks, or nothing."""
        return next((part.name for part in (self.scheduler, self.sampler) if part and part.learns), "")

    @property
    def recommends(self) -> bool:
        """Whether it says by itself which config it would hand over."""
        return all(part.recommends for part in (self.scheduler, self.sampler) if part)

    def to_json(self) -> dict[str, Any]:
        """All that the method's decisions depend on besides its inputs."""
        plain = self.scheduler.to_json(self.scheduler_options) | {"options": dict(self.scheduler_options)}
        if self.sampler:
            plain["sampler"] = self.sampler.to_json(self.sampler_options) | {"options": dict(self.sampler_options)}
        return plain


def method_from_json(plain: Mapping[str, Any]) -> Method:
    """A method from what `Method.to_json` gave."""
    sampler = plain.get("sampler")
    return Method(
        find_plug_in(plain["name"]),
        find_plug_in(sampler["name"]) if sampler else None,
        plain["options"],
        sampler["options"] if sampler else {},
    )


def method_names() -> dict[str, str]:
    """Every name that a user may give as a method, with one sentence and its citation each."""
    said = {name: (p.summary, p.citation) for name, p in plug_ins().items() if name not in ("single", "gp")}
    said |= {name: (summary, citation) for name, (_, summary, citation) in COMPOSITIONS.items()}
    return {name: f"{summary} {citation}".strip() for name, (summary, citation) in sorted(said.items())}


def own_methods() -> list[str]:
    """The names of the methods that run in our own process: all but those of foreign optimisers."""
    foreign = {name for name, plug_in in plug_ins().items() if plug_in.kind == "foreign"}
    return [name for name in method_names() if name not in foreign]


def parse_method(text: str) -> Method:
    """A method from a text such as `asha:eta=4:sampler=gp`; UnknownName or ValueError where it makes no sense."""
    given, options = _split(text)
    name = given
    if given in COMPOSITIONS:
        name, composed = _split(COMPOSITIONS[given][0])
        for option in composed.keys() & options.keys():
            raise ValueError(
                f"method {text!r}: {given} is {COMPOSITIONS[given][0]}, its {option} is not to be chosen; write "
                f"`{name}:{option}={options[option]}`"
            )
        options = composed | options
    if not name.endswith(".py") and name not in plug_ins():
        raise UnknownName("method", name, {*plug_ins(), *COMPOSITIONS})
    scheduler, sampler, choosable = find_plug_in(name), None, set[str]()
    if scheduler.kind == "sampler":
        scheduler, sampler = plug_ins()["single"], scheduler
    elif scheduler.kind == "scheduler":
        sampler = _find_sampler(options.pop("sampler", "rs"))
        choosable = set[str]() if given in COMPOSITIONS else {"sampler"}
    split: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    of_sampler = sampler.options if sampler else {}
    for option, value in options.items():
        owner = 0 if option in scheduler.options else 1
        known = (scheduler.options, of_sampler)[owner]
        if option not in known:
            raise UnknownName(f"option of {given!r}", option, {*scheduler.options, *of_sampler, *choosable})
        split[owner][option] = _convert(text, option, value, known[option][0])
    return Method(scheduler, sampler, *split)


def _find_sampler(name: str) -> PlugIn:
    if name.endswith(".py") or name in plug_ins():
        found = find_plug_in(name)
        if found.kind == "sampler":
            return found
    also = f"({name} is {COMPOSITIONS[name][0]}.)" if name in COMPOSITIONS else ""
    raise UnknownName("sampler", name, (n for n, p in plug_ins().items() if p.kind == "sampler"), also)


def _split(text: str) -> tuple[str, dict[str, str]]:
    name, *options = text.split(":")
    found: dict[str, str] = {}
    for written in options:
        option, equals, value = written.partition("=")
        if not equals or not option or not value:
            raise ValueError(f"method {text!r}: an option is written name=value, given {written!r}")
        if option in found:
            raise ValueError(f"method {text!r}: {option} is given twice")
        found[option] = value
    return name, found


def _convert(text: str, option: str, value: str, annotation: str) -> Any:
    kinds = [kind.strip() for kind in annotation.split("|")]
    for kind in kinds:
        try:
            match kind:
                case "int":
                    return int(value)
                case "float":
                    return float(value)
                case "bool" if value.lower() in ("true", "false"):
                    return value.lower() == "true"
                case "str":
                    return value
                case _:
                    continue
        except ValueError:
            continue
    raise ValueError(f"method {text!r}: option {option} takes {annotation}, given {value!r}")


def build(
    method: Method,
    benchmark: Benchmark,
    rng: np.random.Generator,
    first: Iterable[Config] = (),
    history: History | None = None,
) -> Scheduler:
    """A scheduler ready to be asked; ValueError where it learns from past tasks and there are none.

    first: configs of the benchmark's space to propose before all others; history: past tasks. Priors of the space
    reach every method that asks a sampler.
    """
    if method.learns and (history is None or not history.tasks):
        raise ValueError(
            f"{method.learns} learns from past tasks, and there are none: name benchmarks with a table, other than "
            "this one, or folders of results with --history"
        )

    def made(plug_in: PlugIn, options: Mapping[str, Any], **given: Any) -> Any:
        past = {"history": history} if plug_in.learns else {}
        return plug_in.load()(benchmark, rng, **given, **past, **options)

    if method.sampler is None:
        return made(method.scheduler, method.scheduler_options, first=first)
    sampler = made(method.sampler, method.sampler_options)
    has_prior = any(domain.prior is not None for domain in benchmark.space.domains.values())
    if has_prior and not {method.scheduler.name, method.sampler.name} & PRIOR_AWARE:
        sampler = PriorConfigs(sampler, benchmark.space, rng)
    return made(method.scheduler, method.scheduler_options, sampler=FirstConfigs(sampler, first))
