"""Updates of the live figures, for the live page and for the launcher's pipe."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import gevent
import msgspec

from wsbench.errors import WsbenchError
from wsbench.master.collector import Collector
from wsbench.master.phase_control import PhaseControl
from wsbench.measure.phases import Phase
from wsbench.results.run_result import OtherRequests, Run
from wsbench.run.handoff import NotStored, Progress
from wsbench.units import NS_PER_S

logger = logging.getLogger(__name__)

_INTERVAL_NS = 9 * NS_PER_S // 10
"""Progress is sent once a second, however many workers report."""
_WATCHED_NS = 5 * NS_PER_S
"""After a look at the live page, its figures are kept ready for this long."""


class ProgressFeed:
    """Live updates for the launcher, which reads a pipe, and for the live page."""

    def __init__(
        self,
        descriptor: int | None,
        collector: Collector,
        phases: PhaseControl,
        *,
        notices: list[str],
        on_launcher_gone: Callable[[], None],
    ) -> None:
        """`descriptor`: the pipe to the launcher; None without one."""
        self._descriptor = descriptor
        self._collector = collector
        self._phases = phases
        self._notices = notices
        self._on_launcher_gone = on_launcher_gone
        self._last = (Phase.RAMP, 0)
        self._looked_ns = -_WATCHED_NS
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def watch(self) -> None:
        """Record a look at the live page."""
        self._looked_ns = time.monotonic_ns()

    def update(self) -> None:
        """Bring the live verdict up to date and send progress, if the last time was a second ago."""
        phase, now_ns = self._phases.phase, time.monotonic_ns()
        watched = self._descriptor is not None or now_ns - self._looked_ns < _WATCHED_NS
        if not watched or (phase == self._last[0] and now_ns - self._last[1] < _INTERVAL_NS):
            return
        self._last = (phase, now_ns)
        self._collector.live.judge(self._phases.lost_workers())
        if self._descriptor is not None:
            self._send(self._descriptor, self._progress(phase))

    def _progress(self, phase: Phase) -> Progress:
        live, counts = self._collector.live, self._collector.totals.counts()
        latest = live.latest()
        verdict, findings = live.verdict or (None, [])
        return Progress(
            phase=phase,
            connections=counts.get("connections_opened", 0) - counts.get("connections_closed", 0),
            asked=self._collector.registry.users.wanted,
            received=counts["received"],
            errors=self._collector.registry.whole_run(counts, OtherRequests()).errors,
            per_s=latest.received_per_s if latest else 0.0,
            p50_ns=latest.response[0] if latest else None,
            p99_ns=latest.response[2] if latest else None,
            left_ns=self._phases.left_ns(),
            verdict=verdict,
            notices=self._notices,
            evidence=findings[0].evidence if verdict not in (None, "ok") else "",
        )

    def _send(self, descriptor: int, progress: Progress) -> None:
        try:
            os.write(descriptor, msgspec.json.encode(progress) + b"\n")
        except BlockingIOError:
            pass  # the pipe is full because the launcher does not read: skip this one
        except BrokenPipeError:
            # The launcher died without stopping us, and its target with it.
            gevent.spawn(self._on_launcher_gone)

    def hand_over(self, run: Run, failure: WsbenchError) -> None:
        """Send a result that could not be written to a file to the launcher, if there is one."""
        if self._descriptor is None:
            return
        data = msgspec.json.encode(NotStored(run, failure.what, failure.remedy)) + b"\n"
        os.set_blocking(self._descriptor, True)
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            logger.error("Nor could the result be sent to the launcher: %s", error)
