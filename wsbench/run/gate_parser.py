"""The parser of conditions, whose grammar is in `run.gates`. Its errors name the character, from 1, and the word."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from wsbench.measure.figures import Unit
from wsbench.measure.quantity import Quantity, Word, is_scope, is_stage, read_quantity
from wsbench.measure.series import BUILT_IN, RESERVED, SERIES
from wsbench.run.gates import OPPOSITES, Condition, hint
from wsbench.units import parse_duration, parse_rate

_WORD = re.compile(r'([\w+-]+)|"((?:[^"\\]|\\.)*)"', re.ASCII | re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_JOINT = re.compile(r"\b(and|or)\b|&+|\|+|,(?=\s)|;", re.IGNORECASE | re.ASCII)
_COMPARISON = re.compile(r">=|<=|==|!=|>|<")
_UPPER, _LOWER = ("<", "<="), (">", ">=")
_WITHOUT_LOSSES = set(SERIES) - {"response", "service"}
"""Series of every run in which no message can be lost."""


class _Wrong(Exception):
    """An error at a place in the text, from 0."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at


class _Path(NamedTuple):
    """A dotted name: its words, where each begins, and what they stand for."""

    words: list[Word]
    places: list[int]
    quantity: Quantity

    @property
    def place_of_figure(self) -> int:
        """The place where the figure begins; p99.9 is two words."""
        return self.places[-1 - (self.quantity.figure or "").count(".")]


def parse(expression: str) -> Condition:
    """Parse a condition; a ValueError names the error and its character (from 1)."""
    try:
        return _Parser(expression).condition()
    except _Wrong as wrong:
        raise ValueError(f"{expression!r}, character {wrong.at + 1}: {wrong}") from None


def parse_objective(expression: str) -> Condition:
    """Parse an objective; raise ValueError as `parse`, or if it bounds from the wrong side, like a --fail-if."""
    condition = parse(expression)
    allowed: tuple[str, ...] = _LOWER if condition.unit.more_is_better else _UPPER
    if condition.unit is Unit.COUNT:
        allowed = (*allowed, "==")
    if condition.comparison not in allowed:
        better = f"{condition.metric} {allowed[0]} ..."
        raise ValueError(f"{expression!r}: an objective is what must hold, such as {better!r}")
    return condition


class _Parser:
    """One parse: `_at` is the place of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def condition(self) -> Condition:
        """Parse the whole text."""
        path, divisor = self._path(), None
        if self._next_is("/"):
            divisor = self._path()
        comparison = self._comparison()
        at, limit = self._at, " ".join(self._text[self._at :].split())
        if (joint := _JOINT.search(self._text, at)) is not None:
            raise _Wrong(joint.start(), f"{joint[0]!r} joins conditions: give each one to an option of its own")
        if not limit:
            raise _Wrong(at, "a value is expected")
        paths = [path] if divisor is None else [path, divisor]
        for each in paths:
            _check(each, ratio=len(paths) > 1)
        value, share = _limit(path, limit, at, ratio=len(paths) > 1)
        return Condition(path.quantity, divisor.quantity if divisor else None, comparison, limit, value, share)

    def _skip_spaces(self) -> None:
        rest = self._text[self._at :]
        self._at += len(rest) - len(rest.lstrip())

    def _next_is(self, sign: str) -> bool:
        self._skip_spaces()
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) * found
        return found

    def _path(self) -> _Path:
        self._skip_spaces()
        words, places = [], []
        while True:
            match = _WORD.match(self._text, self._at)
            if match is None:
                raise _Wrong(self._at, self._no_word())
            places.append(self._at)
            plain, in_quotes = match.groups()
            words.append(Word(plain) if plain else Word(_ESCAPED.sub(r"\1", in_quotes), quoted=True))
            self._at = match.end()
            if not self._text.startswith(".", self._at):
                return _Path(words, places, read_quantity(words))
            self._at += 1

    def _no_word(self) -> str:
        if self._text.startswith('"', self._at):
            return "the quotes do not end"
        return "a figure is expected, as in 'p99 > 5ms'"

    def _comparison(self) -> str:
        self._skip_spaces()
        match = _COMPARISON.match(self._text, self._at)
        if match is None:
            raise _Wrong(self._at, f"a comparison ({' '.join(OPPOSITES)}) is expected")
        self._at = match.end()
        self._skip_spaces()
        return match[0]


def _check(path: _Path, *, ratio: bool) -> None:
    """Raise _Wrong if no run has the quantity."""
    quantity, figure, last = path.quantity, path.quantity.definition, path.places[-1]
    for word, at in zip(path.words[:2], path.places, strict=False):
        if not word.quoted and is_stage(word.text):
            raise _Wrong(at, "this run has no stages")
        if not word.quoted and word.text in RESERVED:
            raise _Wrong(at, f"{word.text!r} is the name of no series")
        if not is_scope(word):
            break
    name = path.words[-1].text
    if figure is None:
        if quantity.name in BUILT_IN or is_scope(path.words[-1]):
            kind = "phase" if is_scope(path.words[-1]) else "series"
            raise _Wrong(last, f"{name!r} is a {kind}: a figure is expected after it, as in '{name}.p99'")
        return
    at = path.place_of_figure
    if quantity.percent is not None and not 0 < quantity.percent < 100:
        raise _Wrong(at, f"{figure.name!r} is no percentile: use min or max")
    if quantity.scope is not None and quantity.scope not in figure.scopes:
        known = f"{' and '.join(figure.scopes)} phase" if figure.scopes else "whole run"
        raise _Wrong(path.places[0], f"{figure.name!r} is known of the {known} only")
    if quantity.series in _WITHOUT_LOSSES and figure.percent_of:
        raise _Wrong(at, f"{quantity.series!r} has no {figure.name!r}: use 'lost', 'failed' or 'errors' of the run")
    if ratio and figure.unit is not Unit.COUNT:
        raise _Wrong(at, f"{figure.name!r} is a {figure.unit}, and a ratio is one of two counts")


def _limit(path: _Path, text: str, at: int, *, ratio: bool) -> tuple[float, bool]:
    """Return the value of a limit, and whether it is a percentage."""
    try:
        if path.quantity.unit is Unit.DURATION:
            return _duration(text), False
        if path.quantity.unit is Unit.RATE:
            return parse_rate(text), False
        value, share = _number(text)
        if path.quantity.unit is Unit.SHARE:
            return _percentage(text, value, share=share), False
    except ValueError as error:
        if path.quantity.figure is None and _has_unit(text):
            word = path.words[-1].text
            raise _Wrong(path.places[-1], f"{word!r} is no figure{hint(word)}") from None
        raise _Wrong(at, str(error)) from None
    if share and not ratio:
        _check_share(path, text, at)
    return value, share


def _check_share(path: _Path, text: str, at: int) -> None:
    """Raise _Wrong if it is open of what the percentage is."""
    figure = path.quantity.definition
    if figure is None or not figure.percent_of:
        what = f"{text!r} of what? Divide it: {path.quantity} / OTHER > {text}"
        raise _Wrong(at, what + ("" if figure else hint(path.words[-1].text)))


def _duration(text: str) -> int:
    try:
        float(text)
    except ValueError:
        return parse_duration(text)
    raise ValueError(f"{text!r} has no unit: use for example {text}ms or {text}s")


def _number(text: str) -> tuple[float, bool]:
    number, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:  # false for NaN as well
        raise ValueError(f"{text!r} is neither a number nor a percentage")
    return (value / 100, True) if percent else (value, False)


def _percentage(text: str, value: float, *, share: bool) -> float:
    if not share:
        raise ValueError(f"{text!r} is no percentage: use for example 99.9%")
    return value


def _has_unit(text: str) -> bool:
    """Return whether a text is a duration or a rate."""
    for parse_value in (parse_duration, parse_rate):
        try:
            parse_value(text)
        except ValueError:
            continue
        return True
    return False
