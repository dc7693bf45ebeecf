"""Tables joined: from several machines that measured one plan, and from the levels of a fidelity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import catalog
from harness.compose.tables import gives_rows, problem_of

if TYPE_CHECKING:
    from harness.space import Config


class Merged(NamedTuple):
    """How many runs were added to a table, and how many it had already."""

    added: int
    again: int


def merge(folders: Sequence[Path], out: Path) -> Merged:
    """Join the runs of one benchmark's tables in `out`, after those that it has, and write the table.

    Of a run that several have the first counts; delays and budget are those that the training script declares today;
    what is declared beside the tables is copied. ValueError, and nothing is written, where two are tables of other
    problems, hold other configs in the same place or declare different things, or where they make no table together.
    """
    from harness.files import whole
    from harness.lines import LineWriter, read_lines
    from harness.tabulate import RUNS, check_same_problem
    from surrogates import declared, measured, table

    joined, there = _Joined(), [*read_lines(out / RUNS)]
    joined.add(out, there)
    joined.lines, joined.added, joined.again = [], 0, 0
    for folder in folders:
        if not (folder / RUNS).exists():
            raise FileNotFoundError(f"no table in the making in {folder}: `{RUNS}` is missing")
        joined.add(folder, read_lines(folder / RUNS))
    if joined.benchmark is None:
        raise ValueError(f"no runs to merge in {', '.join(map(str, folders))}")
    benchmark, script = catalog.scripted(joined.benchmark["name"])
    problem = problem_of(benchmark, script)
    for folder in folders:
        check_same_problem(benchmark.to_json(), folder, problem)
    declaring = _declaring([out, *folders])
    data, lines = None, [*there, *joined.lines]
    if gives_rows(lines):
        data = measured.table_of(benchmark, lines, declared.read(declaring or out, benchmark.name).time)
        data.check(str(out))
    out.mkdir(parents=True, exist_ok=True)
    if declaring is not None and declaring != out:
        with whole(out / declared.FILE) as making:
            making.write_bytes((declaring / declared.FILE).read_bytes())
    with LineWriter(out / RUNS) as writer:
        for line in joined.lines:
            writer.append(line)
    if data is not None:
        table.save(data, out)
    return Merged(joined.added, joined.again)


def _declaring(folders: Sequence[Path]) -> Path | None:
    """The first of some folders that says in a file what is known of the problem; ValueError where another differs."""
    from surrogates import declared

    there = [folder for folder in folders if (folder / declared.FILE).exists()]
    for other in there[1:]:
        if declared.read(other) != declared.read(there[0]):
            raise ValueError(
                f"{there[0]} and {other} declare different things in their {declared.FILE}: make the files the same "
                "before the tables are joined"
            )
    return there[0] if there else None


class _Joined:
    """Lines of several tables in the making as those of one."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self.added = self.again = 0
        self.benchmark: Mapping[str, Any] | None = None
        self._from: Path | None = None
        self._problem: tuple[str, Path] | None = None
        self._machines: list[Any] = []
        self._chosen: dict[str, list[Any]] = {}
        self._configs: dict[tuple[str, int], tuple[Config, Path]] = {}
        self._runs: set[tuple[str, int, int]] = set()

    def add(self, folder: Path, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take in the lines of a folder."""
        chosen: dict[str, list[Any]] = {}
        for line in lines:
            if "machine" in line:
                self._same_problem(folder, line["benchmark"], line.get("problem"))
                machine = line["machine"], line.get("problem")
                if machine not in self._machines:
                    self._machines.append(machine)
                    self.lines.append(line)
            elif "planned" in line:
                chosen.setdefault(line["planned"], []).extend(line["chosen"])
            else:
                self._add_run(folder, line)
        # A budget is one folder's own.
        for part in chosen.keys() - {"budget"}:
            self._choose(folder, part, chosen[part])

    def _same_problem(self, folder: Path, benchmark: Mapping[str, Any], problem: str | None) -> None:
        """Refuse another benchmark, or another digest of the problem; older lines lack that."""
        if self.benchmark is None:
            self.benchmark, self._from = benchmark, folder
        for name in ("name", "space", "fidelity", "objectives", "test_metric"):
            if benchmark[name] != self.benchmark[name]:
                raise ValueError(
                    f"{self._from} and {folder} are not tables of the same benchmark, their {name} differs: "
                    f"{self.benchmark[name]} and {benchmark[name]}"
                )
        if problem is None:
            return
        if self._problem is None:
            self._problem = problem, folder
        known, other = self._problem
        if problem != known:
            raise ValueError(
                f"{other} and {folder} are not tables of the same benchmark, their task differs: the digest of one is "
                f"{known}, of the other {problem}"
            )

    def _choose(self, folder: Path, part: str, chosen: list[Any]) -> None:
        known = self._chosen.setdefault(part, [])
        common = min(len(known), len(chosen))
        if known[:common] != chosen[:common]:
            raise ValueError(
                f"{part} was chosen in {folder} otherwise than in the folders before it: merge first what that depends "
                "on, and choose once"
            )
        if more := chosen[common:]:
            known += more
            self.lines.append({"planned": part, "chosen": more})

    def _add_run(self, folder: Path, run: Mapping[str, Any]) -> None:
        place = run["part"], run["index"]
        config, other = self._configs.setdefault(place, (run["config"], folder))
        if config != run["config"]:
            raise ValueError(
                f"{other} and {folder} hold different configs as {place[0]} {place[1]}: they are of two plans"
            )
        if (*place, run["seed"]) in self._runs:
            self.again += 1
            return
        self._runs.add((*place, run["seed"]))
        self.added += 1
        self.lines.append(run)


def assemble(name: str, out: Path) -> int:
    """Make the table of a benchmark whose levels are fresh trainings from those of its levels; gives the rows.

    They are the tables beside `out` of the benchmarks named after it and a level, such as `NAME_w16` for width 16.
    """
    from harness.tabulate import RUNS
    from surrogates import measured, table

    benchmark, _ = catalog.scripted(name)
    fidelity = benchmark.fidelity
    if fidelity.continues:
        raise ValueError(f"a higher {fidelity.unit} of {name!r} goes on from the lower: tabulate it as it is")
    if (out / RUNS).exists():
        raise ValueError(f"{out} holds runs of its own: give another --out")
    folders = {level: out.parent / f"{name}_{fidelity.unit[0]}{level}" for level in fidelity.levels}
    data = measured.assembled(benchmark, {level: table.load_data(folder) for level, folder in folders.items()})
    table.save(data, out)
    return len(data.configs)
