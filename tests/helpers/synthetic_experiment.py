"""An invented experiment: three targets under two sets of conditions, a hole, a failed run, lost messages."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from wsbench.results import experiment_result
from wsbench.results.experiment_result import DONE, FAILED, RUNS, Cell, CellRun, Experiment, Load
from wsbench.results.json_files import encode_json
from wsbench.results.run_result import TargetResult

from .synthetic import stored

TARGETS = {"websockets": (300.0, 30.0), "picows": (120.0, 9.0), "nginx>websockets": (420.0, 36.0)}
"""Median latency and CPU a message, in µs."""


def write(results_dir: Path, *, repetitions: int = 3, failure: str = "HTTP 502") -> Path:
    """Write its directory to `results_dir`."""
    where = results_dir / "20261122T091500Z-compare"
    cells = []
    for compression in ("off", "on"):
        for name, (median_us, cpu_us) in TARGETS.items():
            if (name, compression) == ("picows", "on"):
                cells.append(_cell(name, compression, [], "picows is started without compression"))
                continue
            runs = [
                _run(
                    where,
                    len(cells) * repetitions + n,
                    n,
                    name,
                    median_us * (1.3 if compression == "on" else 1),
                    cpu_us,
                )
                for n in range(repetitions)
            ]
            if (name, compression) == ("nginx>websockets", "on"):
                runs[-1] = replace(runs[-1], status=FAILED, run=None, reason=failure)
            cells.append(_cell(name, compression, runs))
    experiment = Experiment(
        experiment_result.SCHEMA,
        where.name,
        "compare",
        True,
        "2026-11-22T09:15:00.000Z",
        "0.1.0",
        7,
        "websockets",
        cells,
    )
    (where / experiment_result.EXPERIMENT_FILE).write_bytes(encode_json(experiment))
    return where


def _cell(target: str, compression: str, runs: list[CellRun], hole: str | None = None) -> Cell:
    load = Load("open", rate=1000.0, arrivals="poisson")
    return Cell(f"{target} ws {compression} 128B 50c open/1000", target, "ws", compression, 128, 50, load, runs, hole)


def _run(where: Path, order: int, repetition: int, target: str, median_us: float, cpu_us: float) -> CellRun:
    made = stored(4, median_us=median_us * (1 + 0.05 * repetition), seed=order, lost_per_stall=3 * (target == "picows"))
    made.run = replace(
        made.run,
        id=f"run-{order}",
        target=TargetResult(target, "1.0", True, 1.5, cpu_us * (1 + 0.03 * repetition), 10**8, 5_000),
    )
    made.write(where / RUNS)
    return CellRun(repetition, order, DONE, f"{RUNS}/{made.run.id}")
