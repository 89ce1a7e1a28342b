"""--fail-if: where a bad expression is wrong."""

from __future__ import annotations

import re

import pytest

from wsbench.gates import parse


@pytest.mark.parametrize(
    ("expression", "character", "said"),
    [
        ("", 1, "a metric is expected"),
        ("> 5ms", 1, "a metric is expected"),
        ("  p98 > 5ms", 3, "'p98' is no metric"),
        ("service.foo > 1ms", 1, "'service.foo' is no metric"),
        ("p99 5ms", 4, "a comparison (> >= < <= == !=) is expected"),
        ("p99 >", 6, "a value is expected"),
        ("p99 >> 5ms", 6, "'> 5ms' is not a duration"),
        ("p99 >  5 parsecs", 8, "'5 parsecs' is not a duration"),
        ("lost > 5%%", 8, "'5%%' is neither a number nor a percentage"),
        ("lost > 0 and p99 > 5ms", 8, "'0 and p99 > 5ms' is neither a number nor a percentage"),
        ("throughput < fast", 14, "'fast' is not a rate"),
    ],
)
def test_an_error_quotes_the_expression_and_names_the_character(expression: str, character: int, said: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(expression)
    text = str(error.value)
    assert text.startswith(repr(expression))
    assert re.search(rf"\bcharacter {character}\b", text.removeprefix(repr(expression)))
    assert said in text
