"""One config in training: what a task is, how its text is fed, and the trial that composes network and optimiser."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.report import load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    import torch

    from real_benchmarks._optimisers import Optimiser, Schedule
    from real_benchmarks._transformer import Network
    from real_benchmarks._wikitext2 import Corpus

EVALUATION_WINDOWS = 64
"""The evaluation batch: so many windows of bptt tokens, whatever the batch size of the training."""

SHAPING = {"width": "d_model", "depth": "layers", "heads": "heads", "context": "bptt"}
"""Hyperparameters that take the place of a field of the task."""


@dataclass(frozen=True)
class Task:
    """What is trained, on what and how: all that a config leaves open is said here.

    train_tokens, held_out_tokens: how much of the training text and of each other one, None for all;
    ffn_ratio: the hidden width of the feed-forward layer over d_model; bptt: tokens in a window;
    optimiser: `sgd` or `adamw`; levels: of a full training; once: whether they are shares of one pass over the
    training text, no token seen twice, or a pass each.
    """

    tokeniser: str
    train_tokens: int | None
    held_out_tokens: int | None
    d_model: int
    ffn_ratio: int = 1
    layers: int = 2
    heads: int = 2
    bptt: int = 35
    optimiser: str = "sgd"
    levels: int = 40
    once: bool = False

    def shaped(self, config: Mapping[str, Any]) -> Task:
        """The task with what the config says of its shape."""
        task = replace(self, **{field: int(config[name]) for name, field in SHAPING.items() if name in config})
        if task.d_model % task.heads:
            raise ValueError(f"{task.heads} heads cannot share a width of {task.d_model} evenly")
        return task


class Feed(Protocol):
    """The training text as batches of windows."""

    random: torch.Generator

    def steps_before(self, level: int) -> int:
        """How many batches come before those of a level, from 0."""
        ...

    def batches(self, level: int) -> Sequence[torch.Tensor]:
        """The batches of a level, each (batch, length + 1): tokens, and at each the next as target."""
        ...


class Epochs:
    """Every level is a pass: windows cut at a random offset and shuffled, an incomplete last batch left out."""

    def __init__(self, ids: torch.Tensor, length: int, batch: int, random: torch.Generator):
        self.ids, self.length, self.batch, self.random = ids, length, batch, random
        self.steps = (len(ids) - length) // (batch * length)
        if self.steps < 1:
            raise ValueError(f"{len(ids)} training tokens do not fill a batch of {batch} x {length}")

    def steps_before(self, level: int) -> int:
        return self.steps * level

    def batches(self, level: int) -> Sequence[torch.Tensor]:
        import torch

        offset = int(torch.randint(self.length, (), generator=self.random))
        windows = self.ids[offset:].unfold(0, self.length + 1, self.length)
        chosen = torch.randperm(len(windows), generator=self.random)[: self.steps * self.batch]
        return windows[chosen.to(self.ids.device)].split(self.batch)


class OnePass:
    """All levels together are one pass over the shuffled windows of the whole text; only a last batch may be left out.

    The batches are dealt to the levels as evenly as may be: their numbers differ by one at most.
    """

    def __init__(self, ids: torch.Tensor, length: int, batch: int, levels: int, random: torch.Generator):
        import torch

        self.levels, self.random = levels, random
        self.windows = ids.unfold(0, length + 1, length)
        self.steps = len(self.windows) // batch
        if self.steps < levels:
            raise ValueError(f"{len(ids)} training tokens do not fill {levels} batches of {batch} x {length}")
        order = torch.randperm(len(self.windows), generator=random)[: self.steps * batch]
        self.order = order.view(self.steps, batch).to(ids.device)

    def steps_before(self, level: int) -> int:
        return level * self.steps // self.levels

    def batches(self, level: int) -> Sequence[torch.Tensor]:
        return self.windows[self.order[self.steps_before(level) : self.steps_before(level + 1)]].unbind()


class Trial:
    """One config in training: network, optimiser, random streams and the level that it has reached.

    seconds: what its training took so far, over all its stretches; on a CPU the processor's time, so that others on
    the machine do not change it.
    """

    def __init__(self, task: Task, config: Mapping[str, Any], seed: int, corpus: Corpus):
        import torch

        from real_benchmarks import _transformer as parts
        from real_benchmarks._by_hand import NetworkByHand

        self.task = task = task.shaped(config)
        self.level, self.seconds, self.batch = 0, 0.0, int(config["batch_size"])
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        shape = parts.Shape(corpus.vocabulary, task.d_model, task.ffn_ratio, task.layers, task.heads, task.bptt)
        network = NetworkByHand if self.device.type == "cpu" else parts.Network
        self.network = network(shape, self.device, parts.stream(seed, "parameters"))
        self.optimiser, self.schedule = _optimiser(task, self.network, config)
        dropped = parts.stream(seed, "dropout", self.device)
        tokens = self.batch * task.bptt
        self.dropout = parts.Dropout(config["dropout"], shape.dropout_widths(), tokens, self.device, dropped)
        train, *held_out = (torch.from_numpy(part.ids).to(self.device).long() for part in corpus[:3])
        self.held_out = dict(zip(("val", "test"), held_out, strict=True))
        self.val_bytes = corpus.valid.bytes[1:]
        order = parts.stream(seed, "order")
        self.feed: Feed = (
            OnePass(train, task.bptt, self.batch, task.levels, order)
            if task.once
            else Epochs(train, task.bptt, self.batch, order)
        )

    def constants(self) -> dict[str, float]:
        """What stays the same over a training: the number of parameters, and FLOP to train on a token."""
        flops = self.network.shape.flops_per_token()
        return {"parameters": float(self.network.flat.numel()), "flops_per_token": float(flops)}

    @property
    def tokens(self) -> int:
        """How many tokens it was trained on, repeated ones counted again."""
        return self.feed.steps_before(self.level) * self.batch * self.task.bptt

    def train_level(self) -> float:
        """Train for one level; gives the mean loss. The schedule is read in the middle of each step."""
        import torch

        began = self._worked()
        first, whole = self.feed.steps_before(self.level), self.feed.steps_before(self.task.levels)
        blocks = self.feed.batches(self.level)
        losses = torch.zeros(len(blocks), dtype=torch.float64, device=self.device)
        for step, block in enumerate(blocks):
            losses[step] = self.network.gradients(block[:, :-1], block[:, 1:].reshape(-1), self.dropout.draw())
            self.optimiser.step(self.schedule.share((first + step + 0.5) / whole))
        self.level += 1
        loss = float(losses.mean())  # waits for the device
        self.seconds += self._worked() - began
        return loss

    def _worked(self) -> float:
        return time.process_time() if self.device.type == "cpu" else time.perf_counter()

    def evaluate(self) -> dict[str, float]:
        """Validation and test loss over every token but the first, and bits per byte of the validation text."""
        losses = {f"{name}_loss": self._held_out_loss(ids) for name, ids in self.held_out.items()}
        bits = losses["val_loss"] * len(self.val_bytes) / math.log(2)
        return losses | {"bits_per_byte": bits / float(self.val_bytes.sum())}

    def _held_out_loss(self, ids: torch.Tensor) -> float:
        count, length = len(ids) - 1, self.task.bptt
        whole = count // length * length
        blocks = list(ids[: whole + 1].unfold(0, length + 1, length).split(EVALUATION_WINDOWS))
        if count > whole:
            blocks.append(ids[None, whole:])
        return float(sum(self.network.evaluate(block[:, :-1], block[:, 1:].reshape(-1)) for block in blocks)) / count

    def state(self) -> dict[str, Any]:
        """All that a resumed training needs to go on as if it had not stopped."""
        return {
            "level": self.level,
            "seconds": self.seconds,
            "parameters": self.network.flat,
            "optimiser": self.optimiser.state(),
            "order": self.feed.random.get_state(),
            "dropout": self.dropout.random.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, of this trial or of one with other hyperparameters."""
        if (given := state["parameters"].numel()) != (wanted := self.network.flat.numel()):
            raise ValueError(f"the checkpoint is of a network of {given} parameters, this one has {wanted}")
        self.network.flat.copy_(state["parameters"])
        self.optimiser.restore(state["optimiser"])
        self.feed.random.set_state(state["order"].cpu())
        self.dropout.random.set_state(state["dropout"].cpu())
        self.level, self.seconds = state["level"], state["seconds"]


def _optimiser(task: Task, network: Network, config: Mapping[str, Any]) -> tuple[Optimiser, Schedule]:
    from real_benchmarks._optimisers import ClippedAdamW, ClippedSGD, Schedule

    if task.optimiser == "sgd":
        return ClippedSGD(network, config["lr"], config["momentum"], config["clip"]), Schedule()
    chosen = {name: config[name] for name in ("lr", "beta2", "weight_decay", "clip")}
    schedule = Schedule(config["schedule"], config["warmup"], config.get("decay_share", 0.0))
    return ClippedAdamW(network, **chosen), schedule


class Clock:
    """Seconds between laps, the device's work included."""

    def __init__(self, began: float):
        self.then = began

    def lap(self, device: torch.device) -> float:
        """Seconds since the lap before, once the device has done what it was given."""
        if device.type == "cuda":
            import torch

            torch.cuda.synchronize(device)
        before, self.then = self.then, time.perf_counter()
        return self.then - before


def run(
    trial: Trial,
    clock: Clock,
    until: int,
    say: Callable[[int, dict[str, float]], None],
    *,
    checkpoints: Path | None,
    mode: str,
) -> bool:
    """Train until a level, calling `say(level, metrics)` as the mode wants; False where the training diverged."""
    constants = trial.constants() | {"start_up_seconds": clock.lap(trial.device)}
    state = load_checkpoint(checkpoints) if checkpoints else None
    if state is not None:
        trial.restore(state)
    constants["restore_seconds"] = 0.0 if state is None else clock.lap(trial.device)
    seconds, tokens = 0.0, trial.tokens
    while trial.level < until:
        clock.lap(trial.device)
        losses = {"train_loss": trial.train_level()}
        seconds += clock.lap(trial.device)
        diverged = not math.isfinite(losses["train_loss"])
        if mode == "end" and trial.level < until and not diverged:
            continue
        losses |= trial.evaluate()
        diverged = diverged or not math.isfinite(losses["val_loss"])
        timings = {"train_seconds": seconds, "eval_seconds": clock.lap(trial.device), "save_seconds": 0.0}
        if mode == "checkpoints" and checkpoints:
            save_checkpoint(checkpoints, trial.state())
            timings["save_seconds"] = clock.lap(trial.device)
        timings["tokens_per_second"] = (trial.tokens - tokens) / seconds
        say(trial.level, losses | {"diverged": float(diverged), **timings, **constants, "seconds": trial.seconds})
        if diverged:
            return False
        seconds, tokens = 0.0, trial.tokens
    return True
