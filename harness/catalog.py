"""What there is: methods and benchmarks, found where they lie.

A method is found by its file's name, read from the source without importing it, so listing costs nothing and a broken
plug-in hurts only itself. Its options are the keyword-only arguments of its class. Compositions are names for texts in
one table. A method given as a path (`./mine.py`) is read the same way. A foreign optimiser's file holds functions, each
a method of its own name.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib.util
import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from harness.history import History
    from harness.space import Config, Space
    from harness.types import Benchmark, Sampler, Scheduler

ROOT = Path(__file__).resolve().parent
PROJECT = ROOT.parent

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
CITATION = r"\([^()]*[A-Z][a-z]+[^()]* (?:19|20)\d\d, [^()]+\)"
"""How the first paragraph of a method's docstring names its source: `(Authors 2018, JMLR 18:185, Algorithm 1)`."""
SAID_OF_ITSELF = ("__all__", "VERSION", "REQUIREMENTS", "LICENCE", "CITATION")

PRIOR_AWARE = frozenset({"priorband"})
"""Methods that use the priors of the space themselves; all others are given proposals from them."""
PRIOR_WEIGHT = 10
"""After so many proposals half of them come from the prior; the weight of Hvarfner et al. 2022 (arXiv 2204.11051)."""
PRIOR_TRIES = 16
"""After so many draws of the prior in a row that were proposed before, the sampler is asked."""


OF_YOUR_OWN = (
    "(Of your own: a folder with table.json, csv:PATH for runs in a file, syne_tune:PATH for a blackbox of Syne Tune, "
    "yahpo:PATH for a scenario of YAHPO Gym.)"
)


class UnknownName(ValueError):
    """A name that nothing here has; the message gives the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], also: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"possible are {', '.join(known)}"
        super().__init__(f"unknown {kind} {name!r}: {hint}{also and f' {also}'}")


@dataclass(frozen=True)
class PlugIn:
    """A class in a file: what a source says of itself.

    citation: authors, year, venue and place of its source, or nothing; options: name to (type, default) of each
    keyword-only argument that a user may set; learns: whether it takes past tasks as `history`; recommends: whether it
    has a `recommend`. Of the kind `foreign` it is a function, and needs these distributions in the environment of its
    process.
    """

    name: str
    kind: str
    path: Path
    class_name: str
    summary: str
    options: Mapping[str, tuple[str, Any]]
    version: int
    learns: bool = False
    citation: str = ""
    requirements: tuple[str, ...] = ()
    recommends: bool = False

    @property
    def of_the_house(self) -> bool:
        """Whether it lies in our folders."""
        return self.path.is_relative_to(ROOT)

    @property
    def optimiser(self) -> str:
        """The foreign optimiser that it is a method of."""
        return self.path.stem.replace("_", "-")

    def to_json(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What a study depends on besides the options: its name and version, what of its library is installed.

        Of a stranger's file the path and a hash of the source, of a stranger's program a hash of its files.
        """
        if not self.of_the_house:
            return {"name": str(self.path), "version": _hash(self.path.read_bytes())}
        plain: dict[str, Any] = {"name": self.name, "version": self.version}
        if self.requirements:
            environment = import_module("harness.foreign._environment")
            plain["versions"] = environment.versions(self.optimiser, self.requirements)
        elif self.kind == "foreign":
            words = map(Path, shlex.split(options.get("command", "")))
            plain["program"] = _hash(b"".join(path.read_bytes() for path in words if path.is_file()))
        return plain

    def load(self) -> Callable[..., Any]:
        """The class itself; only now is its file imported, that of a foreign optimiser in its own process alone."""
        if self.requirements:
            scheduler = import_module("harness.foreign._scheduler")
            adapter = scheduler.Adapter(self.name, self.optimiser, self.path, self.class_name, self.requirements)
            return partial(scheduler.adapted, adapter)
        if self.of_the_house:
            module = import_module(f"harness.{self.path.parent.name}.{self.path.stem}")
        else:
            specification = importlib.util.spec_from_file_location(f"plug_in_{self.name}", self.path)
            assert specification and specification.loader
            module = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
        return getattr(module, self.class_name)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _parsed(path: Path) -> tuple[ast.Module, dict[str, Any]]:
    """The source of a file, and the literals by which it says something of itself."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as Python: {error}") from None
    said: dict[str, Any] = {}
    for node in tree.body:
        name = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(name, ast.Name) and name.id in SAID_OF_ITSELF:
            assert isinstance(node, ast.Assign)
            said[name.id] = ast.literal_eval(node.value)
    return tree, said


def read_plug_in(path: Path) -> PlugIn:
    """What a method's file says of itself; ValueError where it holds no single public class."""
    tree, said = _parsed(path)
    names, version = said.get("__all__", []), said.get("VERSION", 1)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if len(names) != 1 or names[0] not in classes:
        raise ValueError(
            f"{path} must name its one class in `__all__`, it names {names}; the classes are {list(classes)}"
        )
    node = classes[names[0]]
    methods = {child.name: child for child in node.body if isinstance(child, ast.FunctionDef)}
    kind = "scheduler" if "ask" in methods else "sampler" if "suggest" in methods else ""
    if not kind:
        raise ValueError(f"{path}: class {names[0]} has neither `ask` and `tell` nor `suggest` and `observe`")
    summary = (ast.get_docstring(node) or ast.get_docstring(tree) or "").strip().split("\n")[0]
    if module_text := ast.get_docstring(tree):
        summary = module_text.strip().split("\n")[0]
    citation = _citation(node)
    init = methods.get("__init__")
    learns = init is not None and any(argument.arg == "history" for argument in init.args.kwonlyargs)
    return PlugIn(
        path.stem.replace("_", "-"), kind, path, names[0], summary, _options(init), version, learns, citation,
        recommends="recommend" in methods,
    )  # fmt: skip


def _citation(node: ast.ClassDef | ast.FunctionDef) -> str:
    cited = re.search(CITATION, (ast.get_docstring(node) or "").split("\n\n")[0])
    return " ".join(cited[0][1:-1].split()) if cited else ""


def read_foreign(path: Path) -> list[PlugIn]:
    """What a foreign optimiser's file says of its methods, the functions named in `__all__`."""
    tree, said = _parsed(path)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return [
        PlugIn(
            name.replace("_", "-"),
            "foreign",
            path,
            name,
            re.sub(rf"\s*{CITATION}", "", (ast.get_docstring(functions[name]) or "").split("\n\n")[0]),
            _options(functions[name]),
            said.get("VERSION", 1),
            citation=_citation(functions[name]),
            requirements=said.get("REQUIREMENTS", ()),
        )
        for name in said["__all__"]
    ]


def _options(init: ast.FunctionDef | None) -> dict[str, tuple[str, Any]]:
    options: dict[str, tuple[str, Any]] = {}
    if init is not None:
        for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
            if argument.arg not in ("sampler", "history", "first") and default is not None:
                annotation = ast.unparse(argument.annotation) if argument.annotation else "str"
                options[argument.arg] = (annotation, ast.literal_eval(default))
    return options


@cache
def plug_ins() -> dict[str, PlugIn]:
    """All schedulers and samplers of the house, and the methods of foreign optimisers, by name."""
    found: dict[str, PlugIn] = {}
    for folder in ("schedulers", "samplers"):
        for path in sorted((ROOT / folder).glob("[a-z]*.py")):
            plug_in = read_plug_in(path)
            found[plug_in.name] = plug_in
    for path in sorted((ROOT / "foreign").glob("[a-z]*.py")):
        found |= {plug_in.name: plug_in for plug_in in read_foreign(path)}
    return found


@dataclass(frozen=True)
class Optimiser:
    """A foreign optimiser that can be fetched: its methods, what they need, its licence and citation."""

    methods: tuple[str, ...]
    requirements: tuple[str, ...]
    licence: str
    citation: str


def optimisers() -> dict[str, Optimiser]:
    """The foreign optimisers by name."""
    found: dict[str, Optimiser] = {}
    for plug_in in plug_ins().values():
        if plug_in.requirements and plug_in.optimiser not in found:
            _, said = _parsed(plug_in.path)
            names = tuple(name.replace("_", "-") for name in said["__all__"])
            found[plug_in.optimiser] = Optimiser(names, plug_in.requirements, said["LICENCE"], said["CITATION"])
    return found


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


def find_plug_in(name: str) -> PlugIn:
    """The plug-in of this name, or in the file of this path."""
    if name.endswith(".py"):
        return read_plug_in(Path(name).resolve())
    if name not in plug_ins():
        raise UnknownName("method", name, plug_ins())
    return plug_ins()[name]


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
    name, options = _split(text)
    if name in COMPOSITIONS:
        name, composed = _split(COMPOSITIONS[name][0])
        options = composed | options
    if not name.endswith(".py") and name not in plug_ins():
        raise UnknownName("method", name, {*plug_ins(), *COMPOSITIONS})
    scheduler = find_plug_in(name)
    sampler = None
    if scheduler.kind == "sampler":
        scheduler, sampler = plug_ins()["single"], scheduler
    elif scheduler.kind == "scheduler":
        sampler = find_plug_in(options.pop("sampler", "rs"))
        if sampler.kind != "sampler":
            raise UnknownName("sampler", sampler.name, (n for n, p in plug_ins().items() if p.kind == "sampler"))
    split: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    of_sampler = sampler.options if sampler else {}
    for option, value in options.items():
        owner = 0 if option in scheduler.options else 1
        known = (scheduler.options, of_sampler)[owner]
        if option not in known:
            raise UnknownName(
                f"option of {text.split(':', maxsplit=1)[0]!r}",
                option,
                {*scheduler.options, *of_sampler, *(("sampler",) if sampler else ())},
            )
        split[owner][option] = _convert(text, option, value, known[option][0])
    return Method(scheduler, sampler, *split)


def _split(text: str) -> tuple[str, dict[str, str]]:
    name, *given = text.split(":")
    return name, dict(_split_option(text, option) for option in given)


def _split_option(text: str, option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals or not name or not value:
        raise ValueError(f"method {text!r}: an option is written name=value, given {option!r}")
    return name, value


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


class FirstConfigs:
    """Proposes given configs before the sampler does: a user's start configs, or those that all arms share."""

    def __init__(self, sampler: Sampler, configs: Iterable[Config]) -> None:
        self._sampler = sampler
        self._waiting = list(configs)[::-1]
        self.observe = sampler.observe
        self.recommend: Callable[[], Config | None] = getattr(sampler, "recommend", lambda: None)

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """The next of the given configs, then what the sampler says."""
        return self._waiting.pop() if self._waiting else self._sampler.suggest(pending)


class PriorConfigs:
    """Proposes configs from a user's prior among those of the sampler, ever fewer of them.

    The n-th proposal comes from the prior with probability w / (w + n - 1), w = 10: the first always does, and a prior
    that misleads costs a share of the proposals that goes to nothing. The sampler learns from all of them.
    """

    def __init__(self, sampler: Sampler, space: Space, rng: np.random.Generator) -> None:
        self._sampler, self._space, self._rng = sampler, space, rng
        self._proposed = 0
        self.observe = sampler.observe
        self.recommend: Callable[[], Config | None] = getattr(sampler, "recommend", lambda: None)

    def suggest(self, pending: Collection[Config]) -> Config | None:
        """A config from the prior that was not proposed yet, or what the sampler says."""
        space, share = self._space, PRIOR_WEIGHT / (PRIOR_WEIGHT + self._proposed)
        self._proposed += 1
        if self._rng.random() < share:
            for _ in range(PRIOR_TRIES):
                config = space.fresh_near(space.encode(space.sample_prior(self._rng, 1))[0])
                if config is not None:
                    return config
        return self._sampler.suggest(pending)


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


def scripted(name: str) -> Benchmark:
    """A benchmark as its training script declares it, whatever a table says."""
    return _scripted()[name][0]


def table_entry(folder: Path) -> Entry:
    """The benchmark of a table in a folder, read from its `table.json`.

    Where it has a surrogate, that answers by default, unless its card says that it is not for conclusions.
    """
    from harness.types import Benchmark

    plain = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    benchmark = Benchmark.from_json(plain["benchmark"])
    if (folder / "surrogate.json").exists() and (folder / "card.json").exists():
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        if card["verdict"] != "not for conclusions":
            benchmark = replace(benchmark, table_miss="surrogate")
    return Entry(benchmark, None, folder)


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
