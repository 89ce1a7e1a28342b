"""The master's patience with workers at the end of a run: it lasts while a worker makes progress.

To close tens of thousands of connections takes minutes on a busy machine. Meanwhile the worker's reports show how many
it has closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from wsbench.master.worker_registry import WorkerRegistry


class FinalPatience:
    """The workers without a last report, each for `patience_s` after its last progress."""

    def __init__(
        self, registry: WorkerRegistry, patience_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._patience_s = patience_s
        self._clock = clock
        self._progress: dict[int, tuple[int, float]] = {}
        """For each worker, the connections that it had opened and closed, and since when."""

    def waited_for(self) -> set[int]:
        """Return the workers to wait for. Call this after every report, and once a second."""
        now = self._clock()
        return {index for index in self._registry.not_final() if now - self._progress_of(index, now) < self._patience_s}

    def _progress_of(self, index: int, now: float) -> float:
        """Return the instant of a worker's last progress."""
        done = self._registry.expect(index).connections_done
        known = self._progress.get(index)
        if known is None or known[0] != done:
            known = self._progress[index] = (done, now)
        return known[1]
