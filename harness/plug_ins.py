"""Methods as files: what a source says of itself, read without importing it.

So listing costs nothing, and a broken plug-in hurts only itself. A method is found by its file's name; its options are
the keyword-only arguments of its class. A foreign optimiser's file holds functions, each a method of its own name.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.names import ROOT, UnknownName

CITATION = r"\([^()]*[A-Z][a-z]+[^()]* (?:19|20)\d\d, [^()]+\)"
"""How the first paragraph of a method's docstring names its source: `(Authors 2018, JMLR 18:185, Algorithm 1)`."""
SAID_OF_ITSELF = ("__all__", "VERSION", "REQUIREMENTS", "PYTHON", "LICENCE", "CITATION")


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
            sys.modules[specification.name] = module  # where dataclasses look up what their annotations mean
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
            said[name.id] = _literal(path, name.id, node.value)
    return tree, said


def _literal(path: Path, what: str, node: ast.expr) -> Any:
    """What stands in a source; ValueError where it would have to be run to be known."""
    try:
        return ast.literal_eval(node)
    except (TypeError, ValueError):
        raise ValueError(f"{path}, line {node.lineno}: {what} must be a literal, given {ast.unparse(node)}") from None


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
        path.stem.replace("_", "-"), kind, path, names[0], summary, _options(path, init), version, learns, citation,
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
            _options(path, functions[name]),
            said.get("VERSION", 1),
            citation=_citation(functions[name]),
            requirements=said.get("REQUIREMENTS", ()),
        )
        for name in said["__all__"]
    ]


def _options(path: Path, init: ast.FunctionDef | None) -> dict[str, tuple[str, Any]]:
    options: dict[str, tuple[str, Any]] = {}
    if init is not None:
        for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
            if argument.arg not in ("sampler", "history", "first") and default is not None:
                annotation = ast.unparse(argument.annotation) if argument.annotation else "str"
                options[argument.arg] = annotation, _literal(path, f"the default of {argument.arg}", default)
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
    """A foreign optimiser that can be fetched: its methods, what they need, its licence and citation.

    python: the versions of Python that it runs on, such as `<3.12`; empty where it runs on any of ours.
    """

    methods: tuple[str, ...]
    requirements: tuple[str, ...]
    licence: str
    citation: str
    python: str


def optimisers() -> dict[str, Optimiser]:
    """The foreign optimisers by name."""
    found: dict[str, Optimiser] = {}
    for plug_in in plug_ins().values():
        if plug_in.requirements and plug_in.optimiser not in found:
            _, said = _parsed(plug_in.path)
            names = tuple(name.replace("_", "-") for name in said["__all__"])
            found[plug_in.optimiser] = Optimiser(
                names, plug_in.requirements, said["LICENCE"], said["CITATION"], said.get("PYTHON", "")
            )
    return found


def find_plug_in(name: str) -> PlugIn:
    """The plug-in of this name, or in the file of this path."""
    if name.endswith(".py"):
        return read_plug_in(Path(name).resolve())
    if name not in plug_ins():
        raise UnknownName("method", name, plug_ins())
    return plug_ins()[name]
