"""An LSTM language model on WikiText-2, or on Python's own manual: the second language model, plain PyTorch.

    python real_benchmarks/lstm_wikitext2.py --lr 5 --dropout .1 --batch_size 16 --clip .25
    python real_benchmarks/lstm_wikitext2.py --corpus pydoc --lr 5 --dropout .1 --batch_size 16 --clip .25

The texts, the byte-level BPE of 1,000 tokens and the parts (50,000 tokens to train, 8,192 each to validate and to test)
are those of `transformer_wikitext2_small`, so losses, in nats per token, compare with it. Python's manual needs no
network and no files: it comes with Python, and differs between Python's minor versions. One layer of width 32, its
embedding tied to its output; SGD, the gradient clipped by its norm; windows of 35 tokens start from a state of zeros.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # run by its path: the repository's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.report import load_checkpoint, save_checkpoint
from harness.space import Space, loguniform, randint, uniform
from harness.types import Benchmark, Delays, Fidelity, Objective
from real_benchmarks import _command_line

if TYPE_CHECKING:
    import torch

TRAIN, HELD_OUT, WIDTH, WINDOW = 50_000, 8_192, 32, 35
CORPORA = {"lstm_wikitext2": "wikitext2", "lstm_pydoc": "pydoc"}

BENCHMARKS = tuple(
    Benchmark(
        name=name,
        space=Space(
            {
                "lr": loguniform(0.1, 50.0),
                "dropout": uniform(0.0, 0.8),
                "batch_size": randint(16, 48),
                "clip": loguniform(0.05, 2.0),
            }
        ),
        objectives=(Objective("val_loss"),),
        test_metric="test_loss",
        fidelity=Fidelity("epoch", tuple(range(1, 28))),
        budget=180.0,
        workers=2,
        delays=Delays(start_up=2.0),
    )
    for name in CORPORA
)


def train(
    benchmark: str,
    config: Mapping[str, Any],
    *,
    seed: int = 1,
    until: int = 27,
    report: Callable[..., None],
    checkpoints: Path | None = None,
    corpus: str | None = None,
) -> None:
    """Train one config until an epoch, with a report after each, and a checkpoint where a folder is given.

    corpus: the text, by default the benchmark's own.
    """
    import torch

    from real_benchmarks import _wikitext2
    from real_benchmarks._training import Epochs

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    text = _wikitext2.load(corpus or CORPORA[benchmark], "bpe1000", TRAIN, HELD_OUT)
    ids, valid, test = (torch.from_numpy(part.ids).long() for part in text[:3])
    feed = Epochs(ids, WINDOW, config["batch_size"], torch.Generator().manual_seed(seed))
    embedding = torch.nn.Embedding(text.vocabulary, WIDTH)
    torch.nn.init.normal_(embedding.weight, std=WIDTH**-0.5)
    lstm = torch.nn.LSTM(WIDTH, WIDTH, batch_first=True)
    drop, bias = torch.nn.Dropout(config["dropout"]), torch.nn.Parameter(torch.zeros(text.vocabulary))
    network = torch.nn.ModuleDict({"embedding": embedding, "lstm": lstm, "dropout": drop})
    network.register_parameter("bias", bias)
    parameters = list(network.parameters())
    optimiser = torch.optim.SGD(parameters, lr=config["lr"])

    def loss_of(block: torch.Tensor) -> torch.Tensor:
        hidden = lstm(drop(embedding(block[:, :-1])))[0]
        scores = drop(hidden) @ embedding.weight.T + bias
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), block[:, 1:].flatten())

    state = load_checkpoint(checkpoints) if checkpoints else None
    if state is not None:
        network.load_state_dict(state["network"])
        feed.random.set_state(state["order"])
        torch.set_rng_state(state["random"])
    for epoch in range(state["epoch"] + 1 if state else 1, until + 1):
        network.train()
        for block in feed.batches(epoch):
            optimiser.zero_grad()
            loss_of(block).backward()
            torch.nn.utils.clip_grad_norm_(parameters, config["clip"])
            optimiser.step()
        network.eval()
        with torch.no_grad():
            # Whole windows only: what is left at the end is less than one.
            losses = [float(loss_of(part.unfold(0, WINDOW + 1, WINDOW))) for part in (valid, test)]
        kept = {"network": network.state_dict(), "order": feed.random.get_state(), "random": torch.get_rng_state()}
        if checkpoints:
            save_checkpoint(checkpoints, {"epoch": epoch, **kept})
        report(epoch=epoch, val_loss=losses[0], test_loss=losses[1])


if __name__ == "__main__":
    texts = tuple(CORPORA.values())
    _command_line.main("Train one config of an LSTM language model.", BENCHMARKS, train, corpus=texts)
