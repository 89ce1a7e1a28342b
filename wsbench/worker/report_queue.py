"""At-least-once queue of a worker's reports to the master: each is sent until acknowledged, and kept until the end.

A connection that breaks loses the messages in flight, and a master that dies loses every report that it has received.
So the worker keeps its reports, packed, in an unnamed temporary file that ends with the process; from them it can make
its own result (`master.orphan_result`).
"""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO

import gevent

from wsbench.run.packing import pack, unpack
from wsbench.run.protocol import Report

logger = logging.getLogger("wsbench")

_LENGTH_BYTES = 4
_RESEND_S = 1.0
_CHECK_S = 0.05


class ReportQueue:
    """The reports of one worker in one run; `persistent` while all of them are in the file."""

    def __init__(self, transmit: Callable[[bytes], None]) -> None:
        """`transmit` sends a packed report to the master."""
        self._transmit = transmit
        self._in_flight: dict[int, tuple[bytes, int]] = {}
        self._file: IO[bytes] = io.BytesIO()
        self.persistent = True
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the run
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def send(self, report: Report) -> None:
        """Send a report, and keep it."""
        packed = pack(report)
        self._in_flight[report.number] = (packed, time.time_ns())
        self._keep(packed)
        self._transmit(packed)

    def acknowledged(self, number: int) -> int | None:
        """Return when the report was sent first, in ns since the epoch; None if it was acknowledged before."""
        return self._in_flight.pop(number, (b"", None))[1]

    @property
    def unacknowledged(self) -> int:
        """Number of reports that the master has not acknowledged."""
        return len(self._in_flight)

    def flush(self, patience_s: float) -> bool:
        """Resend until everything is acknowledged; return False if that takes longer than `patience_s`."""
        for _ in range(max(1, round(patience_s / _RESEND_S))):
            for _ in range(int(_RESEND_S / _CHECK_S)):
                if not self._in_flight:
                    return True
                gevent.sleep(_CHECK_S)
            for packed, _ in list(self._in_flight.values()):
                self._transmit(packed)
        return not self._in_flight

    def replay(self) -> Iterator[Report]:
        """Yield all reports of the run, in order."""
        self._file.seek(0)
        while head := self._file.read(_LENGTH_BYTES):
            yield unpack(self._file.read(int.from_bytes(head, "little")), Report)

    def close(self) -> None:
        """Delete the kept reports."""
        self._file.close()

    def _keep(self, packed: bytes) -> None:
        if not self.persistent:
            return
        record = len(packed).to_bytes(_LENGTH_BYTES, "little") + packed
        end = self._file.tell()
        try:
            if self._file.write(record) == len(record):
                return
            problem = "the disk is full"
        except OSError as error:
            problem = error.strerror or str(error)
        self._file.truncate(end)
        self._give_up(problem)

    def _give_up(self, problem: str) -> None:
        self.persistent = False
        logger.warning("Reports can no longer be kept here, should the master be lost: %s", problem)
