"""Random search against itself, from a pool of studies: how often the report's statistics would have been wrong.

A suite is drawn from the pool: the same seeds of every benchmark, without repeats. The two arms of a suite are the same
method, so a difference that is called significant is a false one, and an interval of a difference should hold 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports import pairs, style, text
from reports.findings import Findings, Line
from reports.findings import write as write_findings
from reports.intervals import paired
from reports.outcomes import Facts, records, unique
from reports.regret import scale
from reports.statistics.calibration import Calibration, Stopping, judge, signed_rank_p, stop_when_narrow
from reports.statistics.sequential import LOOKS, plan
from reports.table import Table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REJECTIONS = (0.035, 0.065)
COVERAGE = 0.93
SEEDS = 10
"""Of a suite, as of a comparison by default."""
STEM = "calibration"


class Endpoint(NamedTuple):
    """What two methods are compared by: its name, and to what half-width seeds are added."""

    name: str
    half_width: float


ENDPOINTS = {"regret": Endpoint("log regret at the budget", 0.27), "score": Endpoint("anytime score", 0.017)}

TESTS = {
    "reported": "told apart on one benchmark (paired t)",
    "wilcoxon": "told apart over benchmarks (signed ranks)",
    "ever": "told apart at some look at 10 to 50 seeds",
}
INTERVALS = {
    "suite": "this suite, a method's mean",
    "interquartile": "this suite, its interquartile mean",
    "suite_difference": "this suite, the difference of means",
    "stopped": "the difference where seeds were enough",
    "family_difference": "benchmarks like these, the difference (bootstrap)",
    "family_t": "benchmarks like these, the difference (t)",
}
PROMISED = ("suite", "interquartile", "suite_difference", "stopped")
"""Intervals that claim 95 %; those over a handful of families are known to be too narrow or too wide."""

HOW_TO_READ = (
    "For a test the number is the share of suites in which the two are told apart, which is always wrong; for an "
    "interval, the share in which it holds the truth. Both arms are random search, with streams of their own and no "
    "first configs in common; only what chance gives to each config (which replicate a study meets) is the same for "
    "both, as in every comparison. A suite has 10 seeds of each benchmark, drawn from a pool without repeats; where "
    "seeds are added, up to 50. ± is twice the standard error over the suites. A test at the 5 % level is held to "
    f"reject in {100 * REJECTIONS[0]:g} to {100 * REJECTIONS[1]:g} % of them; one of signed ranks cannot have exactly "
    f"5 %, since they are whole numbers. Intervals of 95 % are held to cover in at least {100 * COVERAGE:g} %: those "
    "of this suite are percentiles of a bootstrap over seeds, those where seeds were enough repeated t intervals, "
    "which hold at all looks together. What is said of benchmarks like these rests on the families, by a bootstrap "
    "over them or by t over their means; a handful of families is few, and two methods that are the same differ "
    "nowhere, so their coverage is printed as it is measured, without a bound."
)


@dataclass(frozen=True)
class Calibrated:
    """What was found, by endpoint where it is a mapping."""

    suites: int
    pool: int
    reported: float
    """Share of a suite's benchmarks on which `pairs.compare` tells the two arms apart, by the loss at the budget."""
    judged: Mapping[str, Calibration]
    stopping: Mapping[str, Stopping]
    p: pd.DataFrame
    """Columns test, p: of every test that was made."""
    benchmarks: pd.DataFrame
    """Columns benchmark, family, studies, at_floor, told_apart (shares): a row a benchmark."""


def calibrated(
    pools: Mapping[str, pd.DataFrame], facts: Facts, families: Sequence[str], *, suites: int, rng: np.random.Generator
) -> Calibrated:
    """Draw suites from pools of studies of two arms that are the same, and judge them.

    pools: of each benchmark its studies as `outcomes` gives them, two arms with the same seeds, with `score`, their
    anytime score; facts, families: of each benchmark.
    """
    sizes = sorted({len(held) // 2 for held in pools.values()})
    if len(sizes) != 1 or sizes[0] < LOOKS[-1]:
        given = ", ".join(map(str, sizes))
        raise ValueError(f"pools of {given} seeds: give each benchmark as many, at least {LOOKS[-1]}")
    (size,) = sizes
    chosen = np.stack([rng.permutation(size)[: LOOKS[-1]] for _ in range(suites)])
    pooled = {name: np.stack([_of_both(held, name) for held in pools.values()]) for name in ENDPOINTS}
    held = {name: np.moveaxis(values[:, :, chosen], 0, 2) for name, values in pooled.items()}
    judged = {
        name: judge(
            held[name][..., :SEEDS],
            [values.ravel() for values in pooled[name]],
            [np.full(2 * size, 0.5 / size)] * len(pools),
            families,
            rng=rng,
        )
        for name in ENDPOINTS
    }
    told = np.stack([_told_apart(mine, facts[name], chosen[:, :SEEDS]) for name, mine in pools.items()])
    return Calibrated(
        suites=suites,
        pool=size,
        reported=float(told.mean()),
        judged=judged,
        stopping={name: stop_when_narrow(held[name], plan(one.half_width)) for name, one in ENDPOINTS.items()},
        p=_p_values(held["regret"][..., :SEEDS]),
        benchmarks=pd.DataFrame(
            {
                "benchmark": list(pools),
                "family": list(families),
                "studies": 2 * size,
                "at_floor": [float(_at_floor(mine, facts[name])) for name, mine in pools.items()],
                "told_apart": told.mean(axis=1),
            }
        ),
    )


def _of_both(held: pd.DataFrame, endpoint: str) -> Floats:
    """What both arms have of an endpoint, lower better: shape (2, seeds)."""
    wide = held.pivot(index="arm", columns="seed", values=endpoint).to_numpy(dtype=float)
    return np.log(wide) if endpoint == "regret" else -wide


def _told_apart(held: pd.DataFrame, facts: Mapping[str, Any], chosen: Ints) -> NDArray[np.bool_]:
    """Whether the report tells the two arms apart in each suite; chosen: seeds, shape (suites, seeds)."""
    seeds = np.sort(held["seed"].unique())
    by_seed = held.sort_values(["arm", "seed"], kind="stable").reset_index(drop=True)
    rows = np.concatenate([chosen, chosen + len(seeds)], axis=1)
    ruler = scale(facts)
    return np.array([(pairs.compare(by_seed.iloc[mine], ruler)["verdict"] == pairs.BETTER).any() for mine in rows])


def _p_values(held: Floats) -> pd.DataFrame:
    within = [paired(one, other).p for one, other in zip(*held.reshape(2, -1, held.shape[-1]), strict=True)]
    over = signed_rank_p(held)
    tests = np.repeat(["paired t, within a benchmark", "signed ranks, over benchmarks"], [len(within), len(over)])
    return pd.DataFrame({"test": tests, "p": np.concatenate([within, over])})


def _at_floor(held: pd.DataFrame, facts: Mapping[str, Any]) -> float:
    ruler = scale(facts)
    assert ruler is not None
    return (held["regret"] <= ruler.floor).mean()


def write(folder: Path, found: Calibrated, *, command: str) -> None:
    """Write the page of a calibration; command: the line that makes it."""
    rows = measured(found)
    write_findings(folder, findings(found, rows), command=command, stem=STEM)


def measured(found: Calibrated) -> pd.DataFrame:
    """Every share: columns quantity, what, endpoint, share, error (a standard error), low, high (bounds), within."""
    rows: list[dict[str, Any]] = []
    for key, endpoint in ENDPOINTS.items():
        shares = asdict(found.judged[key]) | {"ever": found.stopping[key].ever, "reported": found.reported}
        shares["stopped"] = 1 - found.stopping[key].stopped
        for quantity, what in (TESTS | INTERVALS).items():
            if quantity == "reported" and key != "regret":
                continue
            share = float(shares[quantity])
            low, high = (COVERAGE, 1.0) if quantity in PROMISED else (0.0, 1.0)
            if quantity in TESTS:
                low, high = REJECTIONS
            cases = found.suites * (len(found.benchmarks) if quantity == "reported" else 1)
            rows.append(
                {
                    "quantity": quantity,
                    "what": what,
                    "endpoint": endpoint.name,
                    "share": share,
                    "error": float(np.sqrt(share * (1 - share) / cases)),
                    "low": low,
                    "high": high,
                    "within": bool(low <= share <= high),
                }
            )
    return pd.DataFrame(rows)


def findings(found: Calibrated, rows: pd.DataFrame) -> Findings:
    """What the page says."""
    bound = rows[rows["quantity"].isin([*TESTS, *PROMISED])]
    kept = int(bound["within"].sum())
    lead = (
        f"{found.suites:,} simulated comparisons of random search with itself, each over {len(found.benchmarks)} "
        f"benchmarks and {SEEDS} seeds: {kept} of {len(bound)} promises of the statistics are kept."
    )
    return Findings(
        title="Random search against itself",
        lead=lead,
        lines=_lines(rows),
        figures=_figures(found),
        tables=[("Measured", _words(rows)), ("Benchmarks", _benchmarks(found))],
        how_to_read=HOW_TO_READ,
        facts={
            "suites": f"{found.suites:,}",
            "pool": f"{found.pool:,} seeds of each benchmark with both arms",
            "seeds at which one stops, on average": ", ".join(
                f"{found.stopping[key].seeds:.1f} (± {one.half_width:g} of {one.name})"
                for key, one in ENDPOINTS.items()
            ),
        },
        numbers={
            "suites": found.suites,
            "pool": found.pool,
            "measured": records(rows),
            "stopping": {key: asdict(value) for key, value in found.stopping.items()},
            "benchmarks": records(found.benchmarks),
        },
    )


def _lines(rows: pd.DataFrame) -> list[Line]:
    """A statement for each quantity, with all its endpoints."""
    lines: list[Line] = []
    for quantity, mine in rows.groupby("quantity", sort=False):
        shares = [f"{_share(row)} by {row['endpoint']}" for row in records(mine)]
        covers = "" if quantity in TESTS else ": the interval holds the truth"
        said = f"{mine['what'].iloc[0]}{covers} in {' and '.join(shares)}"
        bounded = quantity in (*TESTS, *PROMISED)
        kind = "" if not bounded else "better" if mine["within"].all() else "error"
        lines.append(Line(said if bounded else f"{said}, as measured", kind))
    return lines


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['share']:.1f} ± {200 * row['error']:.1f} %"


def _words(rows: pd.DataFrame) -> Table:
    names = [endpoint.name for endpoint in ENDPOINTS.values()]
    table: list[list[str]] = []
    for quantity, mine in rows.groupby("quantity", sort=False):
        cells = {row["endpoint"]: _share(row) for row in records(mine)}
        low, high = (float(mine[end].iloc[0]) for end in ("low", "high"))
        bounds = text.NONE if quantity not in (*TESTS, *PROMISED) else f"{100 * low:g} to {100 * high:g} %"
        table.append([str(mine["what"].iloc[0]), *(cells.get(name, text.NONE) for name in names), bounds])
    return Table(["quantity", *names, "held to"], table)


def _benchmarks(found: Calibrated) -> Table:
    head = ["benchmark", "family", "studies", "at the floor", "told apart"]
    table = [
        [
            row["benchmark"],
            row["family"],
            f"{row['studies']:,}",
            text.share(row["at_floor"]),
            f"{row['told_apart']:.3f}",
        ]
        for row in cast(list[dict[str, Any]], found.benchmarks.to_dict("records"))
    ]
    return Table(head, table)


def _figures(found: Calibrated) -> list[Any]:
    """The law of the p-values."""
    import matplotlib  # takes a second to import

    from reports.drawing import Drawn, caption, figure_of, save
    from reports.figures import p_values

    with matplotlib.rc_context(cast(Any, style.RC)):
        figure = figure_of(height=3.4)
        p_values.draw(found.p, figure.add_subplot(), styles=style.styles(unique(found.p["test"])))
        files = save(figure)
    return [Drawn("p-values", caption(p_values, "Random search against itself."), files)]
