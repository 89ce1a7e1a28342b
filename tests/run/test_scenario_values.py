"""Values that a scenario gives: in the type that the rest of wsbench can hold, or refused with what would be right."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from wsbench.run import scenario_values
from wsbench.run.packing import pack

NOW = 1_800_000_000_000_000_000
NAN, INF = float("nan"), float("inf")


class Text(str):
    """A text that MessagePack cannot hold."""

    __slots__ = ()


def duration(value: Any) -> int:
    return scenario_values.duration_ns(value, "value_ns")


def instant(value: Any) -> int:
    return scenario_values.instant_ns(value, "due_ns", NOW)


@pytest.mark.parametrize(
    ("check", "given", "value"),
    [
        (scenario_values.name_of, "order", "order"),
        (scenario_values.name_of, Text("order"), "order"),
        (scenario_values.count_of, 3, 3),
        (scenario_values.count_of, -1, -1),
        (scenario_values.count_of, True, 1),
        (scenario_values.count_of, 2.0, 2),
        (scenario_values.count_of, np.int64(3), 3),
        (scenario_values.count_of, Decimal(2), 2),
        (duration, 2_500_000, 2_500_000),
        (duration, 2.5e6, 2_500_000),
        (duration, 1.6, 2),
        (duration, np.float32(1.5), 2),
        (duration, Fraction(7, 2), 4),
        (duration, -3, -3),
        (instant, NOW - 5, NOW - 5),
        (instant, float(NOW), NOW),
        (scenario_values.timeout_s, 0, 0.0),
        (scenario_values.timeout_s, 0.5, 0.5),
        (scenario_values.timeout_s, Decimal("0.5"), 0.5),
        (scenario_values.rate_per_s, 0.1, 0.1),
        (scenario_values.group_key, 2**64 - 1, 2**64 - 1),
        (scenario_values.group_key, 7.0, 7),
        (scenario_values.group_key, np.int32(7), 7),
        (scenario_values.group_key, Text("a"), "a"),
        (scenario_values.close_code, 1000, 1000),
        (scenario_values.close_code, 4999, 4999),
        (scenario_values.close_reason, "é" * 61, "é" * 61),
        (scenario_values.header_pairs, {"A": "b"}, (("A", "b"),)),
        (scenario_values.header_pairs, iter([["A", "b"]]), (("A", "b"),)),
        (scenario_values.subprotocol_names, ["a", "b"], ("a", "b")),
    ],
)
def test_a_right_value_is_of_a_type_that_can_be_reported(check: Callable[[Any], Any], given: Any, value: Any) -> None:
    result = check(given)
    assert result == value and type(result) in (int, float, str, tuple)
    pack({"value": result})


@pytest.mark.parametrize(
    ("check", "given"),
    [
        *(
            (scenario_values.name_of, bad)
            for bad in (5, None, b"order", ["order"], "", "or\nder", "connect", "x" * 201)
        ),
        *((scenario_values.count_of, bad) for bad in (0.5, NAN, INF, None, "1", b"1", 2**53 + 1, -(2**64), 1j, [1])),
        *((duration, bad) for bad in (NAN, INF, None, "5", 1e30, 2**63, Decimal("NaN"), 1j)),
        *((instant, bad) for bad in (0, -1, NAN, None, NOW // 10**9, NOW + 3601 * 10**9, "now")),
        *((scenario_values.timeout_s, bad) for bad in (-1, NAN, INF, "1", b"1", 1e12, [1], 10**400)),
        *((scenario_values.rate_per_s, bad) for bad in (0, -5, NAN, INF, "10", 2e6, 1e-300)),
        *((scenario_values.group_key, bad) for bad in (1.5, None, 2**64, (1, 2), NAN, "\ud800", b"a")),
        *((scenario_values.close_code, bad) for bad in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "1000", None)),
        *((scenario_values.close_reason, bad) for bad in ("é" * 62, b"bye", None, "\ud800")),
        *((scenario_values.header_pairs, bad) for bad in (["ab"], [("A", 1)], [("A",)], 5, [(b"A", b"b")])),
        *((scenario_values.subprotocol_names, bad) for bad in ("chat", [1], 5)),
    ],
)
def test_a_wrong_value_is_refused(check: Callable[[Any], Any], given: Any) -> None:
    with pytest.raises(ValueError) as refused:
        check(given)
    assert str(refused.value)
