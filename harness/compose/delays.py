"""What a log of real trainings tells of the delays of its workers: what a process costs to begin and to leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from harness.loop import Log
    from harness.types import Delays, Event


class Stretch(NamedTuple):
    """A job in a log: its trial, whether it was resumed, whether its process was begun for it, what it reported."""

    trial: int
    resumed: bool
    begun: bool
    events: list[Event]


def stretches(log: Log, warm: bool) -> list[Stretch]:
    """All jobs of a log that reported something; where workers are warm, only a crash takes a process from them."""
    from harness.loop import Started
    from harness.types import Event, Status

    jobs: list[Stretch] = []
    latest: dict[int, Stretch] = {}
    alive: set[int] = set()
    for event in log.events:
        if isinstance(event, Started):
            trial = event.job.trial
            latest[trial] = Stretch(trial, trial in latest, event.worker not in alive, [])
            jobs.append(latest[trial])
            alive |= {event.worker} if warm else set()
        elif isinstance(event, Event):
            latest[event.report.trial].events.append(event)
            if event.report.status is Status.FAILED and not event.metrics:
                alive.discard(event.worker)
    return [job for job in jobs if job.events]


def measured(jobs: Sequence[Stretch], declared: Delays) -> Delays:
    """The delays as declared, but start-up and leaving as they were.

    What first and last reports cost above their neighbours: medians over the jobs that reported at least three times,
    so that a neighbour has neither in it; as declared where there is none.
    """
    from harness.types import Status

    costs = [([event.report.cost for event in job.events], job) for job in jobs if len(job.events) > 2]
    begun = [spent[0] - spent[1] - declared.restore * job.resumed for spent, job in costs if job.begun]
    left = [spent[-1] - spent[-2] for spent, job in costs if job.events[-1].report.status is Status.REACHED]
    return replace(
        declared,
        start_up=max(median(begun), 0.0) if begun else declared.start_up,
        leave=max(median(left), 0.0) if left else declared.leave,
    )
