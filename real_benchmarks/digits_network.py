"""A small PyTorch network on scikit-learn's handwritten digits: epochs are the resource, 20 ms each on one core.

    python real_benchmarks/digits_network.py --lr .1 --momentum .9 --width 64 --dropout .1 --batch_size 32

1,797 images of 8 x 8 pixels (Alpaydin and Kaynak 1998, part of scikit-learn): 1,000 train, 397 validate, 400 test,
parted the same way for every seed; the seed draws parameters, order and dropout. SGD with momentum.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run by its path: the repository's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.report import load_checkpoint, save_checkpoint
from harness.space import Space, lograndint, loguniform, uniform
from harness.types import Benchmark, Delays, Fidelity, Objective
from real_benchmarks import _command_line

BENCHMARKS = (
    Benchmark(
        name="digits_network",
        space=Space(
            {
                "lr": loguniform(1e-3, 1.0),
                "momentum": uniform(0.0, 0.99),
                "width": lograndint(4, 128),
                "dropout": uniform(0.0, 0.8),
                "batch_size": lograndint(8, 128),
            }
        ),
        objectives=(Objective("val_loss"),),
        test_metric="test_loss",
        fidelity=Fidelity("epoch", tuple(range(1, 28))),
        budget=60.0,
        workers=2,
        delays=Delays(start_up=2.0),
    ),
)


def train(
    benchmark: str,
    config: Mapping[str, Any],
    *,
    seed: int = 1,
    until: int = 27,
    report: Callable[..., None],
    checkpoints: Path | None = None,
) -> None:
    """Train one config until an epoch, with a report after each, and a checkpoint where a folder is given."""
    import torch
    from sklearn.datasets import load_digits
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    digits: Any = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images, labels = torch.tensor(digits.data / 16, dtype=torch.float32)[order], torch.tensor(digits.target)[order]
    parts = {"val": slice(1000, 1397), "test": slice(1397, None)}
    width = config["width"]
    network = torch.nn.Sequential(
        torch.nn.Linear(64, width), torch.nn.ReLU(), torch.nn.Dropout(config["dropout"]), torch.nn.Linear(width, 10)
    )
    optimiser = torch.optim.SGD(network.parameters(), lr=config["lr"], momentum=config["momentum"])

    state = load_checkpoint(checkpoints) if checkpoints else None
    if state is not None:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])
    for epoch in range(state["epoch"] + 1 if state else 1, until + 1):
        network.train()
        for batch in torch.randperm(1000).split(config["batch_size"]):
            optimiser.zero_grad()
            cross_entropy(network(images[batch]), labels[batch]).backward()
            optimiser.step()
        network.eval()
        metrics: dict[str, float] = {}
        with torch.no_grad():
            for name, part in parts.items():
                scores = network(images[part])
                metrics[f"{name}_loss"] = float(cross_entropy(scores, labels[part]))
                metrics[f"{name}_accuracy"] = float((scores.argmax(1) == labels[part]).double().mean())
        kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
        if checkpoints:
            save_checkpoint(checkpoints, {"epoch": epoch, "random": torch.get_rng_state(), **kept})
        report(epoch=epoch, **metrics)


if __name__ == "__main__":
    _command_line.main("Train a small network on handwritten digits.", BENCHMARKS, train)
