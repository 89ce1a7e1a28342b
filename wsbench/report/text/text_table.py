"""Text tables for terminals and files, drawn by rich: one line a row, never wrapped, no colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_WIDTH = 1_000_000
"""Columns that rich may use: it shortens nothing, and the terminal's width changes no table."""
_GAP = 2


def left(heading: str = "", width: int = 0) -> Column:
    """Return a left-aligned column for text, at least `width` wide."""
    return Column(Text(heading), min_width=width, no_wrap=True)


def right(heading: str = "", width: int = 9) -> Column:
    """Return a right-aligned column for numbers, at least `width` wide."""
    return Column(Text(heading), min_width=width, justify="right", no_wrap=True)


def draw(columns: Sequence[Column], rows: Iterable[Sequence[str] | str], *, indent: int = 0) -> list[str]:
    """Draw a table. A row of fewer cells than columns leaves the last ones empty; a string is a line across them all.

    `columns` are new for every table: rich keeps the cells in them.
    """
    rows = list(rows)
    headed = any(column.header for column in columns)
    table = Table(*columns, box=None, show_header=headed, pad_edge=False, padding=(0, _GAP, 0, 0))
    for row in rows:
        if not isinstance(row, str):
            table.add_row(*(Text(" ".join(cell.splitlines())) for cell in row))
    output = StringIO()
    Console(file=output, width=_WIDTH, color_system=None, force_terminal=False, force_jupyter=False).print(table)
    drawn = ((" " * indent + line).rstrip() for line in output.getvalue().split("\n"))
    return [*([next(drawn)] if headed else []), *(row if isinstance(row, str) else next(drawn) for row in rows)]


def facts(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Draw rows of (name, text) without a heading."""
    return draw([left(width=11), left()], rows)
