"""A host for a director, without Locust and without a network, and reports for it."""

from __future__ import annotations

from typing import Any

from wsbench.errors import ExitCode
from wsbench.master.run_host import RunHost
from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import Buckets, record
from wsbench.measure.phases import PhasePlan
from wsbench.results.run_result import ConnectionCounts, OtherRequests
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Health, Report, Sharing

MS, S = 1_000_000, 1_000_000_000


class RecordingHost(RunHost):
    """A `RunHost` that keeps all plans and reports.

    Attributes:
        missing: workers that cannot be reached.
        users: their number, by class.
        patience_s: how long a ramp may stand still.
        counters: counters of the scenario, added at the end; None for a scenario that raises instead.
    """

    def __init__(self) -> None:
        self.plans: list[PhasePlan] = []
        self.missing: set[int] = set()
        self.patience_s = 60.0
        self.shown: list[tuple[Report, Buckets]] = []
        self.counters: dict[str, int] | None = {}
        self.code: ExitCode | None = None
        self.users = {"Echo": 2}
        self.shared: list[Sharing] = []

    def share(self, sharing: Sharing) -> None:
        self.shared.append(sharing)

    def users_wanted(self) -> dict[str, int]:
        return self.users

    def broadcast(self, plan: PhasePlan) -> None:
        self.plans.append(plan)

    def ramp_patience_s(self) -> float:
        return self.patience_s

    def missing_workers(self) -> set[int]:
        return self.missing

    def show(self, report: Report, response: Buckets) -> None:
        self.shown.append((report, response))

    def other_requests(self) -> OtherRequests:
        return OtherRequests()

    def finalize_counters(self, counters: dict[str, int]) -> None:
        if self.counters is None:
            raise ZeroDivisionError("an error of the scenario")
        counters |= self.counters

    def run_ended(self, code: ExitCode) -> None:
        self.code = code


def failing(error: Exception) -> None:
    """Raise the error of a report that could not be counted."""
    raise error


def options(users: int = 2, **texts: Any) -> RunOptions:
    """Return options of a short run: no warm-up, a measure phase of 100 ms, and a timeout of 100 ms."""
    short = {"rate": "100", "warmup": "0s", "duration": "100ms", "timeout": "100ms"}
    return RunOptions.from_texts({**short, **texts}, url="ws://127.0.0.1/echo", users=users)


def delta(phase: str, start_ns: int, *latencies_ms: float, **counts: int) -> IntervalDelta:
    """Return an interval with these service and response times."""
    series: dict[str, Buckets] = {name: {} for name in ("service", "response")} if latencies_ms else {}
    for buckets in series.values():
        for latency in latencies_ms:
            record(buckets, int(latency * MS))
    common = {"sent": len(latencies_ms), "received": len(latencies_ms), "replied": len(latencies_ms)}
    return IntervalDelta(phase, start_ns, {**common, **counts}, series)


def report(number: int, *deltas: IntervalDelta, worker: int = 0, final: bool = False, **connections: int) -> Report:
    """Return a worker's report; `connections` are fields of its `ConnectionCounts`."""
    return Report(worker, number, list(deltas), ConnectionCounts(**connections), [], Health(), final=final)
