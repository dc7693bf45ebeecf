"""The frames of studies and events, with what the data says of a study's configs besides what the study was told.

All of it is looked up, at no simulated time: how many of its configs lie where the data says little, what those that a
user would ever have held are truly worth, at full resource and without the luck of a seed, and of several objectives
how much of what is possible was held.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from harness.compose.studies import SURROGATE, model_of

if TYPE_CHECKING:
    import pandas as pd

    from harness.compose.fronts import Ruler
    from harness.frames import Columns
    from harness.space import Config
    from harness.study import Record
    from harness.types import CurveModel


def frames(
    records: Iterable[Record], lengths: Mapping[str, int] | None = None, rule: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The studies and the events of some records, as `harness.frames` gives them, with what was looked up.

    lengths: as there, of records that come one at a time; rule: says which trial is the incumbent, by default as in
    reports.

    Studies have `outside`, the share of their configs that lie where the data says little, and `finals`: of each trial
    that was ever the incumbent the losses that its config ends with, on validation and on test (NaN where there is no
    test metric). Not in it are trials that went on from another's checkpoint, and those of real studies.
    Where a study has several objectives events have `hypervolume`: see `fronts.Ruler.shares`.
    """
    from harness import frames
    from reports.incumbent import DEFAULT_RULE

    return frames.frames(records, lengths=lengths, more=partial(_looked_up, rule=rule or DEFAULT_RULE))


def _looked_up(record: Record, columns: Columns, rule: str) -> tuple[dict[str, Any], Columns]:
    import numpy as np

    from harness.frames import SAID, loss_columns
    from harness.study import KINDS
    from reports.incumbent import Events, trajectory

    words = {"kind": np.array(KINDS)[columns["kind"]], "reason": np.array(SAID)[columns["reason"]]}
    events = Events(**{name: {**columns, **words}[name] for name in Events._fields})
    benchmark = record.spec["benchmark"]
    top = max(benchmark["fidelity"]["levels"])
    held = trajectory(events, top, rule).trials
    about = {"outside": _outside(record), "finals": _finals(record, set(held.tolist()))}
    ruler = _ruler(record.spec)
    if ruler is None:
        return about, {}
    losses = [columns[name] for name in loss_columns(len(benchmark["objectives"]))]
    return about, {"hypervolume": ruler.shares(events, losses, top, rule)}


def _finals(record: Record, trials: set[int]) -> dict[int, tuple[float, float]]:
    """What the configs of some trials end with, on validation and on test."""
    from harness.study import KINDS

    if record.spec["data"] == "real":
        return {}
    copies = record.trial[(record.kind == KINDS.index("started")) & (record.code >= 0)]
    model, judged = _models(record.spec["source"], json.dumps(record.spec["benchmark"]))
    return {
        trial: (model.final_loss(config), math.nan if judged is None else judged.final_loss(config))
        for trial, config in _configs(record, trials - set(copies.tolist())).items()
    }


def _configs(record: Record, trials: Collection[int]) -> dict[int, Config]:
    """The configs of some trials; those of all others, hundreds a study, are not parsed."""
    wanted = (text for text in record.configs if int(text[1 : text.index(",")]) in trials)
    return dict(map(json.loads, wanted))


@cache
def _models(source: str, benchmark: str) -> tuple[CurveModel, CurveModel | None]:
    """What answers for the configs of a study: judged as the study was, and by the test metric where there is one."""
    from harness.types import Benchmark

    own = Benchmark.from_json(json.loads(benchmark))
    model, judged = model_of(source, own.table_miss), own.judged_by_test()
    return model.under(own), None if judged is None else model.under(judged)


def _ruler(spec: Mapping[str, Any]) -> Ruler | None:
    """What hypervolumes of a study are measured by; None where it has one objective, and for real studies."""
    from harness.compose import fronts
    from harness.types import Objective

    benchmark = spec["benchmark"]
    objectives = tuple(Objective(**objective) for objective in benchmark["objectives"])
    if len(objectives) == 1 or spec["data"] == "real":
        return None
    return fronts.ruler(spec["source"], benchmark["table_miss"], objectives)


def _outside(record: Record) -> float:
    """The share of a study's configs that lie where its surrogate guesses; NaN where nothing is guessed."""
    spec = record.spec
    if spec["data"] == "real" or spec["benchmark"]["table_miss"] != SURROGATE or not record.configs:
        return math.nan
    model, _ = _models(spec["source"], json.dumps(spec["benchmark"]))
    return sum(model.outside(config) for _, config in map(json.loads, record.configs)) / len(record.configs)
