"""The distribution drawn in text."""

from __future__ import annotations

import msgspec
import pytest
from helpers.sample_run import RUN

from wsbench.report.text.summary import legible, render
from wsbench.report.text.text_histogram import rows
from wsbench.results.run_result import Latency, Run


def drawn(response: dict[int, int], service: dict[int, int] | None = None, *, loop: str = "open", lost: int = 0) -> Run:
    both = {"response": response, "service": response if service is None else service}
    lost_of = {"response": lost, "service": 0}
    latency = {
        name: Latency(count=sum(each.values()), lost=lost_of[name], histogram=each) for name, each in both.items()
    }
    latency = RUN.latency | latency
    conditions = msgspec.structs.replace(RUN.conditions, loop=loop)
    return msgspec.structs.replace(RUN, latency=latency, conditions=conditions)


def test_one_line_per_bound_with_bars_in_proportion() -> None:
    head, *lines, last = rows(drawn({22_000: 50, 27_000: 100, 39_000: 1}, loop="closed"))
    assert head == "distribution  response = service" and last == ""
    assert [line[:14].strip() for line in lines] == ["≤  22.0 µs", "≤  27.0 µs", "≤  33.0 µs", "≤  39.0 µs"]
    assert [int(line.split()[-1]) for line in lines] == [50, 100, 0, 1]
    bars = [line[14:68].strip() for line in lines]
    assert bars == ["█" * 25 + "▌", "█" * 51, "", "▌"]


def test_response_and_service_side_by_side() -> None:
    head, *lines, _ = rows(drawn({1_000: 4, 1_200: 2}, {1_000: 6}))
    assert head.split() == ["distribution", "response", "service"]
    assert [line.split()[-1] for line in lines] == ["6", "0"] and [line.split()[4] for line in lines] == ["4", "2"]
    assert head.index("service") == lines[0].index("█" * 18, 40)


def test_a_wide_distribution_has_few_lines_that_end_on_round_figures() -> None:
    wide = {10_000: 1, 120_000: 5, 1_000_000: 9, 47_000_000: 2, 1_000_000_000: 1}
    _, *lines, _ = rows(drawn(wide, loop="closed"))
    assert len(lines) == 16  # five decades of three lines
    assert [line[4:13].strip() for line in lines[:4]] == ["10.0 µs", "22.0 µs", "47.0 µs", "100 µs"]
    assert sum(int(line.split()[-1]) for line in lines) == 18


@pytest.mark.parametrize(
    "histogram",
    [{1: 5}, {3_600_000_000_000: 1}, {1: 1, 3_600_000_000_000: 10**8}, {10: 1, 12: 1}, {1: 2, 10: 3, 12: 4}],
)
def test_the_ends_of_the_scale(histogram: dict[int, int]) -> None:
    lines = rows(drawn(histogram))
    assert lines[1:] and max(len(line) for line in lines) <= 80
    assert sum(int(line.split()[-1].replace(",", "")) for line in lines[1:-1]) == sum(histogram.values())


def test_lost_messages_have_a_line() -> None:
    lines = rows(drawn({1_000: 4}, lost=1_200))
    assert lines[-2].split() == ["lost", "1,200", "0"]
    assert "lost" not in "".join(rows(drawn({1_000: 4})))


def test_without_samples_and_in_older_results_there_is_no_histogram() -> None:
    assert rows(RUN) == [] and "distribution" not in render(RUN, "results/x")


def test_ascii_for_outputs_without_blocks() -> None:
    summary = render(drawn({22_000: 50, 27_000: 100, 39_000: 1}), "results/x")
    assert legible(summary, "utf-8") == summary
    for encoding in ("ascii", "latin-1", None, "no such encoding"):
        plain = legible(summary, encoding)
        assert plain.isascii() and "<=  22.0 us  " in plain and "#" * 18 in plain
        assert len(plain.splitlines()) == len(summary.splitlines())
