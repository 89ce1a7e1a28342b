"""The table of a comparison, as the terminal shows it."""

from __future__ import annotations

from helpers.sample_comparison import ANYWAY, COMPARISON, PAIRS

from wsbench.report.text.comparison_text import render
from wsbench.results.comparison_result import Metric, Pair, Verdict, overall_verdict


def test_the_table() -> None:
    rows = render(COMPARISON).splitlines()
    assert rows[:2] == ["BASE  results/a   (websockets)", "NEW   results/b   (picows)"]
    assert rows[3].split() == ["base", "new", "ratio", "interval", "spread", "margin", "verdict"]
    assert rows[4].split("  ")[-1].strip() == "no difference"
    assert "50.0 µs  2.05 ms    41.0    27.1 – 62.1  15 % (assumed)     5 %  slower" in rows[5]
    assert rows[6].endswith("1.100  0.900 – 1.300            10 %    10 %  inconclusive: about 12")
    assert rows[7] == "  p99.9       not compared: too few | <messages>"
    assert len({row.rindex(" %  ") for row in rows[4:7]}) == 1
    assert rows[-1] == "verdict: NEW is slower: p50 ×41"
    assert "95 % confidence interval; latencies are of `response`; verdicts hold for all 3 comparisons" in render(
        COMPARISON
    )
    assert "note: the kernel *differs*" in rows


def test_differences_that_were_ignored_are_listed() -> None:
    assert "COMPARED ANYWAY" not in render(COMPARISON)
    assert "COMPARED ANYWAY, although the two are not comparable:\n  payload: 128 B against 256 B\n" in render(ANYWAY)


def test_pairs_are_named_where_there_are_several() -> None:
    assert "echo" not in render(COMPARISON)
    text = render(PAIRS)
    assert "\nx 1B   (2 against 1 runs)\n" in text
    assert "\nx 2B: not compared: NEW has no run of it\n" in text


def of(*verdicts: tuple[Verdict, bool], missing: bool = False) -> Verdict:
    metrics = [Metric("p50", verdict, 0.05, not_slower=not_slower) for verdict, not_slower in verdicts]
    return overall_verdict([Pair("a", metrics=metrics), Pair("b", reason="…", missing=missing)])


def test_the_overall_verdict() -> None:
    slower, faster, equal = (Verdict.SLOWER, False), (Verdict.FASTER, True), (Verdict.NO_DIFFERENCE, True)
    perhaps, not_worse, skipped = (
        (Verdict.INCONCLUSIVE, False),
        (Verdict.INCONCLUSIVE, True),
        (Verdict.NOT_COMPARED, False),
    )
    assert of(slower, faster, perhaps, missing=True) == Verdict.SLOWER
    assert of(faster, equal, not_worse, skipped) == Verdict.FASTER
    assert of(faster, equal, perhaps) == Verdict.INCONCLUSIVE
    assert of(faster, missing=True) == Verdict.INCONCLUSIVE
    assert of(equal, not_worse) == Verdict.INCONCLUSIVE
    assert of(equal, skipped) == Verdict.NO_DIFFERENCE
    assert of(skipped) == of() == Verdict.INCONCLUSIVE
