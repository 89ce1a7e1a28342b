"""Runs an experiment: makes one run after the other by an `Executor`, and stores each when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from wsbench.errors import WsbenchError
from wsbench.experiment.experiment_store import ExperimentStore
from wsbench.experiment.order import missing_runs
from wsbench.results.experiment_result import DONE, FAILED, PENDING, RUNS, Cell, CellRun, Experiment


@dataclass(frozen=True)
class RunOutcome:
    """The outcome of a run that left a result in the directory `run`; `failure` is why it does not count.

    A run that the user interrupted will be repeated.
    """

    run: Path
    failure: str | None = None
    interrupted: bool = False


class Executor(Protocol):
    """Makes one run of a cell.

    WsbenchError means that nothing could be measured, and the experiment continues; KeyboardInterrupt ends it.
    """

    def __call__(self, cell: Cell, repetition: int) -> RunOutcome: ...


@dataclass(frozen=True)
class RunStart:
    """A run that starts: number `number` (from 1) of `total`; `left_ns` is the time left for it and all later runs."""

    cell: Cell
    repetition: int
    number: int
    total: int
    left_ns: int


class Observer(Protocol):
    """Receiver of an experiment's events."""

    def run_started(self, step: RunStart) -> None:
        """Report that a run starts."""

    def run_failed(self, cell: Cell, reason: str) -> None:
        """Report that a run failed or does not count."""


def run_experiment(
    store: ExperimentStore,
    experiment: Experiment,
    execute: Executor,
    observer: Observer,
    *,
    expected_run_ns: int,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> tuple[Experiment, bool]:
    """Make all missing runs; return the experiment after them, and whether the user interrupted it.

    `expected_run_ns` is the estimated length of a run until one was made.
    """
    store.save(experiment)
    missing = missing_runs(experiment)
    total = sum(len(cell.runs) for cell in experiment.cells)
    began_ns = clock_ns()
    for made, (place, number) in enumerate(missing):
        cell = experiment.cells[place]
        run = cell.runs[number]
        per_run_ns = (clock_ns() - began_ns) // made if made else expected_run_ns
        left = len(missing) - made
        observer.run_started(RunStart(cell, run.repetition, total - left + 1, total, left * per_run_ns))
        ended, interrupted = _made(cell, run, execute)
        experiment = _with(experiment, place, number, ended)
        if ended.status == FAILED:
            observer.run_failed(cell, ended.reason or "")
        store.save(experiment)
        if interrupted:
            return experiment, True
    experiment = replace(experiment, complete=True)
    store.save(experiment)
    return experiment, False


def _made(cell: Cell, run: CellRun, execute: Executor) -> tuple[CellRun, bool]:
    """Make the run; return its new state, and whether the user interrupted it."""
    try:
        outcome = execute(cell, run.repetition)
    except KeyboardInterrupt:
        return replace(run, status=PENDING, run=None, reason=None), True
    except WsbenchError as error:
        return replace(run, status=FAILED, run=None, reason=_in_one_line(str(error))), False
    where = f"{RUNS}/{outcome.run.name}"
    if outcome.interrupted:
        return replace(run, status=PENDING, run=where, reason="interrupted"), True
    if outcome.failure is not None:
        return replace(run, status=FAILED, run=where, reason=_in_one_line(outcome.failure)), False
    return replace(run, status=DONE, run=where, reason=None), False


def _with(experiment: Experiment, place: int, number: int, run: CellRun) -> Experiment:
    cells, runs = list(experiment.cells), list(experiment.cells[place].runs)
    runs[number] = run
    cells[place] = replace(cells[place], runs=runs)
    return replace(experiment, complete=False, cells=cells)


def _in_one_line(text: str) -> str:
    return "; ".join(filter(None, (line.strip() for line in text.splitlines())))
