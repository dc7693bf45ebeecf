"""The classic way to train the small benchmark's language model, to time ours against.

    python tests/benchmarks/classic_transformer.py --batch_size 32 --dropout .1 --rounds 11

Post-norm `nn.TransformerEncoder` with a causal mask, `F.cross_entropy` on all logits, `clip_grad_norm_` and
`torch.optim.SGD`: what a tutorial writes. Both train on the same number of tokens in alternation, on one thread and
in one process; printed are the medians of seconds per 50,000 tokens and of the ratio, pair by pair: both of a pair meet
the same machine, as fast or slow as it then is.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from real_benchmarks import _wikitext2
from real_benchmarks.transformer_wikitext2 import TASKS, Task, Trial

NAME = "transformer_wikitext2_small"


class Classic(nn.Module):
    """Embedding, sinusoidal positions, encoder, head; tokens (batch, length) to logits (batch, length, vocabulary)."""

    def __init__(self, task: Task, vocabulary: int, dropout: float):
        super().__init__()
        self.width = width = task.d_model
        self.embedding = nn.Embedding(vocabulary, width)
        angles = torch.arange(task.bptt)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
        self.register_buffer("positions", torch.stack((angles.sin(), angles.cos()), 2).flatten(1))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(task.bptt))
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, task.heads, width * task.ffn_ratio, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, task.layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token at every place."""
        x = self.dropout(self.embedding(tokens) * self.width**0.5 + self.positions)
        return self.head(self.encoder(x, mask=self.mask, is_causal=True))


def classic_epoch(config: dict[str, float], corpus: _wikitext2.Corpus) -> Callable[[], int]:
    """A function that trains the classic model for one epoch and gives the number of tokens."""
    task, batch = TASKS[NAME], int(config["batch_size"])
    model = Classic(task, corpus.vocabulary, config["dropout"])
    optimiser = torch.optim.SGD(model.parameters(), config["lr"], config["momentum"])
    windows = torch.from_numpy(corpus.train.ids).long().unfold(0, task.bptt + 1, task.bptt)
    steps = len(windows) // batch

    def epoch() -> int:
        model.train()
        for block in windows[torch.randperm(len(windows))[: steps * batch]].split(batch):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(block[:, :-1]).flatten(0, 1), block[:, 1:].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config["clip"])
            optimiser.step()
        return steps * batch * task.bptt

    return epoch


def our_epoch(config: dict[str, float], corpus: _wikitext2.Corpus) -> Callable[[], int]:
    """The same for the benchmark's own training."""
    trial = Trial(TASKS[NAME], config, 1, corpus)

    def epoch() -> int:
        before = trial.tokens
        with torch.no_grad():
            trial.train_level()
        return trial.tokens - before

    return epoch


def compare(config: dict[str, float], rounds: int, corpus_name: str) -> float:
    """Time both in alternation, print the medians, and give how many times faster ours is."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    task = TASKS[NAME]
    corpus = _wikitext2.load(corpus_name, task.tokeniser, task.train_tokens, task.held_out_tokens)
    epochs = {"classic": classic_epoch(config, corpus), "ours": our_epoch(config, corpus)}
    seconds: dict[str, list[float]] = {"classic": [], "ours": []}
    for i in range(rounds + 1):  # the first round warms up
        for name, epoch in epochs.items():
            start = time.process_time()
            tokens = epoch()
            if i:
                seconds[name].append((time.process_time() - start) / tokens * 50_000)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = statistics.median(a / b for a, b in zip(seconds["classic"], seconds["ours"], strict=True))
    print(
        f"CPU seconds for 50,000 tokens, median of {rounds}: classic {medians['classic']:.3f}, ours "
        f"{medians['ours']:.3f}: {ratio:.2f} times as fast (batch {config['batch_size']}, "
        f"dropout {config['dropout']})",
        flush=True,
    )
    return ratio


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch_size", type=int, nargs="*", default=[16, 32, 48])
    parser.add_argument("--dropout", type=float, nargs="*", default=[0.0, 0.1, 0.5])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--corpus", choices=_wikitext2.CORPORA, default="wikitext2")
    given = parser.parse_args()
    for batch_size in given.batch_size:
        for dropout in given.dropout:
            config = {"lr": 0.1, "dropout": dropout, "batch_size": batch_size, "momentum": 0.5, "clip": 0.5}
            compare(config, given.rounds, given.corpus)


if __name__ == "__main__":
    main()
