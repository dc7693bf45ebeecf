"""The checkpoints of a trial, as its executor keeps them: copied from a parent, set aside, left out, deleted.

Half of them, after a kill in the middle, is never taken for all of them.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from harness.report import CHECKPOINT_NAME, checkpoint_numbers


class TrialCheckpoints:
    """What one trial has saved; trial: the folder in which it lies.

    folder: where the script finds its checkpoints and writes them.
    """

    def __init__(self, trial: Path) -> None:
        self.folder = trial / "checkpoints"
        self._aside = trial / "checkpoints-before"
        self._half = trial / "checkpoints-before.tmp"

    @property
    def numbered(self) -> bool:
        """Whether any is there that `save_checkpoint` wrote; those of a script's own make have no order."""
        return bool(checkpoint_numbers(self.folder))

    def copy_from(self, parent: "TrialCheckpoints") -> bool:
        """Copy what a parent has saved, which may run on meanwhile and replace its files; whether it could."""
        for _ in range(10):
            with suppress(shutil.Error, FileNotFoundError):
                shutil.copytree(
                    parent.folder, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.tmp-*")
                )
                return True
            # A half of two states is worse than nothing.
            self._empty()
        return False

    def set_aside(self) -> bool:
        """Keep them as they are, or as they were where those of another attempt are set aside still.

        Says whether there are any.
        """
        if self._aside.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self._aside.rename(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._half, ignore_errors=True)
        shutil.copytree(self.folder, self._half, copy_function=_link)
        self._half.rename(self._aside)
        return any(self._aside.iterdir())

    def leave_out(self, count: int) -> bool:
        """Remove so many of the newest, or all of them where none would be left; whether any is left."""
        numbers = checkpoint_numbers(self.folder)
        if count >= len(numbers):
            self._empty()
            return False
        for number in numbers[:count]:
            (self.folder / CHECKPOINT_NAME.format(number=number)).unlink()
        return True

    def forget_aside(self) -> None:
        """Drop what was set aside."""
        shutil.rmtree(self._half, ignore_errors=True)
        with suppress(FileNotFoundError):
            self._aside.rename(self._half)
        shutil.rmtree(self._half, ignore_errors=True)

    def discard(self) -> None:
        """Delete all of them."""
        self.forget_aside()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _empty(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()


def _link(source: str, target: str) -> None:
    """Give a file a second name, for a checkpoint is replaced, not written over; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
