"""The page of a family of benchmarks: nothing is left out, nothing comes from elsewhere, gaps are said in words."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from toys import ending, toy_data
from typer.testing import CliRunner

from harness.__main__ import app
from harness.compose import pages
from harness.randomness import stream
from harness.space import Space, choice, logordinal, lograndint, loguniform, randint, reverse_loguniform, uniform
from harness.types import End, Fidelity
from reports import drawing, family, portraits, publishing, style
from reports.figures import fewer_configs, held_out, landscape, levels, measured_curves
from reports.member import Member
from surrogates import table
from surrogates.declared import Declared
from surrogates.table import TableData

ROOT = Path(__file__).parents[1]
COMMAND = "python -m harness describe one two --out page"
CONDITIONAL = Space(
    {
        "optimizer": choice(["sgd", "adam", "a much longer name"]),
        "momentum": reverse_loguniform(0.5, 0.999),
        "lr": loguniform(1e-4, 1.0),
        "width": lograndint(16, 64),
        "layers": randint(1, 4),
        "batch": logordinal([8, 16, 32]),
    },
    {"momentum": {"optimizer": ["sgd"]}},
)


class Model:
    """Stands in for a surrogate: a known final loss of any config."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss
        self.digest = ""

    def final_losses(self, configs: Any) -> np.ndarray:
        return np.array([self.loss(config) for config in configs])


def sum_of_all(config: Any) -> float:
    return sum(float(value) for value in config.values() if not isinstance(value, str))


def conditional() -> TableData:
    data = toy_data(rows=30, space=CONDITIONAL)
    return ending(data, 3, 2, End.DIVERGED)


def card(names: Any) -> dict[str, Any]:
    """The card of a real surrogate, as if of a toy."""
    plain = json.loads((ROOT / "surrogates/data/transformer_wikitext2_small/card.json").read_text(encoding="utf-8"))
    plain["importance"] = {name: {"alone": 0.1 * i, "total": 0.2 * i} for i, name in enumerate(names)}
    return plain


def member(name: str, data: TableData | None = None, known: Declared | None = None, **fields: Any) -> Member:
    data, known = conditional() if data is None else data, known or Declared(plateau=1.0)
    names = data.benchmark.space.names
    shown: dict[str, Any] = {
        "facts": pages.facts(data, known),
        "curves": pages.curves(data, known),
        "panels": pages.panels(data, Model(sum_of_all), names),  # type: ignore[arg-type]
        "card": card(names),
    }
    return Member(name, **{**shown, **fields})


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time: nothing here depends on how fine a surface is."""
    monkeypatch.setattr(pages, "CELLS", 6)
    monkeypatch.setattr(pages, "POINTS", 8)


@pytest.fixture
def svg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time where it is not the files that are tested."""
    monkeypatch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})


def written(folder: Path, *members: Member) -> tuple[str, str]:
    family.write(folder, members, command=COMMAND, digest="abc")
    return (folder / "index.html").read_text(encoding="utf-8"), (folder / "card.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("svg_only")
def test_the_page_shows_all_there_is_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    one, two = member("one"), member("two", curves=None, panels=(), card=None, notes=["nothing is measured"])
    html, markdown = written(tmp_path, one, two)
    for text in (html, markdown):
        assert text.index("one") < text.index("two")
        assert "nothing is measured" in text
        assert f"Its surrogate is {card([])['verdict']}" in text
        assert "What the verdict stands on" in text
        assert text.count(COMMAND) == 1 + 6  # for the page and below each figure
    assert publishing.up_to_date(tmp_path, "abc")
    names = ["measured-curves", "landscape", "importance", "levels", "held-out", "fewer-configs"]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == sorted(f"{name}-one.svg" for name in names)
    assert all(f"](figures/{name}-one.svg)" in markdown for name in names)
    assert html.count('src="') == html.count('src="data:image/svg+xml;base64,') == 6
    links = re.findall(r'href="([^"]*)"', html)
    assert all(link == "card.md" or (tmp_path / link).exists() or link.endswith((".pdf", ".png")) for link in links)
    assert not re.search(r"https?:|@import|url\(|<script|<link", html)


def test_the_same_benchmark_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        written(tmp_path / folder, member("one", toy_data(), panels=(), card=None))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 3 + 3
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


@pytest.mark.parametrize("across", [("optimizer", "momentum"), ("lr", "width")], ids=["cells", "contours"])
def test_the_same_landscape_gives_the_same_bytes(across: tuple[str, str]) -> None:
    one, two = (landscape_file(conditional(), across) for _ in range(2))
    assert one == two


def landscape_file(data: TableData, across: tuple[str, str]) -> bytes:
    panel = pages.panel(data, Model(sum_of_all), across)  # type: ignore[arg-type]
    shades = portraits.ranked(data.final_losses()[:, 0], 3.0)
    buffer = io.BytesIO()
    with matplotlib.rc_context(style.RC):
        figure = portraits.landscape_figure([panel], "loss", shades, (0.0, 3.0))
        figure.savefig(buffer, format="svg", **drawing.FORMATS["svg"])
    return buffer.getvalue()


@pytest.mark.usefixtures("svg_only")
def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    name = '<b>a&"b"|[c]'
    plain = member(name, toy_data(rows=3), panels=(), card=None, notes=[f"`fit {name}` makes one"])
    html, markdown = written(tmp_path, plain)
    assert "<b>" not in html
    assert "&lt;b&gt;a&amp;&#34;b&#34;|[c]</h2>" in html
    assert "<code>fit &lt;b&gt;a&amp;" in html
    assert "<b>" not in markdown
    assert '## &lt;b>a&amp;"b"|\\[c\\]' in markdown


@pytest.mark.usefixtures("svg_only")
def test_names_that_files_could_not_tell_apart_have_files_of_their_own(tmp_path: Path) -> None:
    written(tmp_path, *(member(name, toy_data(rows=3), panels=(), card=None) for name in ("a b", "a/b")))
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "measured-curves-a-b.svg", "measured-curves-a-b-2.svg"
    }  # fmt: skip


# What is not there


def single() -> Member:
    return member("m", toy_data(rows=1, seeds=1), card=None)


def all_diverged() -> Member:
    data = toy_data(rows=2, seeds=1)
    for row in range(2):
        data = ending(data, row, 1, End.DIVERGED)
    return member("m", data, card=None)


def one_hyperparameter() -> Member:
    return member("m", toy_data(rows=4, space=Space({"act": choice(["relu", "tanh"])})), card=None)


def card_with_gaps() -> Member:
    plain = card(["lr"])
    plain |= {"held_out": [], "importance": {"lr": {"alone": None, "total": None}}}
    plain["lines"] = [line | {"value": None} for line in plain["lines"]]
    return member("m", toy_data(rows=3), card=plain, curves=None)


@pytest.mark.usefixtures("svg_only")
@pytest.mark.parametrize("make", [lambda: Member("m"), single, all_diverged, one_hyperparameter, card_with_gaps])
def test_every_page_can_be_written(make: Any, tmp_path: Path) -> None:
    html, markdown = written(tmp_path, make())
    assert "<h2>m</h2>" in html
    assert "| m |" in markdown


def test_a_table_without_a_surrogate_shows_its_curves_and_says_what_to_do(tmp_path: Path) -> None:
    table.save(toy_data(), tmp_path / "toy")
    call = ["describe", str(tmp_path / "toy"), "transformer_wikitext2", "--out", str(tmp_path / "page")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert "up to date" not in done.output
    markdown = (tmp_path / "page/card.md").read_text(encoding="utf-8")
    assert "No surrogate is fitted to this table yet: `fit" in markdown
    assert "There is no table of ours of transformer_wikitext2 yet: `tabulate" in markdown
    assert [path.name for path in (tmp_path / "page/figures").glob("*.svg")] == ["measured-curves-toy.svg"]
    assert "up to date" in CliRunner().invoke(app, call).output


def test_a_card_of_another_surrogate_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "toy"
    table.save(toy_data(), folder)
    (folder / "surrogate.json").write_text("{}")
    model = Model(sum_of_all)
    model.digest = "new"
    monkeypatch.setattr(pages, "model_of", lambda *_: model)
    monkeypatch.setattr(pages, "described", lambda _: card(["lr"]) | {"surrogate": "old"})
    shown = pages.member(str(folder))
    assert (shown.card, list(shown.panels)) == (None, [])
    assert shown.notes[0].startswith("The card judges another surrogate")
    monkeypatch.setattr(pages, "described", lambda _: card(["lr"]) | {"surrogate": "new"})
    shown = pages.member(str(folder))
    assert [panel.hyperparameters[0][0] for panel in shown.panels] == ["lr", "act"]
    assert (shown.card or {})["surrogate"] == "new"


def test_two_tables_of_one_name_are_refused(tmp_path: Path) -> None:
    folders = [tmp_path / place / "toy" for place in ("a", "b")]
    for folder in folders:
        table.save(toy_data(rows=2, seeds=1), folder)
    with pytest.raises(ValueError, match="several of the benchmarks are called toy"):
        pages.page([str(folder) for folder in folders], tmp_path / "page", command=COMMAND)


# What the frames hold


def test_curves_are_the_measured_runs_and_say_which_diverged() -> None:
    data = ending(toy_data(rows=4, seeds=2), 1, 3, End.DIVERGED)
    data = replace(data, parts=("iid", "iid", "iid", "held_out"))
    frame = pages.curves(data, Declared())
    assert frame["run"].nunique() == 3 * 2
    assert frame.groupby("run")["diverged"].first().tolist() == [False, False, True, True, False, False]
    assert frame[frame["run"] == 2]["level"].tolist() == [1, 2]
    assert frame[frame["run"] == 0]["loss"].to_numpy() == pytest.approx(data.values[0, 0, :, 0])
    capped = pages.curves(data, Declared(diverged=data.values[0, 0, -1, 0] - 1e-9))
    assert capped.loc[capped["run"] == 0, "diverged"].all()


def test_facts_are_those_of_the_table() -> None:
    data = toy_data()
    known = pages.facts(data, Declared(plateau=1.5))
    final = data.final_losses().mean(axis=1)
    assert (known["best"], known["median"]) == pytest.approx((final.min(), np.median(final)))
    assert (known["configs"], known["runs"], known["plateau"], known["diverged"]) == (12, 36, 1.5, None)
    bits = replace(data, metrics=("loss", "bits_per_byte"))
    assert pages.facts(bits, Declared())["bits_per_byte"] == pytest.approx(final.min() + 0.5)


def test_a_line_is_the_model_where_nothing_else_matters() -> None:
    data = toy_data(space=Space({"x": uniform(0, 2), "y": uniform(0, 1)}))
    frame = pages.panel(data, Model(lambda config: config["x"] ** 2), ["x"]).frame  # type: ignore[arg-type]
    line = frame[~frame["measured"].astype(bool)]
    for name in ("loss", "low", "high"):
        assert line[name].to_numpy(dtype=float) == pytest.approx(line["x"].to_numpy() ** 2)
    assert len(frame) - len(line) == len(data.configs)


def test_a_surface_is_what_the_best_tenth_of_the_others_reach() -> None:
    data = toy_data(space=Space({"x": uniform(0, 2), "y": uniform(0, 1), "z": uniform(0, 1)}))
    frame = pages.panel(data, Model(lambda config: config["z"]), ["x", "y"]).frame  # type: ignore[arg-type]
    reached = frame.loc[~frame["measured"].astype(bool), "loss"].to_numpy()
    assert np.ptp(reached) == 0
    luck = stream("landscape", "toy").random((pages.OTHERS, 3))[:, 2]
    assert np.mean(luck <= reached[0]) == pytest.approx(0.1, abs=0.03)


def test_nothing_is_said_of_a_hyperparameter_where_it_is_inactive() -> None:
    data = conditional()
    pair = pages.panel(data, Model(sum_of_all), ["optimizer", "momentum"]).frame  # type: ignore[arg-type]
    assert set(pair["x"]) == {0.0}
    measured = pair[pair["measured"].astype(bool)]
    assert len(measured) == sum("momentum" in config for config in data.configs)
    asked: list[Any] = []
    pages.panel(data, Model(lambda config: asked.append(config) or 0.0), ["momentum"])  # type: ignore[arg-type]
    assert all(config["optimizer"] == "sgd" for config in asked)
    for config in asked:
        data.benchmark.space.check(config)


# Colours and axes


def test_colours_follow_the_rank() -> None:
    finals = np.concatenate([np.exp(np.linspace(0, 5, 99)), [math.inf]])
    colours, norm = portraits.ranked(finals, 200.0)
    shares = np.minimum(norm(np.sort(np.minimum(finals, 200.0))), 255)
    assert (np.diff(shares) >= 0).all()
    assert len(np.unique(shares)) == len(portraits.SHARES) - 1
    light = [sum(colours(int(share))[:3]) for share in np.unique(shares)]
    assert light == sorted(light)
    assert len(portraits.ranked(np.array([2.0]), 3.0)[1].boundaries) == 2


def test_axes_end_where_runs_diverge_or_above_all_where_none_does() -> None:
    assert portraits.cap(np.array([1.0, 2.0, math.inf]), 7.0) == portraits.cap(np.array([1.0, 8.0]), 7.0) == 7.0
    assert portraits.cap(np.array([1.0, 2.0]), 7.0) == pytest.approx(2.04)
    assert portraits.cap(np.array([2.0, 2.0]), 2.01) == 2.01


def test_few_levels_are_the_ticks_of_their_axis() -> None:
    widths = Fidelity("width", (16, 32, 48, 64), continues=False)
    data = toy_data(rows=4, fidelity=widths)
    frame, axes = pages.curves(data, Declared()), Figure().add_subplot()
    colours, norm = portraits.ranked(portraits.final_losses(frame), 3.0)
    shown: dict[str, Any] = {"colours": colours, "norm": norm, "limits": (0.0, 3.0), "metric": "loss"}
    measured_curves.draw(frame, axes, **shown, unit="width")
    assert axes.get_xticks().tolist() == [16, 32, 48, 64]


@pytest.mark.parametrize("name", CONDITIONAL.names)
def test_an_axis_is_in_the_units_of_its_hyperparameter(name: str) -> None:
    domain = CONDITIONAL.domains[name]
    axes = Figure().add_subplot()
    panel = pages.panel(conditional(), Model(sum_of_all), [name])  # type: ignore[arg-type]
    colours, norm = portraits.ranked(np.linspace(0, 3, 30), 3.0)
    landscape.draw(
        panel.frame, axes, hyperparameters=panel.hyperparameters, colours=colours, norm=norm, limits=(0.0, 3.0)
    )
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [label.get_text() for label in axes.get_xticklabels()]
    places = [place for place in axes.get_xticks() if low <= place <= high]
    assert len(places) >= 2
    scales = {"lr": "log", "width": "log", "momentum": "function"}
    assert axes.get_xscale() == scales.get(name, "linear")
    if name in ("optimizer", "batch"):
        assert shown == [str(value) for value in domain.values]  # type: ignore[union-attr]
    else:
        assert low <= domain.lower < domain.upper <= high  # type: ignore[union-attr]


def test_held_out_configs_that_diverged_are_crosses_at_the_edge() -> None:
    axes = Figure().add_subplot()
    singles = [[0.5 + i / 10, 0.6 + i / 10, False] for i in range(8)] + [[np.nan, 0.7, True], [9.0, 0.8, True]]
    frame = pd.DataFrame(singles, columns=["measured", "predicted", "diverged"])
    held_out.draw(frame, axes, metric="loss", noise=0.01)
    dots, crosses = (np.asarray(points.get_offsets()) for points in axes.collections[1:])
    assert (len(dots), len(crosses)) == (8, 2)
    assert crosses[:, 0] == pytest.approx(axes.get_xlim()[1])
    assert axes.texts[0].get_text() == "8 configs, 2 diverged (×)"


def test_what_more_configs_bring_is_drawn_beside_what_is_trusted() -> None:
    axes = Figure().add_subplot()
    frame = pd.DataFrame({"configs": [10, 20, 40], "Spearman": [0.5, 0.75, 0.875], "R2": [0.4, np.nan, 0.8]})
    fewer_configs.draw(frame, axes, trusted={"Spearman": 0.95, "R2": 0.9, "of another": 0.1})
    reached, needed = axes.lines[::2], axes.lines[1::2]
    assert [line.get_label() for line in reached] == ["Spearman", "R2"]
    assert reached[0].get_xdata() == pytest.approx([10, 20, 40])
    assert reached[0].get_ydata() == pytest.approx([0.5, 0.75, 0.875])
    assert [set(line.get_ydata()) for line in needed] == [{0.95}, {0.9}]


def test_the_agreement_of_levels_is_drawn_in_both_worlds() -> None:
    axes = Figure().add_subplot()
    frame = pd.DataFrame(card([])["levels agree with the last"])
    levels.draw(frame, axes, unit="epoch")
    assert [line.get_label() for line in axes.lines] == [
        "measured, all", "surrogate, all", "measured, better half", "surrogate, better half",
    ]  # fmt: skip
    assert axes.lines[0].get_ydata() == pytest.approx(frame["measured"].to_numpy())
