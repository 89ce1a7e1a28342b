"""Markdown for CI summaries: tables that stay tables, text that stays text."""

from __future__ import annotations

import pytest
from helpers.sample_comparison import ANYWAY, COMPARISON, PAIRS
from helpers.sample_run import EXAMPLES, RUN
from msgspec.structs import replace

from wsbench.measure.findings import Finding
from wsbench.report.markdown import comparison_summary, run_summary
from wsbench.results.run_result import Gate, Generator, Outcome, Reason


def tables(markdown: str) -> list[list[list[str]]]:
    """Return the cells of all tables; check their rules and leave them out. \\| is not a border."""
    found: list[list[list[str]]] = []
    before = ""
    for line in markdown.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")]
            if not before.startswith("|"):
                assert before == "", "GitHub wants an empty line before a table"
                found.append([])
            found[-1].append([cell.replace("\0", "|") for cell in cells])
        before = line
    for table in found:
        assert set(table.pop(1)) == {":---"}
        assert len({len(row) for row in table}) == 1
    return found


def test_a_run() -> None:
    text = run_summary(RUN)
    latency, figures, gates = tables(text)
    assert text.startswith("### ✅ wsbench run: echo\n\n**passed**\n\nws://")
    assert latency[0] == ["latency", "p50", "p90", "p99", "p99.9", "max"]
    assert latency[1] == ["response", "24.1 µs", "40.0 µs", "67.6 µs", "–", "1.78 ms"]
    assert figures[1] == ["995 replies/s", "10,000", "9,950", "50", "50 of 50"]
    assert gates[1] == ["✅ passed", "--fail-if 'p99 \\> 5ms'", "1.20 ms"]
    assert "\n\n**Errors:**\n- 1 × the server closed the connection with 1011 *(target)*\n\n" in text
    assert "**Generator: ok**" in text
    assert "50 connections, open loop, 1,000 messages/s" in text
    assert text.endswith("\n\n"), "what another step appends is a paragraph of its own"


LOST = Reason("lost", 50, "50 lost")


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({"generator": Generator("late")}, "### ⚠️ wsbench run: echo\n\n**passed**"),
        ({"outcome": Outcome("passed", [LOST])}, "### ⚠️ wsbench run: echo\n\n**passed: 50 lost**"),
        ({"outcome": Outcome("failed", [LOST])}, "### ❌ wsbench run: echo\n\n**FAILED: 50 lost**"),
        ({"outcome": Outcome("not-measured", [LOST])}, "### ❌ wsbench run: echo\n\n**NOT MEASURED: 50 lost**"),
        ({"outcome": Outcome()}, "### ✅ wsbench run: echo\n\nws://"),
        ({"outcome": Outcome(), "gates": [Gate("lost > 0", True, "50")]}, "### ❌ wsbench run: echo\n\nws://"),
    ],
)
def test_the_heading_has_the_outcome(changes: dict[str, object], heading: str) -> None:
    assert run_summary(replace(RUN, **changes)).startswith(heading)


def test_the_first_wrong_replies() -> None:
    text = run_summary(replace(RUN, examples=EXAMPLES))
    assert "\n\n**Wrong replies:**\n- corrupted, the first: 10 bytes before the message: 'You said: '; received" in text
    assert '\n- rejected, order, the first: no funds; received \'\\{"error":"no funds"\\}\'\n' in text
    assert "received '\\<b\\>welcome\\</b\\>'\n\n**Generator" in text
    assert "Wrong" not in run_summary(RUN)


def test_findings_and_an_early_end() -> None:
    text = run_summary(replace(RUN, complete=False, generator=Generator("late", [Finding("sent-late", "1_2", "Do.")])))
    assert "**Incomplete:**" in text
    assert "- `sent-late`: 1\\_2 *Do.*" in text
    assert "Incomplete" not in run_summary(RUN)


def test_code_in_texts_of_wsbench() -> None:
    finding = Finding("cpu-busy", "`a_b|c` of `d\\e` and one ` more", "Run `wsbench plan`.")
    text = run_summary(replace(RUN, generator=Generator("ok", [finding])))
    assert "- `cpu-busy`: `a_b|c` of `d\\e` and one \\` more *Run `wsbench plan`.*" in text


def test_counters_are_of_the_whole_run() -> None:
    counters = tables(run_summary(replace(RUN, counters={"good_ones": 1200, "bad": 3})))[2]
    assert counters == [["counted", "of the whole run"], ["good\\_ones", "1,200"], ["bad", "3"]]


def test_text_from_outside_is_not_markup() -> None:
    nasty = "a|b\n# <script> `c` *d* [e](f)"
    text = run_summary(replace(RUN, name=nasty, gates=[Gate(nasty, True, nasty)]))
    escaped = "a|b \\# \\<script\\> \\`c\\` \\*d\\* \\[e\\](f)"
    assert tables(text)[2][1] == ["❌ failed", f"--fail-if '{escaped}'", escaped]
    assert text.splitlines()[0].endswith(escaped.replace("|", "\\|"))


def test_a_comparison() -> None:
    text = comparison_summary(COMPARISON)
    sides, table = tables(text)
    assert text.startswith("### ❌ wsbench compare: NEW is slower: p50 ×41\n")
    assert sides[1:] == [["BASE", "results/a", "websockets"], ["NEW", "results/b", "picows"]]
    assert table[0] == ["", "base", "new", "ratio", "interval", "spread", "margin", "verdict"]
    assert table[2] == ["p50", "50.0 µs", "2.05 ms", "41.0", "27.1 – 62.1", "15 % (assumed)", "5 %", "❌ slower"]
    assert table[4][-1] == "– not compared: too few | \\<messages\\>"
    assert "- the kernel \\*differs\\*\n" in text
    assert "Compared anyway" not in text


def test_a_comparison_of_many_pairs_and_ignored_differences() -> None:
    text = comparison_summary(PAIRS)
    assert "**x 1B** (2 against 1 runs)" in text
    assert "**x 2B**: not compared: NEW has no run of it" in text
    assert (
        "**Compared anyway**, although the two are not comparable:\n- payload: 128 B against 256 B\n"
        in comparison_summary(ANYWAY)
    )
