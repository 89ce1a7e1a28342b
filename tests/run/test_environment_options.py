"""Variables that are options: empty ones, line ends, several values."""

from __future__ import annotations

import os

import pytest

from wsbench.run import environment_options


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ("", None),
        ("\n", None),
        (" \t", None),
        ("1000", "1000"),
        ("1000\n", "1000"),
        ("1000\r\n", "1000"),
        (" spaces stay ", " spaces stay "),
        ("A: b\nC: d\n", "A: b\nC: d"),
    ],
)
def test_an_empty_variable_is_none_and_a_line_end_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, found: str, left: str | None
) -> None:
    monkeypatch.setenv("WSBENCH_OF_A_TEST", found)
    monkeypatch.setenv("OF_ANOTHER_PROGRAM", found)
    environment_options.tidy()
    assert os.environ.get("WSBENCH_OF_A_TEST") == left
    assert os.environ["OF_ANOTHER_PROGRAM"] == found


@pytest.mark.parametrize(
    ("value", "values"),
    [("A: b", ["A: b"]), ("A: b\nC: d", ["A: b", "C: d"]), ("A: b\r\n\nC: d", ["A: b", "C: d"]), ("\n", [])],
)
def test_a_repeatable_option_has_a_value_a_line(value: str, values: list[str]) -> None:
    assert environment_options.lines_of(value) == values
