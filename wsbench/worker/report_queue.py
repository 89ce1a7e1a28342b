"""A worker's reports on their way to the master: each is said until it is acknowledged, and kept until the end.

A connection that breaks takes with it what was under way; a master that dies takes everything it had been told. So a
worker keeps its reports itself, packed, in an unnamed temporary file that goes when the process goes: from them it can
make a result of its own (`orphan_result`).
"""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO

import gevent

from wsbench.run.protocol import Report, pack, unpack_report

logger = logging.getLogger("wsbench")

_LENGTH_BYTES = 4
_ROUND_S = 1.0
_LOOK_S = 0.05


class Post:
    """What one worker has to say in one run.

    Attributes:
        lasting: whether every report so far could be kept.
    """

    def __init__(self, say: Callable[[bytes], None]) -> None:
        """`say` hands a packed report to whatever carries it to the master."""
        self._say = say
        self._under_way: dict[int, tuple[bytes, int]] = {}
        self._kept: IO[bytes] = io.BytesIO()
        self.lasting = True
        try:
            self._kept = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the run
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def send(self, report: Report) -> None:
        """Say a report, and keep it."""
        packed = pack(report)
        self._under_way[report.number] = (packed, time.time_ns())
        self._keep(packed)
        self._say(packed)

    def acknowledged(self, number: int) -> int | None:
        """The master has a report: when it was said, in ns since the epoch; None when that was known before."""
        _, sent_ns = self._under_way.pop(number, (b"", None))
        return sent_ns

    @property
    def under_way(self) -> int:
        """How many reports the master has not acknowledged."""
        return len(self._under_way)

    def deliver(self, patience_s: float) -> bool:
        """Wait until everything is acknowledged, and say again what is not; False when the master stays silent."""
        for _ in range(max(1, round(patience_s / _ROUND_S))):
            for _ in range(int(_ROUND_S / _LOOK_S)):
                if not self._under_way:
                    return True
                gevent.sleep(_LOOK_S)
            for packed, _ in list(self._under_way.values()):
                self._say(packed)
        return not self._under_way

    def everything(self) -> Iterator[Report]:
        """All reports of the run, in order."""
        self._kept.seek(0)
        while head := self._kept.read(_LENGTH_BYTES):
            yield unpack_report(self._kept.read(int.from_bytes(head, "little")))

    def close(self) -> None:
        """Keep nothing any more."""
        self._kept.close()

    def _keep(self, packed: bytes) -> None:
        if not self.lasting:
            return
        record = len(packed).to_bytes(_LENGTH_BYTES, "little") + packed
        end = self._kept.tell()
        try:
            if self._kept.write(record) == len(record):
                return
            problem = "the disk is full"
        except OSError as error:
            problem = error.strerror or str(error)
        self._kept.truncate(end)
        self._give_up(problem)

    def _give_up(self, problem: str) -> None:
        self.lasting = False
        logger.warning("Reports can no longer be kept here, should the master be lost: %s", problem)
