"""A small transformer language model on WikiText-2, to be tuned: lr, dropout, batch_size, momentum, clip."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.report import Reporter, add_to_argparse, load_checkpoint, save_checkpoint
from harness.space import Space, loguniform, randint, uniform
from harness.types import Benchmark, Delays, Fidelity, Objective
from real_benchmarks import _wikitext2

if TYPE_CHECKING:
    import torch

    from real_benchmarks._transformer import Network


@dataclass(frozen=True)
class Task:
    """What is trained: the text as tokens, and the network's size; ffn_ratio is hidden width over d_model.

    train_tokens, held_out_tokens: how much of each text, None for all.
    """

    tokeniser: str
    train_tokens: int | None
    held_out_tokens: int | None
    d_model: int
    ffn_ratio: int = 1
    layers: int = 2
    heads: int = 2
    bptt: int = 35


TASKS = {
    "transformer_wikitext2": Task("words", None, None, d_model=256),
    "transformer_wikitext2_small": Task("bpe1000", 50_000, 8_192, d_model=32),
}


def _benchmark(name: str, lr: tuple[float, float], budget: float, delays: Delays) -> Benchmark:
    space = {"lr": loguniform(*lr), "dropout": uniform(0, 0.99), "batch_size": randint(16, 48)}
    return Benchmark(
        name=name,
        space=Space({**space, "momentum": uniform(0, 0.99), "clip": uniform(0, 1)}),
        objectives=(Objective("val_loss"),),
        test_metric="test_loss",
        fidelity=Fidelity("epoch", tuple(range(1, 41))),
        budget=budget,
        workers=4,
        delays=delays,
    )


BENCHMARKS = (
    _benchmark("transformer_wikitext2", (1e-6, 1e-3), 5 * 3600.0, Delays(start_up=10.0)),
    _benchmark("transformer_wikitext2_small", (1e-2, 1e1), 180.0, Delays(start_up=2.0, evaluate=0.05, save=0.01, restore=0.02)),
)
EVALUATION_WINDOWS = 64  # of bptt tokens each: the fixed evaluation batch
MODES = ("end", "epochs", "checkpoints")


def train(
    benchmark: str,
    config: Mapping[str, Any],
    *,
    seed: int = 1,
    until: int | None = None,
    report: Callable[..., None],
    checkpoints: Path | None = None,
    mode: str = "epochs",
    data_dir: Path | None = None,
    corpus: str = "wikitext2",
    began: float | None = None,
) -> None:
    """Train one config up to epoch `until`, reporting losses in nats per token and seconds.

    mode: report at the `end`, after all `epochs`, or after each with a checkpoint saved first (`checkpoints`);
    checkpoints: the trial's folder: where it holds a checkpoint, training goes on from it; began: when start-up
    began on the clock of `time.perf_counter`, by default now.
    """
    clock = _Clock(time.perf_counter() if began is None else began)
    if benchmark not in TASKS:
        raise ValueError(f"unknown benchmark {benchmark!r}; known are {', '.join(TASKS)}")
    if mode not in MODES or (mode == "checkpoints" and checkpoints is None):
        raise ValueError(f"cannot report {mode!r} with checkpoints in {checkpoints}: modes are {', '.join(MODES)}, "
                         "and 'checkpoints' needs a folder for them")
    last = next(b for b in BENCHMARKS if b.name == benchmark).fidelity.maximum
    until = last if until is None else until
    if not 1 <= until <= last:
        raise ValueError(f"cannot train {benchmark!r} until epoch {until}: possible are 1 to {last}")
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        with torch.no_grad():
            trial = Trial(TASKS[benchmark], config, seed, _wikitext2_of(TASKS[benchmark], corpus, data_dir))
            _run(trial, clock, until, report, checkpoints, mode)
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _wikitext2_of(task: Task, corpus: str, data_dir: Path | None) -> _wikitext2.Corpus:
    return _wikitext2.load(corpus, task.tokeniser, task.train_tokens, task.held_out_tokens, data_dir)


def _run(
    trial: Trial, clock: _Clock, until: int, report: Callable[..., None], checkpoints: Path | None, mode: str
) -> None:
    start_up = clock.lap(trial.device)
    state = load_checkpoint(checkpoints) if checkpoints else None
    if state is not None:
        trial.restore(state)
    fixed = {"start_up_seconds": start_up, "restore_seconds": clock.lap(trial.device) if state else 0.0, **trial.constants()}
    train_seconds, tokens = 0.0, 0
    for epoch in range(trial.epoch + 1, until + 1):
        clock.lap(trial.device)
        metrics = {"train_loss": trial.train_epoch()}
        train_seconds += clock.lap(trial.device)
        tokens += trial.tokens_per_epoch
        diverged = not math.isfinite(metrics["train_loss"])
        if mode == "end" and epoch < until and not diverged:
            continue
        metrics |= trial.evaluate()
        diverged = diverged or not math.isfinite(metrics["val_loss"])
        evaluated = clock.lap(trial.device)
        if mode == "checkpoints" and checkpoints:
            save_checkpoint(checkpoints, trial.state())
        report(
            epoch=epoch,
            **metrics,
            diverged=float(diverged),
            tokens_per_second=tokens / train_seconds,
            train_seconds=train_seconds,
            eval_seconds=evaluated,
            save_seconds=clock.lap(trial.device) if mode == "checkpoints" else 0.0,
            **fixed,
        )
        if diverged:
            return
        train_seconds, tokens = 0.0, 0


class _Clock:
    """Seconds between laps, the device's work included."""

    def __init__(self, began: float):
        self.then = began

    def lap(self, device: torch.device) -> float:
        if device.type == "cuda":
            import torch

            torch.cuda.synchronize(device)
        before, self.then = self.then, time.perf_counter()
        return self.then - before


class Trial:
    """One config in training: network, optimiser, random streams and the epoch that it has reached."""

    def __init__(self, task: Task, config: Mapping[str, Any], seed: int, corpus: _wikitext2.Corpus):
        import torch

        from real_benchmarks import _transformer as parts

        self.task, self.corpus, self.epoch = task, corpus, 0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.batch = int(config["batch_size"])
        shape = parts.Shape(corpus.vocabulary, task.d_model, task.ffn_ratio, task.layers, task.heads, task.bptt)
        self.network = parts.Network(shape, self.device, parts.stream(seed, "parameters"))
        self.optimiser = parts.ClippedSGD(self.network, config["lr"], config["momentum"], config["clip"])
        self.order = parts.stream(seed, "order")
        drawn = parts.stream(seed, "dropout", self.device)
        widths = shape.dropout_widths()
        self.dropout = parts.Dropout(config["dropout"], widths, self.batch * task.bptt, self.device, drawn)
        train, *held_out = (torch.from_numpy(part.ids).to(self.device).long() for part in corpus[:3])
        self.train_ids = train
        self.held_out = dict(zip(("val", "test"), held_out, strict=True))
        self.steps = (len(train) - task.bptt) // task.bptt // self.batch
        if not self.steps:
            raise ValueError(f"{len(train)} training tokens are too few for one batch of {self.batch} x {task.bptt}")
        self.tokens_per_epoch = self.steps * self.batch * task.bptt

    def constants(self) -> dict[str, float]:
        """What stays the same over a training: the number of parameters and FLOP per token."""
        shape = self.network.shape
        return {"parameters": float(len(self.network.flat)), "flops_per_token": float(shape.flops_per_token())}

    def train_epoch(self) -> float:
        """One pass over the windows of bptt tokens, cut at a random offset and shuffled; gives the mean loss."""
        import torch

        bptt = self.task.bptt
        offset = int(torch.randint(bptt, (), generator=self.order))
        windows = self.train_ids[offset:].unfold(0, bptt + 1, bptt)
        chosen = torch.randperm(len(windows), generator=self.order)[: self.steps * self.batch]
        losses = torch.zeros(self.steps, dtype=torch.float64, device=self.device)
        for step, block in enumerate(windows[chosen.to(self.device)].split(self.batch)):
            losses[step] = self.network.gradients(block[:, :-1], block[:, 1:].reshape(-1), self.dropout.draw())
            self.optimiser.step()
        self.epoch += 1
        return float(losses.mean())

    def evaluate(self) -> dict[str, float]:
        """Validation and test loss over every token but the first, and bits per byte of the validation text."""
        losses = {name: self._held_out_loss(ids) for name, ids in self.held_out.items()}
        text = self.corpus.valid.bytes[1:]
        bits = losses["val"] * len(text) / math.log(2)
        return {**{f"{n}_loss": loss for n, loss in losses.items()}, "bits_per_byte": bits / float(text.sum())}

    def _held_out_loss(self, ids: torch.Tensor) -> float:
        bptt, count = self.task.bptt, len(ids) - 1
        whole = count // bptt * bptt
        blocks = list(ids[: whole + 1].unfold(0, bptt + 1, bptt).split(EVALUATION_WINDOWS))
        if count > whole:
            blocks.append(ids[None, whole:])
        return sum(float(self.network.evaluate(block[:, :-1], block[:, 1:].reshape(-1))) for block in blocks) / count

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs to go on as if it had not stopped."""
        return {
            "epoch": self.epoch,
            "parameters": self.network.flat,
            "velocity": self.optimiser.velocity,
            "order": self.order.get_state(),
            "dropout": self.dropout.random.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.flat.copy_(state["parameters"])
        self.optimiser.velocity.copy_(state["velocity"])
        self.order.set_state(state["order"])
        self.dropout.random.set_state(state["dropout"])
        self.epoch = state["epoch"]


def seconds_since_process_start() -> float:
    """How long this process exists: by the kernel where it tells, else 0."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError):
        return 0.0


def main() -> None:
    """Train one config from the command line."""
    began = time.perf_counter() - seconds_since_process_start()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmark", choices=list(TASKS), default="transformer_wikitext2_small")
    add_to_argparse(parser, BENCHMARKS[0].space)
    parser.add_argument("--epochs", type=int, default=40, help="train until this epoch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", choices=MODES, default="checkpoints", help="report once, or each epoch, or each epoch after saving")
    parser.add_argument("--corpus", choices=_wikitext2.CORPORA, default="wikitext2")
    parser.add_argument("--data_dir", type=Path, help="folder with the texts of WikiText-2")
    parser.add_argument("--checkpoint_dir", type=Path, help="the trial's folder; default: as the executor says, else a temporary one")
    given = parser.parse_args()
    report = Reporter()
    config = {name: getattr(given, name) for name in BENCHMARKS[0].space.domains}
    with tempfile.TemporaryDirectory(prefix="foretune-") as temporary:
        checkpoints = given.checkpoint_dir or report.checkpoint_dir or Path(temporary)
        try:
            train(
                given.benchmark, config, seed=given.seed, until=given.epochs, report=report, checkpoints=checkpoints,
                mode=given.report, data_dir=given.data_dir, corpus=given.corpus, began=began,
            )
        except (ValueError, FileNotFoundError, ImportError) as error:
            parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
