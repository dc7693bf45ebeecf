"""A decoder-only transformer on one flat parameter buffer, with a loss that never keeps its logits.

Pre-norm, causal, untied head, sinusoidal positions. Dropout stands after the embedding, after attention, in the
feed-forward layer and after it; not on attention weights, so that attention can be fused. The network is written
once, in `Network.hidden`. On a GPU autograd differentiates it under bfloat16 autocast; on a CPU `Network.backward`
does it by hand: at this size autograd's bookkeeping and fresh tensors cost a third of a step.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, NamedTuple

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

    by_hand: whether gradients are computed by hand, in float32, or by autograd, in bfloat16; by default on a CPU.
    """

    def __init__(
        self, shape: Shape, device: torch.device, random: torch.Generator, *, by_hand: bool | None = None
    ) -> None:
        self.shape, self.device = shape, device
        self.by_hand = device.type == "cpu" if by_hand is None else by_hand
        self.rows = 640 if self.by_hand else 4096
        sizes = {name: math.prod(s) for name, s in shape.parameters().items()}
        self.flat = torch.empty(sum(sizes.values()), device=device)
        self.gradient = torch.zeros_like(self.flat)
        self.positions = sinusoids(shape.bptt, shape.d_model).to(device)
        self.future = torch.full((shape.bptt, shape.bptt), -math.inf, device=device).triu(1)
        self.buffer = torch.empty((self.rows if self.by_hand else 0, shape.vocabulary), device=device)
        self.w, self.g = self._views(self.flat), self._views(self.gradient)
        for name, value in self.w.items():
            value.copy_(self._first(name, value.shape, random))
            if not (self.by_hand or name.startswith("head")):
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

    def hidden(self, inputs: Tensor, masks: list[Tensor] | None = None, saved: list[Any] | None = None) -> Tensor:
        """What the head reads, (batch * length, d_model), for tokens (batch, length); fills `saved` for `backward`."""
        w, d, (batch, length) = self.w, self.shape.d_model, inputs.shape
        places = iter(masks) if masks is not None else None
        x = w["embedding"].index_select(0, inputs.reshape(-1)).view(batch, length, d)
        x = torch.add(self.positions[:length], x, alpha=d**0.5).view(-1, d)
        if places:
            x = x * next(places)
        for i in range(self.shape.layers):
            a, *statistics1 = self._normed(x, f"{i}.norm1")
            qkv = torch.addmm(w[f"{i}.qkv.bias"], a, w[f"{i}.qkv.weight"])
            heads = qkv.view(batch, length, 3, self.shape.heads, -1).permute(2, 0, 3, 1, 4)
            attended, attention = self._attend(heads)
            merged = attended.transpose(1, 2).reshape(-1, d)
            y = torch.addmm(w[f"{i}.out.bias"], merged, w[f"{i}.out.weight"])
            middle = torch.addcmul(x, y, next(places)) if places else x + y
            b, *statistics2 = self._normed(middle, f"{i}.norm2")
            up = torch.relu(torch.addmm(w[f"{i}.up.bias"], b, w[f"{i}.up.weight"]))
            if places:
                up = up * next(places)
            y = torch.addmm(w[f"{i}.down.bias"], up, w[f"{i}.down.weight"])
            if saved is not None:
                saved.append((x, statistics1, a, attention, merged, middle, statistics2, b, up))
            x = torch.addcmul(middle, y, next(places)) if places else middle + y
        y, *statistics = self._normed(x, "norm")
        if saved is not None:
            saved.append((x, statistics))
        return y

    def _normed(self, x: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
        return torch.native_layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-5)

    def _attend(self, heads: Tensor) -> tuple[Tensor, Any]:
        """Causal attention for (3, batch, heads, length, width), fused, or by hand with what `backward` needs."""
        if not self.by_hand:
            q, k, v = heads
            return F.scaled_dot_product_attention(q, k, v, is_causal=True), None
        _, batch, count, length, width = heads.shape
        q, k, v = heads.contiguous().view(3, batch * count, length, width)
        scores = torch.baddbmm(self.future[:length, :length], q, k.transpose(1, 2), alpha=width**-0.5)
        weights = torch.softmax(scores, -1)
        return torch.bmm(weights, v).view(batch, count, length, width), (q, k, v, weights)

    def backward(self, inputs: Tensor, masks: list[Tensor] | None, saved: list[Any], dy: Tensor) -> None:
        """Write the gradients of everything below the head, given dy (batch * length, d_model); consumes `saved`."""
        g, d, (batch, length) = self.g, self.shape.d_model, inputs.shape
        places = list(masks) if masks is not None else None
        x, statistics = saved.pop()
        dx = self._normed_back(dy, x, statistics, "norm")
        for i in reversed(range(self.shape.layers)):
            x, statistics1, a, (q, k, v, weights), merged, middle, statistics2, b, up = saved.pop()
            dup = self._linear_back(dx * places.pop() if places else dx, up, f"{i}.down")
            if places:
                dup.mul_(places.pop())
            dup = torch.ops.aten.threshold_backward(dup, up, 0)
            dx = self._normed_back(self._linear_back(dup, b, f"{i}.up"), middle, statistics2, f"{i}.norm2").add_(dx)
            dmerged = self._linear_back(dx * places.pop() if places else dx, merged, f"{i}.out")
            do = dmerged.view(batch, length, self.shape.heads, -1).transpose(1, 2).contiguous().view(q.shape)
            dqkv = q.new_empty((3, *q.shape))
            torch.bmm(weights.transpose(1, 2), do, out=dqkv[2])
            dscores = torch.ops.aten._softmax_backward_data(
                torch.bmm(do, v.transpose(1, 2)), weights, -1, torch.float32
            )
            dscores.mul_(q.shape[-1] ** -0.5)
            torch.bmm(dscores, k, out=dqkv[0])
            torch.bmm(dscores.transpose(1, 2), q, out=dqkv[1])
            heads = dqkv.view(3, batch, self.shape.heads, length, -1).permute(1, 3, 0, 2, 4).reshape(-1, 3 * d)
            dx = self._normed_back(self._linear_back(heads, a, f"{i}.qkv"), x, statistics1, f"{i}.norm1").add_(dx)
        dx = (dx * places.pop() if places else dx).mul_(d**0.5)
        g["embedding"].zero_().index_add_(0, inputs.reshape(-1), dx)

    def _linear_back(self, dy: Tensor, x: Tensor, name: str) -> Tensor:
        torch.mm(x.t(), dy, out=self.g[f"{name}.weight"])
        torch.sum(dy, 0, out=self.g[f"{name}.bias"])
        return torch.mm(dy, self.w[f"{name}.weight"].t())

    def _normed_back(self, dy: Tensor, x: Tensor, statistics: list[Tensor], name: str) -> Tensor:
        weight, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        dx, dweight, dbias = torch.ops.aten.native_layer_norm_backward(
            dy, x, x.shape[-1:], *statistics, weight, bias, [True, True, True]
        )
        self.g[f"{name}.weight"].copy_(dweight)
        self.g[f"{name}.bias"].copy_(dbias)
        return dx

    def loss(self, hidden: Tensor, targets: Tensor, dhidden: Tensor | None = None) -> Tensor:
        """Summed cross-entropy in nats, float64 (), of hidden (n, d_model) against targets (n,), some rows at a time.

        With `dhidden`, (n, d_model), it also writes there the gradient of the mean loss, and the head's gradients.
        The logits are computed in base 2, as exp2 is twice as fast as exp, and overwritten by the next rows.
        """
        rows = -(-len(targets) // -(-len(targets) // self.rows))  # pieces of one size
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        if dhidden is not None:
            self.g["head.weight"].zero_()
        for h, t, first in zip(hidden.split(rows), targets.split(rows), range(0, len(targets), rows), strict=True):
            index = t[:, None]
            logits = self._logits(h * LOG2E)
            top = logits.amax(1, keepdim=True)
            target = logits.gather(1, index)
            exponentials = logits.sub_(top).exp2_()
            sums = exponentials.sum(1, keepdim=True)
            total += (sums.log2() + top - target).sum(dtype=torch.float64)
            if dhidden is not None:
                exponentials.scatter_add_(1, index, -sums)
                share = sums.mul_(len(targets)).reciprocal_()
                self._head_back(h, exponentials, share, dhidden[first : first + len(h)])
        return total / LOG2E

    def _logits(self, h: Tensor) -> Tensor:
        if self.by_hand:
            return torch.mm(h, self.w["head.weight"], out=self.buffer[: len(h)])
        return (h.bfloat16() @ self.w["head.weight"].bfloat16()).float()

    def _head_back(self, h: Tensor, dlogits: Tensor, share: Tensor, dh: Tensor) -> None:
        weight, dweight = self.w["head.weight"], self.g["head.weight"]
        if self.by_hand:
            torch.mm(dlogits, weight.t(), out=dh).mul_(share)
            dweight.addmm_((h * share).t(), dlogits)
        else:
            low = dlogits.mul_(share).bfloat16()
            dh.copy_(low @ weight.bfloat16().t())
            dweight += h.bfloat16().t() @ low

    def gradients(self, inputs: Tensor, targets: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        """Fill the gradient of the mean loss of a batch, tokens (batch, length); gives that loss, float64 ()."""
        if self.by_hand:
            saved: list[Any] = []
            hidden = self.hidden(inputs, masks, saved)
            dhidden = torch.empty_like(hidden)
            loss = self.loss(hidden, targets, dhidden)
            self.backward(inputs, masks, saved, dhidden)
            return loss / len(targets)
        self.gradient.zero_()
        with torch.enable_grad(), torch.autocast(self.device.type, torch.bfloat16):
            hidden = self.hidden(inputs, masks)
        dhidden = torch.empty_like(hidden)
        loss = self.loss(hidden.detach(), targets, dhidden)
        hidden.backward(dhidden)
        return loss / len(targets)

    def evaluate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of a batch without dropout, float64 ()."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=not self.by_hand):
            hidden = self.hidden(inputs)
        return self.loss(hidden, targets)
