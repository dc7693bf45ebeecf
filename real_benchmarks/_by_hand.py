"""A transformer's passes forward and backward on a CPU, written out: no autograd, and hardly anything allocated.

At this size a step is a hundred operations of some ten microseconds, so what surrounds an operation counts as much as
the operation: autograd's bookkeeping, a fresh tensor for each result, a new view of it at each use. Here results and
the views that read them are made once, and each step writes into them anew. `Network.hidden` says the same in the
ordinary way; the tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from real_benchmarks._transformer import Network

aten = torch.ops.aten


class _Parameters:
    """One layer's parameters by name, their gradients, and the matrices transposed."""

    def __init__(self, network: Network, prefix: str):
        def below(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}

        self.values, self.gradients = below(network.w), below(network.g)
        self.transposed = {name: value.t() for name, value in self.values.items() if value.dim() == 2}

    def linear(self, x: Tensor, name: str, out: Tensor) -> Tensor:
        return torch.addmm(self.values[f"{name}.bias"], x, self.values[f"{name}.weight"], out=out)

    def linear_back(self, dy: Tensor, x_transposed: Tensor, name: str, out: Tensor) -> Tensor:
        """The gradient of the input, given that of the output; writes those of weight and bias."""
        torch.mm(x_transposed, dy, out=self.gradients[f"{name}.weight"])
        torch.sum(dy, 0, out=self.gradients[f"{name}.bias"])
        return torch.mm(dy, self.transposed[f"{name}.weight"], out=out)

    def norm(self, x: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """The normed rows, and the mean and reciprocal deviation of each."""
        weight = self.values[f"{name}.weight"]
        return torch.native_layer_norm(x, weight.shape, weight, self.values[f"{name}.bias"], 1e-5)

    def norm_back(self, dy: Tensor, x: Tensor, statistics: Sequence[Tensor], name: str) -> Tensor:
        weight, bias = self.values[f"{name}.weight"], self.values[f"{name}.bias"]
        wanted = [True, True, True]
        dx, dweight, dbias = aten.native_layer_norm_backward(dy, x, weight.shape, *statistics, weight, bias, wanted)
        self.gradients[f"{name}.weight"].copy_(dweight)
        self.gradients[f"{name}.bias"].copy_(dbias)
        return dx


class _Layer:
    """What one layer keeps on the way forward for the way back, each with the views in which it is read."""

    def __init__(self, network: Network, batch: int, length: int):
        shape, like = network.shape, network.flat
        rows, d, count, width = batch * length, shape.d_model, shape.heads, shape.d_model // shape.heads
        self.x, self.middle, self.merged = (like.new_empty(rows, d) for _ in range(3))
        self.up = like.new_empty(rows, d * shape.ffn_ratio)
        self.heads = like.new_empty(3 * count, rows, width)
        self.attention = like.new_empty(count * batch, length, length)
        self.q, self.k, self.v = self.heads.view(3, count * batch, length, width)
        self.k_transposed, self.v_transposed = self.k.transpose(1, 2), self.v.transpose(1, 2)
        self.attention_transposed = self.attention.transpose(1, 2)
        self.merged_transposed, self.up_transposed = self.merged.t(), self.up.t()
        self.normed1 = self.normed2 = (self.x, self.x, self.x)


class Passes:
    """The network on batches of one size; with `training` it can go back, else all layers share their memory."""

    def __init__(self, network: Network, batch: int, length: int, *, training: bool):
        shape, like = network.shape, network.flat
        rows, d, count, width = batch * length, shape.d_model, shape.heads, shape.d_model // shape.heads
        self.root_width, self.scale = d**0.5, width**-0.5
        self.ends = _Parameters(network, "")
        self.parameters = [_Parameters(network, f"{i}.") for i in range(shape.layers)]
        made = [_Layer(network, batch, length) for _ in range(shape.layers if training else 1)]
        self.layers = made if training else made * shape.layers
        self.positions = network.positions[:length]
        self.future = like.new_full((length, length), -math.inf).triu(1)
        self.top, self.y = like.new_empty(rows, d), like.new_empty(rows, d)
        self.outputs = [*(layer.x for layer in self.layers[1:]), self.top]
        self.embedded = self.layers[0].x.view(batch, length, d)
        self.qkv = like.new_empty(rows, 3 * d)
        self.qkv_by_head = self.qkv.view(rows, 3 * count, width).transpose(0, 1)
        self.scores = like.new_empty(count * batch, length, length)
        self.attended = like.new_empty(count * batch, length, width)
        self.attended_by_head = self.attended.view(count, rows, width)
        self.attended_heads = self.attended_by_head.unbind()
        if not training:
            return
        self.dx, self.dmerged = like.new_empty(rows, d), like.new_empty(rows, d)
        self.dup = like.new_empty(rows, d * shape.ffn_ratio)
        self.dmerged_by_head = self.dmerged.view(rows, count, width).transpose(0, 1)
        self.dq, self.dk, self.dv = dqkv = like.new_empty(3, count * batch, length, width)
        self.dheads = dqkv.view(3 * count, rows, width).unbind()
        self.dscores = like.new_empty(count * batch, length, length)
        self.dscores_transposed = self.dscores.transpose(1, 2)

    def hidden(self, inputs: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        """What the head reads, (batch * length, d_model), for tokens (batch, length)."""
        places = iter(masks) if masks is not None else None
        self.tokens = inputs.reshape(-1)
        rows = self.ends.values["embedding"].index_select(0, self.tokens).view(self.embedded.shape)
        torch.add(self.positions, rows, alpha=self.root_width, out=self.embedded)
        x = self.layers[0].x
        if places:
            x.mul_(next(places))
        for layer, parameters, output in zip(self.layers, self.parameters, self.outputs, strict=True):
            layer.normed1 = parameters.norm(x, "norm1")
            self._attend(layer, parameters)
            y = parameters.linear(layer.merged, "out", self.y)
            middle = self._joined(x, y, places, layer.middle)
            layer.normed2 = parameters.norm(middle, "norm2")
            up = parameters.linear(layer.normed2[0], "up", layer.up).relu_()
            if places:
                up.mul_(next(places))
            y = parameters.linear(up, "down", self.y)
            x = self._joined(middle, y, places, output)
        self.normed = self.ends.norm(x, "norm")
        return self.normed[0]

    def _joined(self, x: Tensor, y: Tensor, places: Iterator[Tensor] | None, out: Tensor) -> Tensor:
        """The residual stream and what a block adds to it, after dropout."""
        return torch.addcmul(x, y, next(places), out=out) if places else torch.add(x, y, out=out)

    def _attend(self, layer: _Layer, parameters: _Parameters) -> None:
        parameters.linear(layer.normed1[0], "qkv", self.qkv)
        layer.heads.copy_(self.qkv_by_head)
        scores = torch.baddbmm(self.future, layer.q, layer.k_transposed, alpha=self.scale, out=self.scores)
        aten._softmax.out(scores, -1, False, out=layer.attention)  # in place it would take half as long again
        torch.bmm(layer.attention, layer.v, out=self.attended)
        torch.cat(self.attended_heads, 1, out=layer.merged)

    def backward(self, dy: Tensor, masks: list[Tensor] | None) -> None:
        """Write the gradients of everything below the head, given that of what `hidden` just gave for these masks."""
        places = list(masks) if masks is not None else None
        dx = self.ends.norm_back(dy, self.top, self.normed[1:], "norm")
        for layer, parameters in zip(reversed(self.layers), reversed(self.parameters), strict=True):
            dy = torch.mul(dx, places.pop(), out=self.dx) if places else dx
            dup = parameters.linear_back(dy, layer.up_transposed, "down", self.dup)
            if places:
                dup.mul_(places.pop())
            aten.threshold_backward.grad_input(dup, layer.up, 0, grad_input=dup)
            normed, *statistics = layer.normed2
            dy = parameters.linear_back(dup, normed.t(), "up", self.dx)
            dx = parameters.norm_back(dy, layer.middle, statistics, "norm2").add_(dx)
            dy = torch.mul(dx, places.pop(), out=self.dx) if places else dx
            parameters.linear_back(dy, layer.merged_transposed, "out", self.dmerged)
            normed, *statistics = layer.normed1
            dy = parameters.linear_back(self._attend_back(layer), normed.t(), "qkv", self.dx)
            dx = parameters.norm_back(dy, layer.x, statistics, "norm1").add_(dx)
        if places:
            dx.mul_(places.pop())
        self.ends.gradients["embedding"].zero_().index_add_(0, self.tokens, dx.mul_(self.root_width))

    def _attend_back(self, layer: _Layer) -> Tensor:
        """The gradient of queries, keys and values, (rows, 3 * d_model), given that of what they made (`dmerged`)."""
        self.attended_by_head.copy_(self.dmerged_by_head)
        torch.bmm(layer.attention_transposed, self.attended, out=self.dv)
        dattention = torch.bmm(self.attended, layer.v_transposed, out=self.scores)
        dscores = aten._softmax_backward_data.out(
            dattention, layer.attention, -1, dattention.dtype, grad_input=self.dscores
        ).mul_(self.scale)
        torch.bmm(dscores, layer.k, out=self.dq)
        torch.bmm(self.dscores_transposed, layer.q, out=self.dk)
        return torch.cat(self.dheads, 1, out=self.qkv)


class NetworkByHand(Network):
    """A network that a CPU trains in float32."""

    ROWS = 640
    TRACKED = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.logits = self.flat.new_empty(self.ROWS, self.shape.vocabulary)
        self.head_transposed = self.w["head.weight"].t()
        self.passes: dict[tuple[int, int, bool], Passes] = {}

    def gradients(self, inputs: Tensor, targets: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        """Fill the gradient of the mean loss of a batch, tokens (batch, length); gives that loss, float64 ()."""
        passes = self.passes_for(inputs, training=True)
        hidden = passes.hidden(inputs, masks)
        dhidden = torch.empty_like(hidden)
        loss = self.loss(hidden, targets, dhidden)
        passes.backward(dhidden, masks)
        return loss / len(targets)

    def evaluate(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of a batch without dropout, float64 ()."""
        return self.loss(self.passes_for(inputs, training=False).hidden(inputs), targets)

    def passes_for(self, inputs: Tensor, *, training: bool) -> Passes:
        """Those for batches of this size, made once."""
        batch, length = inputs.shape
        if (batch, length, training) not in self.passes:
            self.passes[batch, length, training] = Passes(self, batch, length, training=training)
        return self.passes[batch, length, training]

    def _logits(self, h: Tensor) -> Tensor:
        return torch.mm(h, self.w["head.weight"], out=self.logits[: len(h)])

    def _head_back(self, h: Tensor, dlogits: Tensor, share: Tensor, dh: Tensor) -> None:
        torch.mm(dlogits, self.head_transposed, out=dh).mul_(share)
        self.g["head.weight"].addmm_((h * share).t(), dlogits)
