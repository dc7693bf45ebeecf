"""Every method keeps the contract, and every law of the contract catches a method that breaks it."""

from __future__ import annotations

import ast
import json
import math
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from harness import checks
from harness._parts.rungs import Rung, best_left, rung_levels
from harness._toy_training import diverges
from harness.loop import Started, Why, run
from harness.methods import Method, own_methods, parse_method
from harness.names import ROOT
from harness.plug_ins import find_plug_in, plug_ins
from harness.randomness import number, stream
from harness.samplers.grid import Grid
from harness.samplers.rs import RandomSearch
from harness.schedulers.asha import Asha
from harness.schedulers.asha_stop import AshaStop
from harness.simulated import Simulated
from harness.space import Config, Space, choice, uniform
from harness.toys import StatefulToy, Toy, toy_benchmark
from harness.types import (
    NANOSECONDS,
    Benchmark,
    Constraint,
    Curve,
    Decision,
    End,
    Event,
    Fidelity,
    Job,
    Objective,
    Report,
    Status,
    refuses,
)
from harness.weight import weight

METHODS = [*own_methods(), "asha-stop:sampler=gp", "asha:eta=2:sampler=grid"]
METHODS += ["mobster:independent=true", "asha:sampler=bounding-box"]
METHODS += ["rea:population=5", "asha:sampler=de", "asha-stop:sampler=cmaes"]

BAD = '''
"""A method that breaks the contract."""
import random
import time
import numpy as np
from harness.types import Decision, Job, Status
__all__ = ["Bad"]
class Bad:
    def __init__(self, benchmark, rng, *, sampler):
        self.space, self.rng, self.sampler = benchmark.space, rng, sampler
        self.levels, self.workers, self.trials = benchmark.fidelity.levels, benchmark.workers, 0
        self.configs = []
    def ask(self):
        config = self.sampler.suggest([])
        if config is None:
            {ended}
        self.trials += 1
        self.configs.append(config)
        return Job({trial}, {config}, {until})
    def tell(self, report):
        {tell}
        return Decision.CONTINUE
'''
GOOD = {"trial": "self.trials", "config": "config", "until": "self.levels[-1]", "ended": "return None", "tell": "pass"}
Law = Callable[[Method], str]
# What a method does wrong, the law that catches it, and what that says.
FAULTS: list[tuple[dict[str, str], Law, str]] = [
    ({"config": "{**config, 'extra': 1}"}, checks._is_legal, "unknown hyperparameter 'extra'"),
    ({"config": "{**config, 'momentum': 0.5, 'optimizer': 'adam'}"}, checks._is_legal, "is given but inactive"),
    ({"trial": "1"}, checks._is_legal, "trial 1 is running"),
    ({"until": "10**6"}, checks._is_legal, "cannot train until epoch 1000000"),
    (
        {"trial": "1 if self.trials > 9 else self.trials", "config": "self.configs[0] if self.trials > 9 else config",
         "until": "self.levels[0]"},
        checks._is_legal, "trial 1 stands at epoch 1: cannot train until 1",
    ),
    ({"tell": "self.configs[0].update(rate=1.0)"}, checks._is_legal, "it changed a config"),
    ({"tell": "report.metrics['loss'] = 0.0"}, checks._is_legal, "does not support item assignment"),
    ({"tell": "1 / (report.losses[0] < float('inf'))"}, checks._survives_infinite_losses, "ZeroDivisionError"),
    ({"tell": "1 / (report.status is not Status.FAILED)"}, checks._survives_failures, "ZeroDivisionError"),
    ({"tell": "1 / (report.losses[0] != 1.0)"}, checks._survives_ties, "ZeroDivisionError"),
    ({"tell": "1 / (self.workers - 1)"}, checks._works_alone, "ZeroDivisionError"),
    ({"tell": "1 / (self.workers < 64)"}, checks._works_with_many, "ZeroDivisionError"),
    ({"tell": "self.configs[0]['rate']"}, checks._works_on_every_space, "KeyError: 'rate'"),
    ({"until": "self.levels[1]"}, checks._works_on_every_fidelity, "IndexError"),
    ({"ended": "raise LookupError('no more')"}, checks._ends_with_the_space, "LookupError: no more"),
    (
        {"config": "self.space.sample(np.random.default_rng(random.getrandbits(32)), 1)[0]"},
        checks._repeats, "global random state",
    ),
    (
        {"config": "self.space.sample(np.random.default_rng(np.random.randint(99)), 1)[0]"},
        checks._repeats, "global random state",
    ),
    ({"config": "self.space.sample(np.random.default_rng(), 1)[0]"}, checks._repeats, "two runs with one seed differ"),
    ({"until": "self.levels[time.time() > 1e12]"}, checks._repeats, "two runs with one seed differ"),
    (
        {"config": "self.space.sample(np.random.default_rng(hash('a') % 99), 1)[0]"},
        checks._repeats_elsewhere, "another process",
    ),
    ({"config": "self.space.sample(self.rng, 1)[0]"}, checks._keeps_to_rows, "none of the 40 rows"),
    ({"config": "self.space.fresh(self.rng)"}, checks._tries_start_configs, "it never tries {"),
    ({"tell": "self.configs.append(tuple(self.configs))"}, checks._holds_in_proportion, "entries, after 400"),
    (
        {"tell": "self.trials += 1000 * (report.metrics['loss'] != report.metrics['loss'])"},
        checks._decides_alike_for_real, "where a process trains",
    ),
]  # fmt: skip


def test_the_contract_is_kept(method_found: list[checks.Finding]) -> None:
    assert [finding for finding in method_found if finding.problem] == []
    assert len({finding.check for finding in method_found}) == len(checks.LAWS)


@pytest.fixture(params=METHODS)
def method_found(request: pytest.FixtureRequest) -> list[checks.Finding]:
    return checks.check_method(parse_method(request.param))


def method_in(path: Path, **parts: str) -> Method:
    text = BAD
    for name, part in (GOOD | parts).items():
        text = text.replace("{" + name + "}", part)
    path.write_text(text)
    return parse_method(str(path))


def test_a_strangers_file_that_is_sound_passes(tmp_path: Path) -> None:
    assert [f for f in checks.check_method(method_in(tmp_path / "good.py")) if f.problem] == []


def test_a_strangers_file_is_imported_as_a_module(tmp_path: Path) -> None:
    """A dataclass looks up its annotations, where they are text, in the module that it is of."""
    path = tmp_path / "typed.py"
    method_in(path)
    lines = ["from __future__ import annotations", "from dataclasses import dataclass, KW_ONLY", path.read_text()]
    lines += ["@dataclass", "class State:", "    _: KW_ONLY", "    seen: int = 0"]
    path.write_text("\n".join(lines))
    assert parse_method(str(path)).scheduler.load().__name__ == "Bad"


@pytest.mark.parametrize(("parts", "law", "words"), FAULTS, ids=lambda given: getattr(given, "__name__", ""))
def test_a_law_catches_who_breaks_it(tmp_path: Path, parts: dict[str, str], law: Law, words: str) -> None:
    assert words in law(method_in(tmp_path / "bad.py", **parts))


def test_every_law_can_be_broken() -> None:
    elsewhere = {checks._recommends_what_it_knows}  # see test_recommend
    assert {law for _, law, _ in FAULTS} | elsewhere == set(checks.LAWS)


@pytest.mark.parametrize("until", ["self.levels[0]", "self.levels[-1]"])
def test_a_method_that_waits_for_ever_is_caught(tmp_path: Path, until: str) -> None:
    """Whether the trials that it has begun are paused, or all trained to the end."""
    path = tmp_path / "lazy.py"
    method_in(path, until=until)
    path.write_text(path.read_text().replace("if config is None:", "if self.trials == 3:"))
    assert "waits for ever, though configs and budget are left" in checks._is_legal(parse_method(str(path)))


def test_a_sampler_that_ends_before_its_space_is_caught(tmp_path: Path) -> None:
    path = tmp_path / "short.py"
    shutil.copyfile(ROOT / "samplers" / "rs.py", path)
    begins = "        if self._space.size is not None:\n"
    assert begins in path.read_text()
    ends = "        if len(self._space._proposed) == 3:\n            return None\n"
    path.write_text(path.read_text().replace(begins, ends + begins))
    method = parse_method(str(path))
    assert "tried 3 of 12 configs" in checks._ends_with_the_space(method)
    assert "its study ends after 27 reports" in checks._holds_in_proportion(method)


def test_a_file_that_cannot_be_built_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    shutil.copyfile(ROOT / "samplers" / "rs.py", path)
    path.write_text(path.read_text().replace("self._rng = rng", "raise LookupError('not here')"))
    assert checks.check_method(parse_method(str(path)))[0].problem == "LookupError: not here"


@pytest.mark.parametrize("name", ["zero-shot", "bounding-box", "quantile-transfer"])
def test_who_learns_is_checked_with_knowledge(name: str) -> None:
    method = parse_method(name)
    assert method.learns and method.sampler is not None
    benchmarks = [toy_benchmark().with_space(toy_benchmark().space.opened()) for _ in range(2)]
    watched = checks.watched(method, benchmarks[0], np.random.default_rng(0))
    assert watched.sampler is not None
    ignorant = method.sampler.load()(benchmarks[1], np.random.default_rng(0))
    assert watched.sampler.suggest([]) != ignorant.suggest([])


@pytest.mark.parametrize("name", sorted(plug_ins()))
def test_every_method_cites_its_source(name: str) -> None:
    if name in ("single", "foreign"):
        return  # trains what any sampler, or any program, proposes
    assert find_plug_in(name).citation, "the first paragraph of the class cites (Authors YEAR, venue, place)"


@pytest.mark.parametrize(
    ("levels", "grace", "eta", "rungs"),
    [
        (range(1, 82), 1, 3, (1, 3, 9, 27, 81)),
        (range(1, 101), None, 3, (1, 3, 9, 27, 81, 100)),
        (range(1, 10), 2, 2, (2, 4, 8, 9)),
        ((5, 6, 20, 50), None, 3, (5, 20, 50)),
        ((7,), None, 3, (7,)),
        ((1, 2, 3), 3, 3, (3,)),
    ],
)
def test_rungs_are_levels_of_the_fidelity(levels: range, grace: int | None, eta: float, rungs: tuple[int, ...]) -> None:
    assert rung_levels(toy_benchmark(levels=tuple(levels)), grace, eta) == rungs


@pytest.mark.parametrize(
    ("grace", "eta", "words", "here"),
    [
        (10, 3, "between 1 and 9 epochs of 'toy', given 10", True),
        (0, 3, "at least 1, given 0", False),
        (1, 1, "greater than 1", False),
        (1, math.nan, "given nan", False),
        (1, math.inf, "and finite, given inf", False),
    ],
)
def test_a_ladder_without_sense_is_refused_here_or_everywhere(grace: int, eta: float, words: str, here: bool) -> None:
    benchmark = toy_benchmark()
    with pytest.raises(ValueError, match=words) as error:
        rung_levels(benchmark, grace, eta)
    assert refuses(error.value, benchmark) == here  # else it is bad usage, whatever else is compared


def test_a_rung_promotes_the_best_share_and_the_earliest_of_equals() -> None:
    rung = Rung(1, 3)
    promoted: list[int | None] = []
    for trial, loss in enumerate([5.0, 4.0, 3.0, 3.0, 9.0, 1.0]):
        rung.add(loss, trial, waits=True)
        promoted.append(rung.promote())
    assert promoted == [None, None, 2, None, None, 5]


def test_who_is_left_goes_on_from_the_highest_rung_down_and_the_best_first() -> None:
    rungs = [Rung(9, 3), Rung(1, 3), Rung(1, 3), Rung(3, 3)]
    came = [(1, 2.0, True), (1, 0.5, False), (2, 1.0, True), (2, 2.0, True), (3, 7.0, True), (3, math.inf, True)]
    for trial, (place, loss, waits) in enumerate(came):
        rungs[place].add(loss, trial, waits)
    assert [best_left(rungs) for _ in range(5)] == [4, 2, 0, 3, None]


def test_a_rung_that_stops_keeps_at_most_the_quantile() -> None:
    rng = np.random.default_rng(0)
    rung = Rung(1, 3)
    losses: list[float] = []
    for trial, loss in enumerate(rng.random(200).tolist()):
        losses.append(loss)
        rung.add(loss, trial, waits=False)
        assert rung.keeps(loss) == (loss <= np.quantile(losses, 1 / 3))


class NoMore:
    """A sampler with a given number of configs."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.observed: list[tuple[int, float]] = []

    def suggest(self, pending: object) -> dict[str, float] | None:
        self.left -= 1
        return {"x": 1.0} if self.left >= 0 else None

    def observe(self, config: object, resource: int, losses: tuple[float, ...]) -> None:
        self.observed.append((resource, losses[0]))


def told(scheduler: Asha | AshaStop, trial: int, resource: int, loss: float, status: Status) -> Decision:
    return scheduler.tell(Report(trial, resource, (loss,), {}, 1.0, status))


def test_a_failed_trial_never_goes_on_even_where_there_are_no_more_configs() -> None:
    benchmark = checks.toy_benchmark()
    asha = Asha(benchmark, np.random.default_rng(0), sampler=NoMore(4))
    for trial in range(4):
        assert asha.ask() is not None
        told(asha, trial, 1, -1.0 if trial == 0 else 1.0 + trial, Status.FAILED if trial == 0 else Status.REACHED)
    assert [asha.ask() for _ in range(4)] == [*(Job(trial, {"x": 1.0}, 9) for trial in (1, 2, 3)), None]


def test_a_trial_that_came_to_its_end_is_not_called_stopped() -> None:
    stop = AshaStop(checks.toy_benchmark(), np.random.default_rng(0), sampler=NoMore(9))
    for trial in range(4):
        assert stop.ask() is not None
        assert told(stop, trial, 9, float(trial), Status.REACHED) is Decision.CONTINUE
    stop.ask()
    assert told(stop, 4, 1, 0.0, Status.RUNNING) is Decision.CONTINUE
    stop.ask()
    assert told(stop, 5, 1, 9.0, Status.RUNNING) is Decision.STOP


def test_the_sampler_learns_of_every_rung() -> None:
    sampler = NoMore(1)
    stop = AshaStop(checks.toy_benchmark(), np.random.default_rng(0), sampler=sampler)
    stop.ask()
    for level in range(1, 10):
        told(stop, 0, level, 1 / level, Status.REACHED if level == 9 else Status.RUNNING)
    assert [level for level, _ in sampler.observed] == [1, 3, 9]


class Shortened(StatefulToy):
    """A toy whose curves have two levels or more, each its own number of them."""

    def _computed(self, config: Config, cut: int = 2) -> Curve:
        return super()._computed(config, max(cut, 1 + int(9 * number("levels", *config.values()))))


class Recording:
    """A random sampler that keeps what it is told."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.suggest = RandomSearch(benchmark, stream("recording")).suggest
        self.told: list[tuple[object, int, tuple[float, ...]]] = []

    def observe(self, config: Config, resource: int, losses: tuple[float, ...]) -> None:
        self.told.append((config["x"], resource, losses))


WANTED: dict[str, dict[str, object]] = {
    "moasha": {"objectives": (Objective("loss"), Objective("size"))},
    "bo-constrained": {"constraints": (Constraint("size", 0.7),)},
}


@pytest.mark.parametrize("name", [name for name, one in sorted(plug_ins().items()) if one.kind == "scheduler"])
def test_the_sampler_is_told_of_an_early_end_at_the_level_that_the_job_went_to(name: str) -> None:
    plain = toy_benchmark(Space({"x": uniform(0, 1)}), epochs=40)
    toy = Shortened(replace(plain, **WANTED.get(name, {})), ends=lambda place: End.EARLY)  # type: ignore[arg-type]
    benchmark = toy.benchmark.with_space(toy.restricted_space())
    sampler = Recording(benchmark)
    scheduler = find_plug_in(name).load()(benchmark, stream("early ends"), sampler=sampler)
    log = run(benchmark, scheduler, Simulated(toy, benchmark.workers, 0, benchmark.delays), 40 * NANOSECONDS)
    assert not log.error
    jobs: dict[int, Job] = {}
    ends: list[tuple[object, int, tuple[float, ...]]] = []
    early = 0
    for event in log.events:
        if isinstance(event, Started):
            jobs[event.job.trial] = event.job
        elif isinstance(event, Event) and event.report.status is Status.REACHED:
            job = jobs[event.report.trial]
            ends.append((job.config["x"], job.until, event.report.losses))
            early += event.report.resource < job.until
    assert early and not Counter(ends) - Counter(sampler.told)


def test_stopping_is_refused_where_a_training_says_nothing_on_its_way() -> None:
    benchmark = replace(toy_benchmark(), fidelity=Fidelity("width", (16, 32), continues=False))
    with pytest.raises(ValueError, match="there is nothing to stop at"):
        AshaStop(benchmark, np.random.default_rng(0), sampler=RandomSearch(benchmark, np.random.default_rng(0)))


def test_a_rung_that_stops_counts_a_trial_that_crashes_there_once() -> None:
    stop = AshaStop(checks.toy_benchmark(), np.random.default_rng(0), sampler=NoMore(4))
    for _ in range(4):
        assert stop.ask() is not None
    assert told(stop, 0, 1, 0.0, Status.RUNNING) is Decision.CONTINUE
    assert told(stop, 1, 1, 5.0, Status.RUNNING) is Decision.STOP
    told(stop, 0, 1, math.inf, Status.FAILED)
    # The threshold of three losses is the best of them; a fourth would let the second best go on.
    assert told(stop, 2, 1, 3.0, Status.RUNNING) is Decision.STOP
    assert len(stop._rungs[1]) == 3
    told(stop, 3, 1, math.inf, Status.FAILED)
    assert len(stop._rungs[1]) == 4


def test_a_grid_that_conditions_make_small_ends() -> None:
    names = "abcdefghij"
    domains = {"p": choice(list(names))} | {name: uniform(0, 1) for name in names}
    space = Space(domains, {name: {"p": [name]} for name in names})
    grid = Grid(toy_benchmark(space.opened()), np.random.default_rng(0))
    configs: list[Config] = list(iter(lambda: grid.suggest([]), None))
    assert {space.key(config) for config in configs} == {space.key(config) for config in space.grid(5)}
    assert len(configs) == 50


@pytest.mark.parametrize("text", ["rs", "asha", "hyperband", "tpe"])
def test_a_study_that_has_tried_all_that_conditions_allow_has_nothing_left(text: str) -> None:
    space = Space({"p": choice(["a", "b", "c"]), "q": choice([1, 2, 3, 4])}, {"q": {"p": ["a"]}})
    done, problem = checks.studied(parse_method(text), Toy(toy_benchmark(space, epochs=400)))
    assert problem == "" and len(done.configs) == 6
    assert done.why == Why.NOTHING_LEFT


# -- what a method holds, and where it runs ----------------------------------------------------------------------------


def test_a_weight_counts_each_thing_once() -> None:
    inner: list[object] = []
    assert weight([]).entries == 1
    assert weight([inner, inner]).entries == 4
    assert weight([inner, []]).entries == 5
    inner.append(inner)
    assert weight(inner).entries == 2
    rows = np.zeros((7, 3))
    assert weight(rows).entries == 8 and weight(rows).bytes >= 7 * 3 * 8
    assert weight(rows[:2]).entries == 12  # a part keeps the whole


class Slotted:
    """Something without a dictionary of its own."""

    __slots__ = ("kept",)

    def __init__(self, kept: object) -> None:
        self.kept = kept


def hidden(how: str, kept: list[float]) -> object:
    """Something that holds `kept` where it is not easily seen."""
    if how == "generator":
        generator = (number for number in kept)
        next(generator)
        return generator
    waits = {
        "closure": lambda: kept,
        "default": lambda kept=kept: kept,
        "slot": Slotted(kept),
        "method": Slotted(kept).__init__,
        "partial": partial(print, kept),
        "queue": deque([[], kept]),
        "objects": np.array([None, kept], dtype=object),
        "view": MappingProxyType({"kept": kept}),
    }
    return waits[how]


@pytest.mark.parametrize(
    "how", ["closure", "default", "slot", "method", "partial", "queue", "objects", "view", "generator"]
)
def test_what_is_held_in_hidden_places_is_weighed(how: str) -> None:
    few, many = (weight(hidden(how, [0.5 + n for n in range(count)])) for count in (100, 1100))
    assert many.entries - few.entries == 2000  # a reference and a number each
    assert many.bytes - few.bytes > 1000 * 8


def test_what_all_share_is_not_weighed() -> None:
    assert weight([np, Space, pytest.fixture, json.dumps, math.log]).entries < 100


def test_the_real_trainings_of_the_contract_diverge_pause_and_end() -> None:
    square = Space({"x": uniform(0, 1), "y": uniform(0, 1)})
    toy = Toy(toy_benchmark(square, workers=1), ends=lambda place: End.DIVERGED if diverges(place) else End.COMPLETE)
    seen: set[tuple[object, object]] = set()
    for text in ("rs", "asha", "asha-stop", "dyhpo"):
        decisions = checks._decisions(parse_method(text), toy.benchmark, Simulated(toy, 1, 0, toy.benchmark.delays))
        seen |= {decision[-2:] for decision in decisions if decision[0] == "answers"}
    assert ("FAILED", Decision.CONTINUE) in seen
    assert {("RUNNING", decision) for decision in Decision} <= seen


@pytest.mark.slow
@pytest.mark.parametrize("text", ["mobster", "hypertune", "dyhpo"])
def test_models_keep_to_their_caps(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The size of a matrix over 500 observations: without their caps they hold more, and each of them is noticed.
    monkeypatch.setattr(checks, "BYTES", 2**21)
    monkeypatch.setattr(checks, "REPORTS", 600)
    assert checks._holds_in_proportion(parse_method(text)) == ""


# -- words -------------------------------------------------------------------------------------------------------------


def public(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """The functions, classes and methods of a source that anybody may use."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


@pytest.mark.parametrize("folder", ["samplers", "schedulers", "_parts"])
def test_whatever_is_public_says_what_it_is(folder: str) -> None:
    for path in sorted((ROOT / folder).glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        silent = [child.name for child in public(tree) if not ast.get_docstring(child)]
        assert ast.get_docstring(tree) and silent == [], path.name
