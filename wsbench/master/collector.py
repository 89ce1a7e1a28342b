"""The sums of the workers' reports; they are made in steps between which an engine in this process can run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import gevent
from gevent.event import Event
from gevent.queue import Queue

from wsbench.master.final_patience import FinalPatience
from wsbench.master.interval_spill import IntervalSpill
from wsbench.master.live import LiveView
from wsbench.master.run_host import RunHost
from wsbench.master.user_counts import UserCounts
from wsbench.master.worker_registry import WorkerRegistry
from wsbench.measure.phases import FOREVER_NS
from wsbench.measure.totals import Totals
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Report
from wsbench.units import NS_PER_S

YIELD_S = 0.001
SETTLING_NS = 10 * NS_PER_S
"""A second settles this long after --timeout: nothing comes for it any more, unless a worker was cut off."""
_GROUP_PATIENCE_NS = 5 * NS_PER_S
"""All workers have reported their part of a group this long after the time allowed for a reply."""


class Collector:
    """The sums of what the workers report.

    Attributes:
        totals, spill: the counts; settled intervals are in `spill`.
        changed: set after every report.
    """

    def __init__(
        self,
        options: RunOptions,
        directory: Path,
        host: RunHost,
        *,
        beside_engine: bool,
        users: UserCounts | None = None,
        after_report: Callable[[], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        """Start collecting. `directory` is where the spill file lies.

        `after_report` is called once a report counts, `on_failure` for one that could not be counted, or not wholly.
        """
        self.totals = Totals()
        self.spill = IntervalSpill(directory)
        self.registry = WorkerRegistry(options.secrets, users or UserCounts(options.users))
        self.live = LiveView(options, self.registry, yield_control=self.yield_control)
        self.changed = Event()
        self._options = options
        self._host = host
        self._after_report = after_report
        self._on_failure = on_failure
        self._yield_s = YIELD_S if beside_engine else 0.0
        self._inbox: Queue[Report | None] = Queue()
        self._closed = False
        self._greenlet = gevent.spawn(self._run)

    def yield_control(self) -> None:
        """Let an engine in this process do its work."""
        gevent.sleep(self._yield_s)

    def receive(self, report: Report) -> bool:
        """Queue a report, unless it comes too late for the result: then return whether it came before as well."""
        if self._closed:
            return self.registry.knows(report)
        self._inbox.put(report)
        return True

    def wait_for_final(self, missing: Callable[[], set[int]], patience_s: float) -> None:
        """Wait until every worker that is not missing has sent its last report, or makes no progress any more."""
        patience = FinalPatience(self.registry, patience_s)
        while patience.waited_for() - missing():
            self.changed.clear()
            self.changed.wait(min(1.0, patience_s))

    def close(self) -> None:
        """Accept no more reports; those that were accepted are in the sums when this returns."""
        self._closed = True
        self._inbox.put(None)
        self._greenlet.join()
        self.totals.settle_groups(FOREVER_NS)

    def _run(self) -> None:
        while (report := self._inbox.get()) is not None:
            if not self.registry.knows(report):
                try:
                    self._add(report)
                except Exception as error:  # the reports after it count all the same
                    self._on_failure(error)

    def _add(self, report: Report) -> None:
        timeout_ns = self._options.timeout_ns
        try:
            self.totals.add(report.deltas)
            self.totals.settle_groups(time.time_ns() - timeout_ns - _GROUP_PATIENCE_NS)
            self.yield_control()
            response = self.live.take(report)
            self._host.show(report, response)
            self.yield_control()
        finally:  # whatever became of it, the end of the run does not wait for it
            self.registry.take(report)
            self.changed.set()
        self._after_report()
        self.spill.spill(self.totals, time.time_ns() - timeout_ns - SETTLING_NS, self.yield_control)
