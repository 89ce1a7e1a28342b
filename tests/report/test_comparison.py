"""The table of a comparison, as it stands on the terminal."""

from __future__ import annotations

from msgspec.structs import replace

from wsbench.comparison import Comparison, Metric, Pair, Side, Verdict, overall
from wsbench.report.comparison import text

METRICS = [
    Metric("throughput", Verdict.NO_DIFFERENCE, 0.05, 1000.0, 998.0, 0.998, 0.97, 1.02, 1.0, 0.01, "measured", True),
    Metric("p50", Verdict.SLOWER, 0.05, 50_000.0, 2_050_000.0, 41.0, 27.1, 62.1, 0.0, 0.15, "assumed"),
    Metric(
        "p99", Verdict.INCONCLUSIVE, 0.1, 90_000.0, 99_000.0, 1.1, 0.9, 1.3, 0.4, 0.1, "measured", False, 12, "about 12"
    ),
    Metric("p99.9", Verdict.NOT_COMPARED, 0.15, reason="too few | <messages>"),
]
COMPARISON = Comparison(
    schema=1,
    wsbench="0.1.0",
    base=Side("results/a", "run", "a", ["websockets"]),
    new=Side("results/b", "run", "b", ["picows"]),
    verdict=Verdict.SLOWER,
    said="NEW is slower: p50 ×41",
    series="response",
    confidence=0.95,
    anyway=False,
    differences=[],
    notes=["the kernel *differs*"],
    pairs=[Pair("echo", ["a"], ["b"], METRICS)],
)
ANYWAY = replace(COMPARISON, anyway=True, differences=["payload: 128 B against 256 B"])
PAIRS = replace(
    COMPARISON,
    pairs=[Pair("x 1B", ["a", "c"], ["b"], METRICS), Pair("x 2B", reason="NEW has no run of it", missing=True)],
)


def test_the_table() -> None:
    rows = text(COMPARISON).splitlines()
    assert rows[:2] == ["BASE  results/a   (websockets)", "NEW   results/b   (picows)"]
    assert rows[3].split() == ["base", "new", "ratio", "interval", "spread", "margin", "verdict"]
    assert rows[4].split("  ")[-1].strip() == "no difference"
    assert "50.0 µs    2.05 ms    41.0      27.1 – 62.1   15 % (assumed)     5 %   slower" in rows[5]
    assert rows[6].endswith("1.100    0.900 – 1.300             10 %    10 %   inconclusive: about 12")
    assert rows[7] == "  p99.9         not compared: too few | <messages>"
    assert len({row.rindex(" %   ") for row in rows[4:7]}) == 1
    assert rows[-1] == "verdict: NEW is slower: p50 ×41"
    assert "95 % confidence interval; latencies are of `response`; verdicts hold for all 3 comparisons" in text(
        COMPARISON
    )
    assert "note: the kernel *differs*" in rows


def test_what_was_compared_anyway_is_said() -> None:
    assert "COMPARED ANYWAY" not in text(COMPARISON)
    assert "COMPARED ANYWAY, although they are not comparable:\n  payload: 128 B against 256 B\n" in text(ANYWAY)


def test_pairs_are_named_where_there_are_several() -> None:
    assert "echo" not in text(COMPARISON)
    said = text(PAIRS)
    assert "\nx 1B   (2 against 1 runs)\n" in said
    assert "\nx 2B: not compared: NEW has no run of it\n" in said


def of(*verdicts: tuple[Verdict, bool], missing: bool = False) -> Verdict:
    metrics = [Metric("p50", verdict, 0.05, not_slower=not_slower) for verdict, not_slower in verdicts]
    return overall([Pair("a", metrics=metrics), Pair("b", reason="…", missing=missing)])


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
