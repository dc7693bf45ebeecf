"""Optimisers on a network's flat buffers, in place, and how a learning rate moves over a training.

Both clip the gradient by its norm. AdamW's weight decay is decoupled (Loshchilov and Hutter 2019) and, as is common,
meant for matrices only: gains and biases are spared, and so is the embedding, whose rows are looked up and not
multiplied (OLMo 2 found the same to be steadier).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from real_benchmarks._transformer import Network


class Optimiser(Protocol):
    """Moves the parameters of a network by its gradient."""

    def step(self, share: float = 1.0) -> None:
        """Move the parameters once, at this share of the learning rate; may overwrite the gradient."""
        ...

    def state(self) -> dict[str, Any]:
        """All that it remembers between steps."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        ...


def _clipping(gradient: Tensor, clip: float) -> Tensor:
    """What to multiply a gradient by so that its norm is at most `clip`, ()."""
    return (clip / (torch.linalg.vector_norm(gradient) + 1e-6)).clamp(max=1.0)


class ClippedSGD:
    """SGD with momentum, the gradient clipped by its norm: buffer = momentum * buffer + gradient."""

    def __init__(self, network: Network, lr: float, momentum: float, clip: float):
        self.network, self.lr, self.momentum, self.clip = network, lr, momentum, clip
        self.velocity = torch.zeros_like(network.flat)

    def step(self, share: float = 1.0) -> None:
        gradient = self.network.gradient
        self.velocity.mul_(self.momentum).addcmul_(gradient, _clipping(gradient, self.clip))
        self.network.flat.add_(self.velocity, alpha=-self.lr * share)

    def state(self) -> dict[str, Any]:
        return {"velocity": self.velocity}

    def restore(self, state: dict[str, Any]) -> None:
        self.velocity.copy_(state["velocity"])


class ClippedAdamW:
    """AdamW, the gradient clipped by its norm; decays the matrices except the embedding."""

    BETA1 = 0.9
    EPSILON = 1e-8

    def __init__(self, network: Network, lr: float, beta2: float, weight_decay: float, clip: float):
        self.network, self.lr, self.beta2, self.weight_decay, self.clip = network, lr, beta2, weight_decay, clip
        self.mean, self.square, self.scratch = (torch.zeros_like(network.flat) for _ in range(3))
        self.steps = 0
        kept = [torch.full((math.prod(s),), float(_decays(n, s))) for n, s in network.shape.parameters().items()]
        self.decaying = torch.cat(kept).to(network.flat)

    def step(self, share: float = 1.0) -> None:
        parameters, gradient, lr = self.network.flat, self.network.gradient, self.lr * share
        self.steps += 1
        gradient.mul_(_clipping(gradient, self.clip))
        self.mean.lerp_(gradient, 1 - self.BETA1)
        self.square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        # Both corrections of the bias as numbers: square root and epsilon share the second.
        correction1, correction2 = 1 - self.BETA1**self.steps, math.sqrt(1 - self.beta2**self.steps)
        torch.sqrt(self.square, out=self.scratch).add_(self.EPSILON * correction2)
        parameters.addcmul_(parameters, self.decaying, value=-lr * self.weight_decay)
        parameters.addcdiv_(self.mean, self.scratch, value=-lr * correction2 / correction1)

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps = state["steps"]


def _decays(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and name != "embedding"


SCHEDULES = ("constant", "cosine", "wsd")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves: up in a line for the share `warmup` of the training, then by kind.

    constant: it stays; cosine: down to 0 by half a cosine; wsd (warm-up, stable, decay): it stays, and for the last
    `decay_share` of the training goes down to 0 in a line.
    """

    kind: str = "constant"
    warmup: float = 0.0
    decay_share: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.kind!r}; there are {', '.join(SCHEDULES)}")

    def share(self, progress: float) -> float:
        """The share of the peak at a place of the training, from 0, its start, to 1, its end."""
        share = min(1.0, progress / self.warmup) if self.warmup else 1.0
        if self.kind == "cosine" and progress > self.warmup:
            return 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))
        if self.kind == "wsd" and self.decay_share:
            return min(share, (1 - progress) / self.decay_share)
        return share
