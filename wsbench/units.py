"""Durations, sizes and rates: parsed from options, formatted for people.

Inside wsbench a duration is an integer of nanoseconds (`*_ns`) and a size an integer of bytes. Every parser raises
`ValueError` with a sentence that names the value and shows a valid one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000

_DURATION_UNITS = {
    "ns": 1,
    "us": NS_PER_US,
    "µs": NS_PER_US,
    "μs": NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "min": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|μs|ms|min|s|m|h)\s*")
_SIZE_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3, "gb": 1000**3}
_SIZE_UNITS |= {"kib": 1024, "mib": 1024**2, "gib": 1024**3}
# ASCII: ignoring case, "s" would match "ſ" as well, and "i" match "ı".
_SIZE = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_RATE = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?)\s*(k?)\s*(?:/\s*(s|min|m|h))?", re.IGNORECASE | re.ASCII)
_LONGEST_NS = 2**62
"""The sum of an instant and a duration must fit 64 bits."""
_LOWEST_RATE = 1e-9
"""Events a second: the periods of lower rates overflow."""


def parse_duration(text: str) -> int:
    """Parse nanoseconds, at most 146 years, from '10s', '250ms', '1m30s', '20us', or a bare number of seconds."""
    stripped = text.strip()
    try:
        total = float(stripped) * NS_PER_S
    except ValueError:
        total, position = 0.0, 0
        while match := _DURATION_PART.match(stripped, position):
            total += float(match[1]) * _DURATION_UNITS[match[2]]
            position = match.end()
        if position == 0 or position != len(stripped):
            total = math.nan
    if not 0 <= total < _LONGEST_NS:  # false for NaN as well
        raise ValueError(f"{text!r} is not a duration: use for example 10s, 250ms or 1m30s")
    return round(total)


def parse_positive_duration(text: str) -> int:
    """Parse a duration as `parse_duration` does, but refuse zero."""
    duration_ns = parse_duration(text)
    if duration_ns == 0:
        raise ValueError(f"{text!r} must be longer than zero")
    return duration_ns


def parse_size(text: str) -> int:
    """Parse bytes from '128', '64k', '1MiB'."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is not a size in bytes: use for example 128, 64k or 1MiB")
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def parse_positive_size(text: str) -> int:
    """Parse a size as `parse_size` does, but refuse zero."""
    size = parse_size(text)
    if size == 0:
        raise ValueError(f"{text!r} must be larger than zero")
    return size


def parse_rate(text: str) -> float:
    """Parse events a second, above zero, from '1000', '1000/s', '2.5k', '600/min'."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate: use for example 1000, 2.5k/s or 600/min")
    seconds = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}[(match[3] or "").lower()]
    rate = float(match[1]) * (1000 if match[2] else 1) / seconds
    if not math.isfinite(rate) or rate <= 0:
        raise ValueError(f"{text!r} is not a rate: it must be above zero")
    if rate < _LOWEST_RATE:
        raise ValueError(f"{text!r} is not a rate: it must be at least {_LOWEST_RATE:.9f}, which is once in 31 years")
    return rate


def parse_share(text: str) -> float:
    """Return the fraction that a percentage stands for: 0.05 of '5%'; the sign may be left out."""
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not 0 <= share < math.inf:  # false for NaN as well
        raise ValueError(f"{text!r} is not a percentage: use for example 5%")
    return share


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a parser that accepts a whole number within limits and raises ValueError for any other text."""

    def parse(text: str) -> int:
        digits = text.strip()
        # int() refuses thousands of digits with an error of its own
        value = int(digits) if digits.isdecimal() and len(digits) < 20 else -1
        if not low <= value <= high:
            raise ValueError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return parse


def one_of(*names: str) -> Callable[[str], str]:
    """Return a parser that accepts these names and raises ValueError for any other text."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}")
        return text

    return parse


def format_duration(duration_ns: float | None) -> str:
    """Format with three significant digits and the unit that fits: '24.1 µs', '1.51 ms', '2.00 s'; '–' for None."""
    return _with_unit(duration_ns, {"s": NS_PER_S, "ms": NS_PER_MS, "µs": NS_PER_US}, "ns")


def format_seconds(duration_ns: int) -> str:
    """Format a configured duration as an option would have it: '10s', '1m30s', '250ms'."""
    if duration_ns % NS_PER_S:
        if duration_ns < NS_PER_MS:
            return f"{duration_ns / NS_PER_US:g}us"
        if duration_ns < NS_PER_S:
            return f"{duration_ns / NS_PER_MS:g}ms"
        return f"{duration_ns / NS_PER_S:.3f}".rstrip("0") + "s"
    hours, rest = divmod(duration_ns // NS_PER_S, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{value}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if value]
    return "".join(parts) or "0s"


def format_utc(moment: datetime) -> str:
    """Return an instant in UTC as ISO 8601 with milliseconds: '2026-11-22T09:15:00.250Z'."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_count(count: float | None) -> str:
    """Format with separated thousands: '128,400'; '–' for None."""
    return "–" if count is None else f"{count:,.0f}"


def format_counted(count: float, one: str, many: str = "") -> str:
    """Return '1 message' or '2,000 messages'; `many` is the plural, if it has no plain s."""
    return f"{format_count(count)} {one if count == 1 else many or one + 's'}"


def format_cores(cores: float) -> str:
    """Format a number of cores, or a share of one: '2 cores', '1 core', '0.5 cores'."""
    return f"{cores:g} {'core' if cores == 1 else 'cores'}"


def format_rate(per_s: float | None) -> str:
    """Format with separated thousands: '128,400/s'; '–' for None."""
    return "–" if per_s is None else f"{per_s:,.0f}/s"


def format_share(share: float | None) -> str:
    """Format as a percentage, rounded down so that only the whole is 100 %: '82.1 %', '99.99 %'; '–' for None."""
    return "–" if share is None else f"{math.floor(share * 10_000) / 100:g} %"


def format_bytes(size: float | None) -> str:
    """Format in powers of ten: '512 B', '12.4 kB', '3.10 MB'; '–' for None."""
    return _with_unit(size, {"GB": 1e9, "MB": 1e6, "kB": 1e3}, "B")


def _with_unit(value: float | None, units: Mapping[str, float], smallest: str) -> str:
    if value is None:
        return "–"
    for unit, size in units.items():
        # 999.6 µs rounds to 1.00 ms, not to 1000 µs
        if value >= size * 0.9995:
            scaled = value / size
            digits = 0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2
            return f"{scaled:,.{digits}f} {unit}"
    return f"{value:.0f} {smallest}"
