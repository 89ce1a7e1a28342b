"""The cells of an experiment and the order of their runs. The same seed gives the same order.

Each repetition is a block that holds every cell once, in an order that the seed determines. So slow changes of the
machine affect all cells alike, and no cell always has the same predecessor.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

from msgspec.structs import replace

from wsbench.experiment.spec import Spec
from wsbench.results.experiment_result import DONE, Cell, CellRun, Experiment, Load


def plan_cells(spec: Spec, *, repetitions: int, seed: int) -> list[Cell]:
    """Return all cells, including holes; all but the holes with pending runs."""
    cells = list(_cells(spec))
    runs: list[list[CellRun]] = [[] for _ in cells]
    for order, (repetition, place) in enumerate(_order(cells, repetitions, seed)):
        runs[place].append(CellRun(repetition, order))
    return [replace(cell, runs=cell_runs) for cell, cell_runs in zip(cells, runs, strict=True)]


def missing_runs(experiment: Experiment) -> list[tuple[int, int]]:
    """Return the runs that are pending or failed, in order: (index of the cell, index of the run in it)."""
    missing = [
        (run.order, place, number)
        for place, cell in enumerate(experiment.cells)
        for number, run in enumerate(cell.runs)
        if run.status != DONE
    ]
    return [(place, number) for _, place, number in sorted(missing)]


def _cells(spec: Spec) -> Iterator[Cell]:
    axes = product(spec.transport, spec.compression, spec.payload_size, spec.connections, spec.load, spec.targets)
    for transport, compression, payload_size, connections, load, target in axes:
        key = f"{target.name} {transport} {compression} {payload_size}B {connections}c {_load_key(load)}"
        hole = target.hole(transport, compression)
        yield Cell(key, target.name, transport, compression, payload_size, connections, load, hole=hole)


def _load_key(load: Load) -> str:
    if load.loop == "closed":
        return f"closed/{load.in_flight}"
    return f"open/{load.rate:.10g}" + ("" if load.arrivals == "constant" else f"/{load.arrivals}")


def _order(cells: list[Cell], repetitions: int, seed: int) -> Iterator[tuple[int, int]]:
    """Yield (repetition, index of the cell) for every run."""
    rng = random.Random(seed)
    for repetition in range(repetitions):
        block = [place for place, cell in enumerate(cells) if cell.hole is None]
        rng.shuffle(block)
        yield from ((repetition, place) for place in block)
