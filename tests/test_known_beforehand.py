"""What a user knows beforehand, in every method: start configs come first, and a prior is heard to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from harness import watched
from harness.compose.knowledge import with_priors
from harness.loop import run
from harness.methods import build, own_methods, parse_method
from harness.proposals import FirstConfigs, PriorConfigs
from harness.randomness import stream
from harness.samplers.rs import RandomSearch
from harness.simulated import Simulated
from harness.space import Config, Space
from harness.toys import MIXED, Toy, toy_benchmark
from harness.types import Decision, Job, Report, Scheduler, foreknown, given

EXPECTED = Space.from_json(with_priors(MIXED.to_json(), {"rate": "0.01:0.02", "optimizer": "adam:0.01"}))
PROPOSING = ("bo-constrained", "bo-cost", "bohb", "dehb", "dyhpo", "freeze-thaw", "hypertune")
"""Schedulers whose own models propose configs beside the sampler."""


@dataclass
class Begins:
    """A scheduler that is asked until it has begun so many trials that are no copies of others."""

    scheduler: Scheduler
    count: int
    jobs: dict[int, Job] = field(default_factory=dict[int, Job])

    @property
    def configs(self) -> list[Config]:
        return [job.config for job in self.jobs.values() if job.parent is None]

    def ask(self) -> Job | None:
        job = self.scheduler.ask() if len(self.configs) < self.count else None
        if job is not None:
            self.jobs.setdefault(job.trial, job)
        return job

    def tell(self, report: Report) -> Decision:
        return self.scheduler.tell(report)


def begun(text: str, space: Space, count: int, workers: int, first: Sequence[Config] = ()) -> list[Config]:
    """The first `count` configs that a method begins, of which the start configs were claimed before."""
    method = parse_method(text)
    toy = watched.suited(method, Toy(toy_benchmark(space, workers=workers)))
    space = toy.restricted_space()
    assert all(space.claim(config) for config in first)
    benchmark = toy.benchmark.with_space(space)
    history = watched.past_tasks(space) if method.learns else None
    begins = Begins(build(method, benchmark, stream("begun", text), first, history), count)
    log = run(benchmark, begins, Simulated(toy, workers, 0, benchmark.delays), 10**15)
    assert not log.error, log.error
    return begins.configs


@pytest.mark.parametrize("text", own_methods())
def test_every_method_begins_with_the_start_configs(text: str) -> None:
    first = MIXED.sample(stream("start configs"), 12)
    if text == "priorband":  # there they take the turns of random configs, half of all and fewer at higher rungs
        configs = begun(text, MIXED, 60, 1, first)
        assert [config for config in configs if config in first] == first
    else:
        assert begun(text, MIXED, 12, 1, first) == first


@pytest.mark.parametrize("text", sorted({*own_methods()} - {"pbt"}))
def test_start_configs_may_be_all_there_is(text: str) -> None:
    rows = MIXED.sample(stream("all rows"), 5)
    assert begun(text, MIXED.restricted(rows), 6, 2, rows) == rows


@pytest.mark.parametrize("text", PROPOSING)
def test_a_prior_is_heard_once_a_model_proposes(text: str) -> None:
    configs = begun(text, EXPECTED, 40, 4)
    near = [c for c in configs if c["optimizer"] == "adam" and 0.005 < c["rate"] < 0.02]  # type: ignore[operator]
    # The sum of 10 / (10 + n) over n < 40 is 16.5, its deviation 2.8; the first seven alone would give 5.5.
    assert len(near) >= 9


def test_a_question_for_what_is_known_stands_for_one_proposal() -> None:
    space, first = EXPECTED.opened(), EXPECTED.sample(stream("known"), 3)
    alone = RandomSearch(toy_benchmark(space), stream("rs"))
    assert given(alone) is None and foreknown(alone) is None
    sampler = FirstConfigs(PriorConfigs(alone, space, stream("prior")), first)
    assert [given(sampler), given(sampler), foreknown(sampler), given(sampler)] == [*first, None]
    assert foreknown(sampler) is not None  # the first proposal beside them always comes from the prior
    drawn = [foreknown(sampler) for _ in range(199)]
    # The sum of 10 / (10 + n) over n < 200 is 31, its deviation 3.9.
    assert 18 <= sum(config is not None for config in drawn) <= 44
    assert foreknown(FirstConfigs(alone, [])) is None
