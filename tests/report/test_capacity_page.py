"""The report of a capacity: its curve, its marks, and names that stay text in it."""

from __future__ import annotations

import pytest
from helpers.html_document import Document
from helpers.sample_capacity import CAPACITY, STEPS, step
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.report.html import capacity_page as page
from wsbench.results.capacity_result import GENERATOR, Capacity
from wsbench.results.run_result import Run

HOSTILE = "</script><b>x</b>&amp;"


def made(found: Capacity = CAPACITY, example: Run | None = RUN) -> Document:
    return Document(page.report(found, example).decode())


def test_the_curve_and_its_marks() -> None:
    document = made()
    figure = document.figure("load")
    lines = {line["name"]: line for line in figure["data"]}
    assert list(lines) == ["p50", "p99", "p99.9", "objective p99", "did not hold", "knee"]
    assert lines["p99"]["x"] == [100, 200, 400, 476, 497, 519, 566, 800]
    assert lines["p99"]["y"] == [0.002, 0.0021, 0.0024, 0.004, 0.008, 0.04, 0.12, 0.9]
    assert lines["objective p99"]["y"] == [0.01, 0.01]
    assert (lines["did not hold"]["x"], lines["did not hold"]["y"]) == ([519, 566, 800], [0.04, 0.12, 0.9])
    assert (lines["knee"]["x"], lines["knee"]["y"]) == ([476.0], [0.004])
    (vertical,) = figure["layout"]["shapes"]
    assert (vertical["x0"], vertical["x1"]) == (497.0, 497.0)
    for expected in ("497 messages/s hold the objectives; 519 do not.", "Limited by the target: at 519 messages/s"):
        assert expected in document.text


def test_a_point_without_a_value_leaves_a_gap_and_is_marked_at_the_reply_timeout() -> None:
    steps = [each if each.load < 800 else replace(each, p99_ns=None, p99_9_ns=None) for each in STEPS]
    lines = {line["name"]: line for line in made(replace(CAPACITY, steps=steps)).figure("load")["data"]}
    assert lines["p99"]["y"][-1] is None
    assert lines["did not hold"]["y"][-1] == 10.0


def test_a_percentile_of_too_few_messages_is_not_drawn() -> None:
    steps = [replace(each, due=150) for each in STEPS]
    lines = {line["name"]: line for line in made(replace(CAPACITY, steps=steps)).figure("load")["data"]}
    assert "p99" in lines
    assert "p99.9" not in lines
    assert "(2.00 ms)" in made(replace(CAPACITY, steps=steps)).text


def test_objectives_on_durations_are_lines_also_beside_one_that_is_written_as_in_wsbench_0_1() -> None:
    objectives = ["p99 < 0.01", "service.p95 < 5ms", "missing < 1%", "lost == 0", "throughput > 5/s", "tcp.p50 < 1ms"]
    lines = {line["name"]: line for line in made(replace(CAPACITY, objectives=objectives)).figure("load")["data"]}
    assert [name for name in lines if "objective" in name] == ["objective service.p95"]
    assert lines["objective service.p95"]["y"] == [0.005, 0.005]


def test_a_generator_at_its_limit_is_marked() -> None:
    steps = [*STEPS[:3], step(800, GENERATOR, 40.0, verdict="saturated")]
    document = made(replace(CAPACITY, steps=steps, limited_by=GENERATOR, limit="the generator, not the target: busy"))
    lines = {line["name"]: line for line in document.figure("load")["data"]}
    assert (lines["generator at its limit"]["x"], lines["generator at its limit"]["y"]) == ([800], [0.04])
    assert "Limited by the generator, not the target: busy. The target may hold more:" in document.text


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            replace(CAPACITY, complete=False, stopped="interrupted"),
            "Stopped: interrupted. Held so far: 497 messages/s.",
        ),
        (replace(CAPACITY, complete=False, limited_by=None), "Incomplete."),
        (replace(CAPACITY, answer=None, knee=None), "none: not even 100 messages/s hold"),
        (replace(CAPACITY, steps=[replace(STEPS[0], due=0, run=None, p50_ns=None, p99_ns=None)]), "Capacity:"),
    ],
)
def test_every_way_a_search_ends_has_a_page(found: Capacity, expected: str) -> None:
    assert expected in made(found, None).text


def test_steps_link_to_their_runs() -> None:
    links = [attrs["href"] for tag, attrs in made().elements if tag == "a"]
    assert links[:2] == ["runs/100/report.html", "runs/200/report.html"]
    assert len(links) == len(STEPS)


def test_names_stay_text() -> None:
    steps = [replace(each, why=HOSTILE, verdict=HOSTILE, run=HOSTILE) for each in STEPS]
    document = made(
        replace(CAPACITY, name=HOSTILE, url=HOSTILE, command=[HOSTILE], limit=HOSTILE, steps=steps, stopped=HOSTILE)
    )
    assert len(document.scripts) == 3
    assert document.text.count(HOSTILE) >= 10
