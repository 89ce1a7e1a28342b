"""The live figures of a run: as a document for the live page, and as a table of texts for a tab of Locust's web UI.

The live page requests its document once a second; making it yields control between its parts. Instants and durations
are in ns, CPU in percent of one core; unknown values are null.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from wsbench.master.director import Director
from wsbench.master.live import ChartPoint
from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.report import outcome_text
from wsbench.run.options import describe
from wsbench.run.protocol import RunDescription
from wsbench.units import format_count, format_duration, format_seconds

_SHOWN_ERRORS = 20
DOWNLOADS = ("report.html", "latency.hlog", "response.hgrm", "service.hgrm", "run.json", "timeline.csv", "locust.log")
_TAB = "websocket"
TAB_ARGS: dict[str, Any] = {
    "extended_tabs": [{"title": "WebSocket", "key": _TAB}],
    "extended_tables": [
        {"key": _TAB, "structure": [{"key": "what", "title": "What"}, {"key": "value", "title": "Value"}]}
    ],
    "extended_csv_files": [{"href": "./wsbench/", "title": "WebSocket: .hlog, .hgrm, run.json and report"}],
}
"""Arguments of Locust's page that add the tab."""


# -- the live page ---------------------------------------------------------------------------------------------------


def document(director: Director | None, finished: Sequence[Path], *, run_id: str, since: int) -> dict[str, Any]:
    """Return the document for a page that has version `since` of run `run_id`: it contains later seconds only."""
    results = [{"id": path.name, "files": files_of(path)} for path in reversed(finished)]
    if director is None:
        return {"state": "waiting", "results": results}
    director.progress.watch()
    live, described, result = director.collector.live, director.described, director.result
    shown = {
        "state": "running" if not director.done.is_set() else "done" if result.run is not None else "failed",
        "version": live.version,
        "results": results,
        "run": {
            "id": described.run_id,
            "url": described.options.connect.shown_url,
            "asked": _description(described),
        },
        "closed_loop": described.options.closed_loop,
        "phase": director.phases.phase,
        "left_ns": director.phases.left_ns(),
        "now_ns": time.time_ns(),
        "phase_shown": live.phase_shown,
        "failure": str(result.failure) if result.failure is not None else None,
        **_totals(director),
    }
    live.yield_control()
    shown["points"] = list(live.points(since if run_id == described.run_id else 0))
    shown["series"] = {
        name: {**_exactly(director, name, table), "curve": [drawn.reciprocals, drawn.values_ns]}
        for name, table, drawn in live.latencies()
    }
    shown["latest"] = live.latest()
    shown["throughput"] = result.run.throughput if result.run is not None else None
    if live.verdict is None and result.run is None:
        live.judge(set())
    shown["counters"] = result.run.counters if result.run is not None else director.collector.totals.counters()
    shown["gates"] = result.run.gates if result.run is not None else list(director.gates())
    shown["outcome"] = _outcome(director)
    shown["verdict"] = _verdict(director)
    return shown


def files_of(path: Path) -> list[str]:
    """Return the files of a result that can be downloaded, the most interesting first."""
    return [name for name in DOWNLOADS if (path / name).is_file()]


def _outcome(director: Director) -> dict[str, Any]:
    """Return the outcome; of a run in progress, what has gone wrong so far."""
    run = director.result.run
    if run is None:
        return {"kind": "", "result": "so far", "reasons": director.trouble()}
    return {"kind": outcome_text.kind(run), **asdict(run.outcome)}


def _verdict(director: Director) -> dict[str, Any] | None:
    """Return the generator's verdict on itself with its findings; None before the first one."""
    run, live = director.result.run, director.collector.live
    if run is not None:
        return {"verdict": run.generator.verdict, "final": True, "findings": run.generator.findings}
    return None if live.verdict is None else {"verdict": live.verdict[0], "final": False, "findings": live.verdict[1]}


def _description(described: RunDescription) -> str:
    options = described.options
    parts = [describe(options, described.scenario if described.custom else None)]
    parts += [f"compression {options.connect.compression}"] if options.connect.compression != "off" else []
    parts += [f"{options.processes} workers"] if options.processes > 1 else []
    return ", ".join(parts)


def _totals(director: Director) -> dict[str, Any]:
    """Return connections, messages, errors, wrong replies, negotiated features and workers."""
    workers, live = director.collector.registry, director.collector.live
    connections = workers.connections_wanted()
    counts = live.counts()
    return {
        "connections": {**asdict(connections), "open": live.connections_open},
        "messages": {name: counts.get(name, 0) for name in MESSAGE_COUNTS},
        "errors": workers.errors()[:_SHOWN_ERRORS],
        "examples": workers.examples(),
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


# -- the tab of Locust's web UI ---------------------------------------------------------------------------------------


def tab(director: Director | None) -> list[dict[str, Any]]:
    """Return the rows of the tab for Locust's `/stats/requests`."""
    # Not "name": Locust would sort the rows by it.
    rows = [] if director is None else [{"what": what, "value": value} for what, value in _tab_rows(director)]
    return [{"key": _TAB, "data": rows}]


def _tab_rows(director: Director) -> Iterator[tuple[str, str]]:
    director.progress.watch()
    live, options = director.collector.live, director.described.options
    left = director.phases.left_ns()
    yield "phase", str(director.phases.phase) + (f", {format_seconds(round(left, -9))} left" if left else "")
    connections = director.collector.registry.connections_wanted()
    codes = ", ".join(f"{code}: {format_count(count)}" for code, count in connections.close_codes.items())
    yield (
        "connections",
        f"{format_count(live.connections_open)} open of {format_count(connections.asked)} asked, "
        f"{format_count(connections.failed)} failed, {format_count(connections.dropped)} dropped"
        + (f"; closed with {codes}" if codes else ""),
    )
    latest = live.latest()
    if latest is not None:
        yield from _last_second(latest, closed_loop=options.closed_loop)
    counts = [(name, live.counts().get(name, 0)) for name in ("sent", "received", "lost", "missed")]
    yield f"messages ({live.phase_shown})", ", ".join(f"{format_count(count)} {name}" for name, count in counts)
    for worker in director.collector.registry:
        yield f"CPU of worker {worker.index}", f"{worker.cpu_now:.0f} % of a core (mean {worker.cpu_mean:.0f} %)"
    judged = _verdict(director)
    if judged is not None:
        yield "verdict", judged["verdict"] if judged["final"] else f"{judged['verdict']} so far"
        for finding in judged["findings"]:
            yield finding.code, f"{finding.evidence}. {finding.remedy}"


def _last_second(latest: ChartPoint, *, closed_loop: bool) -> Iterator[tuple[str, str]]:
    yield "sent", f"{format_count(latest.sent_per_s)} messages/s"
    yield "received", f"{format_count(latest.received_per_s)} messages/s"
    yield "lost", f"{format_count(latest.lost_per_s)} messages/s"
    for name, values in (("response", latest.response), ("service", latest.service)):
        shown = zip(("p50", "p90", "p99", "max"), values, strict=True)
        yield name, ", ".join(f"{what} {format_duration(value)}" for what, value in shown)
    if not closed_loop:
        yield "send lag", f"p99 {format_duration(latest.send_lag_p99_ns)}"
    yield "read lag", f"p99 {format_duration(latest.read_lag_p99_ns)}"
