"""Durations, sizes and rates: parsing and formatting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsbench.units import (
    NS_PER_MS,
    NS_PER_S,
    NS_PER_US,
    format_bytes,
    format_cores,
    format_count,
    format_duration,
    format_seconds,
    format_share,
    parse_duration,
    parse_positive_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("10s", 10 * NS_PER_S),
        ("250ms", 250 * NS_PER_MS),
        ("20us", 20 * NS_PER_US),
        ("20µs", 20 * NS_PER_US),  # the micro sign
        ("20μs", 20 * NS_PER_US),  # the Greek letter
        ("7ns", 7),
        ("1m30s", 90 * NS_PER_S),
        ("1h 2m 3s", 3723 * NS_PER_S),
        ("5min", 300 * NS_PER_S),
        ("1.5s", 1500 * NS_PER_MS),
        ("2", 2 * NS_PER_S),
        ("0.25", 250 * NS_PER_MS),
        ("1e3", 1000 * NS_PER_S),
        ("0", 0),
        ("0s", 0),
        ("  3 s ", 3 * NS_PER_S),
    ],
)
def test_durations(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "10x",
        "10 s 5",
        "-1s",
        "-1",
        "nan",
        "inf",
        "1e400",
        "1e300",
        "1e10",
        "146y",
        "41000h 2000000h",
        "1,5s",
        "ms10",
        "9" * 400 + "h",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: use for example 10s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "0.1ns"])
def test_a_duration_that_must_be_positive(text: str) -> None:
    with pytest.raises(ValueError, match="must be longer than zero"):
        parse_positive_duration(text)
    assert parse_positive_duration("1ns") == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("128", 128),
        ("128b", 128),
        ("64k", 64_000),
        ("64KB", 64_000),
        ("1MiB", 1 << 20),
        ("2GiB", 2 << 30),
        ("2 kib", 2048),
        ("3M", 3_000_000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5k", "1t", "1 2", "12x", "\u212a", "1\u017f", "9" * 5000])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1000", 1000.0),
        ("1000/s", 1000.0),
        ("2.5k", 2500.0),
        ("2.5K/s", 2500.0),
        ("600/min", 10.0),
        ("600 / m", 10.0),
        ("3600/h", 1.0),
        ("1e3", 1000.0),
    ],
)
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "0", "0/s", "-5", "10/d", "k", "1e999", "9" * 400, "nan", "1/\u017f", "1/m\u0131n"]
)
def test_no_rates(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)


_TEXTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"\A\s*[-+]?[0-9]{1,400}(\.[0-9]+)?(e[0-9]{1,4})?\s*[a-zµμ]{0,4}(/[a-z]{1,3})?\Z"),
    st.text(alphabet="0123456789.eE+-_/ smhknuµbgi\u017f\u0131\u0130\u212a\u0665", max_size=20),
)


@pytest.mark.parametrize("parse", [parse_duration, parse_positive_duration, parse_size, parse_rate])
@given(text=_TEXTS)
@example(text="1e308")
@example(text="9" * 400 + "s")
@settings(max_examples=200)
def test_whatever_is_typed_gives_a_value_or_a_value_error(parse: Callable[[str], Any], text: str) -> None:
    try:
        value = parse(text)
    except ValueError as error:
        assert str(error)
    else:
        assert value >= 0


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (None, "–"),
        (0, "0 ns"),
        (999, "999 ns"),
        (999.6, "1.00 µs"),
        (1000, "1.00 µs"),
        (24_123, "24.1 µs"),
        (999_499, "999 µs"),
        (999_600, "1.00 ms"),
        (1_507_000, "1.51 ms"),
        (9_994_000, "9.99 ms"),
        (9_996_000, "10.0 ms"),
        (99_960_000, "100 ms"),
        (999_600_000, "1.00 s"),
        (2 * NS_PER_S, "2.00 s"),
        (3600 * NS_PER_S, "3,600 s"),
    ],
)
def test_durations_as_read(duration_ns: float | None, text: str) -> None:
    assert format_duration(duration_ns) == text


@given(st.floats(0, 1e15))
@settings(max_examples=200)
def test_a_duration_as_read_is_right_to_three_digits(duration_ns: float) -> None:
    number, unit = format_duration(duration_ns).replace(",", "").split()
    size = {"ns": 1, "µs": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S}[unit]
    assert abs(float(number) * size - duration_ns) <= max(0.00501 * duration_ns, 0.5)
    assert unit == "s" or float(number) < 1000


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (10 * NS_PER_S, "10s"),
        (90 * NS_PER_S, "1m30s"),
        (3600 * NS_PER_S, "1h"),
        (3725 * NS_PER_S, "1h2m5s"),
        (250 * NS_PER_MS, "250ms"),
        (1500 * NS_PER_MS, "1.5s"),
        (1 * NS_PER_US, "1us"),
        (20_500, "20.5us"),
    ],
)
def test_configured_durations_as_a_person_writes_them(duration_ns: int, text: str) -> None:
    assert format_seconds(duration_ns) == text
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(("cores", "text"), [(0.5, "0.5 cores"), (1, "1 core"), (1.0, "1 core"), (2, "2 cores")])
def test_cores_as_read(cores: float, text: str) -> None:
    assert format_cores(cores) == text


@pytest.mark.parametrize(("count", "text"), [(None, "–"), (0, "0"), (999, "999"), (128_400, "128,400"), (1.6, "2")])
def test_counts_as_read(count: float | None, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (999.6, "1.00 kB"),
        (12_400, "12.4 kB"),
        (3_100_000, "3.10 MB"),
        (2_500_000_000, "2.50 GB"),
    ],
)
def test_sizes_as_read(size: float | None, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.99999, "99.99 %"), (0.8214, "82.14 %"), (0.5, "50 %"), (0.0, "0 %"), (None, "–")],
)
def test_a_share_is_the_whole_only_if_nothing_is_missing(share: float | None, text: str) -> None:
    assert format_share(share) == text
