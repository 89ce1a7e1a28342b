"""A comparison with one metric of every verdict, and two variants of it."""

from __future__ import annotations

from msgspec.structs import replace

from wsbench.results.comparison_result import Comparison, ComparisonSide, Metric, Pair, Verdict

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
    base=ComparisonSide("results/a", "run", "a", ["websockets"]),
    new=ComparisonSide("results/b", "run", "b", ["picows"]),
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
