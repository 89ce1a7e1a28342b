"""The document that the live page requests once a second; making it yields control between its parts.

Instants and durations are in ns, CPU in percent of one core; unknown values are null.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from wsbench.master.director import Director
from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.run.options import RunOptions, describe

_SHOWN_ERRORS = 20
DOWNLOADS = ("report.html", "latency.hlog", "response.hgrm", "service.hgrm", "run.json", "timeline.csv", "locust.log")


def snapshot(director: Director | None, finished: Sequence[Path], *, run_id: str, since: int) -> dict[str, Any]:
    """Return the document for a page that has version `since` of run `run_id`: it contains later seconds only."""
    results = [{"id": path.name, "files": files_of(path)} for path in reversed(finished)]
    if director is None:
        return {"state": "waiting", "results": results}
    director.progress.watch()
    live, described, result = director.collector.live, director.described, director.result
    document = {
        "state": "running" if not director.done.is_set() else "done" if result.run is not None else "failed",
        "version": live.version,
        "results": results,
        "run": {"id": described.run_id, "url": described.options.connect.url, "asked": _description(described.options)},
        "closed_loop": described.options.closed_loop,
        "phase": director.phases.phase,
        "left_ns": director.phases.left_ns(),
        "now_ns": time.time_ns(),
        "phase_shown": live.phase_shown,
        "failure": str(result.failure) if result.failure is not None else None,
        **_totals(director),
    }
    live.yield_control()
    document["points"] = list(live.points(since if run_id == described.run_id else 0))
    document["series"] = {
        name: {**_exactly(director, name, table), "curve": [drawn.reciprocals, drawn.values_ns]}
        for name, table, drawn in live.latencies()
    }
    document["latest"] = live.latest()
    document["throughput"] = result.run.throughput if result.run is not None else None
    if live.verdict is None and result.run is None:
        live.judge(set())
    document["verdict"] = verdict(director)
    return document


def files_of(path: Path) -> list[str]:
    """Return the files of a result that can be downloaded, the most interesting first."""
    return [name for name in DOWNLOADS if (path / name).is_file()]


def verdict(director: Director) -> dict[str, Any] | None:
    """Return the generator's verdict on itself with its findings; None before the first one."""
    run, live = director.result.run, director.collector.live
    if run is not None:
        return {"verdict": run.generator.verdict, "final": True, "findings": run.generator.findings}
    return None if live.verdict is None else {"verdict": live.verdict[0], "final": False, "findings": live.verdict[1]}


def _description(options: RunOptions) -> str:
    parts = [describe(options)]
    parts += [f"compression {options.connect.compression}"] if options.connect.compression != "off" else []
    parts += [f"{options.processes} workers"] if options.processes > 1 else []
    return ", ".join(parts)


def _totals(director: Director) -> dict[str, Any]:
    """Return connections, messages, errors, negotiated features and workers."""
    workers, live = director.collector.registry, director.collector.live
    connections = workers.connections(director.described.options.users)
    counts = live.counts()
    return {
        "connections": {**asdict(connections), "open": live.connections_open},
        "messages": {name: counts.get(name, 0) for name in MESSAGE_COUNTS},
        "errors": workers.errors()[:_SHOWN_ERRORS],
        "negotiated": workers.negotiated(),
        "workers": [{**asdict(worker.result()), "cpu_percent": worker.cpu_now} for worker in workers],
    }


def _exactly(director: Director, name: str, coarse: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a series from the result once there is one; until then, the coarse ones."""
    if director.result.run is None:
        return coarse
    latency = director.result.run.latency[name]
    # p99.9_ns is p99_9_ns in Python
    return {key: getattr(latency, key.replace(".", "_")) for key in coarse}
