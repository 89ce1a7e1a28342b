"""The target's counters, exact at any moment and summed over its workers.

Each worker has a row of integers in shared memory, and only that worker writes to it. So there are no locks and
nothing to flush, and every worker can sum all rows.
"""

from __future__ import annotations

import contextlib
import mmap
import time
from typing import Any

import psutil
from websockets.version import version

MESSAGES_IN, MESSAGES_OUT, BYTES_IN, BYTES_OUT, OPENED, CLOSED, PID, BUFFERED = range(8)
# one cell for each reason to refuse a client; their names in /stats
FULL, BAD_HANDSHAKE, HANDSHAKE_TIMEOUT, ORIGIN, MESSAGE_SIZE, PROTOCOL_ERROR, BUFFERS, WRITE_TIMEOUT = range(8, 16)
_REFUSED = "connections bad_handshakes handshake_timeouts origins message_sizes protocol_errors buffers write_timeouts"
# a row fills whole cache lines: workers that share one would slow each other down
_ROW = 16


class Counters:
    """Shared counters; created before the workers are forked."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._cells = memoryview(mmap.mmap(-1, workers * _ROW * 8)).cast("q")
        self._start_ns = time.monotonic_ns()

    def row(self, worker: int) -> memoryview:
        """Return the cells of one worker, indexed by MESSAGES_IN and so on."""
        return self._cells[worker * _ROW : (worker + 1) * _ROW]

    def connections_open(self) -> int:
        """Return the number of open WebSocket connections of all workers."""
        cells = self._cells
        return sum(cells[row + OPENED] - cells[row + CLOSED] for row in range(0, len(cells), _ROW))

    def snapshot(self) -> dict[str, Any]:
        """Return the document at /stats.

        Bytes are those of application payloads. `rss_bytes` is the sum of the workers' resident memory, so memory
        that they share counts once for each. `buffered_bytes` is the memory of incomplete messages and unread
        replies. `refused` counts clients that the target refused or disconnected, by reason, each of them once.
        """
        rows = [self.row(worker).tolist() for worker in range(self._workers)]
        totals = [sum(column) for column in zip(*rows, strict=True)]
        cpu_s, rss_bytes, processes = _usage([row[PID] for row in rows])
        return {
            "name": "websockets",
            "version": version,
            "connections_open": totals[OPENED] - totals[CLOSED],
            "connections_opened": totals[OPENED],
            "messages_in": totals[MESSAGES_IN],
            "messages_out": totals[MESSAGES_OUT],
            "bytes_in": totals[BYTES_IN],
            "bytes_out": totals[BYTES_OUT],
            "cpu_s": round(cpu_s, 3),
            "rss_bytes": rss_bytes,
            "buffered_bytes": totals[BUFFERED],
            "refused": dict(zip(_REFUSED.split(), totals[FULL:], strict=True)),
            "processes": processes,
            "uptime_s": round((time.monotonic_ns() - self._start_ns) / 1e9, 3),
        }


def _usage(pids: list[int]) -> tuple[float, int, int]:
    """Return CPU seconds, resident bytes and number of the living processes of `pids`."""
    cpu_s, rss_bytes, processes = 0.0, 0, 0
    for pid in filter(None, pids):  # a worker that is still starting has 0
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            times, memory = process.cpu_times(), process.memory_info()
            cpu_s += times.user + times.system
            rss_bytes += memory.rss
            processes += 1
    return cpu_s, rss_bytes, processes
