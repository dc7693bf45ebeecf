"""The report in a real browser: no network, no error, methods switch, tables sort, nothing lies on anything else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_reports import SMALL, fake

from reports import drawing, page

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser tests need selenium (extra `test`)")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium with chromedriver here (Debian: chromium, chromium-driver)"
)

ODD = "<b>&\"'=\\ </script>\n"
HARD = "a <i>b</i> & c"
OVERLAPS = """
const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const clipped = (rect, node) => {
  let [left, right, top, bottom] = [rect.left, rect.right, rect.top, rect.bottom];
  for (let up = node.parentElement; up; up = up.parentElement) {
    if (!up.classList.contains("scroll") && up.tagName !== "PRE") continue;
    const box = up.getBoundingClientRect();
    [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
    [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
  }
  return { left, right, top, bottom };
};
while (walker.nextNode()) {
  const node = walker.currentNode;
  const around = node.parentElement;
  if (!node.data.trim() || around.closest("script, noscript, style") || !around.checkVisibility()) continue;
  if (around.closest(".tall")) continue;  // a head that stays while its rows pass below it
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const rect of range.getClientRects()) {
    const seen = clipped(rect, node);
    const there = seen.right - seen.left > 2 && seen.bottom - seen.top > 2;
    if (there) texts.push({ ...seen, node, words: node.data.trim() });
  }
}
for (const plot of document.querySelectorAll(".js-plotly-plot")) {
  const { left, right, top, bottom, width } = plot.getBoundingClientRect();
  if (width) texts.push({ left, right, top, bottom, node: plot, words: "(a plot)" });
}
const found = [];
texts.sort((one, other) => one.top - other.top);
for (let i = 0; i < texts.length; i++) {
  for (let j = i + 1; j < texts.length && texts[j].top < texts[i].bottom - 2; j++) {
    const [one, other] = [texts[i], texts[j]];
    if (one.node === other.node || one.node.contains(other.node) || other.node.contains(one.node)) continue;
    const shared = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    if (shared > 2) found.push(`${one.words} / ${other.words}`);
  }
}
return [found, document.documentElement.scrollWidth - document.documentElement.clientWidth];
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three methods, one with an odd name, on two benchmarks."""
    folder = tmp_path_factory.mktemp("report")
    studies, events, facts = fake(3, {**SMALL, ODD: SMALL["rs"]}, ("lm", HARD))
    names = {"title": f"Methods such as {ODD}", "command": f"python -m harness compare --methods '{ODD}'"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})
        page.write(folder, studies, events, facts, **names, made_by="python -m harness report out", digest="abc")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, whose logs are read."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=str(DRIVER)))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


def resize(browser: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def opened(browser: Any, path: Path, width: int = 1400) -> Any:
    """The browser at a page whose figures are drawn."""
    resize(browser, width)
    browser.get(path.as_uri())
    browser.execute_async_script(
        "const done = arguments[0], look = () => document.body.dataset.drawn ? done() : setTimeout(look, 20); look();"
    )
    return browser


def pages(report: Path) -> list[Path]:
    return [report / "index.html", *sorted(report.glob("benchmarks/*.html")), *sorted(report.glob("studies/a*/*.html"))]


def test_every_page_opens_from_disk_without_network_or_error_and_nothing_overlaps(report: Path, browser: Any) -> None:
    shown = pages(report)
    assert len(shown) == 1 + 2 + 4
    for path in shown:
        for width in (1400, 360):
            opened(browser, path, width)
            overlapping, beyond = browser.execute_script(OVERLAPS)
            assert (overlapping, beyond) == ([], 0), f"{path.name} at {width} pixels"
        said = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
        assert said == [], path.name
        messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}, path.name


def test_what_overlaps_is_found(report: Path, browser: Any) -> None:
    opened(browser, report / "index.html")
    browser.execute_script("document.querySelector('h1').style.marginBottom = '-2rem'")
    assert browser.execute_script(OVERLAPS)[0]
    browser.execute_script("document.body.style.minWidth = '3000px'")
    assert browser.execute_script(OVERLAPS)[1] > 0


def test_names_show_as_text(report: Path, browser: Any) -> None:
    for path in pages(report):
        opened(browser, path)
        assert browser.execute_script("return document.querySelectorAll('b, i').length") == 0
    opened(browser, report / "index.html")
    words = " ".join(browser.execute_script("return document.body.innerText").split())
    assert " ".join(f"Methods such as {ODD}".split()) in words
    assert HARD in words


def test_a_method_switched_off_leaves_every_figure_and_comes_back(report: Path, browser: Any) -> None:
    opened(browser, report / "benchmarks/lm.html")
    count = (
        "return [[...document.querySelectorAll('figure:first-of-type .scatterlayer .trace')].length,"
        " [...document.querySelectorAll('.panel')].filter((panel) => panel.checkVisibility()).length,"
        " [...document.querySelectorAll('button[aria-pressed=false]')].map((one) => one.dataset.method)]"
    )
    click = "document.querySelector('button[data-method=asha]').click()"
    before = browser.execute_script(count)
    browser.execute_script(click)
    lines, panels, off = browser.execute_script(count)
    assert 0 < lines < before[0]
    assert panels == before[1] - 1
    assert off == ["asha"] * 2
    browser.execute_script(click)
    assert browser.execute_script(count) == before


def test_tables_sort_by_a_click_on_a_head_and_back(report: Path, browser: Any) -> None:
    opened(browser, report / "benchmarks/lm.html")
    sort = """
    const table = document.querySelector('table'), heads = [...table.tHead.rows[0].cells];
    const place = heads.findIndex((head) => head.textContent === arguments[0]);
    heads[place].querySelector('button').click();
    return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
    """
    for head in ("rank", "trials"):
        rising = [float(cell) for cell in browser.execute_script(sort, head)]
        assert rising == sorted(rising)
        assert len(set(rising)) > 1
        assert [float(cell) for cell in browser.execute_script(sort, head)] == rising[::-1]
    names = browser.execute_script(sort, "method")
    assert names == sorted(names, key=str.casefold)


def test_a_figure_gives_its_data_as_csv(report: Path, browser: Any) -> None:
    opened(browser, report / "studies/lm/asha.html")
    words = browser.execute_async_script(
        "const done = arguments[0]; URL.createObjectURL = (blob) => { blob.text().then(done); return '#'; };"
        "document.querySelector('figure:last-of-type a.csv').click();"
    )
    head, *rows = words.strip().splitlines()
    assert head == "trial,worker,start,end,level,reached,loss,reason"
    table = browser.execute_script("return document.querySelectorAll('table[data-of] tbody tr').length")
    assert len(rows) == table > 10


def test_on_paper_figures_are_as_wide_as_the_column(report: Path, browser: Any) -> None:
    opened(browser, report / "benchmarks/lm.html")
    widths = browser.execute_script(
        "window.dispatchEvent(new Event('beforeprint'));"
        "return [...document.querySelectorAll('.main-svg')].map((one) => Number(one.getAttribute('width')))"
    )
    assert max(widths) == 680


def test_on_paper_no_table_is_cut_off(report: Path, browser: Any) -> None:
    heights = (
        "return [...document.querySelectorAll('.tall')].map((box) => [box.clientHeight, box.firstChild.offsetHeight])"
    )
    opened(browser, report / "studies/lm/asha.html")
    ((shown, whole),) = browser.execute_script(heights)
    assert shown < whole  # on a screen it is scrolled
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        ((shown, whole),) = browser.execute_script(heights)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown >= whole > 0


def test_a_page_without_figures_has_tables_that_sort(tmp_path: Path, browser: Any) -> None:
    studies, events, _ = fake(2, SMALL, ("lm", "other"), failed=False)
    known = {name: {"levels": [1, 27]} for name in ("lm", "other")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "FORMATS", {"svg": drawing.FORMATS["svg"]})
        page.write(tmp_path, studies, events, known, title="t", command="c", made_by="m", digest="abc")
    opened(browser, tmp_path / "index.html")
    cells = browser.execute_script(
        "const table = document.querySelector('table'), head = table.tHead.rows[0].cells[1].querySelector('button');"
        "head.click(); head.click(); return [...table.tBodies[0].rows].map((row) => row.cells[1].textContent)"
    )
    assert cells == sorted(cells, reverse=True) and len(set(cells)) == len(SMALL)
    assert browser.execute_script("return typeof Plotly") == "undefined"


def test_a_page_that_cannot_be_drawn_says_so(report: Path, tmp_path: Path, browser: Any) -> None:
    shutil.copytree(report, tmp_path / "broken")
    path = tmp_path / "broken/index.html"
    words, count = re.subn(r'(id="data">)[^<]*', r"\1AAAA", path.read_text(encoding="utf-8"))
    path.write_text(words, encoding="utf-8")
    assert count == 1
    browser.get(path.as_uri())
    said = browser.execute_async_script(
        "const done = arguments[0], look = () => { const said = document.querySelector('[role=alert]');"
        " if (said) done(said.textContent); else setTimeout(look, 20); }; look();"
    )
    assert "cannot be drawn here" in said and "report --static" in said
    assert browser.execute_script("return document.querySelectorAll('th button').length") > 0  # tables sort
    browser.get_log("browser")  # the error that it shows there too is not another test's
