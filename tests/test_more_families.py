"""Further families of tables: every number against the raw file, known answers, and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness import __main__ as command_line
from harness.compose import fetching
from harness.space import Space, lograndint, loguniform, randint, uniform
from harness.types import End, Objective
from reports.card import terminal
from surrogates import _converted, _yahpo, table_card
from surrogates._yahpo_scenarios import LCBENCH
from surrogates.families import lcbench, lcdb, llama_lr, nbnlp, nmt_transformer
from surrogates.table import ENDS, Table

JSON_FAMILIES: dict[str, ModuleType] = {"nmt_transformer": nmt_transformer, "llama_lr": llama_lr, "nbnlp": nbnlp}
DATA = {
    name: pytest.mark.skipif(_converted.shared_data(what) is None, reason=f"FORETUNE_DATA holds no {what}")
    for name, what in {**{n: m.FILE.name for n, m in JSON_FAMILIES.items()}, "lcbench": "lcbench_surrogate"}.items()
}
ONNX = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
LCDB = pytest.mark.skipif(find_spec("lcdb") is None, reason="lcdb is not installed")

Run = dict[str, Any]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of this file's own, in which a family is converted when a test first needs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def loaded(family: str, name: str) -> Table:
    if not (_converted.cache() / family).exists():
        fetching.fetch(family)
    model = JSON_FAMILIES[family].load(name)
    assert isinstance(model, Table)
    return model


def raw(family: str) -> Any:
    with gzip.open(JSON_FAMILIES[family].FILE.find(), "rt", encoding="utf-8") as file:
        return json.load(file)


def median_seconds(model: Table) -> float:
    return float(np.median([max(s[np.isfinite(s)]) for s in model.data.seconds[model.data.ends >= 0]]))


# -- transformers for translation -------------------------------------------------------------------------------------


@DATA["nmt_transformer"]
@pytest.mark.usefixtures("converted")
def test_every_checkpoint_of_every_translation_model_is_where_the_source_says() -> None:
    runs: dict[tuple[str, int], list[Run]] = {}
    for pair, all_runs in raw("nmt_transformer").items():
        for run in all_runs:
            runs.setdefault((pair.replace("-", "_"), run["bpe"]), []).append(run)
    on_perplexity = [b for b in nmt_transformer.BENCHMARKS if not b.name.endswith("bleu")]
    assert {b.name for b in on_perplexity} == {f"nmt_transformer_{pair}_bpe{bpe}" for pair, bpe in runs}
    for (pair, bpe), wanted in runs.items():
        model = loaded("nmt_transformer", f"nmt_transformer_{pair}_bpe{bpe}")
        assert len(model.data.configs) == len(wanted)
        assert model.benchmark.fidelity.maximum == max(len(run["ppl_curve"]) for run in wanted)
        for run in wanted:
            curve = model.curve({name: run[name] for name in model.benchmark.space.names}, 7)
            best = [min(run["ppl_curve"][: n + 1]) for n in range(len(run["ppl_curve"]))]
            assert [metrics["checkpoint_perplexity"] for metrics in curve.metrics] == run["ppl_curve"]
            assert [loss for (loss,) in curve.losses] == best
            assert best[-1] == pytest.approx(run["dev_ppl"], rel=1e-5)  # what the source calls the model's perplexity
            assert curve.metrics[-1]["parameters"] == run["num_param"]
            whole = len(best) == model.benchmark.fidelity.maximum
            assert curve.end is (End.COMPLETE if whole else End.EARLY)
            an_update = 0.05 + 6 * 4096 * run["num_param"] / 5e12
            assert curve.nanoseconds[-1] == pytest.approx(1e9 * an_update * run["num_updates"], rel=1e-12)
            assert curve.nanoseconds[0] * len(best) == pytest.approx(curve.nanoseconds[-1])
        assert model.benchmark.budget == pytest.approx(40 * median_seconds(model) / 4, rel=1e-3)
        assert model.facts()["full_seconds"] == pytest.approx(median_seconds(model))


@DATA["nmt_transformer"]
@pytest.mark.usefixtures("converted")
def test_bleu_is_maximised_over_all_vocabularies() -> None:
    best = {"sw-en": 26.09, "ru-en": 20.23, "ja-en": 16.41}
    for pair, runs in raw("nmt_transformer").items():
        model = loaded("nmt_transformer", f"nmt_transformer_{pair.replace('-', '_')}_bleu")
        assert model.facts()["optimum"] == -best[pair]
        assert len(model.data.configs) == len(runs)
        for run in runs:
            curve = model.curve({name: run[name] for name in model.benchmark.space.names}, 0)
            said = {"bleu": run["dev_bleu"], "decode_seconds": run["dev_decode_gpu_s"], "parameters": run["num_param"]}
            assert (curve.metrics[0], curve.losses, curve.end) == (said, ((-run["dev_bleu"],),), End.COMPLETE)
        assert model.benchmark.budget == pytest.approx(40 * median_seconds(model) / 4, rel=1e-3)
        both = model.under(
            replace(model.benchmark, objectives=(Objective("bleu", maximize=True), Objective("decode_seconds")))
        )
        assert both.curve(model.data.configs[0], 0).losses == ((-runs[0]["dev_bleu"], runs[0]["dev_decode_gpu_s"]),)


# -- Llama ------------------------------------------------------------------------------------------------------------


def plain(run: Run) -> tuple[object, ...]:
    """What a run of Llama trained, said once more."""
    c = run["config"]
    if c["scheduler"] == "cos":
        kind = ("cosine", "zero" if c["cos_final_lr"] == 1e-7 else "tenth", None, None)
    else:
        shape = {None: "linear"}.get(c["decay_type"], c["decay_type"])
        kind = ("wsd", None, c["wsd_fract_decay"], shape if c["wsd_fract_decay"] else None)
    return (c["lr"], c["iterations"], run["parameters"], *kind)


@DATA["llama_lr"]
@pytest.mark.usefixtures("converted")
def test_every_loss_of_every_llama_is_its_own_or_that_of_the_run_which_it_continues() -> None:
    runs: list[Run] = [
        r for r in raw("llama_lr") if (r["config"]["dataset"], r["config"]["model"]) == ("slimpajama", "llama_norm")
    ]
    model = loaded("llama_lr", "llama_lr")
    said = [dict(zip(run["val"]["iter"], run["val"]["loss"], strict=True)) for run in runs]
    rows = {model.benchmark.space.key(config): row for row, config in enumerate(model.data.configs)}
    assert len(runs) == 195
    assert len(rows) == 175
    assert Counter(rows[plain(run)] for run in runs) == Counter(dict(enumerate((model.data.ends >= 0).sum(axis=1))))
    seen: Counter[int] = Counter()
    lines = stitches = 0
    for run, own in zip(runs, said, strict=True):
        row = rows[plain(run)]
        values, seconds = (array[row, seen[row]] for array in (model.data.values[..., 0], model.data.seconds))
        seen[row] += 1
        begin, last = run["resume_iter"], max(own)
        before = [
            (other, losses)
            for other, losses in zip(runs, said, strict=True)
            if plain(other)[0] == run["config"]["lr"] and plain(other)[2] == run["parameters"]
            and plain(other)[3:] == ("wsd", None, 0, None) and abs(losses.get(begin, 9.0) - own.get(begin, 0.0)) < 2e-4
        ]  # fmt: skip
        assert np.isfinite(values).sum() == np.isfinite(seconds).sum() == last // 200
        for level in range(200, last + 1, 200):
            there = [own] if level > begin else [losses for _, losses in before]
            value = values[level // 200 - 1]
            if not any(level in losses for losses in there):
                neighbours = (values[level // 200 - 2] + values[level // 200]) / 2
                assert value == pytest.approx(neighbours)
                lines += 1
            else:
                assert value in [losses[level] for losses in there if level in losses]
        if run["val"]["iter"] == list(range(begin, last + 1, 200)):  # one session, with nothing repeated
            rate = run["runtime_s"] / (run["config"]["iterations"] - begin)
            assert np.diff(seconds[max(begin // 200, 1) - 1 : last // 200]) == pytest.approx(200 * rate)
            assert begin or seconds[0] == pytest.approx(200 * rate)
        stitches += bool(begin)
    assert stitches > 80
    assert model.data.made["missing"].startswith(f"{lines} of ")
    assert model.data.made["left_out"] == 40
    assert model.facts()["optimum"] == min(model.data.final_losses()[model.data.ends >= 0]) == 2.6766
    assert model.benchmark.budget == pytest.approx(40 * median_seconds(model) / 4, rel=1e-3)


def llama(name: str, losses: dict[int, float], **fields: Any) -> Run:
    config = {
        "lr": 0.001,
        "iterations": max(losses) + 200,
        "scheduler": "wsd",
        "wsd_fract_decay": 0,
        "decay_type": None,
    }
    told = {"iter": list(losses), "loss": list(losses.values())}
    fields = {"resume_run": None, "resume_iter": 0, "runtime_s": 80.0, "parameters": 33479040} | fields
    return {"name": name, "config": config | fields.pop("config", {}), "val": told} | fields


def test_a_cooldown_goes_on_where_its_stable_run_stood_in_losses_and_seconds() -> None:
    stable = llama("stable", {0: 9.0, 200: 5.0, 400: 4.0, 600: 3.5})
    other = llama("other", {0: 9.0, 200: 5.1, 400: 4.1, 600: 3.6})
    cool = {"resume_iter": 400, "runtime_s": 12.0, "config": {"wsd_fract_decay": 0.5}}
    for named in ("stable", "lost"):  # a run that is not there is found by what it trained
        run = llama("cool", {400: 4.0, 600: 3.2}, resume_run=named, **cool)
        losses, seconds = llama_lr.stitched(run, [other, run, stable])
        assert losses.tolist() == [5.0, 4.0, 3.2]
        # 80 s for 800 iterations, from 400 on 12 s for 400, of which 200 came to an evaluation.
        assert seconds.tolist() == pytest.approx([20.0, 40.0, 46.0])
    with pytest.raises(ValueError, match="the run that cool continues at 400, found none"):
        llama_lr.stitched(llama("cool", {400: 4.5, 600: 3.2}, resume_run="stable", **cool), [stable])
    with pytest.raises(ValueError, match="found none"):
        llama_lr.stitched(llama("cool", {400: 4.0, 600: 3.2}, resume_run="lost", **cool), [])


def test_an_interrupted_llama_has_the_pace_of_its_last_session_and_what_it_said_last() -> None:
    losses = {400: 4.0, 600: 3.5, 0: 9.0, 200: 5.0}
    run = llama("interrupted", losses, runtime_s=60.0)
    run["val"] = {"iter": [400, 600, 0, 200, 400], "loss": [4.0, 3.5, 9.0, 5.0, 4.01]}
    curve, seconds = llama_lr.stitched(run, [])
    assert curve.tolist() == [5.0, 4.01, 3.5]
    assert seconds.tolist() == pytest.approx([30.0, 60.0, 90.0])  # 60 s for the last 400 of 800


# -- recurrent cells --------------------------------------------------------------------------------------------------


@DATA["nbnlp"]
@pytest.mark.usefixtures("converted")
def test_every_epoch_of_every_cell_is_what_the_source_says() -> None:
    model = loaded("nbnlp", "nbnlp_wikitext2")
    data, runs = model.data, raw("nbnlp")
    cells: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run["recepie_id"]):
        cells.setdefault(json.dumps(run["recepie"]), []).append(run)
    assert (len(runs), len(cells), len(data.configs)) == (345, 291, 291)
    by_cell = {config["cell"]: row for row, config in enumerate(data.configs)}
    for same in cells.values():
        row = by_cell[same[0]["recepie_id"]]
        assert int((data.ends[row] >= 0).sum()) == len(same)
        for replicate, run in enumerate(same):
            length = len(run["wall_times"])
            for column, name in enumerate(("val", "train", "test")):
                wanted = np.array(run[name], dtype=float)
                assert np.array_equal(data.values[row, replicate, :length, column], wanted, equal_nan=True)
            assert np.diff(data.seconds[row, replicate, :length], prepend=0.0) == pytest.approx(run["wall_times"])
            assert ENDS[data.ends[row, replicate]] is (End.COMPLETE if run["val"][-1] else End.DIVERGED)
    assert int((data.ends == ENDS.index(End.DIVERGED)).sum()) == 4
    lstm = next(config for config in data.configs if config["cell"] == 1000001)
    counts = {"linear": 4, "sigmoid": 2, "tanh": 3, "leaky_relu": 0, "sum": 1, "product": 3, "blend": 0}
    assert lstm == {"cell": 1000001, "states": 2, **counts, "parameters": lstm["parameters"]}
    assert set(model.curve(lstm, 0).visible[0]) == {"val_loss", "train_loss"}
    full = float(np.median(data.seconds[..., -1][data.ends == 0]))
    assert model.benchmark.budget == pytest.approx(40 * full / 4, rel=1e-3)


# -- YAHPO's LCBench --------------------------------------------------------------------------------------------------

ORDER = ["epoch", "batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"]
OUTPUTS = ["time", "val_accuracy", "val_cross_entropy", "val_balanced_accuracy", "test_cross_entropy",
           "test_balanced_accuracy"]  # fmt: skip
"""As yahpo_gym 1.0.2 has them in benchmarks/lcbench.py."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three of the data sets, for speed."""
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    kept = [task for task in lcbench.SECONDS if task in (3945, 126026, 189909)]
    monkeypatch.setattr(lcbench, "BENCHMARKS", tuple(b for b in lcbench.BENCHMARKS if int(b.name[8:]) in kept))
    monkeypatch.setattr(lcbench, "SECONDS", {task: lcbench.SECONDS[task] for task in kept})


@ONNX
@DATA["lcbench"]
@pytest.mark.usefixtures("few")
def test_a_predicted_curve_is_what_the_network_says_at_each_epoch_by_itself() -> None:
    import onnxruntime  # type: ignore[import-untyped]

    fetching.fetch("lcbench")
    folder = lcbench.find()
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    for benchmark in lcbench.BENCHMARKS:
        model = lcbench.load(benchmark.name)
        assert benchmark.budget == pytest.approx(40 * model.facts()["full_seconds"] / 4, rel=1e-3)
        for config in benchmark.space.sample(np.random.default_rng(1), 4):
            curve, last = model.curve(config, 3), 0
            for epoch in (1, 2, 17, 52):
                x = np.array([[{**config, "epoch": epoch}[name] for name in ORDER]], np.float32)
                y = session.run(None, {"x_cat": np.array([[codes[benchmark.name[8:]]]], np.int32), "x_cont": x})[0][0]
                said = dict(zip(OUTPUTS, y.tolist(), strict=True))
                for metric, value in curve.metrics[epoch - 1].items():
                    assert value == pytest.approx(said[metric], rel=1e-4, abs=1e-6)
                assert curve.losses[epoch - 1] == (-curve.metrics[epoch - 1]["val_balanced_accuracy"],)
                assert curve.nanoseconds[epoch - 1] >= max(said["time"] * 1e9 * 0.9999, last)
                last = curve.nanoseconds[epoch - 1]
            assert len(curve.losses) == 52
            assert all(a + _yahpo.RISE <= b for a, b in pairwise(curve.nanoseconds))
            assert set(curve.visible[0]) == {"val_accuracy", "val_cross_entropy", "val_balanced_accuracy"}
            assert model.final_loss(config) == curve.losses[-1][0]
    two = replace(benchmark, objectives=(Objective("val_cross_entropy"), Objective("val_accuracy", maximize=True)))
    both = model.under(replace(two, space=Space({**lcbench.SPACE.domains, "num_layers": 2})))
    whole = lcbench.KNOWN_CONFIG | {"num_layers": 2}
    part = {name: value for name, value in whole.items() if name != "num_layers"}
    said = model.curve(whole, 0).metrics[5]
    assert both.curve(part, 0).losses[5] == (said["val_cross_entropy"], -said["val_accuracy"])
    with pytest.raises(ValueError, match="no metric 'loss'; it has val_accuracy"):
        model.under(replace(benchmark, objectives=(Objective("loss"),)))


@ONNX
@DATA["lcbench"]
@pytest.mark.usefixtures("few")
def test_the_best_found_of_a_network_is_a_fact_and_no_part_of_its_digest() -> None:
    fetching.fetch("lcbench")
    for benchmark in lcbench.BENCHMARKS:
        model = lcbench.load(benchmark.name)
        facts = model.facts()
        assert facts["optimum"] == model.final_loss(facts["optimum_config"]) <= facts["final_losses"][0]
        assert facts["final_losses"][0] < facts["median"] < facts["final_losses"][-1]
        configs = benchmark.space.sample(np.random.default_rng(2), 300)
        losses = np.array([model.final_loss(config) for config in configs])
        assert model.final_losses(configs) == pytest.approx(losses, abs=1e-5)
        assert facts["optimum"] < losses.min()
        assert 0.4 < np.mean(losses < facts["median"]) < 0.6
        shown = " ".join(map(str, terminal(table_card.card(model))))
        assert "no optimum: it is the best of 10,000 random configs, refined by 60 rounds" in shown
        assert model.digest.startswith(f"lcbench-1:{lcbench.FILES['model.onnx']}:")
    older = replace(model, known={**model.known, "optimum": None, "median": 0.0})  # as converted before it was sought
    assert older.facts() == facts


@DATA["lcbench"]
def test_the_space_and_the_data_sets_of_lcbench_are_those_of_its_files() -> None:
    folder = lcbench.find()
    declared = json.loads((folder / "config_space.json").read_text())
    assert declared["conditions"] == declared["forbiddens"] == []
    found: dict[str, Any] = {}
    for one in declared["hyperparameters"]:
        if one["type"] == "categorical":
            assert [int(task) for task in one["choices"]] == list(lcbench.SECONDS)
            assert len(lcbench.BENCHMARKS) == 34
        elif one["name"] != "epoch":
            kinds = {("uniform_int", True): lograndint, ("uniform_int", False): randint,
                     ("uniform_float", True): loguniform, ("uniform_float", False): uniform}  # fmt: skip
            found[one["name"]] = kinds[one["type"], one["log"]](one["lower"], one["upper"]).to_json()
    ours = lcbench.SPACE.to_json()
    assert set(ours) == set(found) == set(ORDER[1:])
    for name, domain in found.items():
        assert {key: pytest.approx(value) if key != "type" else value for key, value in domain.items()} == ours[name]


def test_what_no_training_can_give_is_mended_as_declared() -> None:
    mended = (1_000_000_000, 1_001_000_000, 1_002_000_000, 2_000_000_000)
    assert _yahpo.times([1.0, 1.0005, 0.4, 2.0], continues=True) == mended
    assert _yahpo.times([1.0, 0.0, -1.0], continues=False) == (1_000_000_000, 1_000_000, 1_000_000)
    outputs = np.array([[-1.0, 101.0, -0.1, 1.2, 3.0, -0.5], [5.0, 50.0, 0.2, 0.5, 0.3, 0.7]], np.float32)
    assert _yahpo.clipped(outputs, LCBENCH)[0].tolist() == [0.0, 100.0, 0.0, 1.0, 3.0, 0.0]
    assert _yahpo.clipped(outputs, LCBENCH)[1] == pytest.approx(outputs[1])


@ONNX
@DATA["lcbench"]
@pytest.mark.usefixtures("few")
def test_inputs_in_another_order_and_other_networks_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for order in ((*ORDER[:3], ORDER[4], ORDER[3], *ORDER[5:]), (ORDER[0], *ORDER[:0:-1])):
        monkeypatch.setattr(lcbench, "LCBENCH", LCBENCH._replace(numbers=order))
        with pytest.raises(ValueError, match=r"model\.onnx: expected the prediction .* of a known config, found"):
            fetching.fetch("lcbench")
        assert list(_converted.cache().iterdir()) == []
    monkeypatch.undo()
    path = tmp_path / "cut.onnx"
    path.write_bytes((lcbench.find() / "model.onnx").read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"cut\.onnx: not a network that can be run"):
        _yahpo.Network(path, LCBENCH, {LCBENCH.instance: {"3945": 34}})


@ONNX
@DATA["lcbench"]
@pytest.mark.usefixtures("few")
def test_a_surrogate_that_was_changed_in_the_cache_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fetching.fetch("lcbench")
    folder = _converted.cache() / "lcbench"
    whole = (folder / "model.onnx").read_bytes()
    for broken in (whole[:-8], whole[:-1] + bytes([whole[-1] ^ 1])):
        (folder / "model.onnx").write_bytes(broken)
        with pytest.raises(ValueError, match=r"lcbench: not a converted surrogate .*fetch lcbench"):
            lcbench.load("lcbench_3945")
    (folder / "model.onnx").write_bytes(whole)
    (folder / "about.json").write_text("{}")
    with pytest.raises(ValueError, match=r"not a converted surrogate .*fetch lcbench"):
        lcbench.load("lcbench_3945")
    (folder / "about.json").unlink()
    with pytest.raises(FileNotFoundError, match="`python -m harness fetch lcbench` makes it"):
        lcbench.load("lcbench_3945")
    monkeypatch.setattr(_yahpo, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install"):
        fetching.fetch("lcbench")


# -- LCDB -------------------------------------------------------------------------------------------------------------

HEAD = "openmlid,learner,size_train,size_test,outer_seed,inner_seed,traintime,score_train,score_valid,score_test\n"
TREE, FOREST, SVC = "sklearn.tree.DecisionTreeClassifier", "sklearn.ensemble.RandomForestClassifier", "SVC_rbf"
LINES = [
    f"7,{learner},{size},40,{outer},{inner},{size / 1000 + number},{0.9 + inner / 100},{size / 100 + outer / 10},0.5\n"
    for number, (learner, sizes) in enumerate({TREE: (16, 23, 30), FOREST: (16, 23), SVC: (23, 30)}.items())
    for outer in range(5)
    for inner in (0, 4, 5)
    for size in sizes
]


def small_lcdb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: list[str]) -> Table:
    import hashlib

    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    (tmp_path / lcdb.FILE).write_text(HEAD + "".join(lines))
    monkeypatch.setattr(lcdb, "SHA256", hashlib.sha256((tmp_path / lcdb.FILE).read_bytes()).hexdigest())
    monkeypatch.setattr(lcdb, "DATA_SETS", {7: (0, 2, 30, 1.0)})
    fidelity = replace(lcdb.BENCHMARKS[0].fidelity, levels=(16, 23, 30))
    monkeypatch.setattr(lcdb, "BENCHMARKS", (replace(lcdb.BENCHMARKS[0], name="lcdb_7", fidelity=fidelity),))
    fetching.fetch("lcdb", tmp_path)
    model = lcdb.load("lcdb_7")
    assert isinstance(model, Table)
    return model


def test_splits_are_replicates_and_what_lacks_a_size_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = next(line for line in LINES if line.startswith(f"7,{TREE},23,40,1,0,"))
    model = small_lcdb(monkeypatch, tmp_path, [line for line in LINES[::-1] if line != gone])
    data = model.data
    assert [config["learner"] for config in data.configs] == ["RandomForestClassifier", "DecisionTreeClassifier"]
    places = [outer * 5 + inner for outer in range(5) for inner in (0, 4)]
    assert np.flatnonzero(data.ends[0] >= 0).tolist() == places
    assert np.flatnonzero(data.ends[1] >= 0).tolist() == [place for place in places if place != 5]
    assert data.made["left_out"] == 11
    assert data.made["missing"] == "11 of 30 replicates lack a size and are left out; 18 of 20 learners have none"
    for row, (sizes, end) in enumerate([((16, 23), End.EARLY), ((16, 23, 30), End.COMPLETE)]):
        for replicate in np.flatnonzero(data.ends[row] >= 0).tolist():
            outer, inner = divmod(replicate, 5)
            assert ENDS[data.ends[row, replicate]] is end
            for level, size in enumerate(sizes):
                wanted = [size / 100 + outer / 10, 0.9 + inner / 100, 0.5]
                assert data.values[row, replicate, level].tolist() == pytest.approx(wanted)
                assert data.seconds[row, replicate, level] == pytest.approx(size / 1000 + 1 - row)
    assert not model.benchmark.fidelity.continues
    assert set(model.curve(data.configs[0], 0).visible[0]) == {"val_accuracy", "train_accuracy"}


@LCDB
@pytest.mark.slow
def test_lcdb_is_what_its_file_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pandas as pd

    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path))
    fetching.fetch("lcdb")
    frame = pd.read_csv(lcdb.find() / lcdb.FILE)
    ours = {theirs: name for name, theirs in lcdb.LEARNERS.items()}
    for number in (6, 44, 1069, 41167):
        model = lcdb.load(f"lcdb_{number}")
        assert isinstance(model, Table)
        data, part = model.data, frame[(frame["openmlid"] == number) & (frame["inner_seed"] < 5)]
        assert sorted(part["size_train"].unique()) == list(model.benchmark.fidelity.levels)
        found: dict[tuple[object, ...], tuple[float, ...]] = {}
        for row, replicate, level in zip(*np.nonzero(np.isfinite(data.seconds)), strict=True):
            size = model.benchmark.fidelity.levels[level]
            key = (data.configs[row]["learner"], int(replicate), size)
            found[key] = (data.seconds[row, replicate, level], *data.values[row, replicate, level])
        theirs = {
            (ours[line.learner], line.outer_seed * 5 + line.inner_seed, line.size_train):
            (line.traintime, line.score_valid, line.score_train, line.score_test)
            for line in part.itertuples()
        }  # fmt: skip
        assert found.items() <= theirs.items()
        left_out = len({key[:2] for key in theirs} - {key[:2] for key in found})
        assert data.made["missing"].startswith(f"{left_out} of ")


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["short", "changed", "missing"])
@pytest.mark.parametrize("family", [pytest.param(family, marks=DATA[family]) for family in DATA])
def test_a_file_that_is_not_the_published_one_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, cut: str
) -> None:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "source"
    if family == "lcbench":
        shutil.copytree(lcbench.find(), source, copy_function=shutil.copyfile)
        source.chmod(0o755)
        path = source / lcbench.MODEL
    else:
        source.mkdir()
        path = source / JSON_FAMILIES[family].FILE.name
        shutil.copyfile(JSON_FAMILIES[family].find(), path)
    content = path.read_bytes()
    path.unlink()
    if cut != "missing":
        path.write_bytes(content[:-100] if cut == "short" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises((ValueError, FileNotFoundError), match=path.name) as refused:
        fetching.fetch(family, source)
    assert cut == "missing" or "expected the SHA-256" in str(refused.value)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("family", "how"),
    [
        ("nmt_transformer", "fetch nmt_transformer --from FILE` with nmt_transformer.json.gz"),
        ("llama_lr", "made from fabian-sp/lr-scheduling@8ace3a32"),
        ("nbnlp", "made from fmsnew/nas-bench-nlp-release@a6d90a3b"),
        ("lcbench", "fetch lcbench --from FOLDER"),
        ("lcdb", "pip install lcdb==0.1.0"),
    ],
)
def test_absent_data_is_one_line_that_says_how_to_get_it_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], family: str, how: str
) -> None:
    monkeypatch.setenv("FORETUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FORETUNE_DATA", raising=False)
    monkeypatch.setattr(lcdb, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["foretune", "fetch", family])
    with pytest.raises(SystemExit) as left:
        command_line.main()
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert how in said
    assert said.count("\n") == 1
    assert not (tmp_path / "cache").exists()
    module = {**JSON_FAMILIES, "lcbench": lcbench, "lcdb": lcdb}[family]
    with pytest.raises(FileNotFoundError, match=f"`python -m harness fetch {family}` makes it"):
        module.load(module.BENCHMARKS[0].name)
