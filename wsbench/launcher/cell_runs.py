"""One run of an experiment's cell: its target started, Locust run against it as `wsbench run` does, both gone after it.

Every run has a target of its own. A run is the unit of an experiment's statistics, so that whatever differs from one
start of a server to the next (memory layout, hash seeds, just-in-time compilation) must differ from run to run as well,
and no cell may find a server that the cell before has warmed up, fragmented or broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wsbench import machine
from wsbench.cli.progress import ProgressLine
from wsbench.cli.run import defaults, execute, forget_environment, reach
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.experiment_runner import RunOutcome
from wsbench.experiment.spec import Spec
from wsbench.launcher.locust_process import Interrupted, ignore_interruptions
from wsbench.results.experiment_result import Cell
from wsbench.run.options import DEFAULT_DURATION, RunOptions
from wsbench.targets.running import RunningTarget

_ANYWHERE = {"ws": "ws://127.0.0.1/", "wss": "wss://127.0.0.1/"}
_LONGEST_NAME = 100


class CellRuns:
    """Makes runs of the cells of an experiment: an `Executor`.

    Args:
        runs: where their results go.
        line: shows where a run stands.
    """

    def __init__(self, spec: Spec, runs: Path, line: ProgressLine) -> None:
        self._spec = spec
        self._runs = runs
        self._line = line
        forget_environment()

    def __call__(self, cell: Cell, repetition: int) -> RunOutcome:
        """One run.

        Raises:
            WsbenchError: nothing could be measured.
            KeyboardInterrupt: the user wants no more.
        """
        with self._spec.target(cell.target).start(cell.transport, cell.compression) as running:
            where, target = reach(running)
            given = self._given(cell, repetition)
            try:
                ended = execute(_options(given, where["url"]), given, where, target, on_progress=self._line.update)
                if ended.interrupted:
                    ignore_interruptions()
            except Interrupted:
                ignore_interruptions()
                raise KeyboardInterrupt from None
            except WsbenchError as error:
                raise with_its_end(error, running) from error
            failure = None if running.running else death(running)
        if ended.path is None:
            raise ended.not_stored or WsbenchError("the result was not stored")
        if failure is None and not ended.run.complete:
            failure = "the run ended before its time"
        return RunOutcome(ended.path, failure, ended.interrupted)

    def check(self, cells: Iterable[Cell]) -> None:
        """Whether the options of every cell go together, before anything is started.

        Raises:
            UsageError: they do not.
        """
        checked = []
        for cell in cells:
            given = {**self._given(cell, 0), "name": "any"}
            if (cell.transport, given) in checked:  # mostly, targets differ and options do not
                continue
            checked.append((cell.transport, given))
            try:
                _options(given, _ANYWHERE[cell.transport])
            except UsageError as error:
                raise UsageError(f"{cell.key}: {error.what}", remedy=error.remedy) from error
            machine.check_descriptors(cell.connections, self._spec.processes)

    def _given(self, cell: Cell, repetition: int) -> dict[str, Any]:
        """The options of `wsbench run`, as text."""
        spec, load = self._spec, cell.load
        open_loop = load.loop == "open"
        shared = {"duration": DEFAULT_DURATION, **spec.settings, **spec.target(cell.target).options}
        return defaults(
            **shared,
            users=cell.connections,
            spawn_rate=spec.connections_per_s,
            processes=spec.processes,
            payload_size=str(cell.payload_size),
            compression=cell.compression,
            rate=repr(load.rate) if open_loop else None,
            arrivals=load.arrivals if open_loop else "constant",
            in_flight="1" if open_loop else str(load.in_flight),
            results=str(self._runs),
            name=f"{_slug(cell.key)}-r{repetition}",
        )


def _options(given: dict[str, Any], url: str) -> RunOptions:
    return RunOptions.from_mapping(given, url=url, users=given["users"], processes=given["processes"])


def _slug(key: str) -> str:
    """As a directory's name."""
    return re.sub(r"[^\w.+]+", "-", key, flags=re.ASCII).strip("-.")[:_LONGEST_NAME]


def with_its_end(error: WsbenchError, running: RunningTarget) -> WsbenchError:
    """The error, or that the target died, which then is why."""
    return error if running.running else WsbenchError(death(running), remedy=error.what)


def death(running: RunningTarget) -> str:
    states = ", ".join(f"{child.name} {child.state()}" for child in running.children if not child.running)
    wrote = f"\nit wrote: {running.stderr_tail}" if running.stderr_tail else ""
    return f"target {running.name} died in the run: {states}{wrote}"
