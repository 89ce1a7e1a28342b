"""Errors of one process, counted by kind and side."""

from __future__ import annotations

import logging

import msgspec

from wsbench.errors import WsbenchError
from wsbench.results.run_result import ErrorCount
from wsbench.run.protocol import SCENARIO_FAILED
from wsbench.worker.scenario_errors import describe_scenario_error

logger = logging.getLogger(__name__)


class ErrorCounter:
    """Counts errors by kind and side; the first of each is kept as an example."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], ErrorCount] = {}
        self._logged: set[str] = set()

    @property
    def tallies(self) -> list[ErrorCount]:
        """All kinds so far."""
        return list(self._tallies.values())

    def count(self, error: WsbenchError) -> None:
        """Count an error."""
        key = (error.kind, str(error.side))
        known = self._tallies.get(key)
        if known is None:
            self._tallies[key] = ErrorCount(*key, count=1, example=error.what, remedy=error.remedy)
        else:
            self._tallies[key] = msgspec.structs.replace(known, count=known.count + 1)

    def count_scenario_failure(self, error: Exception, *, logged: bool = False) -> None:
        """Count an exception of the scenario's code, and log its traceback once unless it is `logged` already."""
        what = f"the scenario failed: {describe_scenario_error(error)}"
        if not logged and what not in self._logged:
            self._logged.add(what)
            logger.error("%s", what, exc_info=error)
        self.count(WsbenchError(what, kind=SCENARIO_FAILED, remedy="`locust -f` with it shows the traceback."))
