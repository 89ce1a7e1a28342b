"""The runs of an experiment's cells: each starts a target, runs Locust against it, and stops both.

Every run has its own target. A run is the unit of an experiment's statistics: whatever differs between two starts of a
server (memory layout, hash seeds, just-in-time compilation) must differ between runs, and no cell may get a server that
the previous cell has warmed up, fragmented or broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from wsbench import machine
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.experiment_runner import RunOutcome
from wsbench.experiment.spec import Spec
from wsbench.launcher.execution import RunRequest, execute
from wsbench.launcher.interruptions import Interrupted, ignore_interruptions
from wsbench.launcher.local_target import death_of, explain_by_death
from wsbench.results.experiment_result import Cell
from wsbench.run.handoff import Progress
from wsbench.run.options import RunOptions
from wsbench.run.outcome import nothing_measured
from wsbench.websocket.connect_options import ConnectOptions

_PLACEHOLDER_URLS = {"ws": "ws://127.0.0.1/", "wss": "wss://127.0.0.1/"}
_LONGEST_NAME = 100


class CellRuns:
    """Makes runs of the cells of an experiment: an `Executor`. Their results go into the directory `runs`."""

    def __init__(self, spec: Spec, runs: Path, on_progress: Callable[[Progress], None]) -> None:
        self._spec = spec
        self._runs = runs
        self._on_progress = on_progress

    def __call__(self, cell: Cell, repetition: int) -> RunOutcome:
        """Make one run; raise KeyboardInterrupt if the user pressed Ctrl-C."""
        with self._spec.target(cell.target).start(cell.transport, cell.compression) as running:
            options = self._options(cell, running.url, name=f"{_slug(cell.key)}-r{repetition}")
            request = RunRequest(options, self._spec.connections_per_s).against(running)
            try:
                finished = execute(request, on_progress=self._on_progress)
                if finished.interrupted:
                    ignore_interruptions()
            except Interrupted:
                ignore_interruptions()
                raise KeyboardInterrupt from None
            except WsbenchError as error:
                raise explain_by_death(error, running) from error
            failure = None if running.running else death_of(running)
        if finished.path is None:
            raise finished.not_stored or WsbenchError("the result was not stored")
        failure = failure or nothing_measured(finished.run) or None
        if failure is None and not finished.run.complete:
            failure = "the run ended before its time"
        return RunOutcome(finished.path, failure, finished.interrupted)

    def check(self, cells: Iterable[Cell]) -> None:
        """Raise UsageError if the options of a cell do not go together, before anything is started."""
        checked: list[tuple[Any, ...]] = []
        for cell in cells:
            target = self._spec.target(cell.target)
            target.target.check_room(cell.connections)
            if (cell.conditions, target.options) in checked:  # mostly, targets differ and options do not
                continue
            checked.append((cell.conditions, target.options))
            try:
                self._options(cell, _PLACEHOLDER_URLS[cell.transport], name="any")
            except UsageError as error:
                raise UsageError(f"{cell.key}: {error.what}", remedy=error.remedy) from error
            machine.check_descriptors(cell.connections, self._spec.processes)

    def running_servers(self, cells: Iterable[Cell]) -> list[ConnectOptions]:
        """Return how to connect to the targets of cells that are running already, each once."""
        urls = {self._spec.target(cell.target).target.url: cell for cell in cells if cell.hole is None}
        return [self._options(cell, url, name="any").connect for url, cell in urls.items() if url]

    def _options(self, cell: Cell, url: str, name: str) -> RunOptions:
        spec, load = self._spec, cell.load
        values: dict[str, Any] = {
            **spec.settings,
            **spec.target(cell.target).options,
            "payload_size": cell.payload_size,
            "compression": cell.compression,
            "results": self._runs,
            "name": name,
        }
        if load.loop == "open":
            values |= {"rate": load.rate, "arrivals": load.arrivals}
        else:
            values |= {"in_flight": load.in_flight}
        return RunOptions.from_values(values, url=url, users=cell.connections, processes=spec.processes)


def _slug(key: str) -> str:
    """Return a cell's key as part of a directory's name."""
    return re.sub(r"[^\w.+]+", "-", key, flags=re.ASCII).strip("-.")[:_LONGEST_NAME]
