"""Fit a surrogate to a table, judge it, and say how far to trust it; of a table without one, what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import combinations, product
from pathlib import Path
from typing import Any, cast

from harness import catalog
from harness.compose.declarations import DEFAULT_METHODS
from harness.compose.studies import data_digest, model_of, simulate, study_of
from harness.names import UnknownName

SEVERAL = ("rs", "asha", "nsga2", "moasha")
"""What is ranked where there are several objectives: of the usual methods, two model one only."""
RANKED_SEEDS = 100
RANKED_BUDGETS = 5
"""Between a tenth of the benchmark's budget and all of it, evenly on a log scale."""
TABLE, FREE = "the table", "any config"
DRAWN = tuple(f"table {number} drawn from the surrogate" for number in (1, 2, 3))
COMPARED: Mapping[str, Sequence[tuple[str, str]]] = {
    "tables drawn from the surrogate against the table": [(TABLE, drawn) for drawn in DRAWN],
    "these tables against each other": [*combinations(DRAWN, 2)],
    "any config against the table": [(TABLE, FREE)],
    "any config against tables drawn from the surrogate": [(drawn, FREE) for drawn in DRAWN],
}
"""Of which pairs of worlds the mean is taken. The first tells of the surrogate; the second, how far two tables of one
truth agree, which is what any surrogate could reach. The others tell, besides, what choosing among few rows does to
methods: the last knows nothing of what was measured."""
EQUAL = 0.02
"""Methods whose mean regrets differ by less of the gap from median to best are practically equal."""


def fit(name: str, folder: Path | None = None, *, seeds: int = RANKED_SEEDS, jobs: int = 2) -> dict[str, Any]:
    """Fit the surrogate of a table, judge it, write both beside the table; gives the card as `described` does.

    seeds: of the comparisons of methods on surrogate and raw table.
    """
    from surrogates import card, declared, fitting, surrogate, table

    place = folder or _folder(name)
    data = table.load_data(place)
    known = declared.read(place, data.benchmark.name)
    fitted, learned, held_out = fitting.fit(data, known)
    surrogate.save(fitted, data.learned().digest(), place)
    for remembers in (model_of, data_digest, _model, catalog.benchmarks):
        remembers.cache_clear()
    model = surrogate.load(place, replace(data.benchmark, table_miss="surrogate"), data.learned().digest())
    ranking = ranked(name, seeds, jobs)
    plain = card.card(data, known, learned, held_out, model, ranking=ranking)
    card.save(plain, place)
    catalog.benchmarks.cache_clear()  # the surrogate answers by default as the card says
    return plain | stated(place, plain)


def described(name: str) -> dict[str, Any]:
    """The card of a benchmark: of its surrogate where that has been judged, else of its table."""
    from surrogates import table_card

    place = catalog.find_benchmark(name).table
    if place is not None and (card := catalog.card_of(place)) is not None:
        return card | stated(place, card)
    model = model_of(name, "restrict")
    plain = table_card.card(model)
    if place is not None:
        plain |= stated(place, plain)
        plain["not_applicable"]["surrogate"] = f"none was judged: `fit {name}` makes one and its card"
    if "configs" in plain:
        plain["random search"] = _law(model.benchmark.objectives[0].maximize, model.facts())
    return plain


def stated(folder: Path, card: Mapping[str, Any]) -> dict[str, str | None]:
    """The source and the licence of the data that a table was trained on: as its card says, else as its script does.

    They stand in no file of the table: what is said of old tables changes with what is known today.
    """
    said = {"source": card.get("source") or None, "licence": card.get("licence") or None}
    try:
        _, script = catalog.scripted(catalog.table_entry(folder).benchmark.name)
    except UnknownName:
        return said
    module = import_module(f"real_benchmarks.{script}")
    return {name: known or getattr(module, name.upper(), None) for name, known in said.items()}


def _law(maximize: bool, facts: Mapping[str, Any]) -> list[dict[str, float]]:
    """What random search without repeats holds on average after so many whole trainings: exact, of the first objective.

    A config that diverges counts as the median one, as in reports.
    """
    import numpy as np

    from reports.regret import law_of_random_search

    losses = np.array(facts["final_losses"])
    losses = np.where(np.isfinite(losses), losses, facts["median"])
    steps = [factor * 10**power for power in range(10) for factor in (1, 2, 5)]
    trials = [*(step for step in steps if step < len(losses)), len(losses)]
    expected = law_of_random_search(np.sort(losses), np.array(trials)).tolist()
    best, gap = facts["optimum"], facts["median"] - facts["optimum"]
    return [
        {"trials": count, "expected": -loss if maximize else loss, "regret": (loss - best) / gap if gap else 0.0}
        for count, loss in zip(trials, expected, strict=True)
    ]


def verdict(name: str) -> str | None:
    """In a word how far to trust the surrogate of a benchmark; None where none was judged."""
    place = catalog.find_benchmark(name).table
    card = None if place is None else catalog.card_of(place)
    return None if card is None else card["verdict"]


def ranked(name: str, seeds: int = RANKED_SEEDS, jobs: int = 2) -> dict[str, Any]:
    """Whether methods rank on the surrogate as on the raw table: Kendall's tau-b, means over some budgets.

    On tables of the same configs whose curves are drawn from the surrogate, where nothing differs but the curves, and
    on the surrogate as it is used, free to propose any config; see `COMPARED`. The same methods with the same seeds in
    each world; their mean regret is that of the trial held at the time, by the mean over its config's seeds. Methods
    nearer than `EQUAL`, or than the noise, are ties in their world; where all are, in both, these agree.
    """
    import numpy as np

    from reports.statistics.agreement import orders

    benchmark = catalog.find_benchmark(name).benchmark
    methods = DEFAULT_METHODS if len(benchmark.objectives) == 1 else SEVERAL
    budgets = np.geomspace(benchmark.budget / 10, benchmark.budget, RANKED_BUDGETS)
    regrets: dict[str, list[list[float]]] = {}
    ordered: dict[str, Any] = {}
    for world in (TABLE, *DRAWN, FREE):
        best, median, noise = _ruler(name, world)
        held = _held(name, world, [*product(methods, range(seeds))], budgets.tolist(), jobs)
        held = np.minimum(held, median).reshape(len(methods), seeds, RANKED_BUDGETS)
        means = (held.mean(axis=1) - best) / (median - best)
        equal = max(EQUAL, noise / (median - best))
        regrets[world], ordered[world] = means.tolist(), orders(means.T, equal)
    taus = {
        name: np.mean([_agreed(ordered[one], ordered[other]) for one, other in pairs], axis=0)
        for name, pairs in COMPARED.items()
    }
    return {
        "tau": {name: float(found.mean()) for name, found in taus.items()},
        "taus": {name: found.tolist() for name, found in taus.items()},
        "budgets": budgets.tolist(),
        "seeds": seeds,
        "methods": list(methods),
        "regret": regrets,
    }


def _agreed(one: Any, other: Any) -> Any:
    """Tau-b of two worlds at each budget; all ties agree with all ties, and with nothing else."""
    import numpy as np

    from reports.statistics.agreement import tau_b

    tied = ~one.any(axis=-1) & ~other.any(axis=-1)
    return np.where(tied, 1.0, np.nan_to_num(tau_b(one, other)))


def _ruler(name: str, world: str) -> tuple[float, float, float]:
    """The best and the median final loss of a world, and how far seeds spread it."""
    facts = _model(name, world).facts()
    return facts["optimum"], facts["median"], facts["noise"] or 0.0


@cache
def _model(name: str, world: str) -> Any:
    """What answers in a world."""
    if world not in DRAWN:
        return model_of(name, "restrict" if world == TABLE else "surrogate")
    from surrogates.drawn import drawn_table
    from surrogates.table import Table, load_data

    data = load_data(_folder(name))
    drawn = drawn_table(cast(Any, model_of(name, "surrogate")), data.looked_up(), DRAWN.index(world))
    return Table(drawn).under(replace(data.benchmark, table_miss="restrict"))


def _held(name: str, world: str, studies: Sequence[tuple[str, int]], budgets: Sequence[float], jobs: int) -> Any:
    """The final loss, its mean over seeds, of the trial held at each budget: studies, each a method with a seed."""
    import numpy as np
    from joblib import Parallel, delayed

    parallel: Any = Parallel(n_jobs=jobs)
    return np.array(parallel(delayed(held_by)(name, world, method, seed, budgets) for method, seed in studies))


def held_by(name: str, world: str, method: str, seed: int, budgets: Sequence[float]) -> list[float]:
    """What a method holds at each budget in one study: the final loss of its incumbent over seeds, infinite if none."""
    import json
    import math

    import numpy as np
    from threadpoolctl import threadpool_limits

    from harness.comparison import Arm, Comparison
    from harness.frames import frames
    from harness.study import record
    from reports.incumbent import at, trajectories

    arm = Arm(method, method)
    miss = "surrogate" if world == FREE else "restrict"
    study = study_of(Comparison((arm,), (name,), (seed,), {"table_miss": miss}), arm, name, seed)
    model = _model(name, world)
    with threadpool_limits(1):
        done = record(study, *simulate(study, curves=model))
    if done.error:
        raise RuntimeError(f"{method} on {name}, seed {seed}, failed:\n{done.error}")
    _, events = frames([done])
    (held,) = trajectories(events, {study.benchmark.name: study.benchmark.fidelity.maximum}).values()
    trials = at(held.times, held.trials.astype(float), np.array(budgets))
    configs = dict(json.loads(text) for text in done.configs)
    return [math.inf if math.isnan(trial) else model.final_loss(configs[int(trial)]) for trial in trials]


def _folder(name: str) -> Path:
    entry = catalog.find_benchmark(name)
    if entry.table is None:
        raise ValueError(
            f"benchmark {name!r} has no table of ours; those with one are "
            f"{', '.join(other for other, found in catalog.benchmarks().items() if found.table)}"
        )
    return entry.table
