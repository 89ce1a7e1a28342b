"""Errors are counted by kind and side, with the first as the example."""

from __future__ import annotations

import logging

import pytest

from wsbench.errors import Side, WsbenchError
from wsbench.results.run_result import ErrorCount
from wsbench.run.packing import pack
from wsbench.run.protocol import SCENARIO_FAILED
from wsbench.worker.error_counter import ErrorCounter, describe_scenario_error


def test_errors_of_one_kind_and_side_are_one_entry_with_the_first_as_example() -> None:
    errors = ErrorCounter()
    for what in ("first", "second"):
        errors.count(WsbenchError(what, side=Side.TARGET, kind="k", remedy=f"after {what}"))
    errors.count(WsbenchError("third", side=Side.GENERATOR, kind="k"))
    assert errors.tallies == [
        ErrorCount("k", str(Side.TARGET), 2, "first", "after first"),
        ErrorCount("k", str(Side.GENERATOR), 1, "third"),
    ]


def test_a_failure_of_the_scenario_is_counted_every_time_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorCounter()
    with caplog.at_level(logging.ERROR):
        for message in ("a", "a", "b"):
            errors.count_scenario_failure(ValueError(message))
    assert [record.getMessage() for record in caplog.records] == [
        "the scenario failed: ValueError: a",
        "the scenario failed: ValueError: b",
    ]
    assert [(tally.kind, tally.count) for tally in errors.tallies] == [(SCENARIO_FAILED, 3)]


class Wordless(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise KeyError("text")


def test_any_exception_becomes_a_text_that_a_report_can_hold() -> None:
    errors = ErrorCounter()
    for error in (Wordless(), ValueError("x" * 10_000), ValueError("\ud800"), SystemExit(3)):
        errors.count_scenario_failure(error, logged=True)
    pack(errors.tallies)
    assert describe_scenario_error(Wordless()) == "Wordless, whose text raises KeyError"
    assert len(describe_scenario_error(ValueError("x" * 10_000))) < 600
    assert describe_scenario_error(SystemExit(3)) == "SystemExit: 3"


def test_different_failures_are_logged_up_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorCounter()
    for number in range(1000):
        errors.count_scenario_failure(ValueError(f"reply {number} is wrong"))
    assert len(caplog.records) == 100 and errors.tallies[0].count == 1000


def test_a_failure_whose_traceback_is_in_the_log_is_not_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorCounter()
    errors.count_scenario_failure(ValueError("a"), logged=True)
    assert not caplog.records and errors.tallies[0].count == 1
