"""The frames of studies and events, with what the data says of a study's configs besides what the study was told.

All of it is looked up, at no simulated time: how many of its configs lie where the data says little, what those that a
user would ever have held are truly worth, at full resource and without the luck of a seed, and of several objectives
how much of what is possible was held.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from harness.compose.studies import SURROGATE, model_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from harness.compose.fronts import Ruler
    from harness.frames import Columns
    from harness.study import Record
    from harness.types import CurveModel


def frames(
    records: Iterable[Record], lengths: Mapping[str, int] | None = None, rule: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The studies and the events of some records, as `harness.frames` gives them, with what was looked up.

    lengths: as there, of records that come one at a time; rule: says which trial is the incumbent, by default as in
    reports.

    Studies have `outside`, the share of their configs that lie where the data says little. Events have `final` and
    `final_test`, the losses that the config of their trial ends with, the test metric in the direction of the loss;
    NaN for trials that never were the incumbent or went on from another's checkpoint, for real studies, and where there
    is no test metric.
    Where a study has several objectives events have `hypervolume`: see `fronts.Ruler.shares`.
    """
    from harness import frames
    from reports.incumbent import DEFAULT_RULE

    return frames.frames(records, lengths=lengths, more=partial(_looked_up, rule=rule or DEFAULT_RULE))


def _looked_up(record: Record, columns: Columns, rule: str) -> tuple[dict[str, Any], Columns]:
    import numpy as np

    from harness.frames import SAID, loss_columns
    from harness.study import KINDS
    from reports.incumbent import Events, candidates_of, walk

    words = {"kind": np.array(KINDS)[columns["kind"]], "reason": np.array(SAID)[columns["reason"]]}
    events = Events(**{name: {**columns, **words}[name] for name in Events._fields})
    benchmark = record.spec["benchmark"]
    top = max(benchmark["fidelity"]["levels"])
    steps = walk(candidates_of(events, top, rule))
    final = _finals(record, sorted(set(steps.trials.tolist())))
    found = {"final": final[:, 0], "final_test": final[:, 1]}
    ruler = _ruler(record.spec)
    if ruler is not None:
        losses = [columns[name] for name in loss_columns(len(benchmark["objectives"]))]
        found["hypervolume"] = ruler.shares(events, losses, top, rule)
    return {"outside": _outside(record.spec, record.configs)}, found


def _finals(record: Record, trials: Sequence[int]) -> np.ndarray[Any, Any]:
    """What the configs of some trials end with, at each event of such a trial: validation and test, (events, 2)."""
    import numpy as np

    from harness.study import KINDS

    if record.spec["data"] == "real" or not len(record.trial):
        return np.full((len(record.kind), 2), math.nan)
    configs = dict(map(json.loads, record.configs))
    copies = set(record.trial[(record.kind == KINDS.index("started")) & (record.code >= 0)].tolist())
    trials = [trial for trial in trials if trial not in copies]
    found = np.full((int(record.trial.max()) + 1, 2), math.nan)
    for place, model in enumerate(_models(record.spec["source"], json.dumps(record.spec["benchmark"]))):
        if model is not None:
            found[trials, place] = [model.final_loss(configs[trial]) for trial in trials]
    return found[record.trial]


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


def _outside(spec: Mapping[str, Any], configs: Sequence[str]) -> float:
    if spec["data"] == "real" or spec["benchmark"]["table_miss"] != SURROGATE or not configs:
        return math.nan
    model, _ = _models(spec["source"], json.dumps(spec["benchmark"]))
    return sum(model.outside(config) for _, config in map(json.loads, configs)) / len(configs)
