"""The WebSocket tab of Locust's web UI: the live figures as a table of texts, which is all that a tab can show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wsbench.locust_plugin.web.snapshot import verdict
from wsbench.master.director import Director
from wsbench.master.live import ChartPoint
from wsbench.units import format_count, format_duration, format_seconds

KEY = "websocket"
TEMPLATE_ARGS: dict[str, Any] = {
    "extended_tabs": [{"title": "WebSocket", "key": KEY}],
    "extended_tables": [
        {"key": KEY, "structure": [{"key": "what", "title": "What"}, {"key": "value", "title": "Value"}]}
    ],
    "extended_csv_files": [{"href": "./wsbench/", "title": "WebSocket: .hlog, .hgrm, run.json and report"}],
}


def statistics(director: Director | None) -> list[dict[str, Any]]:
    """Return the rows of the tab for Locust's `/stats/requests`."""
    # Not "name": Locust would sort the rows by it.
    rows = [] if director is None else [{"what": what, "value": value} for what, value in _rows(director)]
    return [{"key": KEY, "data": rows}]


def _rows(director: Director) -> Iterator[tuple[str, str]]:
    director.progress.watch()
    live, options = director.collector.live, director.described.options
    left = director.phases.left_ns()
    yield (
        "phase",
        f"{director.phases.phase}, {format_seconds(round(left, -9))} left" if left else str(director.phases.phase),
    )
    connections = director.collector.registry.connections(options.users)
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
    counts = live.counts()
    yield (
        f"messages ({live.phase_shown})",
        ", ".join(f"{format_count(counts.get(name, 0))} {name}" for name in ("sent", "received", "lost", "missed")),
    )
    for worker in director.collector.registry:
        yield f"CPU of worker {worker.index}", f"{worker.cpu_now:.0f} % of a core (mean {worker.cpu_mean:.0f} %)"
    judged = verdict(director)
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
