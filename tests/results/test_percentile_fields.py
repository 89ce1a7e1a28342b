"""The one list of latency figures: labels, quantiles and fields."""

from __future__ import annotations

import pytest

from wsbench.results.percentile_fields import FIELDS, PERCENTILES, figure_of
from wsbench.results.run_result import Latency


def test_every_label_names_a_field_of_a_latency() -> None:
    latency = Latency(
        min_ns=1, p50_ns=2, p90_ns=3, p99_ns=4, p99_9_ns=5, p99_99_ns=6, max_ns=7, mean_ns=8, survivors={"p99_ns": 99}
    )
    assert {label: figure_of(latency, label) for label in FIELDS} == {
        "p50": 2,
        "p90": 3,
        "p99": 4,
        "p99.9": 5,
        "p99.99": 6,
        "min": 1,
        "mean": 8,
        "max": 7,
    }


def test_a_figure_that_fell_among_the_lost_has_no_value() -> None:
    assert figure_of(Latency(count=1, lost=9, p50_ns=None), "p50") is None


@pytest.mark.parametrize(
    ("label", "quantile", "samples"),
    [("p50", 0.5, 20), ("p90", 0.9, 100), ("p99", 0.99, 1_000), ("p99.9", 0.999, 10_000), ("p99.99", 0.9999, 100_000)],
)
def test_a_percentile_needs_ten_messages_above_it(label: str, quantile: float, samples: int) -> None:
    percentile = PERCENTILES[label]
    assert (percentile.quantile, percentile.samples) == (quantile, samples)
