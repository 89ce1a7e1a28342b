"""At the end of a run, the master waits for a worker while its connections are being closed."""

from __future__ import annotations

import pytest
from helpers.run_hosts import report

from wsbench.master.final_patience import FinalPatience
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.run.protocol import Report


class Waiting:
    """A patience of 10 s with two workers, at the instant `now_s`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.registry = WorkerRegistry()
        for index in (0, 1):
            self.registry.expect(index)
        self._patience = FinalPatience(self.registry, 10.0, clock=lambda: self.now_s)

    def after(self, seconds: float, *reports: Report) -> set[int]:
        """Let time pass, then take reports; return the workers that are waited for."""
        self.now_s += seconds
        for each in reports:
            self.registry.take(each)
        return self._patience.waited_for()


@pytest.fixture
def waiting() -> Waiting:
    made = Waiting()
    assert made.after(0) == {0, 1}
    return made


def closing(number: int, closed: int, *, worker: int = 0, final: bool = False) -> Report:
    made = report(number, worker=worker, final=final, opened=100, attempts=100)
    made.connections.close_codes = {"1000": closed}
    return made


def test_a_worker_that_takes_long_to_close_its_connections_is_waited_for(waiting: Waiting) -> None:
    for number in range(1, 50):
        assert 0 in waiting.after(9.0, closing(number, closed=number))
    assert waiting.after(9.0, closing(50, closed=100, final=True)) == set()


def test_a_worker_that_closes_no_more_connections_is_given_up_though_it_reports(waiting: Waiting) -> None:
    assert 0 in waiting.after(9.0, closing(1, closed=50))
    assert 0 in waiting.after(9.0, closing(2, closed=50))
    assert 0 not in waiting.after(2.0, closing(3, closed=50))


def test_each_worker_has_a_patience_of_its_own(waiting: Waiting) -> None:
    assert waiting.after(9.0, closing(1, closed=1, worker=1)) == {0, 1}
    assert waiting.after(2.0) == {1}


def test_a_worker_that_goes_on_is_waited_for_again(waiting: Waiting) -> None:
    assert waiting.after(11.0) == set()
    assert waiting.after(0.0, closing(1, closed=1)) == {0}


def test_connections_that_open_late_are_progress_too(waiting: Waiting) -> None:
    assert 0 in waiting.after(9.0, report(1, opened=1, attempts=1))
    assert 0 in waiting.after(9.0, report(2, opened=1, failed=1, attempts=2))
