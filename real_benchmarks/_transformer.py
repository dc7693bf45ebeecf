"""A decoder-only transformer on one flat parameter buffer, with a loss that never keeps its logits.

Pre-norm, causal, untied head, sinusoidal positions. Dropout stands after the embedding, after attention, in the
feed-forward layer and after it; not on attention weights, so that attention can be fused. `Network.hidden` says what
the network is; on a GPU autograd differentiates it under bfloat16 autocast. On a CPU `_by_hand` computes the same: at
this size autograd's bookkeeping and fresh tensors cost a third of a step.
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOG2E = math.log2(math.e)
RANDOM_VALUES = 1 << 16  # dropout compares 16 random bits an element


class Shape(NamedTuple):
    """The size of a network; ffn_ratio is the hidden width of the feed-forward layer over d_model."""

    vocabulary: int
    d_model: int
    ffn_ratio: int
    layers: int
    heads: int
    bptt: int

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Every parameter's shape by name, in the order of the flat buffer; matrices are (in, out)."""
        d, f = self.d_model, self.d_model * self.ffn_ratio
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, d)}
        for i in range(self.layers):
            shapes |= {f"{i}.norm1.weight": (d,), f"{i}.norm1.bias": (d,)}
            shapes |= {f"{i}.qkv.weight": (d, 3 * d), f"{i}.qkv.bias": (3 * d,)}
            shapes |= {f"{i}.out.weight": (d, d), f"{i}.out.bias": (d,)}
            shapes |= {f"{i}.norm2.weight": (d,), f"{i}.norm2.bias": (d,)}
            shapes |= {
                f"{i}.up.weight": (d, f),
                f"{i}.up.bias": (f,),
                f"{i}.down.weight": (f, d),
                f"{i}.down.bias": (d,),
            }
        shapes |= {"norm.weight": (d,), "norm.bias": (d,)}
        return shapes | {"head.weight": (d, self.vocabulary)}

    def dropout_widths(self) -> list[int]:
        """The widths of the activations that dropout meets, in the order of the forward pass."""
        return [self.d_model, *[self.d_model, self.d_model * self.ffn_ratio, self.d_model] * self.layers]

    def flops_per_token(self) -> int:
        """Floating-point operations to train on one token, forward and backward, attention over a full window."""
        matrices = sum(math.prod(s) for name, s in self.parameters().items() if len(s) == 2 and name != "embedding")
        return 6 * matrices + 12 * self.layers * self.d_model * self.bptt


def stream(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A random stream that depends on the seed and on what it is for, and on nothing else."""
    digest = hashlib.sha256(f"{name}/{seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:4], "little"))


def sinusoids(length: int, width: int) -> Tensor:
    """Position embeddings of Vaswani et al. 2017: float32 (length, width)."""
    angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)


class Dropout:
    """Masks for one batch at a time, all places in one draw: 0 where dropped, else 1 over the share that is kept."""

    def __init__(self, rate: float, widths: list[int], tokens: int, device: torch.device, random: torch.Generator):
        self.random = random
        self.threshold = round((1 - rate) * RANDOM_VALUES)
        size = sum(widths) * tokens
        self.bits = torch.empty(-(-size // 4), dtype=torch.int64, device=device)
        self.drawn = self.bits.view(torch.int16)[:size]
        self.masks = torch.empty(size, device=device)
        self.views = [m.view(tokens, -1) for m in self.masks.split([width * tokens for width in widths])]

    def draw(self) -> list[Tensor] | None:
        """The next masks, each (tokens, width), overwriting the ones before; None where nothing is dropped."""
        if self.threshold >= RANDOM_VALUES:
            return None
        self.bits.random_(-(2**63), None, generator=self.random)
        torch.lt(self.drawn, self.threshold - RANDOM_VALUES // 2, out=self.masks)
        self.masks.mul_(RANDOM_VALUES / self.threshold)
        return self.views


class Network:
    """Parameters and gradients as two flat buffers with a named view for each parameter.

    Autograd, under bfloat16 autocast, computes the gradients of all below the head; `_by_hand` has its kin for a CPU.
    """

    ROWS = 4096
    """Of logits at a time."""
    TRACKED = True
    """Whether autograd follows the parameters."""

    def __init__(self, shape: Shape, device: torch.device, random: torch.Generator) -> None:
        self.shape, self.device, self.rows = shape, device, self.ROWS
        sizes = {name: math.prod(s) for name, s in shape.parameters().items()}
        self.flat = torch.empty(sum(sizes.values()), device=device)
        self.gradient = torch.zeros_like(self.flat)
        self.positions = sinusoids(shape.bptt, shape.d_model).to(device)
        self.w, self.g = self._views(self.flat), self._views(self.gradient)
        for name, value in self.w.items():
            value.copy_(self._first(name, value.shape, random))
            if self.TRACKED and not name.startswith("head"):
                value.requires_grad_().grad = self.g[name]

    def _views(self, flat: Tensor) -> dict[str, Tensor]:
        shapes = self.shape.parameters()
        pieces = flat.split([math.prod(s) for s in shapes.values()])
        return {name: piece.view(s).detach() for (name, s), piece in zip(shapes.items(), pieces, strict=True)}

    @staticmethod
    def _first(name: str, shape: torch.Size, random: torch.Generator) -> Tensor:
        if len(shape) == 1:
            return torch.ones(shape) if name.endswith(".weight") else torch.zeros(shape)
        bound = 0.1 if name in ("embedding", "head.weight") else shape[0] ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=random)

    def hidden(self, inputs: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        """What the head reads, (batch * length, d_model), for tokens (batch, length)."""
        w, d, (batch, length) = self.w, self.shape.d_model, inputs.shape
        places = iter(masks) if masks is not None else None
        x = w["embedding"].index_select(0, inputs.reshape(-1)).view(batch, length, d)
        x = torch.add(self.positions[:length], x, alpha=d**0.5).view(-1, d)
        if places:
            x = x * next(places)
        for i in range(self.shape.layers):
            qkv = self._linear(self._normed(x, f"{i}.norm1"), f"{i}.qkv")
            q, k, v = qkv.view(batch, length, 3, self.shape.heads, -1).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            y = self._linear(attended.transpose(1, 2).reshape(-1, d), f"{i}.out")
            x = torch.addcmul(x, y, next(places)) if places else x + y
            up = torch.relu(self._linear(self._normed(x, f"{i}.norm2"), f"{i}.up"))
            if places:
                up = up * next(places)
            y = self._linear(up, f"{i}.down")
            x = torch.addcmul(x, y, next(places)) if places else x + y
        return self._normed(x, "norm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return torch.addmm(self.w[f"{name}.bias"], x, self.w[f"{name}.weight"])

    def _normed(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-5)

    def loss(self, hidden: Tensor, targets: Tensor, dhidden: Tensor | None = None) -> Tensor:
        """Summed cross-entropy in nats, float64 (), of hidden (n, d_model) against targets (n,), some rows at a time.

        With `dhidden`, (n, d_model), it also writes there the gradient of the mean loss, and the head's gradients.
        The logits are computed in base 2, as exp2 is twice as fast as exp, and overwritten by the next rows.
        """
        rows = -(-len(targets) // -(-len(targets) // self.rows))  # pieces of one size
        scaled, index = hidden * LOG2E, targets[:, None]
        tops, chosen, sums = (hidden.new_empty(len(targets), 1) for _ in range(3))
        if dhidden is not None:
            self.g["head.weight"].zero_()
        for piece in (slice(first, first + rows) for first in range(0, len(targets), rows)):
            logits = self._logits(scaled[piece])
            top = torch.amax(logits, 1, keepdim=True, out=tops[piece])
            torch.gather(logits, 1, index[piece], out=chosen[piece])
            exponentials = logits.sub_(top).exp2_()
            total = torch.sum(exponentials, 1, keepdim=True, out=sums[piece])
            if dhidden is not None:
                exponentials.scatter_add_(1, index[piece], -total)
                self._head_back(hidden[piece], exponentials, (total * len(targets)).reciprocal_(), dhidden[piece])
        return sums.log2_().add_(tops).sub_(chosen).sum(dtype=torch.float64) / LOG2E

    def _logits(self, h: Tensor) -> Tensor:
        return (h.bfloat16() @ self.w["head.weight"].bfloat16()).float()

    def _head_back(self, h: Tensor, dlogits: Tensor, share: Tensor, dh: Tensor) -> None:
        low = dlogits.mul_(share).bfloat16()
        dh.copy_(low @ self.w["head.weight"].bfloat16().t())
        self.g["head.weight"] += h.bfloat16().t() @ low

    def gradients(self, inputs: Tensor, targets: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        """Fill the gradient of the mean loss of a batch, tokens (batch, length); gives that loss, float64 ()."""
        self.gradient.zero_()
        with torch.enable_grad(), torch.autocast(self.device.type, torch.bfloat16):
            hidden = self.hidden(inputs, masks)
        dhidden = torch.empty_like(hidden)
        loss = self.loss(hidden.detach(), targets, dhidden)
        hidden.backward(dhidden)
        return loss / len(targets)

    def evaluate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of a batch without dropout, float64 ()."""
        with torch.autocast(self.device.type, torch.bfloat16):
            hidden = self.hidden(inputs)
        return self.loss(hidden, targets)
