"""Ours beside the optimisers of others on the suites: is ours worse than a peer's version of the same algorithm?

    python tests/benchmarks/peers.py --run

The plan is a folder: `pairs.toml` says who is judged against whom, and how; each numbered file is a part, a comparison
as `python -m harness compare` takes it. The command runs what is missing, a part after the other in blocks of seeds,
and writes the page after each. What came of each study stands in one small file beside the page, so that neither a kill
nor the loss of the results' folder costs a study twice. Without `--run` nothing is run: what is there is gathered, and
the page written. The seconds of studies are those of this machine: nothing else should run.

Data and optimisers come from elsewhere, once a machine; FORETUNE_DATA names the folder of what no package has:

    pip install -e '.[tables,onnx,lcdb]'
    for family in fcnet hpobench nasbench201 lcbench taskset nmt_transformer nbnlp llama_lr lcdb; do
        python -m harness fetch $family || break
    done
    for optimiser in optuna nevergrad dehb syne-tune neps smac ax hebo; do python -m harness fetch $optimiser; done

An arm whose optimiser is not here is passed over, and named at the end. Where its studies were run before, with the
versions that its file in `harness/foreign` asks for, they count on the page all the same. Before a machine is given
back, the command without `--run` gathers what a part has come to in the midst of it.

Endpoint: the normalised regret of the incumbent at the budget, as a comparison's report has it (0 the best of the
benchmark, 1 its median random config; failures count as that); of several objectives the share of the front's
hypervolume that was not held at the budget (failures hold nothing). A pair's difference, ours less theirs, is taken at
each seed; its mean over the benchmarks weighs them alike, its interval is for these benchmarks (t, with the degrees of
freedom of Welch and Satterthwaite). `no worse` where the 95 % interval ends below the margin, `worse` where it begins
above 0, both where it lies between: worse, but by less than matters. Until all seeds that are wanted are there, a
verdict is one `so far`.
"""

import argparse
import json
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from packaging.requirements import Requirement

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.comparison import carry_out, missing
from harness.compose import lookups
from harness.compose.comparisons import facts_of
from harness.compose.declarations import comparison_from_toml, comparison_of
from harness.compose.knowledge import STUDIES
from harness.compose.studies import model_of, prepared, run_simulated, studies_of
from harness.compose.suites import family_of, suites
from harness.foreign._environment import python_of
from harness.foreign._process import ForeignError
from harness.frames import frames
from harness.plug_ins import PlugIn, find_plug_in
from harness.store import Store
from harness.study import Record, Study, as_installed
from harness.terminal import ComparisonProgress
from harness.types import refuses
from reports import fronts
from reports.incumbent import trajectories
from reports.intervals import LEVEL, ROUNDING, t_quantile
from reports.outcomes import FAILED, MISSING, outcomes
from reports.regret import scale

MARGIN = 0.02
SUITES = ("multi-fidelity", "single-fidelity", "multi-objective")
"""In which the best of ours and of theirs are chosen on the development half and compared on the test half."""
SEVERAL = "multi-objective"
"""The suite of several objectives, of which the arms are others than those of the others."""
SEEDS, TOGETHER = 5, 64
"""Of a part so many seeds are run before the page is written; of so many studies the events are in memory together."""
KEPT = "studies.jsonl"

Floats = NDArray[np.float64]
Name = tuple[str, str]
"""An arm and a benchmark."""
Facts = dict[str, dict[str, Any]]
Regrets = Mapping[str, pd.DataFrame]
"""Of each benchmark the normalised regrets at the budget: a row a seed, a column an arm."""
Of = TypeVar("Of")


# -- the plan ----------------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """A comparison of the plan: the file that declares it, and every study that it wants."""

    path: Path
    studies: list[Study]

    def store(self, results: Path) -> Store:
        """Where its studies are: as those of `compare` with `--out` of that folder, which goes on with them."""
        return Store(results / self.path.stem / STUDIES)


class Uncounted(NamedTuple):
    """Arms and families of tables on which their studies do not count in a mean."""

    arms: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()


class Plan(NamedTuple):
    """What shall be compared.

    pairs: of ours and theirs; parts: in their order; firsts: of each arm on each benchmark one study of those that are
    wanted; facts: what is known of each benchmark; changed: of ours, after a look at what came of them here.
    """

    pairs: list[tuple[str, str]]
    parts: list[Part]
    firsts: dict[Name, Study]
    facts: Facts
    uncounted: Uncounted = Uncounted()
    changed: tuple[str, ...] = ()

    def counted(self, by_benchmark: Mapping[str, Of], *arms: str) -> dict[str, Of]:
        """Of what is told by benchmark, that which counts in a mean of these arms."""
        small = self.uncounted.families if self.uncounted.arms & set(arms) else frozenset[str]()
        return {name: of for name, of in by_benchmark.items() if family_of(name) not in small}


def plan_of(folder: Path) -> Plan:
    """The plan in a folder; SystemExit where its parts contradict each other, or a benchmark has no regret."""
    declared: dict[str, Any] = tomllib.loads((folder / "pairs.toml").read_text(encoding="utf-8"))
    uncounted = Uncounted(*(frozenset(declared.get("uncounted", {}).get(what, ())) for what in Uncounted._fields))
    parts: list[Part] = []
    facts: Facts = {}
    firsts: dict[Name, Study] = {}
    for path in sorted(folder.glob("[0-9]*.toml")):
        comparison = comparison_of(comparison_from_toml(path))
        parts.append(Part(path, studies_of(comparison)))
        for benchmark, known in facts_of(comparison, {}).items():
            facts[benchmark] = facts.get(benchmark, {}) | known  # the front of several objectives stays known
        for name, study in _firsts(parts[-1].studies).items():
            if identity(firsts.setdefault(name, study)) != identity(study):
                raise SystemExit(f"{path} wants {study.arm} on {study.benchmark.name} otherwise than a part before it")
    if without := [name for name, known in facts.items() if scale(known) is None]:
        raise SystemExit(f"no optimum and median are known, so there is no regret, on {', '.join(without)}")
    pairs = [(ours, theirs) for ours, others in declared["pairs"].items() for theirs in others]
    return Plan(pairs, parts, firsts, facts, uncounted, tuple(declared.get("changed", ())))


def _name(study: Study) -> Name:
    return study.arm, study.benchmark.name


def _firsts(studies: Sequence[Study]) -> dict[Name, Study]:
    return {_name(study): study for study in reversed(studies)}


def plug_in_of(study: Study) -> PlugIn:
    """Who decides in a study: one of our schedulers, or a method of a foreign optimiser."""
    return find_plug_in(study.method["name"])


def is_here(study: Study) -> bool:
    """Whether what a study needs is installed."""
    plug_in = plug_in_of(study)
    return not plug_in.requirements or python_of(plug_in.optimiser, plug_in.requirements) is not None


# -- what came of the studies ------------------------------------------------------------------------------------------


class End(NamedTuple):
    """What came of a study: the regret at the budget (see above), real seconds, whether it failed."""

    regret: float
    seconds: float
    failed: bool


class Kept(NamedTuple):
    """What came of an arm on a benchmark.

    study: the hash of all that its studies depend on but the seed, by which one sees that other ones are wanted now;
    versions: what of a foreign library was installed when the first of them ran; refused: why the arm cannot run there,
    or nothing; ends: by seed.
    """

    study: str
    versions: dict[str, str]
    refused: str
    ends: dict[int, End]


def identity(study: Study, versions: Mapping[str, str] | None = None) -> str:
    """The hash of all that a study depends on but the seed; versions: of its library, else as installed."""
    ran = study if versions is None else as_installed(study, {"versions": dict(versions)})
    return replace(ran, seed=0).key


def fits(study: Study, versions: Mapping[str, str]) -> bool:
    """Whether what ran had the versions that the optimiser's file asks for."""
    wanted = [Requirement(line) for line in plug_in_of(study).requirements]
    return all(one.name in versions and one.specifier.contains(versions[one.name], prereleases=True) for one in wanted)


def fresh(study: Study, refused: str = "") -> Kept:
    """Of an arm on a benchmark as it would run here and now, before anything came of it."""
    return Kept(identity(study), dict(study.method.get("versions", {})), refused, {})


def read(path: Path) -> dict[Name, Kept]:
    """What was kept, by arm and benchmark; nothing where there is no file."""
    found: dict[Name, Kept] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        plain: dict[str, Any] = json.loads(line)
        ends = {int(seed): End(*end) for seed, end in plain["ends"].items()}
        found[plain["arm"], plain["benchmark"]] = Kept(plain["study"], plain["versions"], plain["refused"], ends)
    return found


def write(path: Path, kept: Mapping[Name, Kept]) -> None:
    """Keep it: a line an arm and benchmark, the file whole or as it was."""
    lines: list[str] = []
    for (arm, benchmark), one in sorted(kept.items()):
        ends = {seed: list(end) for seed, end in sorted(one.ends.items())}
        plain = {"arm": arm, "benchmark": benchmark, **one._asdict(), "ends": ends}
        lines.append(json.dumps(plain, separators=(",", ":"), allow_nan=False) + "\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


def current(plan: Plan, kept: Mapping[Name, Kept]) -> dict[Name, Kept]:
    """What was kept of the studies that the plan wants today, in its order; what was run otherwise is left out."""
    found: dict[Name, Kept] = {}
    for name, study in plan.firsts.items():
        one = kept.get(name)
        if one is None:
            continue
        # Another release of what a library stands on is no reason to run all of it again.
        versions = one.versions if plug_in_of(study).requirements else None
        if one.study == identity(study, versions) and fits(study, one.versions):
            found[name] = one
    return found


def gathered(plan: Plan, parts: Sequence[Part], results: Path, path: Path) -> dict[Name, Kept]:
    """What came of the studies that the plan wants, as kept and as in the stores of some parts; what is new is kept."""
    kept = read(path)
    now = current(plan, kept)
    new = 0
    for part in parts:
        wanted = {study.key for study in part.studies if _lacks(now, study)}
        for name, seed, end in _ends(part.store(results).each(wanted), plan.facts):
            now.setdefault(name, fresh(plan.firsts[name])).ends[seed] = end
            new += 1
    if new:
        write(path, kept | now)
    return {name: now[name] for name in plan.firsts if name in now}


def _lacks(now: Mapping[Name, Kept], study: Study) -> bool:
    one = now.get(_name(study))
    return one is None or (not one.refused and study.seed not in one.ends)


def _ends(records: Iterable[Record], facts: Facts) -> Iterator[tuple[Name, int, End]]:
    """What came of each study that was not interrupted, a few of them in memory at a time."""
    coming = iter(records)
    while some := list(islice(coming, TOGETHER)):
        for several in (False, True):
            if alike := [one for one in some if (len(one.spec["benchmark"]["objectives"]) > 1) == several]:
                yield from _ends_of(alike, facts, several)


def _ends_of(records: Sequence[Record], facts: Facts, several: bool) -> Iterator[tuple[Name, int, End]]:
    """What came of some studies, all of several objectives or none of them."""
    studies, events = lookups.frames(records) if several else frames(records)
    ended = outcomes(studies, trajectories(events, {name: int(max(of["levels"])) for name, of in facts.items()}), facts)
    if several:
        ended = ended.assign(regret=1 - fronts.at_the_budget(ended, fronts.held(events), facts))
    for row in ended.itertuples():
        if row.state != MISSING:
            end = End(round(float(row.regret), 8), round(float(row.real_seconds), 3), row.state == FAILED)
            yield (str(row.arm), str(row.benchmark)), int(row.seed), end


# -- running -----------------------------------------------------------------------------------------------------------


def run(plan: Plan, results: Path, kept: Path, page: Path, jobs: int) -> None:
    """Run what is missing, a part after the other; the page is written after each block of seeds that had any."""
    absent: dict[str, None] = {}
    now = gathered(plan, plan.parts, results, kept)
    for part in plan.parts:
        store, seeds = part.store(results), list(dict.fromkeys(study.seed for study in part.studies))
        for block in (seeds[first : first + SEEDS] for first in range(0, len(seeds), SEEDS)):
            wanted = [study for study in part.studies if study.seed in block and _lacks(now, study)]
            here = [study for study in wanted if is_here(study)]
            absent |= dict.fromkeys(plug_in_of(study).optimiser for study in wanted if not is_here(study))
            left = missing(_willing(here, now), store)
            if here:
                write(kept, read(kept) | now)  # with who refuses
            if not left:
                continue
            print(f"{part.path.name}, seeds {block[0]} to {block[-1]}", file=sys.stderr, flush=True)
            store.sweep()
            try:
                _carry_out(left, store, jobs)
            finally:
                now = gathered(plan, [part], results, kept)
            page.write_text(text(plan, now), encoding="utf-8")
    for optimiser in absent:
        print(f"passed over: `python -m harness fetch {optimiser}` brings {optimiser}", file=sys.stderr)


def _carry_out(studies: Sequence[Study], store: Store, jobs: int) -> None:
    """Run some studies; says which could not be run, for no fault of the method."""
    with ComparisonProgress() as progress:
        progress.begin(Counter(map(_name, studies)))
        ended = carry_out(studies, store.folder, run_simulated, jobs=jobs, on_outcome=progress.outcome)
    for outcome in ended:
        if not outcome.stored:
            said = outcome.error.splitlines()[-1]
            print(f"not run: {outcome.arm} on {outcome.benchmark}, seed {outcome.seed}: {said}", file=sys.stderr)


def _willing(studies: Sequence[Study], now: dict[Name, Kept]) -> list[Study]:
    """The studies whose arms can run on their benchmarks; who refuses is noted in `now` with the reason."""
    broken: set[str] = set()
    for name, study in _firsts(studies).items():
        if name not in now and study.arm not in broken:
            try:
                prepared(study, model_of(study.source, study.benchmark.table_miss).under(study.benchmark))
            except ForeignError as error:
                broken.add(study.arm)
                print(f"passed over: {study.arm}: {str(error).splitlines()[-1]}", file=sys.stderr)
            except ValueError as error:
                if not refuses(error, study.benchmark):
                    raise
                now[name] = fresh(study, str(error))
    return [study for study in studies if study.arm not in broken and _lacks(now, study)]


# -- judging -----------------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """A mean difference over benchmarks with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What may be said of ours less theirs."""
        words = ["worse"] * (self.low > 0) + ["no worse by the margin"] * (self.high < MARGIN)
        return ", but ".join(words) or "not settled"

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:+.4f} at every seed"
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def over_benchmarks(differences: list[Floats]) -> Difference:
    """The mean over benchmarks of means over seeds; differences: of each benchmark those at its seeds, two at least.

    Without any spread over seeds there is an interval only where there is no difference either, else NaN.
    """
    means = np.array([one.mean() for one in differences])
    mean = float(means.mean())
    if all(np.ptp(one) <= ROUNDING for one in differences):
        end = 0.0 if (np.abs(means) <= ROUNDING).all() else np.nan
        return Difference(mean, end, end)
    variances = np.array([one.var(ddof=1) / len(one) for one in differences])
    variance = float(variances.sum())
    degrees = variance**2 / float(sum(v**2 / (len(d) - 1) for v, d in zip(variances, differences, strict=True)))
    half = float(t_quantile(1 - (1 - LEVEL) / 2, degrees) * np.sqrt(variance) / len(differences))
    return Difference(mean, mean - half, mean + half)


def regrets_of(now: Mapping[Name, Kept]) -> dict[str, pd.DataFrame]:
    """The regrets of what was kept; NaN where a study is missing."""
    named = [(benchmark, arm, one.ends) for (arm, benchmark), one in now.items()]
    rows = [(benchmark, arm, seed, end.regret) for benchmark, arm, ends in named for seed, end in ends.items()]
    frame = pd.DataFrame(rows, columns=["benchmark", "arm", "seed", "regret"])
    return {
        str(name): here.pivot(index="seed", columns="arm", values="regret").astype(float)
        for name, here in frame.groupby("benchmark", sort=False)
    }


def judged(regrets: Regrets) -> dict[str, pd.DataFrame]:
    """Those on benchmarks by which no method of ours was developed."""
    development = {name for half, names in suites().items() if half.endswith("/development") for name in names}
    return {name: grid for name, grid in regrets.items() if name not in development}


def met(regrets: Regrets, ours: str, theirs: str) -> dict[str, pd.DataFrame]:
    """The two arms' regrets at the seeds that both have, on the benchmarks where there are two such seeds at least."""
    both = {
        name: grid[[ours, theirs]].dropna() for name, grid in regrets.items() if {ours, theirs} <= set(grid.columns)
    }
    return {name: grid for name, grid in both.items() if len(grid) > 1}


def differences(grids: Regrets) -> list[Floats]:
    """Ours less theirs at each seed, of grids as `met` gives them."""
    return [grid.iloc[:, 0].to_numpy() - grid.iloc[:, 1].to_numpy() for grid in grids.values()]


def best(regrets: Regrets, suite: str, foreign: set[str]) -> tuple[str, str] | None:
    """The arms of ours and of theirs with the lowest mean regret over the development half of a suite.

    None where a benchmark of it has no studies, or no arm of one side has all of them; foreign: who is not ours.
    """
    half = suites()[f"{suite}/development"]
    if not set(half) <= set(regrets):
        return None
    means = pd.DataFrame([regrets[name].mean(skipna=False) for name in half]).mean(skipna=False).dropna()
    ours, theirs = (means[[arm for arm in means.index if (arm in foreign) == other]] for other in (False, True))
    return None if ours.empty or theirs.empty else (str(ours.idxmin()), str(theirs.idxmin()))


# -- the page ----------------------------------------------------------------------------------------------------------

PAIR = (
    "ours", "theirs", "benchmarks", "seeds", "regret, ours", "theirs' regret", "difference [95 %]", "verdict",
    "seconds a study, ours", "theirs' seconds",
)  # fmt: skip


def text(plan: Plan, now: Mapping[Name, Kept]) -> str:
    """The whole page in Markdown."""
    regrets = regrets_of(now)
    test, foreign = judged(regrets), {arm for (arm, _), one in plan.firsts.items() if plug_in_of(one).kind == "foreign"}
    grids = {pair: met(test, *pair) for pair in plan.pairs}
    wanted = {pair: _wanted(plan, now, *pair) for pair in plan.pairs}
    blocks = [
        "# Ours beside the optimisers of others, on the suites",
        "Made by `python tests/benchmarks/peers.py --run` from the [plan](plan/pairs.toml), which states question and "
        f"conditions; what came of each study stands in [{KEPT}]({KEPT}). Regret: at the budget, 0 the best of the "
        "benchmark, 1 its median random config; of several objectives the share of the front's hypervolume that was "
        "not held. Difference: ours less theirs at the same seed, the mean over the "
        f"benchmarks of the suites' test halves. `no worse` is claimed by a margin of {MARGIN:g}. Where there are 5 "
        "seeds, an arm needs more than 30 seconds a study; where fewer benchmarks or seeds than wanted (`10 of 20`), "
        "studies are still missing, and the verdict is one `so far`: who looks again and again is wrong more often "
        "than an interval says. No interval is corrected for how many there are.",
        "## The same algorithm, ours and theirs",
        *_said_beside(plan),
        markdown(
            PAIR,
            [
                row_of(now, *pair, plan.counted(grids[pair], *pair), plan.counted(wanted[pair], *pair))
                for pair in plan.pairs
            ],
        ),
        "## The same by family",
        _by_family(grids),
        *_worse(grids, wanted),
        *(block for suite in SUITES for block in _best(plan, now, regrets, suite, foreign)),
        "## Parts",
        "Each can be run by itself, with a report of its own, by `python -m harness compare FILE --out "
        "results/peers/PART`. A study that several parts want counts in each.",
        markdown(("part", "arms", "benchmarks", "wanted", "there", "failed", "hours"), _parts(plan, now)),
        "## Optimisers of others, as installed",
        markdown(("arm", "installed", "cannot run on"), _installed(now, foreign)),
    ]
    return "\n\n".join(blocks) + "\n"


def _said_beside(plan: Plan) -> list[str]:
    """What must be known to read the table of pairs."""
    said: list[str] = []
    if plan.changed:
        named = ", ".join(f"`{arm}`" for arm in plan.changed)
        said.append(
            f"After a look at earlier results here, as chosen on the development halves, ours were changed: {named}."
        )
    if plan.uncounted.arms:
        arms, families = (", ".join(f"`{name}`" for name in sorted(names)) for names in plan.uncounted)
        said.append(
            f"In the means of {arms} the tables of {families} do not count, which have fewer rows than a first rung: "
            "how a program shares too few rows among its rungs would be compared there. They stand under the families."
        )
    return [" ".join(said)] if said else []


def row_of(now: Mapping[Name, Kept], ours: str, theirs: str, grids: Regrets, wanted: Mapping[str, int]) -> list[str]:
    """The row of a pair in the table; grids: as `met` gives them; wanted: as `_wanted` does."""
    count = str(len(grids)) if len(grids) == len(wanted) else f"{len(grids)} of {len(wanted)}"
    if not grids:
        return [ours, theirs, count, *["–"] * 4, "no studies yet", "–", "–"]
    found = over_benchmarks(differences(grids))
    means = np.mean([grid.mean().to_numpy() for grid in grids.values()], axis=0)
    seeds = _span(map(len, grids.values()))
    if any(len(grid) < wanted.get(name, 0) for name, grid in grids.items()):
        seeds = f"{seeds} of {_span(wanted.values())}"
    took = [
        np.mean([now[arm, name].ends[seed].seconds for name, grid in grids.items() for seed in grid.index])
        for arm in (ours, theirs)
    ]
    return [
        ours, theirs, count, seeds, *(f"{mean:.4f}" for mean in means), str(found), _said(found, grids, wanted),
        *(f"{seconds:.3g}" for seconds in took),
    ]  # fmt: skip


def _span(seeds: Iterable[int]) -> str:
    """How many seeds there are on each benchmark: "20", or "5 to 20"."""
    counts = sorted(set(seeds))
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _said(found: Difference, grids: Regrets, wanted: Mapping[str, int]) -> str:
    """The verdict on a pair; before all seeds that are wanted are there, one so far."""
    whole = all(name in grids and len(grids[name]) >= seeds for name, seeds in wanted.items())
    return found.verdict if whole else f"so far: {found.verdict}"


def _wanted(plan: Plan, now: Mapping[Name, Kept], ours: str, theirs: str) -> dict[str, int]:
    """With how many seeds a pair shall meet on each benchmark on which it is judged and neither refuses."""
    both: dict[str, set[tuple[str, int]]] = {ours: set(), theirs: set()}
    for study in (study for part in plan.parts for study in part.studies):
        if study.arm in both:
            both[study.arm].add((study.benchmark.name, study.seed))
    seeds = Counter(benchmark for benchmark, _ in both[ours] & both[theirs])
    refusing = {benchmark for (arm, benchmark), one in now.items() if arm in (ours, theirs) and one.refused}
    return {name: seeds[name] for name in judged(dict.fromkeys(seeds, pd.DataFrame())) if name not in refusing}


def _by_family(grids: Mapping[tuple[str, str], Regrets]) -> str:
    families = list(dict.fromkeys(family_of(name) for found in grids.values() for name in found))
    rows: list[list[str]] = []
    for (ours, theirs), found in grids.items():
        own = [{name: grid for name, grid in found.items() if family_of(name) == family} for family in families]
        rows.append([ours, theirs, *(f"{over_benchmarks(differences(of))}" if of else "–" for of in own)])
    return markdown(("ours", "theirs", *families), rows)


def _worse(grids: Mapping[tuple[str, str], Regrets], wanted: Mapping[tuple[str, str], Mapping[str, int]]) -> list[str]:
    """A table of the single benchmarks where the interval of a pair lies above 0."""
    rows: list[list[str]] = []
    for pair, found in grids.items():
        for name, grid in found.items():
            one = over_benchmarks(differences({name: grid}))
            if one.low > 0:
                means = [f"{grid[arm].mean():.4f}" for arm in pair]
                verdict = _said(one, {name: grid}, {name: wanted[pair].get(name, 0)})
                rows.append([*pair, name, *means, str(one), verdict])
    head = ("ours", "theirs", "benchmark", "regret, ours", "theirs' regret", "difference [95 %]", "verdict")
    tried = sum(map(len, grids.values()))
    said = (
        f"Of {tried} such intervals about {tried * (1 - LEVEL) / 2:.0f} would stand here by luck alone. Why, as far as "
        "it is known, stands in [worse.md](worse.md)."
    )
    return ["## Where ours is worse on a benchmark", said, markdown(head, rows)] if rows else []


def _best(plan: Plan, now: Mapping[Name, Kept], regrets: Regrets, suite: str, foreign: set[str]) -> list[str]:
    """The best of ours in a suite beside all of theirs, the best of them first."""
    title = f"## The best of ours and of theirs: {suite}"
    several = {arm for (arm, _), one in plan.firsts.items() if len(one.benchmark.objectives) > 1}
    regrets = {
        name: grid[[arm for arm in grid.columns if (arm in several) == (suite == SEVERAL)]]
        for name, grid in regrets.items()
    }
    foreign = {arm for arm in foreign if (arm in several) == (suite == SEVERAL)}
    chosen = best(regrets, suite, foreign)
    if chosen is None:
        return [title, "Not chosen yet: studies on the development half are missing."]
    ours, theirs = chosen
    half, rows = suites()[f"{suite}/test"], list[list[str]]()
    test = {name: regrets[name] for name in half if name in regrets}
    for other in (theirs, *sorted(foreign - {theirs})):
        wanted = {name: seeds for name, seeds in _wanted(plan, now, ours, other).items() if name in half}
        if grids := plan.counted(met(test, ours, other), ours, other):
            rows.append(row_of(now, ours, other, grids, plan.counted(wanted, ours, other)))
    said = f"By the mean regret on the development half: {ours}, and of theirs {theirs}, in the first line."
    development, here = (
        {arm for arm, name in plan.firsts if name in suites()[f"{suite}/{which}"]} for which in ("development", "test")
    )
    if slow := sorted((foreign & here) - development):
        said += f" Too slow to be chosen there, but beside it here: {', '.join(slow)}."
    return [title, said, markdown(PAIR, rows)]


def _parts(plan: Plan, now: Mapping[Name, Kept]) -> list[list[str]]:
    """A row a part."""
    rows: list[list[str]] = []
    for path, studies in plan.parts:
        able = [study for study in studies if not (_name(study) in now and now[_name(study)].refused)]
        ends = [now[_name(study)].ends[study.seed] for study in able if not _lacks(now, study)]
        counts = len({study.arm for study in studies}), len({study.benchmark.name for study in studies})
        numbers = (*counts, len(able), len(ends), sum(end.failed for end in ends))
        hours = sum(end.seconds for end in ends) / 3600
        rows.append([f"[{path.stem}](plan/{path.name})", *map(str, numbers), f"{hours:.2f}"])
    return rows


def _installed(now: Mapping[Name, Kept], foreign: set[str]) -> list[list[str]]:
    """A row an arm of theirs: versions, and on how many benchmarks it cannot run, with the first reason."""
    rows: list[list[str]] = []
    for arm in sorted(foreign):
        own = [one for (label, _), one in now.items() if label == arm]
        versions = {", ".join(f"{of} {version}" for of, version in one.versions.items()) for one in own}
        reasons = [one.refused for one in own if one.refused]
        rows.append([arm, "; ".join(sorted(versions)) or "–", f"{len(reasons)}: {reasons[0]}" if reasons else "–"])
    return rows


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Run what is missing where that is asked for, and write the page."""
    published = Path("reports/published/peers")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="what is missing")
    parser.add_argument("--plan", type=Path, default=published / "plan")
    parser.add_argument("--results", type=Path, default=Path("results/peers"), help="whole studies, a folder a part")
    parser.add_argument("--out", type=Path, default=published, help=f"of the page suites.md and of {KEPT}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    kept, page = arguments.out / KEPT, arguments.out / "suites.md"
    try:
        plan = plan_of(arguments.plan)
        if arguments.run:
            run(plan, arguments.results, kept, page, arguments.jobs)
        now = gathered(plan, plan.parts, arguments.results, kept)
    except FileNotFoundError as absent:
        raise SystemExit(str(absent)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; what is finished is kept, the same command continues") from None
    if not any(one.ends for one in now.values()):
        raise SystemExit(f"no studies of {arguments.plan} are there yet: --run runs them")
    page.write_text(text(plan, now), encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
