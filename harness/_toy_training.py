"""The training of a toy for real: a script that says what `harness.toys` says of the same config.

Its two hyperparameters, x and y, lie in [0, 1]. It keeps how far it came beside the trial, as a real training keeps
checkpoints, and does nothing that takes time.
"""

from __future__ import annotations

import math
import sys

from harness.report import Reporter


def falling(place: float, level: int) -> float:
    """A loss that falls with the level towards a floor; curves of different places never cross."""
    return place + (1 + place) / level


def diverges(place: float) -> bool:
    """Whether the training of this place diverges at its second level."""
    return place < 0.35


def main() -> None:
    """Train as far as the command line says."""
    given = dict(argument.removeprefix("--").split("=") for argument in sys.argv[1:])
    x, y = float(given["x"]), float(given["y"])
    place = math.fsum((x, y)) / 2
    report = Reporter()
    assert report.checkpoint_dir is not None
    kept = report.checkpoint_dir / "epoch"
    done = int(kept.read_text(encoding="ascii")) if kept.exists() else 0
    for epoch in range(done + 1, int(given["epochs"]) + 1):
        kept.write_text(str(epoch), encoding="ascii")
        loss = math.nan if diverges(place) and epoch > 1 else falling(place, epoch)
        report(epoch=epoch, loss=loss, size=1.0 - x, test=1.0)


if __name__ == "__main__":
    main()
