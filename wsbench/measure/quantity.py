"""Quantities that gates name, and how a dotted name is read: `[SCOPE.][SERIES.]FIGURE` or `[SCOPE.]COUNTER`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from wsbench.measure.figures import RUN_FIGURES, SERIES_FIGURES, Figure, Unit
from wsbench.measure.phases import Phase

_PHASES = frozenset(Phase)
_STAGE = re.compile(r"stage\d+", re.ASCII)
_PERCENTILE = re.compile(r"p\d+(\.\d+)?", re.ASCII)
_PLAIN = re.compile(r"[\w+-]+(\.[\w+-]+)*", re.ASCII)


class Word(NamedTuple):
    """One word of a dotted name. A quoted one belongs to the name of a series or counter, whatever it says."""

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Quantity:
    """Figure or counter that a gate names.

    Attributes:
        scope: a phase or a stage; None for what the figure covers without one.
        name: of a series; of a counter if there is no `figure`.
        figure: of `RUN_FIGURES` if there is no name, else of `SERIES_FIGURES`, or a percentile.
    """

    scope: str | None
    name: str | None
    figure: str | None

    @property
    def series(self) -> str | None:
        """The series that the figure is of, `response` if none is named; None for a figure of a run and a counter."""
        if self.figure is None or (self.name is None and self.figure in RUN_FIGURES):
            return None
        return self.name or "response"

    @property
    def percent(self) -> float | None:
        """99.9 for the percentile p99.9; None for other figures."""
        return float(self.figure[1:]) if self.figure and _PERCENTILE.fullmatch(self.figure) else None

    @property
    def definition(self) -> Figure | None:
        """The figure's row in its table; None for a counter."""
        if self.figure is None:
            return None
        if self.percent is not None:
            return Figure(self.figure, Unit.DURATION, "a percentile")
        return RUN_FIGURES[self.figure] if self.series is None else SERIES_FIGURES[self.figure]

    @property
    def unit(self) -> Unit:
        """The figure's unit."""
        return Unit.COUNT if self.definition is None else self.definition.unit

    def __str__(self) -> str:
        """Return the text that is read as this, with quotes only if the name needs them."""
        text = ".".join(filter(None, (self.scope, self.name, self.figure)))
        if self.name is None or self._is_plain(text):
            return text
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return ".".join(filter(None, (self.scope, f'"{escaped}"', self.figure)))

    def _is_plain(self, text: str) -> bool:
        """Return whether the text without quotes is read as this, and its name not as a scope."""
        if needs_quotes(text) or is_scope(words_of(self.name or "")[0]):
            return False
        return read_quantity(words_of(text)) == self


def needs_quotes(name: str) -> bool:
    """Return whether a gate can name this only in quotes, because of its characters."""
    return _PLAIN.fullmatch(name) is None


def words_of(name: str) -> list[Word]:
    """Return the words of a dotted name without quotes."""
    return [Word(text) for text in name.split(".")]


def read_quantity(words: Sequence[Word]) -> Quantity:
    """Return what the words of a dotted name, at least one, stand for. What is nothing else is a counter."""
    rest = list(words)
    scope = rest.pop(0).text if len(rest) > 1 and is_scope(rest[0]) else None
    figure = _pop_figure(rest)
    return Quantity(scope, ".".join(word.text for word in rest) if rest else None, figure)


def is_scope(word: Word) -> bool:
    """Return whether a word is a phase or a stage."""
    return not word.quoted and (word.text in _PHASES or is_stage(word.text))


def is_stage(text: str) -> bool:
    """Return whether a text is one of stage1, stage2, …"""
    return _STAGE.fullmatch(text) is not None


def _pop_figure(words: list[Word]) -> str | None:
    """Remove the figure at the end, if there is one, and return it."""
    for length in (2, 1):  # p99.9 is two words
        last = words[-length:]
        text = ".".join(word.text for word in last)
        of_run = len(words) == 1 and text in RUN_FIGURES
        if (of_run or text in SERIES_FIGURES or _PERCENTILE.fullmatch(text)) and not any(w.quoted for w in last):
            del words[-length:]
            return text
    return None
