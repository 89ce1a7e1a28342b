"""report.html in a real browser: no console error, no network, nothing overlaps or is cut off, also on paper."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from helpers import browser, sample_capacity, synthetic, synthetic_experiment
from helpers.process import scaled
from msgspec.structs import replace
from playwright.sync_api import Browser, Page

from wsbench.measure.findings import Finding
from wsbench.report.html import run_page
from wsbench.report.stored_report import of_capacity, of_experiment
from wsbench.results.capacity_result import GENERATOR, Capacity
from wsbench.results.run_result import ErrorCount, Generator, ReplyExample, TargetResult

OpenPage = Callable[..., Page]
LIMIT_BYTES = 6_000_000
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> " + "W" * 300

pytestmark = pytest.mark.needs("chromium")

# Of what stands in figures: texts that leave their figure, are cut off by it, or lie on another text.
TROUBLE = """() => {
  const trouble = [];
  for (const figure of document.querySelectorAll("figure.plot")) {
    const frame = figure.getBoundingClientRect();
    const texts = [...figure.querySelectorAll("svg text")]
      .filter((text) => text.textContent.trim() && getComputedStyle(text).visibility !== "hidden")
      .map((text) => [text.textContent, text.getBoundingClientRect()])
      .filter(([, box]) => box.width > 0);
    texts.forEach(([name, box], index) => {
      const left = box.left < frame.left - 1 || box.top < frame.top - 1;
      if (left || box.right > frame.right + 1 || box.bottom > frame.bottom + 1) {
        trouble.push(`${figure.id}: ${name} leaves its figure`);
      }
      for (const [other, its] of texts.slice(index + 1)) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (wide > 1 && high > 4) {
          trouble.push(`${figure.id}: ${name} lies on ${other}`);
        }
      }
    });
  }
  for (const element of document.querySelectorAll("h1, h2, h3, p, li, .tile, .facts td, .facts th")) {
    if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0) {
      trouble.push(`cut off: ${element.textContent.slice(0, 60)}`);
    }
  }
  return trouble;
}"""


@pytest.fixture(name="session")
def _session(request: pytest.FixtureRequest) -> Browser:
    """Return the fixture `browser`, whose name is a module's here."""
    started: Browser = request.getfixturevalue("browser")
    return started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return reports by name: of a minute, of hostile text, of an experiment."""
    where = tmp_path_factory.mktemp("reports")
    made = synthetic.stored(60, lost_per_stall=40)
    hostile = synthetic.stored(
        5,
        name=HOSTILE,
        command=["wsbench", "run", HOSTILE],
        target=TargetResult(HOSTILE, HOSTILE),
        errors=[ErrorCount(HOSTILE, "target", 3, HOSTILE, HOSTILE)],
        generator=Generator("late", [Finding("sent-late", HOSTILE, HOSTILE, "late")]),
        examples=[ReplyExample("corrupted", "x" * 160, HOSTILE, HOSTILE, 0, HOSTILE)],
    )
    documents = {
        "run": run_page.report(made.run, made.lines(), made.timeline),
        "hostile": run_page.report(hostile.run, hostile.lines(), hostile.timeline),
        "experiment": of_experiment(synthetic_experiment.write(where, failure=HOSTILE)),
        "capacity": of_capacity(sample_capacity.write(where, _searched())),
    }
    for name, document in documents.items():
        (where / f"{name}.html").write_bytes(document)
    return {name: where / f"{name}.html" for name in documents}


def _searched() -> Capacity:
    """Return a capacity with everything that a curve can have, and with hostile text."""
    gave_out = sample_capacity.step(1000, GENERATOR, 800.0, why=HOSTILE)
    return replace(sample_capacity.CAPACITY, steps=[*sample_capacity.STEPS, gave_out], limit=HOSTILE, url=HOSTILE)


def show(page: Page, file: Path) -> None:
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")


@pytest.mark.parametrize("name", ["run", "hostile", "experiment", "capacity"])
@pytest.mark.parametrize("width", [browser.WIDE, browser.NARROW])
def test_nothing_overlaps_or_is_cut_off(
    open_page: OpenPage, pages: dict[str, Path], tmp_path: Path, name: str, width: int
) -> None:
    page = open_page(width=width, dark=width == browser.NARROW, offline=True)
    show(page, pages[name])
    browser.picture(page, tmp_path / f"{name}-{width}.png")
    assert browser.sideways(page) == 0
    assert page.evaluate(TROUBLE) == []
    assert page.locator("figure.plot").count() >= (1 if name == "capacity" else 5)
    assert page.locator("figure.plot:not(:has(.xtick))").count() == 0


def test_hostile_text_does_nothing(open_page: OpenPage, pages: dict[str, Path]) -> None:
    for name in ("hostile", "experiment", "capacity"):
        page = open_page(offline=True)
        show(page, pages[name])
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
        assert page.get_by_text("document.title='owned'").count() > 0


def test_an_injected_script_does_not_run(session: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(pages["run"].read_text().replace("<main>", "<main><script>document.title='owned'</script>", 1))
    title = ""
    with (
        pytest.raises(AssertionError, match="Content Security Policy"),
        browser.open_page(session, offline=True) as page,
    ):
        show(page, broken)
        title = page.title()
    assert title == "echo – wsbench"


def test_colours_follow_the_reader(open_page: OpenPage, pages: dict[str, Path]) -> None:
    page = open_page(offline=True)
    show(page, pages["run"])
    colour = "() => getComputedStyle(document.querySelector('#percentiles .xtick text')).fill"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    deadline = time.monotonic() + scaled(20)
    while page.evaluate(colour) == light:  # the page's own policy forbids playwright to wait in it
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


PLACES = """() => ["heat", "throughput", "errors", "connections", "cpu"].map((id) => {
  const plot = document.querySelector(`#${id} .nsewdrag`).getBoundingClientRect();
  return [plot.left, plot.right, ...document.getElementById(id).layout.xaxis.range].map(Math.round).join(" ");
})"""


@pytest.mark.parametrize("width", [browser.WIDE, browser.NARROW])
def test_an_instant_is_at_the_same_place_in_all_plots_over_time(
    open_page: OpenPage, pages: dict[str, Path], width: int
) -> None:
    page = open_page(width=width, offline=True)
    show(page, pages["run"])
    whole = page.evaluate(PLACES)
    assert len(set(whole)) == 1 and whole[0].endswith(" 0 66")
    page.evaluate("Plotly.relayout(document.getElementById('errors'), {'xaxis.range': [20, 30]})")
    until_all_show(page, " 20 30")
    page.evaluate("Plotly.relayout(document.getElementById('cpu'), {'xaxis.range': [0, 66]})")
    until_all_show(page, " 0 66")


def until_all_show(page: Page, stretch: str) -> None:
    deadline = time.monotonic() + scaled(20)
    while not all(place.endswith(stretch) for place in page.evaluate(PLACES)):
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def test_it_can_be_printed(open_page: OpenPage, pages: dict[str, Path], tmp_path: Path) -> None:
    page = open_page(dark=True, offline=True)
    show(page, pages["run"])
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    browser.picture(page, tmp_path / "print.png")
    assert browser.sideways(page) == 0
    assert page.evaluate(TROUBLE) == []
    assert (
        page.evaluate("getComputedStyle(document.querySelector('#percentiles .xtick text')).fill") == "rgb(28, 36, 48)"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_the_report_of_an_hour_is_small_and_opens_fast(
    open_page: OpenPage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    made = synthetic.stored(3600, per_s=100, samples_per_s=100)
    file = tmp_path / "hour.html"
    file.write_bytes(run_page.report(made.run, made.lines(), made.timeline))
    size = file.stat().st_size
    page = open_page(offline=True)
    begin = time.monotonic()
    show(page, file)
    took_s = time.monotonic() - begin
    record_property("bytes", size)
    record_property("seconds", took_s)
    print(f"an hour's report: {size:,} bytes, drawn after {took_s:.2f} s")
    assert size < LIMIT_BYTES
    assert took_s < scaled(30)
