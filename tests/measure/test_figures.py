"""The tables of figures: docs/gates.md shows them, and words of other tools lead to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from wsbench.measure.figures import RUN_FIGURES, SERIES_FIGURES, Figure, suggestion

PAGE = (Path(__file__).parents[2] / "docs" / "gates.md").read_text()
BASES = {"attempts": "attempts to connect", "due": "messages due"}


@pytest.mark.parametrize(("heading", "figures"), [("a run", RUN_FIGURES), ("a series", SERIES_FIGURES)])
def test_the_page_lists_the_figures(heading: str, figures: Mapping[str, Figure]) -> None:
    table = PAGE.partition(f"Figures of {heading}:\n\n")[2].partition("\n\n")[0]
    shown = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) ?\|$", table, re.MULTILINE)
    assert [row for row in shown if row[0] != "pN"] == [
        (each.name, each.unit, each.meaning, ", and ".join(BASES[base] for base in each.percent_of))
        for each in figures.values()
    ]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("avg", "mean"), ("Average", "mean"), ("median", "p50"), ("maximum", "max"), ("rps", "throughput"),
        ("erors", "errors"), ("losst", "lost"), ("droped", "dropped"), ("timeouts", "lost"), ("failure", "errors"),
        ("prices", None), ("x", None), ("", None),
    ],
)  # fmt: skip
def test_a_word_that_is_no_figure_leads_to_one(word: str, meant: str | None) -> None:
    assert suggestion(word) == meant
