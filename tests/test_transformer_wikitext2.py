# ruff: noqa: E402 (what needs torch is imported after the check that it is there)
"""Laws of the transformer benchmarks: gradients, schedules, feeds, resumes, losses. Mostly on Python's own manual."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the real benchmarks need torch: pip install foretune[torch]")
pytest.importorskip("tokenizers", reason="the real benchmarks need tokenizers: pip install foretune[torch]")

from torch.nn import functional as F

from harness.report import load_checkpoint
from harness.space import Ordinal
from harness.tabulate import DIGITS, machine, read_runs
from real_benchmarks import _optimisers, _training, _wikitext2
from real_benchmarks import _transformer as parts
from real_benchmarks import transformer_wikitext2 as script
from real_benchmarks._by_hand import NetworkByHand

ROOT = Path(__file__).resolve().parent.parent
NAME = "transformer_wikitext2_small"
CONFIG = {"lr": 1.0, "dropout": 0.3, "batch_size": 16, "momentum": 0.9, "clip": 0.5}
ADAMW, ARCH, LADDER = (f"transformer_wikitext2_{name}" for name in ("adamw", "arch", "ladder"))
ADAMW_CONFIG = {
    "lr": 0.01,
    "warmup": 0.1,
    "weight_decay": 0.1,
    "beta2": 0.99,
    "dropout": 0.2,
    "batch_size": 16,
    "clip": 1.0,
    "schedule": "cosine",
}
WSD = ADAMW_CONFIG | {"schedule": "wsd", "decay_share": 0.7}
CPU = torch.device("cpu")
LOSSES = ("train_loss", "val_loss", "test_loss", "bits_per_byte", "diverged")
UNITS = ("epoch", "checkpoint", "width")
TABLE = ROOT / "surrogates" / "data" / NAME

needs_wikitext = pytest.mark.skipif(
    not (Path(os.environ.get("FORETUNE_DATA") or os.devnull) / "wikitext2").is_dir(),
    reason="FORETUNE_DATA names no folder with wikitext2 in it",
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of our own, and one thread."""
    folder = tmp_path_factory.mktemp("cache")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        _wikitext2.load.cache_clear()
        yield folder
        _wikitext2.load.cache_clear()
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks on a small part of their texts: a pass of 6,000 tokens, or one pass of 24,000."""
    for name, task in script.TASKS.items():
        tokens = 24_000 if task.once else 6_000
        monkeypatch.setitem(script.TASKS, name, replace(task, train_tokens=tokens, held_out_tokens=1_000))


def reports_of(config: dict[str, Any], name: str, **options: Any) -> list[dict[str, float]]:
    """All that a training reports."""
    reports: list[dict[str, float]] = []
    options = {"corpus": "pydoc"} | options
    script.train(name, config, report=lambda **metrics: reports.append(metrics), **options)
    return reports


def run(config: dict[str, Any] = CONFIG, name: str = NAME, **options: Any) -> list[dict[str, float]]:
    """The levels and losses that a training reports."""
    return [
        {metric: report[metric] for metric in (*UNITS, *LOSSES) if metric in report}
        for report in reports_of(config, name, **options)
    ]


def network(
    dtype: torch.dtype = torch.float64,
    d_model: int = 16,
    layers: int = 2,
    heads: int = 2,
    kind: type[parts.Network] = NetworkByHand,
) -> tuple[parts.Network, parts.Dropout, Any, Any]:
    """A network of odd sizes with dropout masks, and a batch of tokens with its targets."""
    torch.set_default_dtype(dtype)
    try:
        shape = parts.Shape(vocabulary=61, d_model=d_model, ffn_ratio=2, layers=layers, heads=heads, bptt=7)
        made = kind(shape, CPU, parts.stream(1, "parameters"))
        dropout = parts.Dropout(0.4, shape.dropout_widths(), 5 * 7, CPU, parts.stream(1, "dropout"))
    finally:
        torch.set_default_dtype(torch.float32)
    made.rows = 12  # the loss in three pieces
    tokens = torch.randint(61, (5, 8), generator=parts.stream(1, "tokens"))
    return made, dropout, tokens[:, :-1], tokens[:, 1:].reshape(-1)


@pytest.mark.parametrize(
    ("scale", "shape"),
    [(1.0, {}), (20.0, {}), (1.0, {"d_model": 24, "layers": 4, "heads": 4}), (1.0, {"layers": 1, "heads": 1})],
    ids=["as made", "large logits", "deep", "one layer"],
)
def test_gradients_by_hand_are_those_of_autograd(scale: float, shape: dict[str, int]) -> None:
    made, dropout, inputs, targets = network(**shape)
    made.w["head.weight"].mul_(scale)
    masks = dropout.draw()
    with torch.no_grad():
        loss = made.gradients(inputs, targets, masks)
    for value in made.w.values():
        value.requires_grad_()
    expected = F.cross_entropy(made.hidden(inputs, masks) @ made.w["head.weight"], targets)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for name, value in made.w.items():
        torch.testing.assert_close(made.g[name], value.grad, rtol=1e-9, atol=1e-12, msg=name)


def test_loss_stays_exact_where_probabilities_vanish() -> None:
    made, _, _, targets = network(torch.float32)
    hidden = torch.randn(35, 16, generator=parts.stream(1, "hidden")) * 2000
    expected = F.cross_entropy((hidden @ made.w["head.weight"]).double(), targets, reduction="sum")
    assert expected > 100 * len(targets)
    assert made.loss(hidden, targets).item() == pytest.approx(expected.item(), rel=1e-6)


def test_autograd_under_bfloat16_agrees_with_the_gradients_by_hand() -> None:
    by_hand, dropout, inputs, targets = network(torch.float32)
    fused, *_ = network(torch.float32, kind=parts.Network)
    masks = dropout.draw()
    with torch.no_grad():
        losses = [made.gradients(inputs, targets, masks).item() for made in (by_hand, fused)]
        held_out = [made.evaluate(inputs, targets).item() for made in (by_hand, fused)]
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)
    assert held_out[1] == pytest.approx(held_out[0], rel=2e-3)
    assert (by_hand.gradient - fused.gradient).norm() < 0.03 * by_hand.gradient.norm()


def test_passes_of_several_sizes_do_not_disturb_each_other() -> None:
    made, dropout, inputs, targets = network()
    few, masks = (inputs[:2, :4], targets.view(5, 7)[:2, :4].reshape(-1)), dropout.draw()
    with torch.no_grad():
        losses = [made.evaluate(*few).item(), made.gradients(inputs, targets, masks).item()]
        gradient = made.gradient.clone()
        losses += [made.evaluate(inputs, targets).item(), made.evaluate(*few).item()]
        losses += [made.gradients(inputs, targets, masks).item()]
        whole = F.cross_entropy(made.hidden(inputs) @ made.w["head.weight"], targets, reduction="sum")
        part = F.cross_entropy(made.hidden(few[0]) @ made.w["head.weight"], few[1], reduction="sum")
    assert losses[0] == losses[3] == pytest.approx(part.item(), rel=1e-12)
    assert losses[2] == pytest.approx(whole.item(), rel=1e-12)
    assert losses[1] == losses[4] and torch.equal(made.gradient, gradient)


def hidden_of(made: parts.Network, tokens: Any) -> Any:
    """What the head reads without dropout, computed as the network itself does."""
    return (
        made.passes_for(tokens, training=False).hidden(tokens).clone()
        if isinstance(made, NetworkByHand)
        else made.hidden(tokens)
    )


@pytest.mark.parametrize("kind", [parts.Network, NetworkByHand])
def test_no_token_sees_a_later_one(kind: type[parts.Network]) -> None:
    made, _, inputs, _ = network(kind=kind)
    changed = inputs.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 61
    with torch.no_grad():
        before, after = (hidden_of(made, tokens).view(5, 7, 16) for tokens in (inputs, changed))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).all(2).any()


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    for rate in (0.1, 0.5, 0.99):
        dropout = parts.Dropout(rate, [64], 4000, CPU, parts.stream(1, "dropout"))
        (mask,) = dropout.draw() or []
        assert (mask == 0).double().mean().item() == pytest.approx(
            rate, abs=5 * math.sqrt(rate * (1 - rate) / mask.numel())
        )
        assert len(mask.unique()) == 2
        assert mask.max().item() == pytest.approx(1 / (1 - rate), rel=1e-3)


def test_dropout_zero_drops_nothing() -> None:
    made, _, inputs, targets = network()
    assert parts.Dropout(0.0, [16], 35, CPU, parts.stream(1, "dropout")).draw() is None
    with torch.no_grad():
        assert made.gradients(inputs, targets).item() == made.evaluate(inputs, targets).item() / len(targets)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("name", "config", "stops", "remembered"),
    [
        (NAME, CONFIG, (1, 3, 4), {"velocity"}),
        (ADAMW, ADAMW_CONFIG, (1, 3, 4), {"mean", "square", "steps"}),
        (ADAMW, WSD, (11, 13, 14), {"mean", "square", "steps"}),  # it decays from the thirteenth level on
    ],
    ids=["sgd", "adamw", "wsd"],
)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, name: str, config: dict[str, Any], stops: tuple[int, ...], remembered: set[str]
) -> None:
    whole = run(config, name, until=stops[-1], checkpoints=tmp_path / "whole", mode="checkpoints")
    pieces = [
        report
        for until in stops
        for report in run(config, name, until=until, checkpoints=tmp_path / "pieces", mode="checkpoints")
    ]
    assert pieces == whole
    ends = [load_checkpoint(tmp_path / folder) or {} for folder in ("whole", "pieces")]
    assert set(ends[0]) == {"level", "seconds", "parameters", "optimiser", "order", "dropout"}
    assert set(ends[0]["optimiser"]) == remembered
    flat = [end | end["optimiser"] for end in ends]
    for part in set(flat[0]) - {"optimiser", "seconds"}:
        assert torch.equal(torch.as_tensor(flat[0][part]), torch.as_tensor(flat[1][part])), part
    assert run(config, name, until=stops[-1], checkpoints=tmp_path / "whole", mode="checkpoints") == []


@pytest.mark.usefixtures("tiny")
def test_a_broken_checkpoint_is_said_and_the_one_before_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run(until=3, checkpoints=tmp_path, mode="checkpoints")
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:10_000])
    assert run(until=3, checkpoints=tmp_path, mode="checkpoints") == whole[2:]
    assert "broken" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_modes_agree_and_seeds_differ() -> None:
    epochs = run(until=3)
    assert [report["epoch"] for report in epochs] == [1, 2, 3]
    assert run(until=3, mode="end") == epochs[2:]
    other = run(until=1, seed=2)
    assert other[0]["train_loss"] != epochs[0]["train_loss"]
    assert epochs[2]["train_loss"] < epochs[0]["train_loss"] < math.log(1000) + 0.2


@pytest.mark.usefixtures("tiny")
def test_divergence_is_reported_and_ends_the_training() -> None:
    reports = run(CONFIG | {"lr": 1e38}, until=5)
    assert [report["diverged"] for report in reports] == [1.0]
    assert not math.isfinite(reports[0]["val_loss"])
    huge = run(CONFIG | {"lr": 1e4}, until=2)
    assert [report["diverged"] for report in huge] == [0.0, 0.0]
    assert huge[1]["val_loss"] > 2 * math.log(1000)


@pytest.mark.usefixtures("tiny")
def test_bits_per_byte_are_those_of_the_evaluated_text() -> None:
    report = run(until=1)[0]
    valid = _wikitext2.load("pydoc", "bpe1000", 6_000, 1_000).valid
    assert len(valid.ids) == 1_001
    evaluated = _wikitext2.read_texts("pydoc")["valid"].encode()[valid.bytes[0] : valid.bytes.sum()]
    expected = report["val_loss"] * 1_000 / math.log(2) / len(evaluated)
    assert report["bits_per_byte"] == pytest.approx(expected, rel=1e-12)


def test_tokens_cover_every_byte_of_a_text() -> None:
    text = _wikitext2.read_texts("pydoc")["test"]
    pieces = _wikitext2.load("pydoc", "bpe1000", None, None)
    assert pieces.test.bytes.sum() == len(text.encode())
    assert pieces.vocabulary == 1000 > max(part.ids.max() for part in pieces[:3])
    words = _wikitext2.load("pydoc", "words", None, None)
    assert len(words.test.ids) == len(text.split()) + text.count("\n")
    assert words.test.bytes.sum() == len(text.encode()) - len(text) + len(text.rstrip(" "))
    assert len(words.train.ids) - 1 > words.vocabulary > max(part.ids.max() for part in words[:3])


def test_every_held_out_token_counts_once() -> None:
    task = script.TASKS[NAME]
    trial = _training.Trial(task, CONFIG, 1, _wikitext2.load("pydoc", "bpe1000", 6_000, 1_000))
    ids = trial.held_out["val"]
    with torch.no_grad():
        loss = trial.evaluate()["val_loss"]
        total = 0.0
        for first in range(0, 1_000, task.bptt):
            window = ids[first : first + task.bptt + 1]
            logits = trial.network.hidden(window[None, :-1]) @ trial.network.w["head.weight"]
            total += F.cross_entropy(logits.double(), window[1:], reduction="sum").item()
    assert loss == pytest.approx(total / 1_000, rel=1e-6)


def test_clipping_bounds_the_gradient_and_zero_stands_still() -> None:
    made, _, inputs, targets = network()
    start = made.flat.clone()
    with torch.no_grad():
        made.gradients(inputs, targets)
        _optimisers.ClippedSGD(made, lr=1.0, momentum=0.5, clip=0.0).step()
        assert torch.equal(made.flat, start)
        sgd = _optimisers.ClippedSGD(made, lr=1.0, momentum=0.5, clip=1e-3)
        sgd.step()
        assert (made.flat - start).norm().item() == pytest.approx(1e-3, rel=1e-2)
        sgd.step()
        assert (made.flat - start).norm().item() == pytest.approx(2.5e-3, rel=1e-2)


def test_adamw_is_that_of_torch() -> None:
    made, dropout, inputs, targets = network()
    ours = _optimisers.ClippedAdamW(made, lr=0.02, beta2=0.95, weight_decay=0.3, clip=0.2)
    theirs = {name: value.clone().requires_grad_() for name, value in made.w.items()}
    decaying = [value for name, value in theirs.items() if value.ndim == 2 and name != "embedding"]
    spared = [value for name, value in theirs.items() if value.ndim == 1 or name == "embedding"]
    groups = [{"params": decaying, "weight_decay": 0.3}, {"params": spared, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=0.02, betas=(0.9, 0.95), eps=1e-8)
    for share in (0.25, 1.0, 0.5, 0.0):
        with torch.no_grad():
            made.gradients(inputs, targets, dropout.draw())
        for name, value in theirs.items():
            value.grad = made.g[name].clone()
        norm = torch.nn.utils.clip_grad_norm_(list(theirs.values()), 0.2)
        assert norm > 0.2
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * share
        optimiser.step()
        ours.step(share)
        for name, value in theirs.items():
            torch.testing.assert_close(made.w[name], value.detach(), rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        (("constant",), {0: 1, 0.5: 1, 1: 1}),
        (("constant", 0.2), {0: 0, 0.1: 0.5, 0.2: 1, 1: 1}),
        (("cosine", 0.2), {0.1: 0.5, 0.2: 1, 0.4: (1 + 0.5**0.5) / 2, 0.6: 0.5, 1: 0}),
        (("wsd", 0.2, 0.4), {0.1: 0.5, 0.2: 1, 0.6: 1, 0.8: 0.5, 1: 0}),
        (("wsd", 0.3, 0.7), {0.15: 0.5, 0.3: 1, 0.65: 0.5, 1: 0}),
    ],
)
def test_schedules_at_known_places(schedule: tuple[Any, ...], shares: dict[float, float]) -> None:
    made = _optimisers.Schedule(*schedule)
    assert {place: made.share(place) for place in shares} == pytest.approx(shares, abs=1e-12)


def test_a_schedule_that_is_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="constant, cosine, wsd"):
        _optimisers.Schedule("linear")


@pytest.mark.usefixtures("tiny")
def test_the_schedule_spans_the_whole_training_however_far_a_job_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    step = _optimisers.ClippedAdamW.step
    monkeypatch.setattr(
        _optimisers.ClippedAdamW, "step", lambda self, share: (shares.append(share), step(self, share))[1]
    )
    run(ADAMW_CONFIG, ADAMW, until=40, mode="end")
    whole = shares.copy()
    shares.clear()
    run(ADAMW_CONFIG, ADAMW, until=2, mode="end")
    assert len(whole) == 750 // 16
    assert shares == whole[: len(shares)]
    assert whole[0] == pytest.approx(0.5 / 46 / 0.1)
    assert max(whole) > 0.99 and 0 < whole[-1] < 1e-3


@pytest.mark.parametrize(("length", "batch"), [(32, 16), (32, 47), (16, 48), (128, 31)])
def test_one_pass_shows_no_token_twice(length: int, batch: int) -> None:
    ids = torch.arange(2_000_001)
    feed = _training.OnePass(ids, length, batch, 40, parts.stream(1, "order"))
    levels = [torch.stack(tuple(feed.batches(level))) for level in range(40)]
    assert [len(blocks) for blocks in levels] == [
        feed.steps_before(level + 1) - feed.steps_before(level) for level in range(40)
    ]
    assert max(map(len, levels)) - min(map(len, levels)) <= 1
    seen = torch.cat([blocks[..., :-1].reshape(-1) for blocks in levels])
    assert len(seen) == len(seen.unique()) == feed.steps_before(40) * batch * length
    assert 2_000_000 - len(seen) < batch * length
    assert all(torch.equal(blocks[..., 1:], blocks[..., :-1] + 1) for blocks in levels)


def test_a_text_too_short_for_a_batch_a_level_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fill 40 batches of 16 x 32"):
        _training.OnePass(torch.arange(20_001), 32, 16, 40, parts.stream(1, "order"))


@pytest.mark.usefixtures("tiny")
def test_a_level_of_the_ladder_is_a_whole_training_at_that_width() -> None:
    alone = {width: run(ADAMW_CONFIG, f"{LADDER}_w{width}", mode="end") for width in (16, 32)}
    ladder = run(ADAMW_CONFIG, LADDER, until=32)
    assert [report.pop("width") for report in ladder] == [16, 32]
    assert [report.pop("checkpoint") for (report,) in alone.values()] == [40, 40]
    assert ladder == [*alone[16], *alone[32]]
    (last,) = run(ADAMW_CONFIG, LADDER, until=32, mode="end")
    assert last == {"width": 32} | ladder[1]
    assert alone[32] == [{name: report[name] for name in LOSSES} for report in run(ADAMW_CONFIG, ADAMW, mode="end")]
    assert ladder[0] != ladder[1]


@pytest.mark.usefixtures("tiny")
def test_every_shape_trains_and_reports_all_objectives() -> None:
    benchmark = next(known for known in script.BENCHMARKS if known.name == ARCH)
    domains = [benchmark.space.domains[name] for name in ("width", "depth", "heads", "context")]
    values = [domain.values if isinstance(domain, Ordinal) else (1, 4) for domain in domains]
    corners = product(*((some[0], some[-1]) for some in values))
    corpus = _wikitext2.load("pydoc", "bpe1000", 24_000, 1_000)
    for width, depth, heads, context in product(*values):
        shape = script.TASKS[ARCH].shaped({"width": width, "depth": depth, "heads": heads, "context": context})
        assert (shape.d_model, shape.layers, shape.heads, shape.bptt) == (width, depth, heads, context)
    for width, depth, heads, context in corners:
        config = {"width": width, "depth": depth, "heads": heads, "context": context} | ADAMW_CONFIG
        config |= {"batch_size": 16 if context < 128 else 4}
        reports = reports_of(config, ARCH, until=2)
        losses = [benchmark.losses(report) for report in reports]
        assert all(math.isfinite(loss) for levels in losses for loss in levels)
        assert losses[0][1] == losses[1][1] == 2 * 1000 * width + depth * (6 * width**2 + 10 * width) + 2 * width
        assert 0 < losses[0][2] < losses[1][2]
        assert corpus.vocabulary == 1000


@pytest.mark.usefixtures("tiny")
def test_seconds_go_on_where_a_training_is_resumed(tmp_path: Path) -> None:
    config = ADAMW_CONFIG | {"width": 16, "depth": 1, "heads": 1, "context": 16}
    reports = [reports_of(config, ARCH, until=n, checkpoints=tmp_path, mode="checkpoints")[-1] for n in (3, 4)]
    assert [report["checkpoint"] for report in reports] == [3, 4]
    assert reports[1]["seconds"] > reports[0]["seconds"] > 0
    assert "seconds" not in reports_of(ADAMW_CONFIG, ADAMW, until=1)[0]


PROGRAM = f"""
import json, sys
from real_benchmarks import transformer_wikitext2 as script
script.train({NAME!r}, {CONFIG!r}, until=1, report=lambda **m: print(json.dumps(m)), corpus="pydoc")
assert "torch._dynamo" not in sys.modules and "tokenizers" not in sys.modules
"""


def test_the_same_seed_gives_the_same_numbers_in_another_process() -> None:
    here = run(until=1)
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    there = json.loads(done.stdout)
    assert {name: there[name] for name in here[0]} == here[0]


def test_the_script_runs_by_hand_and_without_a_network(tmp_path: Path) -> None:
    arguments = [part for name, value in CONFIG.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "real_benchmarks" / "transformer_wikitext2.py"), *arguments]
    command += ["--epochs", "1", "--corpus", "pydoc", "--checkpoint_dir", str(tmp_path / "trial")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    words = done.stdout.split()
    report = dict(zip(words[::2], map(float, words[1::2]), strict=True))
    assert report["epoch"] == 1 and 3 < report["val_loss"] < math.log(1000)
    assert report["parameters"] == 76_992
    assert 0 < report["save_seconds"] < report["start_up_seconds"]
    assert [path.name for path in (tmp_path / "trial").iterdir()] == ["checkpoint-1.pt"]


@pytest.mark.usefixtures("tiny")
def test_the_script_takes_the_config_of_the_benchmark_that_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(name: str, config: dict[str, Any], *more: str) -> None:
        given = [f"--{key}={value}" for key, value in config.items()]
        monkeypatch.setattr(sys, "argv", ["script", "--benchmark", name, *given, "--corpus", "pydoc", *more])
        script.main()

    call(ADAMW, WSD, "--epochs=1")
    assert capsys.readouterr().out.startswith("checkpoint 1  train_loss ")
    call(LADDER, ADAMW_CONFIG, "--epochs=16")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("width 16  train_loss ")
    with pytest.raises(SystemExit) as left:
        call(ADAMW, ADAMW_CONFIG | {"decay_share": 0.5})
    assert left.value.code == 2
    assert "decay_share" in capsys.readouterr().err


def test_importing_the_benchmarks_imports_no_torch() -> None:
    program = (
        "import sys; from real_benchmarks.transformer_wikitext2 import BENCHMARKS; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"until": 41}, "possible are 1 to 40"),
        ({"mode": "often"}, "end, epochs, checkpoints"),
        ({"mode": "checkpoints"}, "needs a folder"),
        ({"config": {"lr": 1.0}}, "needs dropout, batch_size, momentum, clip"),
        ({"config": CONFIG | {"width": 64}}, "has no width; it has lr"),
        ({"name": "transformer"}, "unknown benchmark"),
        ({"name": LADDER, "config": ADAMW_CONFIG, "until": 40}, "until width 40: possible are 16, 32, 48, 64"),
        ({"name": ADAMW, "config": WSD | {"schedule": "cosine"}}, "decay_share is given.*schedule = 'cosine'"),
        ({"name": ADAMW, "config": ADAMW_CONFIG | {"schedule": "wsd"}}, "needs decay_share"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_the_door(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(**options)


def test_texts_that_are_missing_or_not_as_published_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"FORETUNE_DATA.*--corpus pydoc"):
        _wikitext2.read_texts("wikitext2", tmp_path)
    for split in _wikitext2.SPLITS:
        (tmp_path / f"{split}.txt").write_text("another text\n")
    with pytest.raises(ValueError, match="not the published train text"):
        _wikitext2.read_texts("wikitext2", tmp_path)


@needs_wikitext
def test_the_small_benchmark_reads_as_much_of_wikitext2_as_it_says(cache: Path) -> None:
    corpus = _wikitext2.load("wikitext2", "bpe1000", 50_000, 8_192)
    assert [len(part.ids) for part in corpus[:3]] == [50_001, 8_193, 8_193]
    assert [int(part.bytes.sum()) for part in corpus[:3]] == [128_545, 20_510, 21_394]
    assert len(list(cache.glob("foretune/wikitext2-*/*.npy"))) == 3


@needs_wikitext
def test_the_small_benchmark_still_measures_what_its_table_says() -> None:
    first = {}
    for run_ in read_runs(TABLE) if TABLE.is_dir() else ():
        if (run_["part"], run_["seed"]) == ("iid", 1) and run_["index"] < 2:
            first[run_["index"]] = run_
    made = json.loads((TABLE / "table.json").read_text())["made"]["machines"][0] if first else {}
    here = machine()
    if any(here[fact] != made.get(fact) for fact in ("processor", "flags_digest", "system")):
        pytest.skip("the table was measured on another kind of machine")
    if here["versions"]["torch"] != made["versions"]["torch"]:
        pytest.skip("the table was measured with another torch")
    for recorded in first.values():
        reports = reports_of(recorded["config"], NAME, until=3, corpus="wikitext2")
        for name in LOSSES[:4]:
            assert [float(f"{report[name]:.{DIGITS}g}") for report in reports] == recorded["curve"][name][:3], name


@needs_wikitext
@pytest.mark.slow
def test_the_shipped_bpe_and_the_word_counts_are_those_of_wikitext2(tmp_path: Path) -> None:
    _wikitext2.make_bpe(tmp_path / "bpe.json")
    assert json.loads((tmp_path / "bpe.json").read_text()) == json.loads(_wikitext2.BPE_FILE.read_text())
    corpus = _wikitext2.load("wikitext2", "words", None, None)
    assert [len(part.ids) for part in corpus[:3]] == [2_088_628, 217_646, 245_569]
    assert corpus.vocabulary == 33_278
