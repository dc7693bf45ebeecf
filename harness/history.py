"""Past tasks: what was found on problems like the one to be tuned, for methods that learn from them.

A task is a list of configs with their losses, wherever it came from. Tasks may have other hyperparameters than the
space that is searched now: only what both have is used. A past config is read as one of the space: what the task did
not have stands at the centre of its domain, and a config with a value outside the space is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.space import Config, Space


@dataclass(frozen=True)
class PastTask:
    """One problem that was tuned before: configs, none of them twice, and their losses.

    losses: of each config the first objective, to be minimised, at the highest resource that it reached; infinite
    where it failed.
    """

    name: str
    configs: tuple[Config, ...]
    losses: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.configs or len(self.configs) != len(self.losses):
            raise ValueError(
                f"past task {self.name!r} needs configs and as many losses, given {len(self.configs)} and "
                f"{len(self.losses)}"
            )

    def shared(self, space: Space) -> tuple[str, ...]:
        """The hyperparameters that the task and a space both have; ValueError where there is none."""
        known = {name for config in self.configs for name in config}
        shared = tuple(name for name in space.names if name in known)
        if not shared:
            raise ValueError(
                f"past task {self.name!r} has the hyperparameters {sorted(known)}, none of which is searched here: "
                f"{', '.join(space.names)}"
            )
        return shared

    def within(self, space: Space) -> PastTask:
        """The task as one over `space`, whose rows do not matter; ValueError where no config of it lies there.

        Configs that are equal there count once, with the mean of their losses.
        """
        self.shared(space)
        inside: dict[tuple[object, ...], tuple[Config, list[float]]] = {}
        for config, loss in zip(self.configs, self.losses, strict=True):
            if (read := _read(space, config)) is not None:
                inside.setdefault(space.key(read), (read, []))[1].append(loss)
        if not inside:
            raise ValueError(f"none of the {len(self.configs)} configs of past task {self.name!r} lies in {space}")
        configs, losses = zip(*inside.values(), strict=True)
        return PastTask(self.name, configs, tuple(sum(equals) / len(equals) for equals in losses))


def _read(space: Space, config: Config) -> Config | None:
    read: dict[str, bool | int | float | str] = {}
    for name, domain in space.domains.items():
        if not space.active(name, read):
            continue
        if name not in config:
            read[name] = domain.draw(0.5)
        elif domain.contains(config[name]):
            read[name] = config[name]
        else:
            return None
    return read


@dataclass(frozen=True)
class History:
    """Past tasks, in the order in which they were given."""

    tasks: tuple[PastTask, ...]

    def within(self, space: Space) -> Sequence[PastTask]:
        """The tasks as ones over `space`; ValueError for a task that has nothing in common with it."""
        return [task.within(space) for task in self.tasks]

    @cached_property
    def digest(self) -> str:
        """A hash of all that a method can learn here."""
        plain = [[task.name, [dict(config) for config in task.configs], task.losses] for task in self.tasks]
        return hashlib.blake2b(json.dumps(plain).encode(), digest_size=16).hexdigest()
