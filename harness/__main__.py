"""The command line: `python -m harness COMMAND`. It reads arguments, calls `compose`, and prints."""

from __future__ import annotations

import os
import sys

# One BLAS thread, also in the processes that are started: more would change results and fight for the cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import json
import re
import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from harness._run_command import INTERRUPTED, SOME_FAILED, run
from harness.compose import (
    cards,
    comparisons,
    declarations,
    fetching,
    inspection,
    merging,
    pages,
    replays,
    studies,
    survival,
    tables,
    validation,
)

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="The wind tunnel of hyperparameter optimisation: rehearse your sweep before you pay for the GPUs.",
)  # fmt: skip

BAD_USAGE, STORAGE_FAILED = 2, 74
WARM = {"warm": True}
"""Delays of workers that keep their processes."""


@app.command()
def compare(
    declaration: Annotated[Path | None, typer.Argument(help="a comparison in TOML")] = None,
    methods: Annotated[str, typer.Option(help="arms, such as rs,asha:eta=4 or MINE=asha:grace=2")] = "",
    benchmarks: Annotated[str, typer.Option(help="names, half a suite such as multi-fidelity/test, or folders")] = "",
    seeds: Annotated[str, typer.Option(help="how many, a list such as 3,5,8, or auto:WIDTH")] = "",
    workers: Annotated[int | None, typer.Option(help="at work side by side")] = None,
    budget: Annotated[str | None, typer.Option(help="of each study, such as 90s or 2h")] = None,
    table: Annotated[str | None, typer.Option(help="restrict to the table's rows, snap to them, or surrogate")] = None,
    warm: Annotated[bool, typer.Option("--warm", help="workers pay for their start-up once")] = False,
    decision_time: Annotated[str | None, typer.Option(help="none, constant:SECONDS or measured")] = None,
    prior: Annotated[list[str] | None, typer.Option(help="where an optimum is expected, as lr=1e-3:0.5")] = None,
    history: Annotated[str, typer.Option(help="past tasks: benchmarks with a table, or folders of results")] = "",
    out: Annotated[Path | None, typer.Option(help="where results go; the same place again continues")] = None,
    jobs: Annotated[int, typer.Option(help="processes; by default one a core")] = 0,
) -> None:
    """Compare methods across seeds; by default rs, bo, asha and mobster on the small transformer."""
    from rich.console import Console

    from harness.terminal import ComparisonProgress

    plain = declarations.comparison_from_toml(declaration) if declaration else {}
    seconds = declarations.seconds_of(budget) if budget else None
    overrides = {"workers": workers, "budget": seconds, "table_miss": table, "delays": WARM if warm else None}
    comparison = declarations.comparison_of(
        plain,
        methods=_split(methods),
        benchmarks=_split(benchmarks),
        seeds=seeds if seeds.startswith(declarations.AUTO) else _seeds(seeds),
        overrides={name: value for name, value in overrides.items() if value is not None}
        | declarations.known_beforehand(prior or (), history),
        decision_time=decision_time,
    )
    folder = out or Path("results") / declarations.name_of(comparison)
    declarations.check_apart(comparison, folder)
    console = Console(stderr=True)
    try:
        with ComparisonProgress() as progress:
            compared = comparisons.compare(
                comparison,
                folder,
                command=_command(),
                jobs=jobs or os.cpu_count() or 1,
                on_begin=progress.begin,
                on_outcome=progress.outcome,
            )
    except KeyboardInterrupt:
        console.print(f"interrupted; what is finished is kept in {folder}, the same command continues")
        raise typer.Exit(INTERRUPTED) from None
    for name, reason in list(compared.stale.items())[:5]:
        console.print(f"run again: {name}: {reason}", markup=False)
    _report(folder, None)
    _show_failed(compared.failed)


def _show_failed(failed: Sequence[Any]) -> None:
    """Say which studies failed, and leave with the exit code for that; nothing where none did."""
    from rich.console import Console

    for outcome in failed[:10]:
        where = f"{outcome.arm} on {outcome.benchmark}, seed {outcome.seed}"
        said = f"failed: {where}: {outcome.error.splitlines()[-1]}"
        Console(stderr=True).print(said, style="red", markup=False)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _command() -> str:
    """The line that the user typed, as a report repeats it."""
    import shlex

    return "python -m harness " + shlex.join(sys.argv[1:])


def _report(
    folder: Path,
    out: Path | None,
    *,
    static: bool = False,
    brief: bool = False,
    columns: int = 2,
    as_json: bool = False,
) -> None:
    summary, drawn = comparisons.report(folder, out, static=static, brief=brief, columns=columns)
    if as_json:
        typer.echo(json.dumps(summary.numbers(), indent=1))
        return
    from rich.console import Console

    from reports.terminal import terminal

    console = Console(width=100 if not sys.stdout.isatty() else None)
    for part in terminal(summary):
        console.print(part)
    place = out or folder / comparisons.REPORT
    console.print(f"report: {place / 'index.html'}" + ("" if drawn else " (up to date)"), markup=False, soft_wrap=True)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="the folder that `compare` filled")],
    out: Annotated[Path | None, typer.Option(help="where the report goes; by default beside the results")] = None,
    static: Annotated[bool, typer.Option("--static", help="without scripts: every figure as files")] = False,
    brief: Annotated[bool, typer.Option("--brief", help="the first page only, in few and small files")] = False,
    columns: Annotated[int, typer.Option(min=1, max=2, help="of a paper, that figures are as wide as")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="print every number as JSON")] = False,
) -> None:
    """Draw the report of a comparison again from its store."""
    _report(results, out, static=static, brief=brief, columns=columns, as_json=as_json)


@app.command()
def survive(
    results: Annotated[Path, typer.Argument(help="the folder that `compare` filled")],
    jobs: Annotated[int, typer.Option(help="processes; by default one a core")] = 0,
) -> None:
    """Make a comparison again under other settings, one thing changed at a time: which of its statements hold?"""
    from rich.console import Console

    from harness.terminal import ComparisonProgress
    from reports.terminal import survived

    try:
        with ComparisonProgress() as progress:
            done = survival.survive(
                results,
                command=_command(),
                jobs=jobs or os.cpu_count() or 1,
                on_begin=progress.begin,
                on_outcome=progress.outcome,
            )
    except KeyboardInterrupt:
        typer.echo(f"interrupted; what is finished is kept in {results}, the same command continues", err=True)
        raise typer.Exit(INTERRUPTED) from None
    console = Console(width=100 if not sys.stdout.isatty() else None)
    for part in survived(done.told):
        console.print(part)
    drawn = "" if done.drawn else " (up to date)"
    console.print(f"page: {results / comparisons.SURVIVAL / 'index.html'}{drawn}", markup=False, soft_wrap=True)
    _show_failed(done.failed)


@app.command(name="list")
def list_(
    what: Annotated[str, typer.Argument(help="methods, benchmarks, suites or figures")],
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """List methods, benchmarks, suites or figures, each with one sentence."""
    named = inspection.listed(what)
    if as_json:
        typer.echo(json.dumps(named, indent=1))
        return
    width = max(len(name) for name in named)
    for name, sentence in named.items():
        typer.echo(f"{name:{width}}  {sentence}")


@app.command()
def tabulate(
    what: Annotated[list[str], typer.Argument(help="a benchmark with a training script; with --merge, folders")],
    out: Annotated[Path, typer.Option(help="the table's folder; the same again extends it")],
    part: Annotated[str, typer.Option(help="iid, near_best, best, held_out, optimum or timing")] = "iid",
    configs: Annotated[int | None, typer.Option(min=1, help="how many of the part, with those there")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="how many for each of these")] = None,
    budget: Annotated[str | None, typer.Option(help="plan and measure all parts, in about this time, as 24h")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; by default one a GPU, else 2")] = None,
    share: Annotated[str, typer.Option(help="of several machines, such as 2/4 for the second of four")] = "1/1",
    merge: Annotated[bool, typer.Option("--merge", help="join tables that several machines made")] = False,
    assemble: Annotated[bool, typer.Option("--assemble", help="of tables of its levels, which lie beside it")] = False,
) -> None:
    """Train configs for real and keep their curves: a table in the making, resumable after any kill."""
    if merge:
        merged = merging.merge([Path(folder) for folder in what], out)
        typer.echo(f"{merged.added} runs added, {merged.again} were there already; the table is in {out}")
        return
    if len(what) != 1:
        raise ValueError(f"one benchmark is tabulated at a time, given are {', '.join(what)}")
    name = what[0]
    if assemble:
        typer.echo(f"{merging.assemble(name, out)} configs; the table is in {out}")
        return

    def say(done: int, wanted: int, run: dict[str, Any]) -> None:
        took = f"{run['wall_seconds']:.1f} s"
        typer.echo(f"{done}/{wanted}  {run['part']} {run['index']} seed {run['seed']}  {run['end']}  {took}")

    def say_plan(plan: tables.Plan) -> None:
        typer.echo(f"a training takes {plan.seconds:.1f} s; the plan:")
        for step in plan.steps:
            typer.echo(f"  {step.part:9}  {step.configs} configs, {step.seeds} seed{'s' * (step.seeds > 1)} each")

    try:
        if budget:
            if (part, configs, seeds, share) != ("iid", None, None, "1/1"):
                raise ValueError("--budget plans all parts by itself: leave out --part, --configs, --seeds and --share")
            seconds = declarations.seconds_of(budget)
            new = tables.tabulate_within(name, out, seconds, workers=workers, on_plan=say_plan, on_run=say)
        else:
            step = tables.step_of(part, configs, seeds)
            new = tables.tabulate(name, out, step, workers=workers, share=_share(share), on_run=say)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; what is finished is kept in {out}, the same command continues", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{new} new runs; the table is in {out}")


def _share(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"--share takes which of how many machines, such as 2/4; given {text!r}")
    return int(found[1]), int(found[2])


@app.command()
def fit(
    benchmark: Annotated[str, typer.Argument(help="a benchmark with a table")],
    jobs: Annotated[int, typer.Option(min=1, help="processes of one thread each")] = 2,
) -> None:
    """Fit a surrogate to a benchmark's table and judge it; both are written beside the table."""
    _show_card(cards.fit(benchmark, jobs=jobs))


@app.command()
def describe(
    benchmarks: Annotated[list[str], typer.Argument(help="benchmarks, or folders of tables")],
    out: Annotated[Path | None, typer.Option(help="also write a page with figures there, even without cards")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON; of several benchmarks a list")] = False,
) -> None:
    """Print quality cards: how far to trust a surrogate, or what is known of a table without one."""
    if out is not None:
        drawn = pages.page(benchmarks, out, command=_command())
        typer.echo(f"page: {out / 'index.html'}" + ("" if drawn else " (up to date)"), err=as_json)
    described = [cards.described(name) for name in benchmarks if out is None or cards.verdict(name)]
    if as_json:
        typer.echo(json.dumps(described[0] if len(benchmarks) == 1 and described else described, indent=1))
        return
    for card in described:
        _show_card(card)


def _show_card(card: dict[str, Any]) -> None:
    from rich.console import Console

    from reports.card import terminal

    Console(highlight=False, markup=False).print(*terminal(card), sep="\n")


@app.command()
def replay(
    benchmark: Annotated[str | None, typer.Argument(help="a benchmark with a table")] = None,
    method: Annotated[str | None, typer.Option(help="such as asha:eta=4; asha where nothing is said")] = None,
    seed: Annotated[int | None, typer.Option(help="of the study")] = None,
    workers: Annotated[int | None, typer.Option(help="at work side by side")] = None,
    budget: Annotated[str | None, typer.Option(help="such as 90s or 2h")] = None,
    warm: Annotated[bool, typer.Option("--warm", help="workers pay for their start-up once")] = False,
    speed: Annotated[float | None, typer.Option(help="simulated seconds a second; else at once")] = None,
    verify: Annotated[Path | None, typer.Option(help="run the studies of this store again and compare digests")] = None,
    journal: Annotated[Path | None, typer.Option(help="a real study, by its journal or its folder")] = None,
) -> None:
    """Watch a study unfold on the simulated clock, real ones from their journal, or verify that a store repeats.

    With a journal, another method, seed, number of workers or budget asks what would have become of it so.
    """
    from harness.terminal import Unfolding

    if verify is not None:
        differing = comparisons.verify(verify)
        for name, difference in differing.items():
            typer.echo(f"{name}: {difference}")
        typer.echo("every study repeats bit for bit" if not differing else f"{len(differing)} studies differ")
        raise typer.Exit(SOME_FAILED if differing else 0)
    seconds = declarations.seconds_of(budget) if budget else None
    if journal is not None:
        otherwise = {"method": method, "workers": workers, "budget": seconds, "seed": seed, "warm": warm or None}
        _replay_journal(journal, speed, otherwise)
        return
    if benchmark is None:
        raise ValueError("replay needs a benchmark, --journal FILE or --verify STORE")
    given = {"workers": workers, "budget": seconds, "delays": WARM if warm else None}
    given = {name: value for name, value in given.items() if value is not None}
    study = declarations.single_study(benchmark, method or "asha", seed or 0, given)
    unfolding = Unfolding(study.benchmark, speed)
    log, _ = studies.simulate(study, watch=unfolding.show)
    unfolding.end(log)
    if said := comparisons.said_of(benchmark, study.benchmark):
        typer.echo(said)
    if log.error:
        raise typer.Exit(SOME_FAILED)


def _replay_journal(path: Path, speed: float | None, otherwise: dict[str, Any]) -> None:
    """Replay a real study and say whether every decision is the same; or what would have been, and what that rests on.

    otherwise: what shall be other than it was, None where nothing.
    """
    from harness.terminal import Unfolding

    unfolding: list[Unfolding] = []

    def begin(benchmark: Any) -> Any:
        unfolding.append(Unfolding(benchmark, speed))
        return unfolding[0].show

    if any(value is not None for value in otherwise.values()):
        imagined = replays.what_if(path, begin, **otherwise)
        unfolding[0].end(imagined.log)
        typer.echo(imagined.said)
        raise typer.Exit(SOME_FAILED if imagined.log.error else 0)
    log, difference = replays.replay_journal(path, begin)
    unfolding[0].end(log)
    typer.echo(difference or f"all {len(log.events)} events are those of the real study, at the same times")
    if difference:
        raise typer.Exit(SOME_FAILED)


app.command()(run)


@app.command()
def validate(
    benchmark: Annotated[str, typer.Argument(help="with a training script and a table")],
    methods: Annotated[str, typer.Option(help="arms, such as rs,asha,bo")] = "rs,asha,bo",
    seeds: Annotated[str, typer.Option(help="how many, or which, such as 0-11 or 3,5,8")] = "12",
    workers: Annotated[int, typer.Option(min=1, help="processes side by side")] = 2,
    budget: Annotated[str, typer.Option(help="of each study, such as 2m")] = "2m",
    table: Annotated[str | None, typer.Option(help="what simulates: surrogate or snap; a surrogate if it can")] = None,
    warm: Annotated[bool, typer.Option("--warm", help="keep processes and their imports between trials")] = False,
    probe: Annotated[str, typer.Option(help="how long the machine's speed is taken before each study")] = "1m",
    out: Annotated[Path | None, typer.Option(help="where studies and page go; the same again continues")] = None,
) -> None:
    """Run the same studies for real and simulated, from the same seeds, and write a page on how far they agree.

    Nothing else should run on the machine.
    """
    folder = out or Path("results") / f"validation-{Path(benchmark).name}"
    try:
        said = validation.validate(
            benchmark,
            folder,
            methods=_split(methods),
            seeds=_seeds(seeds),
            workers=workers,
            budget=declarations.seconds_of(budget),
            table=table,
            warm=warm,
            probe=declarations.seconds_of(probe),
            command=_command(),
            say=typer.echo,
        )
    except KeyboardInterrupt:
        typer.echo(f"interrupted; what is finished is kept in {folder}, the same command continues", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo("\n".join(said.lines))
    typer.echo(f"page: {folder / validation.REPORT / 'index.html'}")
    if said.failed:
        raise typer.Exit(SOME_FAILED)


@app.command()
def check(
    what: Annotated[Path | None, typer.Argument(help="a store, or a method, by its file or its name")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Check methods against the contract, or a store against itself; exit 3 where something does not hold."""
    found = inspection.check(what)
    typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(f"{name}: {said}" for name, said in found.items()))
    if found.get("broken"):
        raise typer.Exit(SOME_FAILED)


@app.command()
def fetch(
    what: Annotated[str, typer.Argument(help="a family of tables, such as fcnet, or an optimiser, such as optuna")],
    source: Annotated[
        Path | None, typer.Option("--from", help="where its files lie; else where they are found")
    ] = None,
) -> None:
    """Bring a family of tables, or make a foreign optimiser's environment, in the user's cache."""
    for name, value in fetching.bring(what, source).items():
        typer.echo(f"{name}: {value}")


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _seeds(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    if re.fullmatch(r"\d+", text):
        return tuple(range(int(text)))
    if (first := re.fullmatch(r"(\d+)-(\d+)", text)) and int(first[1]) <= int(first[2]):
        return tuple(range(int(first[1]), int(first[2]) + 1))
    if not re.fullmatch(r"\d+(,\d+)+,?", text):
        raise ValueError(f"--seeds takes how many, a range such as 0-11, or a list such as 3,5,8; given {text!r}")
    return tuple(dict.fromkeys(int(seed) for seed in _split(text)))


class _Unheard:
    """A stream that goes nowhere once its reader has left: no study depends on being read."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, as long as somebody reads."""
        with self._while_read():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Send what was written, as long as somebody reads."""
        with self._while_read():
            self._stream.flush()

    @contextmanager
    def _while_read(self) -> Generator[None]:
        try:
            yield
        except BrokenPipeError:
            # What waits in the stream goes there as well, now and at the end of the program.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def main() -> None:
    """Run the command line; bad input becomes one clear line and exit code 2."""
    for name in ("stdout", "stderr"):
        if stream := getattr(sys, name):  # none where it is closed
            setattr(sys, name, _Unheard(stream))
    # Whoever asks the program to leave is treated as Ctrl-C is: what is finished is kept.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, signal.default_int_handler)
    try:
        # Where a command leaves early, typer hands its exit code back.
        sys.exit(app(standalone_mode=False))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError, ImportError) as error:
        if os.environ.get("FORETUNE_DEBUG"):
            raise
        typer.echo(f"harness: {error}", err=True)
        sys.exit(BAD_USAGE)
    except Exception as error:
        # By their names: `list` imports no store, no journal, no foreign program.
        ends: dict[str, int] = dict.fromkeys(("StorageError", "PermissionError", "OSError"), STORAGE_FAILED)
        ends |= dict.fromkeys(("Difference", "ForeignError"), BAD_USAGE)
        if type(error).__name__ in ends:
            typer.echo(f"harness: {error}", err=True)
            sys.exit(ends[type(error).__name__])
        if hasattr(error, "format_message"):  # what typer says of bad usage
            typer.echo(f"harness: {error.format_message()}", err=True)  # type: ignore[attr-defined]
            sys.exit(BAD_USAGE)
        raise


if __name__ == "__main__":
    main()
