"""A family of benchmarks as a page: what was measured of each, and how far to trust what was fitted to it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.cards import described, stated
from harness.compose.studies import SURROGATE, model_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from harness.space import Config, Space
    from reports.member import Member, Panel
    from surrogates.declared import Declared
    from surrogates.surrogate import Surrogate
    from surrogates.table import TableData

FORM = 3
"""Counts the forms of the page; one of another form is drawn again."""
CELLS, POINTS = 24, 48
"""Of each side of a surface, and of a line."""
OTHERS = 48
"""Random settings of all other hyperparameters over which the expected loss is summarised."""
BEST, WORST = 0.1, 0.9
BITS = "bits_per_byte"


def page(names: Sequence[str], folder: Path, *, command: str) -> bool:
    """Write the page of some benchmarks into a folder; gives whether it had to be drawn again."""
    import hashlib

    from reports import family
    from reports.publishing import up_to_date

    wanted = tuple(dict.fromkeys(names))
    inputs = json.dumps([FORM, command, {name: _inputs(name) for name in wanted}])
    shown = [catalog.find_benchmark(name).benchmark.name for name in wanted]
    if twice := sorted({name for name in shown if shown.count(name) > 1}):
        raise ValueError(f"several of the benchmarks are called {', '.join(twice)}: a page shows each name once")
    digest = hashlib.blake2b(inputs.encode(), digest_size=16).hexdigest()
    if up_to_date(folder, digest):
        return False
    family.write(folder, [member(name) for name in wanted], command=command, digest=digest)
    return True


def _inputs(name: str) -> list[Any]:
    """What the page of a benchmark depends on."""
    from surrogates import declared

    entry = catalog.find_benchmark(name)
    if entry.table is None:
        return [entry.ways]
    files = [entry.table / file for file in ("table.json", "surrogate.json", "card.json")]
    plain = [json.loads(file.read_text(encoding="utf-8")) if file.exists() else {} for file in files]
    known = declared.place_of(entry.table, plain[0]["benchmark"]["name"])
    said = {} if known is None else json.loads(known.read_text(encoding="utf-8"))
    return [entry.benchmark.name, plain[0]["digest"], plain[1].get("digest"), plain[2], said, stated(entry.table, {})]


def member(name: str) -> Member:
    """What there is to show of a benchmark; what is not there is said in its notes."""
    from reports.member import Member
    from surrogates import declared, table

    entry = catalog.find_benchmark(name)
    if entry.table is None:
        said = f"`tabulate {name}` makes one" if entry.script else "its data is published by others"
        return Member(entry.benchmark.name, notes=[f"There is no table of ours of {name} yet: {said}."])
    data = table.load_data(entry.table)
    known = declared.read(entry.table, data.benchmark.name)
    shown: dict[str, Any] = {"facts": facts(data, known), "curves": curves(data, known)}
    try:
        model, card = _judged(name, entry.table)
    except ValueError as error:
        return Member(entry.benchmark.name, **shown, notes=[f"{error}. So only what was measured is shown."])
    shown["panels"] = panels(data, model, list(card["importance"]))
    return Member(entry.benchmark.name, **shown, card=card)


def _judged(name: str, folder: Path) -> tuple[Surrogate, dict[str, Any]]:
    """The surrogate of a table and the card that judges it; ValueError where either is missing or of another state."""
    if not (folder / "surrogate.json").exists():
        raise ValueError(f"No surrogate is fitted to this table yet: `fit {name}` makes one")
    model: Any = model_of(name, SURROGATE)
    card = described(name)
    if card["surrogate"] != model.digest:
        raise ValueError(f"The card judges another surrogate than the one beside it: `fit {name}` makes both anew")
    return model, card


def facts(data: TableData, known: Declared) -> dict[str, Any]:
    """What the page states of a table; losses are final ones of its i.i.d. configs, means over seeds."""
    import numpy as np

    objective, iid = data.benchmark.objectives[0], data.looked_up()
    final = np.nanmean(iid.final_losses(), axis=1)
    plain: dict[str, Any] = {
        "metric": f"−{objective.metric}" if objective.maximize else objective.metric,
        "unit": data.benchmark.fidelity.unit,
        "configs": len(data.configs),
        "runs": int((data.ends >= 0).sum()),
        "best": float(final.min()) if len(final) else None,
        "median": float(np.median(final)) if len(final) else None,
        "noise": data.seed_spread(),
        "plateau": known.plateau if math.isfinite(known.plateau) else None,
        "diverged": known.diverged if math.isfinite(known.diverged) else None,
    }
    if BITS in data.metrics and len(final):
        best = iid.values[int(np.argmin(final)), :, -1, data.metrics.index(BITS)]
        plain[BITS] = float(np.nanmean(best)) if np.isfinite(best).any() else None
    return plain


def curves(data: TableData, known: Declared) -> pd.DataFrame:
    """Every measured run of the i.i.d. configs: columns run, level, loss (to be minimised), diverged."""
    import numpy as np
    import pandas as pd

    from harness.types import End
    from surrogates.table import ENDS

    iid, objective = data.looked_up(), data.benchmark.objectives[0]
    losses = iid.values[..., iid.metrics.index(objective.metric)]
    measured = iid.ends >= 0
    losses = (-losses if objective.maximize else losses)[measured]
    diverged = _diverged(iid.final_losses()[measured], iid.ends[measured] == ENDS.index(End.DIVERGED), known)
    levels = data.benchmark.fidelity.levels
    return pd.DataFrame(
        {
            "run": np.repeat(np.arange(len(losses)), len(levels)),
            "level": np.tile(levels, len(losses)),
            "loss": losses.ravel(),
            "diverged": np.repeat(diverged, len(levels)),
        }
    ).pipe(lambda frame: frame[frame["loss"].notna() | (frame["level"] == levels[0])])


def _diverged(final: Any, ended: Any, known: Declared) -> Any:
    import numpy as np

    return ended | ~np.isfinite(final) | (final > known.diverged)


def panels(data: TableData, model: Surrogate, order: Sequence[str]) -> list[Panel]:
    """How the final loss depends on the two hyperparameters that come first in an order, then on each other one."""
    space = data.benchmark.space
    first = [name for name in order if name in space.domains]
    ranked = [*first, *(name for name in space.names if name not in first)]
    return [panel(data, model, across) for across in (ranked[:2], *([name] for name in ranked[2:]))]


def panel(data: TableData, model: Surrogate, across: Sequence[str]) -> Panel:
    """What was measured of one hyperparameter or two, and what the surrogate expects over the others."""
    from itertools import product

    import numpy as np
    import pandas as pd

    from harness.randomness import stream
    from reports.member import Panel

    space, iid = data.benchmark.space, data.looked_up()
    rows: list[dict[str, Any]] = [
        {**_places(space, across, config), "loss": loss, "measured": True}
        for config, loss in zip(iid.configs, np.nanmean(iid.final_losses(), axis=1).tolist(), strict=True)
        if all(name in config for name in across)
    ]
    settings = _settings(space, stream("landscape", data.benchmark.name))
    points = CELLS if len(across) == 2 else POINTS
    for chosen in product(*(space.domains[name].grid(points) for name in across)):
        fixed = dict(zip(across, chosen, strict=True))
        configs = _with(space, settings, fixed)
        if configs:
            losses = np.where(np.isnan(found := model.final_losses(configs)), np.inf, found)
            low, middle, high = np.quantile(losses, [BEST, 0.5, WORST], method="nearest").tolist()
            summary = {"loss": low} if len(across) == 2 else {"loss": middle, "low": low, "high": high}
            rows.append({**_places(space, across, fixed), **summary, "measured": False})
    columns = ["x", "y", "loss"] if len(across) == 2 else ["x", "loss", "low", "high"]
    frame = pd.DataFrame(rows, columns=[*columns, "measured"])
    return Panel([(name, space.domains[name].to_json()) for name in across], frame)


def _settings(space: Space, luck: np.random.Generator) -> list[dict[str, Any]]:
    """Random values of all hyperparameters, whether active or not."""
    quantiles = luck.random((OTHERS, len(space.names))).tolist()
    return [
        {name: domain.draw(u) for (name, domain), u in zip(space.domains.items(), row, strict=True)}
        for row in quantiles
    ]


def _with(space: Space, settings: Sequence[Mapping[str, Any]], fixed: Mapping[str, Any]) -> list[Config]:
    """The configs of some settings with fixed values, where those are active."""
    configs: list[Config] = []
    for setting in settings:
        config: dict[str, Any] = {}
        for name in space.names:
            if space.active(name, config):
                config[name] = fixed.get(name, setting[name])
        if all(name in config for name in fixed):
            configs.append(config)
    return configs


def _places(space: Space, across: Sequence[str], config: Config) -> dict[str, float]:
    """Where a config lies on axes x and y: its numbers, or the place of a category among its values."""
    from harness.space import Choice, Ordinal

    places: dict[str, float] = {}
    for axis, name in zip("xy", across, strict=False):
        domain, value = space.domains[name], config[name]
        places[axis] = float(domain.values.index(value) if isinstance(domain, Choice | Ordinal) else value)
    return places
