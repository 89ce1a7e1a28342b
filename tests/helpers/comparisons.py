"""Stored results with figures chosen by a test, as input of `wsbench compare`."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from wsbench.results import experiment_result, run_result
from wsbench.results.experiment_result import Cell, CellRun, Experiment, Load
from wsbench.results.json_files import encode_json
from wsbench.results.run_result import Generator, Latency, MessageCounts, Run, Throughput

from .sample_run import RUN

SAMPLES = 20_000


def run_with(
    *,
    p50_ns: int | None = 50_000,
    p99_ns: int | None = 100_000,
    p99_9_ns: int | None = 200_000,
    per_s: float = 1000.0,
    samples: int = SAMPLES,
    **conditions: object,
) -> Run:
    """Return a trusted run; `conditions` are fields of its conditions."""
    latency = Latency(count=samples, p50_ns=p50_ns, p99_ns=p99_ns, p99_9_ns=p99_9_ns)
    return replace(
        RUN,
        conditions=replace(RUN.conditions, **conditions),
        latency={**RUN.latency, "response": latency},
        throughput=Throughput(per_s, per_s),
        messages=MessageCounts(sent=samples, received=samples),
        generator=Generator("ok"),
        gates=[],
    )


def spread_runs(count: int, seed: int, *, factor: float = 1.0, sigma: float = 0.01, **figures: object) -> list[Run]:
    """Return runs whose latencies are `factor` times the default, with log-normal spread `sigma` between runs."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        by = factor * rng.lognormvariate(0, sigma)
        found.append(
            run_with(p50_ns=int(50_000 * by), p99_ns=int(100_000 * by), p99_9_ns=int(200_000 * by), **figures)  # type: ignore[arg-type]
        )
    return found


def write_run(where: Path, run: Run) -> Path:
    """Write the run's run.json to the new directory `where`, whose name becomes the run's id."""
    where.mkdir(parents=True)
    (where / run_result.RUN_FILE).write_bytes(encode_json(replace(run, id=where.name)))
    return where


def cell(target: str, *, payload_size: int = 128, hole: str | None = None) -> Cell:
    """Return a cell without runs."""
    load = Load("open", rate=1000.0, arrivals="constant")
    key = f"{target} ws off {payload_size}B 50c open/1000"
    return Cell(key, target, "ws", "off", payload_size, 50, load, [], hole)


def write_experiment(where: Path, cells: Iterable[tuple[Cell, Sequence[Run | str]]], *, complete: bool = True) -> Path:
    """Write an experiment to `where`; for every cell, its runs, or the reason of a failed run."""
    filled, order = [], 0
    for number, (empty, runs) in enumerate(cells):
        entries = []
        for repetition, run in enumerate(runs):
            name = f"{number}-{repetition}"
            if isinstance(run, str):
                entries.append(CellRun(repetition, order, experiment_result.FAILED, None, run))
            else:
                write_run(where / experiment_result.RUNS / name, run)
                entries.append(CellRun(repetition, order, experiment_result.DONE, f"{experiment_result.RUNS}/{name}"))
            order += 1
        filled.append(replace(empty, runs=entries))
    experiment = Experiment(
        schema=experiment_result.SCHEMA,
        id=where.name,
        name="sample",
        complete=complete,
        started="2026-11-22T09:15:00.000Z",
        wsbench="0.1.0",
        seed=1,
        baseline=None,
        cells=filled,
    )
    where.mkdir(parents=True, exist_ok=True)
    (where / experiment_result.EXPERIMENT_FILE).write_bytes(encode_json(experiment))
    return where
