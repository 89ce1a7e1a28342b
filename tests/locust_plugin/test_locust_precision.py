"""Fractions of milliseconds in Locust's statistics."""

from __future__ import annotations

import helpers.unpatched_locust  # noqa: F401 - imports Locust without its patches
import pytest

from wsbench.locust_plugin.locust_precision import rounded


@pytest.mark.parametrize(
    ("value", "two", "three"),
    [(0.0, 0, 0), (0.012345, 0.012, 0.0123), (1.25, 1.2, 1.25), (147, 150, 147), (58760, 59000, 58800)],
)
def test_values_keep_significant_digits_at_any_size(value: float, two: float, three: float) -> None:
    assert (rounded(value), rounded(value, 3)) == (two, three)
