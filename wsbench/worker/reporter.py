"""Reports of one process to the master, about once a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from gevent.lock import BoundedSemaphore

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.phases import Phase
from wsbench.measure.recorder import Recorder
from wsbench.run.protocol import Health, Report
from wsbench.units import NS_PER_S
from wsbench.worker.background import yield_control
from wsbench.worker.clocks import realtime_offset_ns
from wsbench.worker.connections import Connections
from wsbench.worker.error_counter import ErrorCounter
from wsbench.worker.load_schedule import LoadSchedule
from wsbench.worker.reply_examples import ReplyExamples


class Reporter:
    """Sends a report after every interval, and a final one at the end.

    Attributes:
        clock_offset_ns: master's clock minus ours; instants in reports are on the master's.
        failure: why this process cannot go on; empty if it can.
    """

    def __init__(
        self,
        send: Callable[[Report], object],
        *,
        worker: int,
        recorder: Recorder,
        connections: Connections,
        schedule: LoadSchedule,
        errors: ErrorCounter,
        examples: ReplyExamples,
        sample_health: Callable[[], Health],
    ) -> None:
        self.clock_offset_ns = 0
        self.failure = ""
        self._send = send
        self._worker = worker
        self._recorder = recorder
        self._connections = connections
        self._schedule = schedule
        self._errors = errors
        self._examples = examples
        self._sample_health = sample_health
        self._sent = 0
        self._reporting = BoundedSemaphore(1)
        self._loop = gevent.spawn(self._report_forever)

    def finish(self) -> None:
        """Send the final report."""
        with self._reporting:  # counts that a report has taken from the recorder must be sent
            self._loop.kill()
        try:
            self._report(final=True)
        except Exception as error:
            self.failure = self._errors.count_internal("the last counts could not be reported", error)
            self._report(final=True)  # without these counts

    def _report_forever(self) -> None:
        while True:
            # Just after the end of an interval, so that a report holds whole seconds.
            until_s = (self._recorder.boundary_ns - time.time_ns()) / NS_PER_S
            # The ramp ends when the last connection is open: the master should not learn that a second later.
            max_s = 0.2 if self._recorder.current.interval.phase is Phase.RAMP else 1.0
            gevent.sleep(min(max(until_s, 0.1), max_s) + 0.002)
            self._report(final=False)

    def _report(self, *, final: bool) -> None:
        with self._reporting:
            self._recorder.advance(time.time_ns())
            health = self._sample_health()
            health.clock_offset_ns = self.clock_offset_ns
            self._send(
                Report(
                    worker=self._worker,
                    number=self._sent + 1,
                    deltas=[self._on_masters_clock(delta) for delta in self._recorder.collect(yield_control)],
                    connections=self._connections.tally,
                    errors=self._errors.tallies,
                    health=health,
                    negotiated=self._connections.negotiated,
                    final=final,
                    examples=self._examples.first,
                    outages=self._outages(),
                    failure=self.failure,
                    users=dict(self._schedule.users),
                    pacing=sorted(self._schedule.pacing),
                )
            )
            self._sent += 1

    def _outages(self) -> list[tuple[int, int]]:
        spans = self._connections.time.outages()
        shift_ns = realtime_offset_ns() + self.clock_offset_ns if spans else 0
        return [(start + shift_ns, end + shift_ns) for start, end in spans]

    def _on_masters_clock(self, delta: IntervalDelta) -> IntervalDelta:
        delta.start_ns += self.clock_offset_ns
        if delta.phase == Phase.RAMP:
            # Intervals of the ramp begin with the clock's seconds: here, with those of the master's clock.
            plan = self._recorder.plan.shifted(self.clock_offset_ns)
            delta.start_ns = plan.second_of_ramp(delta.start_ns)
        return delta
