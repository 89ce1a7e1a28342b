"""Checks of the values that a scenario gives: a wrong one is refused where it is given, with what would be right.

Each function returns the value in the type that counts, histograms and messages between processes hold, or raises
ValueError: an exception of the scenario, at its own line. Numbers may be of any type, such as numpy's or Decimal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from websockets.frames import EXTERNAL_CLOSE_CODES

from wsbench.measure.series import check_name
from wsbench.units import NS_PER_S

_MAX_COUNT = 2**53
"""JSON readers take a larger number for a float; sums of smaller ones stay within the 64 bits of a message."""
_INT64, _UINT64 = 2**63, 2**64
_HOUR_NS = 3600 * NS_PER_S
_MAX_S = 2.0**31
_MIN_RATE, _MAX_RATE = 1e-6, 1e6
_MAX_REASON = 123
"""RFC 6455, 5.5: the payload of a control frame has 125 bytes, with the code."""


def name_of(value: Any) -> str:
    """Return the name of a series or counter."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} cannot name what is measured: a name is a text")
    return check_name(str.__str__(value))


def count_of(value: Any) -> int:
    """Return what a counter gains."""
    number: int | None = _within(value, _whole, -_MAX_COUNT, _MAX_COUNT)
    if number is None:
        raise ValueError(f"count {value!r}: a counter takes whole numbers of at most 2^53")
    return number


def duration_ns(value: Any, what: str) -> int:
    """Return a duration or an instant in whole ns; a fraction is rounded."""
    number = _within(value, round, -_INT64, _INT64 - 1)
    if number is None:
        raise ValueError(f"{what} {value!r} is not a number of nanoseconds")
    return int(number)


def instant_ns(value: Any, what: str, now_ns: int) -> int:
    """Return an instant of CLOCK_REALTIME that latencies are counted from: at most an hour from now."""
    instant = duration_ns(value, what)
    if abs(instant - now_ns) > _HOUR_NS:
        raise ValueError(f"{what} {value!r} is more than an hour from now: give ns since 1970, as time.time_ns() does")
    return instant


def timeout_s(value: Any, what: str = "timeout_s") -> float:
    """Return a time to wait."""
    seconds: float | None = _within(value, float, 0.0, _MAX_S)
    if seconds is None:
        raise ValueError(f"{what} {value!r} is not a number of seconds from 0")
    return seconds


def rate_per_s(value: Any) -> float:
    """Return a rate of one user's messages."""
    rate: float | None = _within(value, float, _MIN_RATE, _MAX_RATE)
    if rate is None:
        raise ValueError(f"rate {value!r} is not a number of messages a second from {_MIN_RATE:g} to {_MAX_RATE:g}")
    return rate


def group_key(value: Any) -> int | str:
    """Return the key of a group, which must be the same in all processes and fit a message between them."""
    if isinstance(value, str):
        value.encode()  # half a surrogate pair raises UnicodeEncodeError, a ValueError
        return str.__str__(value)
    number: int | None = _within(value, _whole, -_INT64, _UINT64 - 1)
    if number is None:
        raise ValueError(f"key {value!r} is neither a text nor a whole number of 64 bits: give str(key)")
    return number


def close_code(value: Any) -> int:
    """Return a close code that a client may send (RFC 6455, 7.4)."""
    number: int | None = _within(value, _whole, 1000, 4999)
    if number is None or not (number in EXTERNAL_CLOSE_CODES or number >= 3000):
        raise ValueError(f"close code {value!r}: a client sends 1000 to 1003, 1007 to 1014 or 3000 to 4999")
    return number


def close_reason(value: Any) -> str:
    """Return a close reason."""
    if not isinstance(value, str) or len(value.encode()) > _MAX_REASON:
        raise ValueError(f"close reason {value!r:.200}: give a text of at most {_MAX_REASON} bytes")
    return value


def header_pairs(value: Any) -> tuple[tuple[str, str], ...]:
    """Return headers, given as pairs or as a dict; `ConnectOptions` checks their characters."""
    try:
        pairs = list(value.items() if isinstance(value, Mapping) else value)
        return tuple(msgspec.convert(pairs, list[tuple[str, str]]))
    except (TypeError, msgspec.ValidationError):
        raise ValueError(f"headers {value!r}: give pairs of texts, such as [('Name', 'value')]") from None


def subprotocol_names(value: Any) -> tuple[str, ...]:
    """Return names of subprotocols; `ConnectOptions` checks their characters."""
    try:
        return tuple(msgspec.convert(value if isinstance(value, str) else list(value), list[str]))
    except (TypeError, msgspec.ValidationError):
        raise ValueError(f"subprotocols {value!r}: give a list of texts, such as ['chat']") from None


def _within(value: Any, convert: Callable[[Any], Any], lowest: float, highest: float) -> Any:
    """Return a number in the type that `convert` gives it; None if it is no number, or out of range."""
    if type(value) is int and lowest <= value <= highest:  # nearly always, and a third of the time
        return value
    try:
        number = convert(value)
        return number if lowest <= number <= highest and not isinstance(value, str | bytes) else None
    except (TypeError, ValueError, ArithmeticError):
        return None


def _whole(value: Any) -> int:
    if (number := int(value)) != value:
        raise ValueError
    return number
