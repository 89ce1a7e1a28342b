"""The one text table: alignment, lines across it, and cells that stay one line of plain text."""

from __future__ import annotations

import pytest

from wsbench.report.text.text_table import draw, facts, left, right


def test_text_is_left_and_figures_are_right_aligned_under_their_headings() -> None:
    assert draw([left("name"), right("p50"), right("interval", 0)], [("a", "1 µs", "2"), ("longer", "-", "3 – 4")]) == [
        "name          p50  interval",
        "a            1 µs         2",
        "longer          -     3 – 4",
    ]


def test_a_table_without_headings_has_no_line_for_them() -> None:
    assert draw([left(width=4), right(width=0)], [("a", "1"), ("b",)]) == ["a     1", "b"]
    assert draw([left()], []) == []
    assert draw([left("only")], []) == ["only"]


def test_a_string_is_a_line_across_the_columns_and_widens_none() -> None:
    rows = [("a", "1"), "something far longer than the columns", ("b", "2")]
    assert draw([left(), right(width=0)], rows, indent=2) == ["  a  1", rows[1], "  b  2"]


def test_the_terminal_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> list[str]:
        return draw([left("heading")], [("x" * 500,)])

    plain = drawn()
    assert plain == ["heading", "x" * 500]
    for name, value in (("COLUMNS", "20"), ("FORCE_COLOR", "1"), ("TTY_COMPATIBLE", "1"), ("JUPYTER_COLUMNS", "20")):
        monkeypatch.setenv(name, value)
    assert drawn() == plain


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", ":smile:", "back\\slash", "a\nb", "a\r\nb", "a\u2028b"])
def test_a_cell_is_one_line_of_its_own_text(text: str) -> None:
    assert draw([left(), left()], [(text, "next")]) == [f"{' '.join(text.splitlines())}  next"]


def test_facts_are_aligned() -> None:
    assert facts([("messages", "3 sent"), ("", "more")]) == ["messages     3 sent", "             more"]
