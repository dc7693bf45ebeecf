"""What a user declares, on the command line or in TOML, becomes a comparison; every name is checked here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import catalog
from harness.compose.studies import studies_of, study_of
from harness.compose.suites import expanded

if TYPE_CHECKING:
    from harness.comparison import Arm, Comparison
    from harness.study import Study


DEFAULT_METHODS = ("rs", "bo", "asha", "mobster")
DEFAULT_BENCHMARK = "transformer_wikitext2_small"
DEFAULT_SEEDS = 10
TOML_FIELDS = ("arms", "benchmarks", "seeds", "benchmark", "decision_time", "shared", "finished_trials")
ARM_FIELDS = ("method", "points")


def comparison_from_toml(path: Path) -> dict[str, Any]:
    """The declaration in a TOML file, its names checked.

    `[arms.LABEL]` has a `method`, start configs as `points` and any field of a benchmark, and what is known beforehand:
    `prior`, a table of `VALUE` or `VALUE:SPREAD` by hyperparameter, and `history`, names of benchmarks with a table or
    folders of results; `[benchmark]` sets these for all arms; beside them stand `benchmarks`, `seeds`,
    `decision_time`, `shared` and `finished_trials`.
    """
    import tomllib

    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    for name in plain:
        if name not in TOML_FIELDS:
            raise catalog.UnknownName(f"field of {path}", name, TOML_FIELDS)
    return plain


def comparison_of(
    plain: Mapping[str, Any],
    *,
    methods: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    seeds: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
    decision_time: str | None = None,
    real: bool = False,
) -> Comparison:
    """A comparison from a declaration, from what is given beside it, and from the defaults; the names are checked.

    methods: each a method's text, or `LABEL=TEXT`; benchmarks: names, or halves of suites as `multi-fidelity/test`;
    real: of trainings, which need no table.
    """
    from harness.comparison import Arm, Comparison

    arms = [_arm(text) for text in methods]
    if not arms:
        for label, fields in plain.get("arms", {}).items():
            own = {name: value for name, value in fields.items() if name not in ARM_FIELDS}
            arms.append(Arm(label, fields.get("method", label), _coerced(own), tuple(fields.get("points", ()))))
    fields = _coerced(plain.get("benchmark", {}))
    given = dict(overrides or {})
    if "delays" in given:
        given["delays"] = {**fields.get("delays", {}), **given["delays"]}
    fields |= given
    named = expanded(tuple(benchmarks) or tuple(plain.get("benchmarks", (DEFAULT_BENCHMARK,))), fields)
    wanted = plain.get("seeds", DEFAULT_SEEDS)
    comparison = Comparison(
        arms=tuple(arms) or tuple(_arm(name) for name in DEFAULT_METHODS),
        benchmarks=tuple(named),
        seeds=tuple(seeds) or (tuple(range(wanted)) if isinstance(wanted, int) else tuple(wanted)),
        overrides=fields,
        decision_time=decision_time or plain.get("decision_time", "none"),
        shared=plain.get("shared"),
        finished_trials=plain.get("finished_trials"),
        own={name: own for name, own in named.items() if own},
    )
    studies_of(comparison, real=real)  # raises for every name that is not there
    return comparison


def _arm(text: str) -> Arm:
    from harness.comparison import Arm

    label, equals, method = text.partition("=")
    # In `asha:eta=4` the first equals sign belongs to an option, not to a label.
    return Arm(label, method) if equals and ":" not in label else Arm(text, text)


def _coerced(fields: Mapping[str, Any]) -> dict[str, Any]:
    coerced = {name: seconds_of(v) if name == "budget" and isinstance(v, str) else v for name, v in fields.items()}
    if isinstance(coerced.get("history"), str):
        coerced["history"] = [coerced["history"]]
    if not isinstance(coerced.get("prior", {}), Mapping):
        raise ValueError(f"a prior is a table such as prior.lr = '1e-3:0.5', given {coerced['prior']!r}")
    return coerced


def known_beforehand(prior: Sequence[str], history: str) -> dict[str, Any]:
    """The fields that `--prior lr=1e-3:0.5 --prior momentum=0.9` and `--history a,results/b` set, as in TOML."""
    priors = dict(map(_named, prior))
    past = [source.strip() for source in history.split(",") if source.strip()]
    return ({"prior": priors} if priors else {}) | ({"history": past} if past else {})


def check_apart(comparison: Comparison, folder: Path) -> None:
    """Refuse a comparison that would learn from its own results, which change as it goes on."""
    fields = (comparison.overrides, *(arm.overrides for arm in comparison.arms))
    if any(Path(source).resolve() == folder.resolve() for own in fields for source in own.get("history", ())):
        raise ValueError(f"{folder} is given as history and as the place of the results: choose another --out")


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.strip().partition("=")
    if not equals or not name or not value:
        raise ValueError(f"--prior takes NAME=VALUE or NAME=VALUE:SPREAD, given {text!r}")
    return name, value


def seconds_of(text: str) -> float:
    """A duration such as 90s, 30m, 2h or 1d, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?", text.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"a duration is written 90s, 30m, 2h or 1d; given {text!r}")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def name_of(comparison: Comparison) -> str:
    """A folder's name for a comparison: what is compared, and a hash where conditions are not the defaults."""
    import hashlib

    arms, benchmarks = (
        "-".join(re.sub(r"[^\w.+]+", "_", Path(name).stem) for name in names)
        for names in ((arm.label for arm in comparison.arms), comparison.benchmarks)
    )
    name = f"{arms}-on-{benchmarks}"
    conditions = {**comparison.to_json(), "seeds": [], "arms": [arm for arm in comparison.to_json()["arms"]]}
    plain = comparison_of({}, methods=[arm.method for arm in comparison.arms], benchmarks=comparison.benchmarks)
    if conditions != {**plain.to_json(), "seeds": []} or len(name) > 120:
        digest = hashlib.blake2b(json.dumps(conditions).encode(), digest_size=4).hexdigest()
        name = f"{name[:100]}-{digest}"
    return name


def single_study(benchmark: str, method: str, seed: int, overrides: Mapping[str, Any], *, real: bool = False) -> Study:
    """One study, as `replay` and `run` want it: the same that a comparison with this arm would hold."""
    comparison = comparison_of(
        {}, methods=[method], benchmarks=[benchmark], seeds=[seed], overrides=overrides, real=real
    )
    return study_of(comparison, comparison.arms[0], benchmark, seed, real=real)
