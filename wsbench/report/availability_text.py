"""The time without connections in words, the same for all reports."""

from __future__ import annotations

from wsbench.measure.series import AWAY
from wsbench.results.run_result import Latency, Run
from wsbench.units import format_count, format_duration, format_share


def describe(run: Run) -> str:
    """Return a line about connections that were away; empty if none was."""
    time, away, failed = run.availability, run.latency.get(AWAY, Latency()), run.connections.reconnects_failed
    if time.percent is None or not time.away_ns:
        return ""
    parts = (
        format_share(time.percent / 100),
        f"no connection at all for {format_duration(time.outage_ns)}" if time.outage_ns else "",
        f"back after {format_duration(away.p50_ns)} (p50)" if away.p50_ns is not None else "",
        f"{format_count(away.lost)} not back at the end" if away.lost else "",
        f"{format_count(failed)} attempts to reconnect failed" if failed else "",
    )
    return ", ".join(filter(None, parts))
