"""The command `run`: what it takes, and what it prints of a real study."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.compose import declarations, scripts, trainings

SOME_FAILED, INTERRUPTED = 3, 130
MORE_IS_BETTER = (
    r"^(?!.*(loss|err|brier|1-)).*(acc|accuracy|auc|auroc|f1|r2|bleu|score|reward|precision|recall)[\d@_]*$"
)
WORTH_SAVING = 0.25
"""Of the workers' time, spent on starting processes."""


def run(
    what: Annotated[str, typer.Argument(help="a benchmark with a training script, or your script, with --space")],
    method: Annotated[str, typer.Option(help="such as asha:eta=4")] = "asha",
    workers: Annotated[int | None, typer.Option(min=1, help="processes side by side")] = None,
    budget: Annotated[str | None, typer.Option(help="such as 90s or 2h")] = None,
    seed: Annotated[int, typer.Option(help="of the study and of the trainings")] = 0,
    prior: Annotated[list[str] | None, typer.Option(help="where an optimum is expected, as lr=1e-3:0.5")] = None,
    history: Annotated[str, typer.Option(help="past tasks: benchmarks with a table, or folders of results")] = "",
    space: Annotated[Path | None, typer.Option(help="TOML with [space]: the hyperparameters of your script")] = None,
    metric: Annotated[str | None, typer.Option(help="that your script reports")] = None,
    maximize: Annotated[bool, typer.Option("--maximize", help="the metric; else it is minimised")] = False,
    resource: Annotated[str, typer.Option(help="what your script counts in its reports")] = "epoch",
    maximum: Annotated[int | None, typer.Option("--max", min=1, help="of the resource: a full training")] = None,
    max_arg: Annotated[str | None, typer.Option(help="your script's argument for how far to train")] = None,
    seed_arg: Annotated[str | None, typer.Option(help="your script's argument for its seed")] = None,
    values: Annotated[str, typer.Option(help="arguments, or json: all values as one argument")] = "arguments",
    warm: Annotated[bool, typer.Option("--warm", help="keep processes and their imports between trials")] = False,
    patience: Annotated[str | None, typer.Option(help="without a report a script counts as hanging, as 10m")] = None,
    retries: Annotated[int, typer.Option(min=0, help="of a trial that crashed, from its checkpoint")] = 0,
    retrain: Annotated[int, typer.Option(min=0, help="so many of the best configs again, over seeds")] = 0,
    retrain_seeds: Annotated[int, typer.Option(min=1, help="how many of them")] = 3,
    out: Annotated[Path | None, typer.Option(help="where checkpoints, outputs and the study go")] = None,
    follow_journal: Annotated[bool, typer.Option(help="continue as the journal says, though decisions differ")] = False,
) -> None:
    """Run a study for real: trials as processes on this machine; of a benchmark, or of a script of yours."""
    from harness.terminal import watching

    options: dict[str, Any] = {"retries": retries}
    if patience:
        options["patience"] = declarations.seconds_of(patience)
    known = declarations.known_beforehand(prior or (), history)
    if space is None:
        _check_benchmark(what, [seed_arg, max_arg, maximum, metric, maximize], (values, resource))
        seconds = declarations.seconds_of(budget) if budget else None
        given = {"workers": workers, "budget": seconds, "delays": {"warm": True} if warm else None}
        given = {field: value for field, value in given.items() if value is not None} | known
        script = scripts.of_benchmark(declarations.single_study(what, method, seed, given, real=True), options)
    else:
        _check_script(what, {"--metric": metric, "--max": maximum, "--budget": budget}, values, history)
        script = scripts.declare(
            Path(what),
            scripts.read_space(space),
            metric=metric or "",
            maximize=maximize,
            resource=resource,
            maximum=maximum or 1,
            max_arg=max_arg,
            seed_arg=seed_arg,
            as_json=values == "json",
            method=method,
            workers=workers or 1,
            budget=declarations.seconds_of(budget or ""),
            warm=warm,
            seed=seed,
            options=options,
            priors=known.get("prior", {}),
        )
    study = script.study
    objective = study.benchmark.objectives[0]
    if not objective.maximize and re.search(MORE_IS_BETTER, objective.metric, re.IGNORECASE):
        typer.echo(
            f"{objective.metric} is minimised: if more of it is better, say --maximize (with another --out: that is "
            "another study)",
            err=True,
        )
    folder = out or Path("results") / re.sub(r"[^\w.+-]+", "-", f"run-{study.benchmark.name}-{study.arm}-{seed}")
    hours = "GPU-hours" if scripts.has_gpus() else "worker-hours"
    with watching(study.benchmark, f"{study.arm} on {study.benchmark.name}", hours) as view:
        log, record = scripts.run(script, folder, view, follow_journal=follow_journal)
    view.end(log)
    _show_failures(record.failures)
    _show_warnings(trainings.warnings_in(folder))
    seconds, share = scripts.start_up(script, log)
    if share > WORTH_SAVING:
        typer.echo(
            f"to start a process took {seconds:.1f} s, {share:.0%} of the workers' time in all: --warm (with another "
            "--out) keeps processes and what they have imported"
        )
    best = [] if log.error else trainings.found(study.benchmark, log)
    if best:
        try:
            _show_found(script, log, best, folder, retrain if log.why != "interrupted" else 0, retrain_seeds)
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command continues", err=True)
            raise typer.Exit(INTERRUPTED) from None
    elif not log.error:
        hint = "" if record.failures else "; a larger --budget goes on"
        hint += "" if record.failures or patience else "; if the script hangs, --patience 1m ends it"
        typer.echo(f"no trial has come to a {objective.metric}: there is no best config{hint}", err=True)
    typer.echo(f"study, outputs and checkpoints: {folder}")
    if log.why == "interrupted":
        typer.echo("interrupted; the same command continues", err=True)
        raise typer.Exit(INTERRUPTED)
    if log.error:
        typer.echo(
            "what it has is kept: once the script is mended, the same command goes on; another command, with another "
            "--metric for instance, needs another --out",
            err=True,
        )
    if not best:
        raise typer.Exit(SOME_FAILED)


def _check_benchmark(what: str, of_scripts: Sequence[Any], with_defaults: tuple[str, str]) -> None:
    """Refuse a script without its space, or a benchmark with what scripts need; with_defaults: values, resource."""
    if Path(what).is_file() or what.endswith(".py"):
        raise ValueError(f"to tune {what}, say what: --space space.toml --metric loss --max 9 --budget 10m")
    if any(of_scripts) or with_defaults != ("arguments", "epoch"):
        raise ValueError("a benchmark says itself what it reports and how it is called; leave out what scripts need")


def _check_script(what: str, needed: dict[str, Any], values: str, history: str) -> None:
    """Refuse a call on a script that says too little, or what scripts do not have."""
    if not Path(what).is_file():
        raise FileNotFoundError(f"no training script at {what}")
    if lacking := [name for name, value in needed.items() if value is None]:
        raise ValueError(f"to tune {what}, also say {', '.join(lacking)}")
    if history:
        raise ValueError("--history is for benchmarks: say what you know of a script with --prior")
    if values not in ("arguments", "json"):
        raise ValueError(f"--values takes arguments or json, given {values!r}")


SHOWN_REASONS = 5


def _show_failures(failures: Sequence[str]) -> None:
    """The reasons why trials failed, with their last lines; what differs in its numbers only is said once."""
    from harness.terminal import kind_of

    kinds: dict[str, dict[int, str]] = {}
    for trial, reason in map(json.loads, failures):
        # A report that makes no sense says so itself; what the script printed last has nothing to do with it.
        kind = reason.splitlines()[0] if reason.startswith("protocol:") else reason
        kinds.setdefault(kind_of(kind), {})[trial] = reason
    for of_kind in list(kinds.values())[:SHOWN_REASONS]:
        alike = "" if len(set(of_kind.values())) == 1 else " alike, the first"
        typer.echo(f"{_named(list(of_kind))} failed{alike}: {next(iter(of_kind.values()))}", err=True)
    if len(kinds) > SHOWN_REASONS:
        typer.echo(f"and {len(kinds) - SHOWN_REASONS} other reasons, in the folder of the study", err=True)


def _show_warnings(warnings: Mapping[int, Sequence[str]]) -> None:
    """What went wrong with trials that did not fail for it: what differs in its numbers only is said once."""
    from harness.terminal import kind_of

    kinds: dict[str, dict[int, str]] = {}
    for trial, texts in warnings.items():
        for text in texts:
            kinds.setdefault(kind_of(text.splitlines()[0]), {}).setdefault(trial, text)
    for of_kind in list(kinds.values())[:SHOWN_REASONS]:
        text = next(iter(of_kind.values()))
        said, *printed = filter(str.strip, text.splitlines())
        last_words = f"; its last words: {printed[-1]}" if printed else ""
        alike = "" if len(set(of_kind.values())) == 1 else " alike, the first"
        typer.echo(f"warning: {_named(list(of_kind))}{alike}: {said}{last_words}", err=True)
    if len(kinds) > SHOWN_REASONS:
        typer.echo(f"and {len(kinds) - SHOWN_REASONS} other warnings, in the journal of the study", err=True)


def _named(trials: Sequence[int]) -> str:
    trials = sorted(trials)
    named = ", ".join(map(str, trials[:5])) + (f" and {len(trials) - 5} more" if len(trials) > 5 else "")
    return f"trial{'s' * (len(trials) > 1)} {named}"


def _show_found(
    script: scripts.Script, log: scripts.Log, best: Sequence[trainings.Found], folder: Path, retrain: int, seeds: int
) -> None:
    """The best configs, trained again where asked for, what mattered, and the command that trains the winner."""
    from harness.terminal import shares

    benchmark = script.study.benchmark
    scripts.written(script, best, folder)
    metric, unit = benchmark.objectives[0].metric, benchmark.fidelity.unit
    others = ", ".join(objective.metric for objective in benchmark.objectives[1:])
    alone = f" alone, not by {others}" if others else ""
    typer.echo(f"\nthe best of those trained furthest, by their last {metric}{alone}:")
    for one in best[: max(5, retrain)]:
        config = "  ".join(f"{name}={value}" for name, value in one.config.items())
        typer.echo(f"trial {one.trial:<4} {metric} {one.value:.6g} at {unit} {one.resource:<3} {config}")
    level, importances = scripts.importances(script, log)
    typer.echo("\n".join(shares(importances, unit, level)))
    winner = best[0]
    if retrain:
        first = script.study.seed + 1
        if not script.takes_seed:
            typer.echo("the script is not told its seed (--seed-arg): it draws its own luck each time")
        repeated = scripts.retrain(script, best[:retrain], range(first, first + seeds), folder / "again", typer.echo)
        for again in repeated:
            said = ", ".join(f"{value:.6g}" for value in again.values)
            typer.echo(f"trial {again.found.trial:<4} again until {unit} {benchmark.fidelity.maximum}: {metric} {said}")
        winner = repeated[0].found
    typer.echo(f"to train the best config, trial {winner.trial}:\n  {script.line(winner.config)}")
