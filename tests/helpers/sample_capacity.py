"""An invented capacity search: a server of 500 messages per second that lost many at 800."""

from __future__ import annotations

from pathlib import Path

from wsbench.results import capacity_result
from wsbench.results.capacity_result import (
    HELD,
    RATE,
    TARGET,
    Bounds,
    Capacity,
    CapacityAnswer,
    CapacityStep,
    Knee,
    Objective,
    SearchConditions,
)
from wsbench.results.json_files import encode_json

MS = 1_000_000


def step(load: float, outcome: str, p99_ms: float | None, **more: object) -> CapacityStep:
    """Return a step of a search for the rate; without a p99, it failed by losses."""
    p99_ns = None if p99_ms is None else round(p99_ms * MS)
    shown = "–" if p99_ms is None else f"{p99_ms:.1f} ms"
    given: dict[str, object] = {
        "why": "" if outcome == HELD else f"p99 was {shown}",
        "objectives": [Objective("p99 < 10ms", outcome == HELD, shown), Objective("lost == 0", True, "0")],
        "verdict": "ok",
        "due": int(10 * load),
        "received_per_s": min(load, 500.0),
        "p50_ns": round(MS if p99_ms is None else p99_ms * MS / 4),
        "p99_ns": p99_ns,
        "p99_9_ns": None if p99_ns is None else 2 * p99_ns,
        "run": f"runs/{load:g}",
    }
    return CapacityStep(load, load, 50, outcome, **{**given, **more})  # type: ignore[arg-type]


STEPS = [
    step(100, HELD, 2.0),
    step(200, HELD, 2.1),
    step(400, HELD, 2.4),
    step(800, TARGET, None),
    step(800, TARGET, 900.0),
    step(566, TARGET, 120.0),
    step(566, TARGET, 130.0),
    step(476, HELD, 4.0),
    step(519, TARGET, 40.0),
    step(519, TARGET, 50.0),
    step(497, HELD, 8.0),
    step(497, TARGET, 12.0),
    step(497, HELD, 7.0),
]
CAPACITY = Capacity(
    schema=capacity_result.SCHEMA,
    id="20261122T091500Z-capacity",
    name="capacity",
    complete=True,
    started="2026-11-22T09:15:00.000Z",
    wsbench="0.1.0",
    command=["wsbench", "capacity", "ws://127.0.0.1:8765/echo", "--slo", "p99 < 10ms"],
    url="ws://127.0.0.1:8765/echo",
    target=None,
    conditions=SearchConditions(50, None, 1, "constant", 128, False, "off", False, 10_000 * MS),
    searched=RATE,
    objectives=["p99 < 10ms", "lost == 0"],
    default_objectives=False,
    bounds=Bounds(100.0, 10.0, 1e6),
    tolerance=0.05,
    answer=CapacityAnswer(497.0, 497.0, 50, settled=True),
    limited_by=TARGET,
    limit="the target: at 519 messages/s, p99 was 50.0 ms",
    failed_at=519.0,
    knee=Knee(476.0, 4 * MS),
    steps=STEPS,
)


def write(results_dir: Path, found: Capacity = CAPACITY) -> Path:
    """Write its directory, without the runs, to `results_dir`."""
    where = results_dir / found.id
    where.mkdir(parents=True)
    (where / capacity_result.CAPACITY_FILE).write_bytes(encode_json(found))
    return where
