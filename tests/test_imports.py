"""Imports run one way, without circles, and nothing on a data path can run what it reads: checked from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREES = ("harness", "surrogates", "real_benchmarks", "reports")

GROUND = (
    "harness.types", "harness.space", "harness.domains", "harness.report", "harness.randomness", "harness.lines",
    "harness.history", "harness.cache", "harness.files",
)  # fmt: skip
RUNNING = (*GROUND, "harness.loop", "harness.study")

# Who may import what, by the longest prefix of a module's name that stands here. A tree's own parts are meant by
# their underscore or by name; what is not listed is refused, so a new file without a rule is noticed.
RULES: dict[str, tuple[str, ...]] = {
    "harness": ("harness.compose", "harness.report", "harness.space"),
    "harness.__main__": (
        "harness.compose",
        "harness._run_command",
        "harness.terminal",
        "reports.terminal",
        "reports.card",
    ),
    "harness._run_command": ("harness.compose", "harness.terminal"),
    "harness.terminal": ("harness.types", "harness.loop", "harness.comparison"),
    "harness.compose": ("harness", "surrogates", "real_benchmarks", "reports"),
    # the ground
    "harness.types": ("harness.space",),
    "harness.space": ("harness.domains",),
    "harness.domains": (),
    "harness.report": ("harness.lines",),
    "harness.randomness": (),
    "harness.lines": (),
    "harness.history": ("harness.space",),
    "harness.cache": (),
    "harness.files": (),
    "harness.configspace": GROUND,
    "harness.call": ("harness.report",),
    "harness._warm_worker": ("harness.report", "harness._trial_process"),
    # methods
    "harness._parts": (*GROUND, "harness._parts"),
    "harness.samplers": (*GROUND, "harness._parts"),
    "harness.schedulers": (*GROUND, "harness._parts"),
    # programs of others, each in a process of its own; an adapter runs there, where there is nothing of ours
    "harness.foreign": ("harness.foreign._",),
    "harness.foreign._child": (),
    "harness.foreign._spaces": (),
    "harness.foreign._promotions": (),
    "harness.foreign._configspace": ("harness.foreign._spaces",),
    "harness.foreign._environment": ("harness.cache",),
    "harness.foreign._process": ("harness._trial_process",),
    "harness.foreign._scheduler": (*GROUND, "harness.foreign._environment", "harness.foreign._process"),
    "harness.foreign.program": (*GROUND, "harness.foreign._scheduler"),
    # the loop, the executors, what they leave
    "harness.loop": GROUND,
    "harness.simulated": GROUND,
    "harness.local": (
        *GROUND, "harness._trial_checkpoints", "harness._trial_process", "harness._trial_reports",
        "harness.command", "harness.gpus",
    ),
    "harness._trial_checkpoints": ("harness.report",),
    "harness._trial_reports": GROUND,
    "harness.command": GROUND,
    "harness.gpus": (),
    "harness._trial_process": (),
    "harness.study": (*GROUND, "harness.loop"),
    "harness.journal": RUNNING,
    "harness.rehearsal": (*RUNNING, "harness.journal"),
    "harness.playback": RUNNING,
    "harness.names": (),
    "harness.plug_ins": ("harness.names",),
    "harness.proposals": GROUND,
    "harness.methods": (*GROUND, "harness.names", "harness.plug_ins", "harness.proposals"),
    "harness.catalog": (*GROUND, "harness.names"),
    "harness.tabulate": (*GROUND, "harness._table_process"),
    "harness._table_process": ("harness.gpus",),
    "harness.store": RUNNING,
    "harness.frames": RUNNING,
    "harness.comparison": (*RUNNING, "harness.store"),
    "harness.toys": (*GROUND, "harness._toy_training"),
    "harness._toy_training": ("harness.report",),
    "harness.weight": (),
    "harness.trace": RUNNING,
    "harness.known_answers": (
        *RUNNING, "harness._parts", "harness.simulated", "harness.methods", "harness.toys", "harness.trace",
    ),
    "harness.known_formulas": (*GROUND, "harness._parts"),
    "harness.watched": (
        *RUNNING, "harness.simulated", "harness.methods", "harness.plug_ins", "harness.toys", "harness.trace",
    ),
    "harness.checks": (
        *RUNNING, "harness.simulated", "harness.local", "harness.command", "harness.methods", "harness.names",
        "harness.store", "harness.toys", "harness._toy_training", "harness.trace", "harness.watched", "harness.weight",
        "harness.known_answers", "harness.known_formulas",
    ),
    # the other trees
    "surrogates": (*GROUND, "surrogates"),
    "surrogates.table": (*GROUND, "surrogates._under"),
    "surrogates.families": (*GROUND, "harness.configspace", "surrogates.table", "surrogates.card", "surrogates._"),
    "real_benchmarks": (*GROUND, "real_benchmarks._"),
    "reports": ("reports",),
    "reports.figures": (
        "reports.style", "reports.incumbent", "reports.intervals", "reports.curves", "reports.trials",
        "reports.figures",
    ),
}  # fmt: skip

# Names that are found in folders are imported by a text made at run time; only these may do so.
DYNAMIC = (
    "harness.catalog",
    "harness.plug_ins",
    "harness.foreign._child",
    "harness.tabulate",
    "harness.compose",
    "harness.call",
    "reports.drawing",
)

FORBIDDEN_MODULES = {"pickle", "dill", "cloudpickle", "shelve", "marshal", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "joblib.load"}
FORBIDDEN_ENDS = {"read_pickle", "extractall", "unpack_archive", "system", "popen"}
"""However the module or the object before it is called."""
HARMLESS = {"platform.system"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for tree in TREES for path in sorted((ROOT / tree).rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text(encoding="utf-8"))


def imported(module: str, *, at_once: bool = False) -> Iterator[str]:
    """The modules of ours that a module imports; `at_once`: only those that are imported with it."""
    for node in _at_once(tree_of(module)) if at_once else ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in TREES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written with their whole names"
            if node.module and node.module.split(".")[0] in TREES:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole in SOURCES else node.module


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not for_types and not isinstance(child, ast.FunctionDef):
            yield child
            yield from _at_once(child)


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def rule_of(module: str) -> tuple[str, ...] | None:
    if module in TREES and module != "harness":
        return ()
    prefixes = [prefix for prefix in RULES if module == prefix or module.startswith(f"{prefix}.")]
    # `harness` itself is a rule for its `__init__` only.
    prefixes = [prefix for prefix in prefixes if prefix != "harness" or module == "harness"]
    return RULES[max(prefixes, key=len)] if prefixes else None


def allowed(name: str, rule: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}.") or (one[-1] == "_" and name.startswith(one)) for one in rule)


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_imports_only_what_stands_below_it(module: str) -> None:
    rule = rule_of(module)
    assert rule is not None, f"{module} has no rule of imports: say in this table where it stands"
    wrong = sorted({name for name in imported(module) if not allowed(name, rule)})
    assert not wrong, f"{module} may import {rule}, it imports {wrong}"


def test_there_is_no_circle() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for name in imported(module):
                if name in SOURCES and name != module:
                    visit(name, (*path, module))
            done.add(module)

    for module in SOURCES:
        visit(module, ())


FOLDERS = ["harness/samplers", "harness/schedulers", "harness/foreign", "surrogates/families", "reports/figures"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_plug_in_never_imports_a_sibling(folder: str) -> None:
    siblings = folder.replace("/", ".") + "."
    for module in SOURCES:
        if module.startswith(siblings):
            assert not [name for name in imported(module) if name.startswith(siblings) and "._" not in name]


def test_only_who_finds_plug_ins_imports_by_a_made_up_name() -> None:
    for module in SOURCES:
        if any(name.endswith(("import_module", "__import__", "spec_from_file_location")) for name, _ in calls(module)):
            assert allowed(module, DYNAMIC), f"{module} imports by a name made at run time"


def dangers(tree: ast.AST) -> list[str]:
    """The places of a source that could run what they read, each by its line."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"line {node.lineno}: {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            forbidden = name in FORBIDDEN_CALLS or (name.split(".")[-1] in FORBIDDEN_ENDS and name not in HARMLESS)
            unsafe = [options.get(option, "False") != "False" for option in ("shell", "allow_pickle")]
            # The third argument of `np.load` is `allow_pickle`.
            unsafe.append(name in ("np.load", "numpy.load") and len(node.args) != 1)
            unsafe.append(name == "torch.load" and options.get("weights_only") != "True")
            if forbidden or any(unsafe):
                found.append(f"line {node.lineno}: {name}")
    return found


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_that_is_read_can_be_run(module: str) -> None:
    assert dangers(tree_of(module)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "import os, yaml", "import dill.source", "from cloudpickle import loads", "eval(text)",
        "exec(text)", "compile(text, '', 'exec')", "joblib.load(path)", "pd.read_pickle(path)", "read_pickle(path)",
        "archive.extractall(folder)", "tarfile.open(path).extractall()", "shutil.unpack_archive(path)",
        "os.system(text)", "system(text)", "self._os.system(text)", "os.popen(text)",
        "subprocess.run(text, shell=True)", "np.load(path, allow_pickle=True)", "np.load(path, None, True)",
        "numpy.load(path, None, True)", "torch.load(path)", "torch.load(path, weights_only=False)",
    ],
)  # fmt: skip
def test_what_could_run_what_it_reads_is_found(line: str) -> None:
    assert len(dangers(ast.parse(f"def read(path):\n    {line}\n"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "network.eval()", "re.compile(text)", "platform.system()", "subprocess.Popen(words, shell=False)",
        "json.load(file)", "np.load(path, mmap_mode='r', allow_pickle=False)", "torch.load(path, weights_only=True)",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_not(line: str) -> None:
    assert dangers(ast.parse(line)) == []


@pytest.mark.parametrize("module", SOURCES)
def test_no_stream_of_random_numbers_is_shared(module: str) -> None:
    legacy = ("np.random.seed", "np.random.rand", "np.random.randn", "np.random.shuffle", "np.random.choice")
    used = [name for name, _ in calls(module) if name in legacy or name.startswith("random.")]
    # One watches whether others touch them, the other lives in a process where only a foreign library draws.
    if module not in ("harness.checks", "harness.foreign._child"):
        assert not used, f"{module} uses the global state of {used}"


METHODS = [name for name in SOURCES if name.startswith(("harness.samplers.", "harness.schedulers.", "harness._parts."))]


@pytest.mark.parametrize("module", METHODS)
def test_a_method_has_neither_a_clock_nor_luck_of_its_own(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        strange = {name.split(".")[0] for name in names} & {"time", "datetime", "random", "secrets", "uuid"}
        assert not strange, f"{module}, line {node.lineno}: {strange}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", ["harness", "harness.report", "harness.catalog", "harness.methods"])
def test_what_a_script_or_a_listing_imports_is_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'numpy', 'pandas', 'torch', 'pyarrow'}} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
