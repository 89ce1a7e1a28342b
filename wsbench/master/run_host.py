"""The interface between a run's director and the process it runs in."""

from __future__ import annotations

from abc import ABC, abstractmethod

from wsbench.errors import ExitCode
from wsbench.measure.histogram import Buckets
from wsbench.measure.phases import PhasePlan
from wsbench.results.run_result import OtherRequests
from wsbench.run.protocol import Report, Sharing


class RunHost(ABC):
    """The process of a director."""

    @abstractmethod
    def broadcast(self, plan: PhasePlan) -> None:
        """Send the phases to every worker."""

    @abstractmethod
    def share(self, sharing: Sharing) -> None:
        """Send the users that share the rate to every worker."""

    @abstractmethod
    def users_wanted(self) -> dict[str, int]:
        """Return the number of users that the run is to have now and that hold connections, by class."""

    @abstractmethod
    def missing_workers(self) -> set[int]:
        """Return the indexes of the workers that cannot be reached now."""

    @abstractmethod
    def show(self, report: Report, response: Buckets) -> None:
        """Add a report to the process's own statistics; `response` are its response times in coarse buckets."""

    @abstractmethod
    def ramp_patience_s(self) -> float:
        """Return how long a ramp may stand still."""

    @abstractmethod
    def other_requests(self) -> OtherRequests:
        """Return the requests so far of users that are not wsbench's."""

    @abstractmethod
    def finalize_counters(self, counters: dict[str, int]) -> None:
        """Let the scenario complete its counters."""

    @abstractmethod
    def run_ended(self, code: ExitCode) -> None:
        """React to the end of the run."""
