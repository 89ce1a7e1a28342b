"""--fail-if and --slo: where a bad expression is wrong, and when an objective holds."""

from __future__ import annotations

import re

import pytest
from helpers.sample_run import RUN

from wsbench.run.gates import parse, parse_objective


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


@pytest.mark.parametrize(
    ("expression", "held", "value"),
    [
        ("p50 < 1ms", True, "24.1 µs"),
        ("p50 < 24us", False, "24.1 µs"),
        ("service.p99 <= 50us", True, "50.0 µs"),
        ("p99.9 < 1h", False, "–"),  # the contrary of a gate that it fails: lost is not fast
        ("lost == 0", False, "50"),
        ("lost < 1%", True, "0.5%"),
        ("throughput >= 995/s", True, "995/s"),
        ("throughput > 1k/s", False, "995/s"),
    ],
)
def test_an_objective_holds_when_it_is_true(expression: str, held: bool, value: str) -> None:
    assert parse_objective(expression).hold(RUN) == (held, value)


@pytest.mark.parametrize(
    ("expression", "better"),
    [
        ("p99 > 10ms", "'p99 < ...'"),
        ("service.p99  >= 10ms", "'service.p99 < ...'"),
        ("p99 == 10ms", "'p99 < ...'"),
        ("lost != 0", "'lost < ...'"),
        ("throughput < 1000/s", "'throughput > ...'"),
    ],
)
def test_an_objective_that_bounds_from_the_wrong_side_is_a_mistake(expression: str, better: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"an objective is what must hold, such as {better}")):
        parse_objective(expression)


@pytest.mark.parametrize(
    ("expression", "samples"),
    [
        ("p50 < 1ms", 20),
        ("p90 < 1ms", 100),
        ("p99 < 1ms", 1_000),
        ("service.p99.9 < 1ms", 10_000),
        ("p99.99 < 1ms", 100_000),
        ("mean < 1ms", 1_000),
        ("connect.p99.9 < 1s", 1_000),  # no longer run has more connections
        ("lost == 0", 1_000),
        ("errors < 0.1%", 10_000),
        ("errors < 0%", 1_000),
    ],
)
def test_how_many_messages_an_objective_wants(expression: str, samples: int) -> None:
    assert parse_objective(expression).samples == samples
