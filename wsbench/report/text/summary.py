"""The closing summary of a run: plain text that a person reads in ten seconds."""

from __future__ import annotations

from wsbench.report import series_labels
from wsbench.report.text import text_histogram
from wsbench.results.percentiles import figure_of
from wsbench.results.run_result import Latency, Run
from wsbench.units import format_bytes, format_count, format_duration, format_seconds

_COLUMNS = ("p50", "p90", "p99", "p99.9", "max")

_MANY = 1000
ERRORS_SHOWN = 5
"""Kinds of errors, the most frequent first; run.json has all."""
_SIGNS = {"µ": "u", "–": "-", "×": "x", "…": "...", "✓": "+", "✗": "x", "·": "."}
_ASCII = text_histogram.ASCII | {ord(sign): plain for sign, plain in _SIGNS.items()}


def render(run: Run, path: str) -> str:
    """The summary; `path` is where the result lies."""
    rows = [_heading(run), "", *_throughput(run), "", *_latency(run), "", *text_histogram.rows(run), *_connections(run)]
    rows += [*_errors(run), "", *_verdict(run), *_gates(run), "", f"result: {path}"]
    return "\n".join(rows) + "\n"


def legible(summary: str, encoding: str | None) -> str:
    """The summary in signs that an output of this encoding has: ASCII, if it has not all of them."""
    try:
        summary.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return summary.translate(_ASCII).encode("ascii", "backslashreplace").decode()
    return summary


def _heading(run: Run) -> str:
    incomplete = "" if run.complete else "\nINCOMPLETE: the run was ended before its time; this is what was measured"
    return f"{run.conditions.url}{_target(run)}\n{describe_conditions(run)}{incomplete}"


def describe_conditions(run: Run) -> str:
    """What was asked for and granted, in one line."""
    c = run.conditions
    message = f"{c.payload_size} bytes {'binary' if c.binary else 'text'}"
    if c.loop == "open":
        load = f"open loop, {format_count(c.rate)} messages/s, {c.arrivals}"
    else:
        load = f"closed loop, {c.in_flight} in flight"
    if series_labels.has_own_scenario(run):  # it has messages and a pace of its own
        given = ", ".join(f"{name}={value}" for name, value in c.settings.items())
        message = f"scenario {c.scenario}" + (f" ({given})" if given else "")
        load = load if c.loop == "open" else "at its own pace"
    granted = run.negotiated.compression or ("none granted" if c.compression != "off" else "none")
    security = f", {run.negotiated.tls_version}" if c.tls else ""
    processes = f" from {c.processes} processes" if c.processes > 1 else ""
    return (
        f"{format_count(c.users)} connections{processes}, {load}, {message}, "
        f"compression {granted}{security}, {format_seconds(c.duration_ns)}"
    )


def _target(run: Run) -> str:
    target = run.target
    return f"  ({target.name} {target.version})" if target.name else ""


def _throughput(run: Run) -> list[str]:
    t, m = run.throughput, run.messages
    if not (m.sent or m.received or m.missed) and series_labels.scenario_series(run):
        return ["messages     none"]
    what = "messages/s received" if m.pushed else "replies/s"
    per_second = run.conditions.duration_ns / 1e9 or 1.0
    rows = [
        f"throughput   {format_count(t.received_per_s)} {what}   "
        f"({format_bytes(run.bytes.payload_received / per_second)}/s of payload)",
        f"messages     {format_count(m.sent)} sent, {format_count(m.received)} received, {format_count(m.lost)} lost",
    ]
    wrong = {
        "missed": m.missed,
        "duplicated": m.duplicated,
        "reordered": m.reordered,
        "corrupted": m.corrupted,
        "unexpected": m.unexpected,
        "late": m.late,
        "one-way": m.one_way,
        "pushed": m.pushed,
    }
    if any(wrong.values()):
        rows[-1] += "".join(f", {format_count(count)} {name}" for name, count in wrong.items() if count)
    return rows


def _latency(run: Run) -> list[str]:
    own = series_labels.scenario_series(run)
    width = max((len(name) + 1 for name in own), default=0)
    width = max(width, 10)
    head = "".join(f"{name:>11}" for name in _COLUMNS)
    rows = [f"{'latency':<{width + 2}}{head}{'count':>12}" if own else f"{'latency':<{width + 2}}{head}"]
    for name in (*series_labels.message_series(run), *own, *_connecting(run)):
        cells = "".join(f"{cell:>11}" for cell in _cells(run.latency[name]))
        row = f"  {series_labels.label(name):<{width}}{cells}"
        if own:
            latency = run.latency[name]
            row += f"{format_count(latency.count):>12}" + (
                f", {format_count(latency.lost)} lost" if latency.lost else ""
            )
        rows.append(row)
    if run.counters:
        counted = ", ".join(f"{format_count(count)} {name}" for name, count in run.counters.items())
        rows += ["", f"counted      {counted}"]
    return rows


def _connecting(run: Run) -> list[str]:
    """What opening connections took, where that is what a scenario does, or had to do again."""
    c = run.connections
    again = c.reconnected or c.opened > run.conditions.users
    return series_labels.connect_series(run) if again and series_labels.scenario_series(run) else []


def _cells(latency: Latency) -> list[str]:
    return [format_duration(figure_of(latency, column)) for column in _COLUMNS]


def _connections(run: Run) -> list[str]:
    c = run.connections
    opened = f"{format_count(c.opened)} of {format_count(c.asked)} opened"
    trouble = {"failed": c.failed, "dropped": c.dropped, "reconnected": c.reconnected}
    parts = [opened, *(f"{format_count(count)} {name}" for name, count in trouble.items() if count)]
    connect = run.latency["connect"]
    times = (
        f"   (p50 {format_duration(connect.p50_ns)}, max {format_duration(connect.max_ns)})" if connect.count else ""
    )
    return [f"connections  {', '.join(parts)}{times}", *_memory(run)]


def _memory(run: Run) -> list[str]:
    """What a connection takes: with few of them it says nothing."""
    if run.connections.opened < _MANY:
        return []
    sides = {"target": run.target.bytes_per_connection, "generator": run.generator.bytes_per_connection}
    shown = [f"{side} {format_bytes(size)}" for side, size in sides.items() if size is not None]
    return [f"memory       {', '.join(shown)} a connection"] if shown else []


def _errors(run: Run) -> list[str]:
    return [f"error        {error.count} × {error.example} [{error.side}]" for error in run.errors[:ERRORS_SHOWN]]


def _verdict(run: Run) -> list[str]:
    g = run.generator
    cpu = f"   generator {g.cpu_us_per_message:.1f} µs CPU a message" if g.cpu_us_per_message is not None else ""
    if g.polling_us_per_message:
        cpu += f" ({g.polling_us_per_message:.1f} µs of it waiting)"
    target = run.target.cpu_us_per_message
    if target is not None:
        cpu += f", target {target:.1f} µs"
    stamps = f", {run.timestamps.source} timestamps" if run.timestamps.source else ""
    rows = [f"verdict      {g.verdict}{cpu}{stamps}"]
    for finding in g.findings:
        rows += [f"  {finding.code}: {finding.evidence}", f"    {finding.remedy}"]
    return rows


def _gates(run: Run) -> list[str]:
    return [f"{'FAILED' if g.failed else 'passed':<12} --fail-if '{g.expression}'   was {g.value}" for g in run.gates]
