"""The grammar of --fail-if and --slo: what is read, and where a bad expression is wrong."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsbench.errors import UsageError
from wsbench.measure.figures import RUN_FIGURES, SERIES_FIGURES, Unit
from wsbench.measure.phases import Phase
from wsbench.measure.quantity import Quantity
from wsbench.measure.series import check_name
from wsbench.run.gate_parser import parse, parse_objective
from wsbench.run.gates import OPPOSITES, Condition, check_known

MS = 1_000_000


def quantity(text: str) -> tuple[str | None, str | None, str | None]:
    found = parse(text).quantity
    return found.scope, found.name, found.figure


# -- what is read ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("p99 > 5ms", (None, None, "p99")),
        ("p95>5ms", (None, None, "p95")),
        ("order.p99.5 > 5ms", (None, "order", "p99.5")),
        ("100B.p99.99 > 5ms", (None, "100B", "p99.99")),
        ("delivery.first.max > 5ms", (None, "delivery.first", "max")),
        ("warmup.order.mean > 1s", ("warmup", "order", "mean")),
        ("measure.lost > 0", ("measure", None, "lost")),
        ("login.errors > 0", (None, "login", "errors")),
        ("order.count < 100", (None, "order", "count")),
        ("lost > 0", (None, None, "lost")),
        ("prices < 1", (None, "prices", None)),
        ("missing.garden > 0", (None, "missing.garden", None)),
        ("drain.missing.garden > 0", ("drain", "missing.garden", None)),
        ("garden.sent > 0", (None, "garden.sent", None)),
        ('"GET /api/users?q=1 > 0".p99 > 5ms', (None, "GET /api/users?q=1 > 0", "p99")),
        ('measure."GET /".errors > 0', ("measure", "GET /", "errors")),
        (r'"say \"hi\" \\".max > 1s', (None, r'say "hi" \\'[:-1], "max")),
        ('"measure".lost > 0', (None, "measure", "lost")),
        ('order."p99" > 0', (None, "order.p99", None)),
    ],
)
def test_a_dotted_name_is_a_scope_a_series_and_a_figure_or_a_counter(expression: str, read: tuple[Any, ...]) -> None:
    assert quantity(expression) == read


@pytest.mark.parametrize(
    ("expression", "value", "share"),
    [
        ("p99 > 5ms", 5 * MS, False),
        ("p99 > 1m 30s", 90_000 * MS, False),
        ("lost > 12", 12, False),
        ("lost > 0.5 %", 0.005, True),
        ("order.lost > 1%", 0.01, True),
        ("missing/expected > 1%", 0.01, True),
        ("missing / order.count > 0.5", 0.5, False),
        ("throughput < 2.5k/s", 2500, False),
        ("measure.throughput < 600/min", 10, False),
    ],
)
def test_the_figure_decides_on_the_value(expression: str, value: float, share: bool) -> None:
    found = parse(expression)
    assert (found.value, found.share) == (value, share)


def test_a_ratio_has_a_divisor_with_a_scope_of_its_own() -> None:
    found = parse("measure.missing / expected.all > 1%")
    assert (str(found.quantity), str(found.divisor)) == ("measure.missing", "expected.all")


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "character", "said"),
    [
        ("", 1, "a figure is expected"),
        ("> 5ms", 1, "a figure is expected"),
        ("order. > 5ms", 7, "a figure is expected"),
        ('"GET /api.p99 > 5ms', 1, "the quotes do not end"),
        ("p99 5ms", 5, "a comparison (> >= < <= == !=) is expected"),
        ("p99 = 5ms", 5, "a comparison"),
        ("p99 .9 > 5ms", 5, "a comparison"),
        ("a / b / c > 1", 7, "a comparison"),
        ("p99 >", 6, "a value is expected"),
        ("p99 >> 5ms", 6, "'> 5ms' is not a duration"),
        ("p99 >  5 parsecs", 8, "'5 parsecs' is not a duration"),
        ("p99 > 5%", 7, "'5%' is not a duration"),
        ("lost > 5%%", 8, "'5%%' is neither a number nor a percentage"),
        ("lost > 5ms", 8, "'5ms' is neither a number nor a percentage"),
        ("lost > 0 and p99 > 5ms", 10, "'and' joins conditions: give each one to an option of its own"),
        ("lost > 1,000", 8, "'1,000' is neither a number nor a percentage"),
        ("lost > 0 || p99 > 5ms", 10, "'||' joins conditions"),
        ("p99 > 5ms, lost > 0", 10, "',' joins conditions"),
        ("throughput < fast", 14, "'fast' is not a rate"),
        # a duration has a unit
        ("p99 > 5", 7, "'5' has no unit: use for example 5ms or 5s"),
        ("order.mean <= 0.25", 15, "'0.25' has no unit"),
        ("max > 0", 7, "'0' has no unit"),
        # the word that is wrong
        ("avg > 5ms", 1, "'avg' is no figure; did you mean mean?"),
        ("  order.avg > 5ms", 9, "'avg' is no figure; did you mean mean?"),
        ("median > 5ms", 1, "'median' is no figure; did you mean p50?"),
        ("rps < 5/s", 1, "'rps' is no figure; did you mean throughput?"),
        ("service.foo > 1ms", 9, "'foo' is no figure"),
        ("p100 > 5ms", 1, "'p100' is no percentile: use min or max"),
        ("order.p0.0 > 5ms", 7, "'p0.0' is no percentile: use min or max"),
        ("measure > 5", 1, "'measure' is a phase: a figure is expected after it, as in 'measure.p99'"),
        ("service > 5", 1, "'service' is a series: a figure is expected after it, as in 'service.p99'"),
        ("measure.service > 5", 9, "'service' is a series"),
        # what no run has
        ("stage3.p99 > 20ms", 1, "this run has no stages"),
        ("stage1 > 20ms", 1, "this run has no stages"),
        ("http.p99 > 5ms", 1, "'http' is the name of no series"),
        ("measure.target.cpu > 5", 9, "'target' is the name of no series"),
        ("warmup.outage > 0s", 1, "'outage' is known of the whole run only"),
        ("drain.availability < 99%", 1, "'availability' is known of the ramp and warmup and measure phase only"),
        ("availability < 99.9", 16, "'99.9' is no percentage: use for example 99.9%"),
        ("outage > 5", 10, "'5' has no unit"),
        ("downtime > 5s", 1, "'downtime' is no figure; did you mean outage?"),
        ("availability / sent < 1%", 1, "'availability' is a percentage"),
        ("ramp.throughput < 1/s", 1, "'throughput' is known of the measure phase only"),
        ("tcp.errors > 0", 5, "'tcp' has no 'errors'"),
        ("send_lag.lost > 0", 10, "'send_lag' has no 'lost'"),
        # a percentage of what?
        ("missing > 1%", 11, "'1%' of what? Divide it: missing / OTHER > 1%"),
        ("missing.garden > 1%", 18, "Divide it: missing.garden / OTHER > 1%"),
        ("erors > 1%", 9, "Divide it: erors / OTHER > 1%; did you mean errors?"),
        ("sent > 1%", 8, "Divide it: sent / OTHER > 1%"),
        ("order.count > 1%", 15, "Divide it: order.count / OTHER > 1%"),
        ("p99 / p50 > 3", 1, "'p99' is a duration, and a ratio is one of two counts"),
        ("lost / order.p99.9 > 3", 14, "'p99.9' is a duration"),
        ("lost / throughput > 3", 8, "'throughput' is a rate"),
    ],
)
def test_an_error_quotes_the_expression_and_names_the_character(expression: str, character: int, said: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(expression)
    text = str(error.value)
    assert text.startswith(f"{expression!r}, character {character}: ")
    assert said in text


@pytest.mark.parametrize(
    ("expression", "better"),
    [
        ("p99 > 10ms", "'p99 < ...'"),
        ("service.p99  >= 10ms", "'service.p99 < ...'"),
        ("p99 == 10ms", "'p99 < ...'"),
        ("lost != 0", "'lost < ...'"),
        ("missing/expected > 1%", "'missing / expected < ...'"),
        ("throughput < 1000/s", "'throughput > ...'"),
    ],
)
def test_an_objective_that_bounds_from_the_wrong_side_is_a_mistake(expression: str, better: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"an objective is what must hold, such as {better}")):
        parse_objective(expression)


@pytest.mark.parametrize("expression", ["p99 < 10ms", "lost == 0", "a.b / c <= 5%", "throughput > 1k/s"])
def test_objectives_in_the_same_grammar(expression: str) -> None:
    assert parse_objective(expression) == parse(expression)


def test_a_run_of_echo_users_has_no_names_of_its_own() -> None:
    check_known(map(parse, ("lost > 0", "service.p99 > 1s", "measure.connect.max > 1s", "late / sent > 1%")))
    for text, name in (("order.p99 > 1s", "order"), ("missing > 0", "missing"), ("lost / expected > 1%", "expected")):
        with pytest.raises(UsageError, match=f"--slo '{text}': '{name}' is no figure of this run"):
            check_known([parse(text)], "--slo")
    with pytest.raises(UsageError, match="did you mean errors"):
        check_known([parse("erors > 0")])


@pytest.mark.parametrize(
    ("expression", "samples"),
    [
        ("p50 < 1ms", 20),
        ("p95 < 1ms", 200),
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
def test_how_many_messages_an_objective_needs(expression: str, samples: int) -> None:
    assert parse_objective(expression).samples == samples


# -- properties --------------------------------------------------------------------------------------------------------

PLAIN_NAMES = st.from_regex(r"[a-z0-9_+-]{1,6}(\.[a-z0-9_+-]{1,6}){0,2}", fullmatch=True)
MISLEADING = st.sampled_from(["p99", "p99.9", "lost", "x.max", "a.p9.5", "measure", "measure.x", "stage1", "ramp.p5"])
NAMES = st.one_of(PLAIN_NAMES, MISLEADING, st.text(min_size=1, max_size=12))
PERCENTILES = st.from_regex(r"p[1-9][0-9]?(\.[0-9]{1,3})?", fullmatch=True)
DURATIONS = st.builds("{}{}".format, st.integers(0, 10**6), st.sampled_from(["ns", "us", "ms", "s", "min", "h"]))
SCOPES = st.sampled_from([None, *map(str, Phase)])
COUNTS = [name for name, figure in SERIES_FIGURES.items() if figure.unit is Unit.COUNT]
NUMBERS = st.one_of(st.integers(0, 10**9), st.floats(0, 1e9, allow_nan=False)).map(str)

durations = st.builds(Quantity, SCOPES, st.one_of(st.none(), NAMES), st.one_of(PERCENTILES, st.just("mean")))
counts = st.one_of(
    st.builds(Quantity, SCOPES, st.none(), st.sampled_from(["lost", "errors", "corrupted", "sent"])),
    st.builds(Quantity, SCOPES, NAMES, st.sampled_from(COUNTS)),
    st.builds(Quantity, SCOPES, NAMES, st.none()),
)
LIMITS = st.one_of(
    st.tuples(durations, st.none(), DURATIONS),
    st.tuples(counts, st.none(), NUMBERS),
    st.tuples(counts, counts, NUMBERS.map("{}%".format)),
)


def unusable(found: Quantity) -> bool:
    """Whether no run has it: the parser says which and why."""
    first = (found.name or "").split(".")[0]
    losses = found.figure in ("lost", "errors")
    return first in ("target", "http", "network") or (found.name in ("tcp", "tls", "upgrade", "connect") and losses)


@given(LIMITS, st.sampled_from(list(OPPOSITES)))
def test_a_condition_as_text_is_read_as_the_same_condition(
    limits: tuple[Quantity, Quantity | None, str], comparison: str
) -> None:
    left, right, limit = limits
    if unusable(left) or (right is not None and unusable(right)):
        return
    text = str(Condition(left, right, comparison, limit, 0.0))
    found = parse(text)
    assert (found.quantity, found.divisor, found.comparison, found.limit) == (left, right, comparison, limit)
    assert parse(str(found)) == found
    assert found.opposite.opposite == found and parse(str(found.opposite)) == found.opposite


LIKELY = st.lists(
    st.sampled_from(
        [
            *'"\\./%> <=!',
            *string.digits,
            "p99",
            "p",
            "lost",
            "order",
            "measure",
            "stage1",
            "5ms",
            "1%",
            "1/s",
            "\0",
            "ä",
        ]
    ),
    max_size=12,
).map("".join)


@given(st.one_of(st.text(max_size=40), LIKELY))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    for read in (parse, parse_objective):
        try:
            found = read(text)
        except ValueError as error:
            assert str(error).startswith(repr(text))
        else:
            assert parse(str(found)) == found and found.samples > 0


@given(PLAIN_NAMES)
def test_a_name_that_a_scenario_may_have_is_one_that_gates_can_name(name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    assert quantity(f"{name} > 0") == (None, name, None)
    for figure in ("p99", "p99.9", "mean"):
        assert quantity(f"{name}.{figure} > 1s") == (None, name, figure)
        assert quantity(f"warmup.{name}.{figure} > 1s") == ("warmup", name, figure)
    for figure in COUNTS:
        assert quantity(f"{name}.{figure} > 0") == (None, name, figure)


@pytest.mark.parametrize(
    "name", [*map(str, Phase), "stage1", "stage12.x", "target", "http", "http.get", "network.rtt", "measure.x"]
)
def test_a_name_that_gates_read_as_a_scope_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a word of gates"):
        check_name(name)


@pytest.mark.parametrize("name", [*RUN_FIGURES, *SERIES_FIGURES, "p99", "p7", "p99.9", "order.p99", "order.errors"])
def test_a_name_that_gates_read_as_a_figure_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a figure in gates"):
        check_name(name)
