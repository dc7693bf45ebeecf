"""What a user declares, on the command line or in TOML, becomes a comparison; every name is checked here.

The comparison then stands beside its results, before the first study runs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.compose.studies import studies_of, study_of
from harness.compose.suites import expanded
from harness.files import whole
from harness.names import UnknownName

if TYPE_CHECKING:
    from harness.comparison import Arm, Comparison, Until
    from harness.study import Study


DEFAULT_METHODS = ("rs", "bo", "asha", "mobster")
DEFAULT_BENCHMARK = "transformer_wikitext2_small"
DEFAULT_SEEDS = 10
TOML_FIELDS = ("arms", "benchmarks", "seeds", "contrasts", "benchmark", "decision_time", "shared", "finished_trials")
ARM_FIELDS = ("method", "points")
AUTO, ALL = "auto", "all"
DECLARATION = "comparison.json"


def comparison_from_toml(path: Path) -> dict[str, Any]:
    """The declaration in a TOML file, its names checked.

    `[arms.LABEL]` has a `method`, start configs as `points` and any field of a benchmark, and what is known beforehand:
    `prior`, a table of `VALUE` or `VALUE:SPREAD` by hyperparameter, and `history`, names of benchmarks with a table or
    folders of results; `[benchmark]` sets these for all arms; beside them stand `benchmarks`, `seeds`,
    `decision_time`, `shared`, `finished_trials`, and with `seeds = "auto"` the `contrasts` that it waits for: pairs of
    labels, or "all".
    """
    import tomllib

    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    for name in plain:
        if name not in TOML_FIELDS:
            raise UnknownName(f"field of {path}", name, TOML_FIELDS)
    return plain


def comparison_of(
    plain: Mapping[str, Any],
    *,
    methods: Sequence[str] = (),
    benchmarks: Sequence[str] = (),
    seeds: Sequence[int] | str = (),
    overrides: Mapping[str, Any] | None = None,
    decision_time: str | None = None,
    real: bool = False,
) -> Comparison:
    """A comparison from a declaration, from what is given beside it, and from the defaults; the names are checked.

    methods: each a method's text, or `LABEL=TEXT`; benchmarks: names, or halves of suites as `multi-fidelity/test`;
    seeds: which, or `auto` or `auto:WIDTH` for as many as are needed; real: of trainings, which need no table.
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
    wanted: int | Sequence[int] | str = seeds or plain.get("seeds", DEFAULT_SEEDS)
    until = None
    if isinstance(wanted, str):
        until = _until(wanted, plain.get("contrasts", ALL))
        wanted = until.looks[0]
    elif "contrasts" in plain and not isinstance(plain.get("seeds"), str):
        raise ValueError('contrasts are what `seeds = "auto"` waits for: declare that too, or leave them out')
    comparison = Comparison(
        arms=tuple(arms) or tuple(_arm(name) for name in DEFAULT_METHODS),
        benchmarks=tuple(named),
        seeds=tuple(range(wanted)) if isinstance(wanted, int) else tuple(wanted),
        overrides=fields,
        decision_time=decision_time or plain.get("decision_time", "none"),
        shared=plain.get("shared"),
        finished_trials=plain.get("finished_trials"),
        own={name: own for name, own in named.items() if own},
        until=until,
    )
    studies_of(comparison, real=real)  # raises for every name that is not there
    return comparison


def _until(text: str, contrasts: Any) -> Until:
    """What `auto` or `auto:WIDTH` waits for; contrasts: ALL, or pairs of labels."""
    from harness.comparison import Until
    from reports.contrasts import HALF_REGION, LOOKS

    auto, colon, said = text.partition(":")
    try:
        width = float(said) if colon else HALF_REGION
    except ValueError:
        width = 0.0
    if auto != AUTO or not 0 < width < math.inf:
        raise ValueError(f"seeds are a number, a list, or auto:WIDTH with a width above 0 such as 0.1; given {text!r}")
    pairs = () if contrasts == ALL else contrasts
    if not isinstance(pairs, Sequence) or isinstance(pairs, str) or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f'contrasts are "all" or pairs of labels such as [["asha", "rs"]], given {contrasts!r}')
    return Until(width, LOOKS, tuple((one, other) for one, other in pairs))


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
        raise ValueError(f"a duration is above 0, and written 90s, 30m, 2h or 1d; given {text!r}")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def name_of(comparison: Comparison) -> str:
    """A folder's name for a comparison: what is compared, and a hash where conditions are not the defaults."""
    import hashlib

    arms, benchmarks = (
        "-".join(re.sub(r"[^\w.+]+", "_", Path(name).stem) for name in names)
        for names in ((arm.label for arm in comparison.arms), comparison.benchmarks)
    )
    name = f"{arms}-on-{benchmarks}"
    conditions = _conditions(comparison)
    plain = comparison_of({}, methods=[arm.method for arm in comparison.arms], benchmarks=comparison.benchmarks)
    if conditions != _conditions(plain) or len(name) > 120:
        digest = hashlib.blake2b(json.dumps(conditions).encode(), digest_size=4).hexdigest()
        name = f"{name[:100]}-{digest}"
    return name


def _conditions(comparison: Comparison) -> dict[str, Any]:
    """All but how many seeds there are and what is said of them: more of them belong to the same results."""
    plain = comparison.to_json()
    return {name: plain[name] for name in plain if name not in ("endpoint", "until")} | {"seeds": []}


def single_study(benchmark: str, method: str, seed: int, overrides: Mapping[str, Any], *, real: bool = False) -> Study:
    """One study, as `replay` and `run` want it: the same that a comparison with this arm would hold."""
    comparison = comparison_of(
        {}, methods=[method], benchmarks=[benchmark], seeds=[seed], overrides=overrides, real=real
    )
    return study_of(comparison, comparison.arms[0], benchmark, seed, real=real)


class Declared(NamedTuple):
    """What stands beside the results: the comparison, the command that made it, and what was seen at each look."""

    comparison: Comparison
    command: str
    looks: Sequence[Mapping[str, Any]]

    def said(self) -> tuple[str, ...]:
        """What was declared, in words."""
        from reports import declared

        endpoint, until = self.comparison.endpoint, self.comparison.until
        together = endpoint.together if len(self.comparison.benchmarks) > 1 else ""
        said = declared.endpoint(endpoint.rule, endpoint.metric, endpoint.time, endpoint.beside, together)
        return (said, declared.looks(until.width, until.looks, self.looks)) if until else (said,)


def declare(declared: Declared, folder: Path) -> None:
    """Write it beside the results, whole, where it is not there yet."""
    plain = {"command": declared.command, "comparison": declared.comparison.to_json(), "looks": list(declared.looks)}
    text = json.dumps(plain, indent=1) + "\n"
    path = folder / DECLARATION
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(path) as making:
            making.write_text(text, encoding="utf-8")


def declared(folder: Path) -> Declared:
    """The comparison whose results lie in a folder, and the command that made them."""
    from harness.comparison import Comparison

    path = folder / DECLARATION
    if not path.exists():
        kind = "has none" if folder.is_dir() else "is no folder"
        raise FileNotFoundError(
            f"a comparison is a folder that `compare` wrote, with a `{DECLARATION}`; {folder} {kind}"
        )
    plain = json.loads(path.read_text(encoding="utf-8"))
    return Declared(Comparison.from_json(plain["comparison"]), plain["command"], plain.get("looks", ()))
