"""The tables of a run's report: rows of (name, value) as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from wsbench.report import availability_text, series_labels
from wsbench.results.percentile_fields import PERCENTILES, figure_of
from wsbench.results.run_result import Run
from wsbench.units import format_bytes, format_count, format_counted, format_duration, format_rate, format_seconds

Fact = tuple[str, str]

_FIGURES = (*PERCENTILES, "max", "mean")
_COUNTS = {"rejected": "of them failed by the scenario"}
VERDICTS = {
    "ok": "The generator kept up: the figures are those of the server.",
    "late": "Messages left so late that `response` is not valid; `service` is.",
    "saturated": "The generator was the limit: throughput, and what depends on it, is not the server's.",
}
"""The meaning of every verdict; a verdict of another version may be missing."""


def tiles(run: Run) -> list[Fact]:
    """Return the key figures of a run."""
    first = series_labels.headline_series(run)
    latency, c, m = run.latency[first], run.connections, run.messages
    return [
        ("throughput", format_rate(run.throughput.received_per_s)),
        (f"{first} p50", format_duration(latency.p50_ns)),
        (f"{first} p99", format_duration(latency.p99_ns)),
        (f"{first} p99.9", format_duration(latency.p99_9_ns)),
        ("lost", format_count(m.lost + m.missed)),
        ("connections", f"{format_count(c.opened)} of {format_count(c.asked)}"),
    ]


def latency_columns(run: Run, names: Sequence[str]) -> list[str]:
    """Return the headings of the columns of `latencies`; "lost" only if some are."""
    return [*_FIGURES, "messages", *(["lost"] if any(run.latency[name].lost for name in names) else [])]


def latencies(run: Run, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield one row for each of the series `names`: its label and its figures."""
    columns = latency_columns(run, names)
    for name in names:
        series = run.latency[name]
        counts = [format_count(series.count), format_count(series.lost)][: len(columns) - len(_FIGURES)]
        figures = [format_duration(figure_of(series, label)) for label in _FIGURES]
        yield series_labels.label(run, name), [*figures, *counts]


def counters(run: Run) -> list[Fact]:
    """Return the scenario's counters."""
    return [(name, format_count(count)) for name, count in run.counters.items()]


def conditions(run: Run) -> list[Fact]:
    """Return what was requested, and what the server granted."""
    c, n = run.conditions, run.negotiated
    rows = [
        ("URL", c.url),
        ("scenario", c.scenario),
        ("load", _load(run)),
        ("connections", f"{format_count(c.users)} from {format_counted(c.processes, 'process', 'processes')}"),
        ("phases", f"warm-up {format_seconds(c.warmup_ns)}, measure {format_seconds(c.duration_ns)}"),
        ("reply timeout", format_seconds(c.timeout_ns)),
        ("compression", f"{c.compression} requested, {n.compression or 'none'} granted"),
        ("TLS", f"{n.tls_version or '–'}, {n.tls_cipher or '–'}" if c.tls else "none"),
    ]
    if not series_labels.has_own_scenario(run):
        rows.insert(4, ("message", f"{format_count(c.payload_size)} bytes, {'binary' if c.binary else 'text'}"))
    if c.settings:
        rows.append(("settings", ", ".join(f"{name}={value}" for name, value in c.settings.items())))
    if n.subprotocol:
        rows.append(("subprotocol", n.subprotocol))
    return [*rows, ("command", shlex.join(run.command))]


def _load(run: Run) -> str:
    c = run.conditions
    if c.loop == "closed":
        own = series_labels.has_own_scenario(run)
        return "set by the scenario" if own else f"closed loop, {c.in_flight} in flight per connection"
    return f"open loop, {c.rate:,.10g} messages/s, {c.arrivals}" if c.rate else "open loop"


def target(run: Run) -> list[Fact]:
    """Return what is known about the server."""
    t = run.target
    known = [
        ("target", " ".join(filter(None, (t.name, t.version))) or "–"),
        ("started by wsbench", "yes" if t.started_by_wsbench else "no"),
    ]
    if t.started_by_wsbench:
        known += [
            ("CPU, measure phase", "–" if t.cpu_s is None else f"{t.cpu_s:,.2f} s"),
            ("CPU per message", _micros(t.cpu_us_per_message)),
            ("memory", format_bytes(t.rss_bytes)),
            ("memory per connection", format_bytes(t.bytes_per_connection)),
        ]
    return known


def environment(run: Run) -> list[Fact]:
    """Return the machine and the software that generated the load."""
    e, t = run.environment, run.timestamps
    mixed = f"mixed ({format_count(t.kernel)} kernel, {format_count(t.user)} wsbench)"
    stamps = {"kernel": "from the kernel", "user": "from wsbench", "mixed": mixed}
    return [
        ("CPU", f"{e.cpu}, {e.cores_text}"),
        ("kernel", e.kernel),
        ("Python", e.python),
        ("packages", ", ".join(f"{name} {version}" for name, version in e.packages.items()) or "–"),
        ("open files allowed", format_count(e.nofile)),
        ("receive timestamps", stamps.get(t.source or "", "–")),
        ("wsbench", run.wsbench),
    ]


def messages(run: Run) -> list[tuple[str, str, str]]:
    """Return the message counts of the measure phase and of all phases."""
    measured, in_all_phases = run.messages, run.messages_all_phases
    return [
        (_COUNTS.get(name, name), format_count(getattr(measured, name)), format_count(getattr(in_all_phases, name)))
        for name in measured.__struct_fields__
    ]


def traffic(run: Run) -> list[Fact]:
    """Return the bytes of the measure phase."""
    b = run.bytes
    return [
        ("payload sent", format_bytes(b.payload_sent)),
        ("payload received", format_bytes(b.payload_received)),
        ("on the wire, sent", format_bytes(b.wire_sent)),
        ("on the wire, received", format_bytes(b.wire_received)),
    ]


def connections(run: Run) -> list[Fact]:
    """Return the connections of the whole run, and their close codes."""
    c = run.connections
    names = ("asked", "opened", "failed", "dropped", "reconnected")
    counts = [(name, format_count(getattr(c, name))) for name in names]
    if len(c.peers) > 1:
        counts += [(f"opened to {address}", format_count(count)) for address, count in c.peers.items()]
    if away := availability_text.describe(run):
        counts.append(("available", away))
    if run.conditions.tls:
        counts.append(("TLS sessions resumed", format_count(c.tls_resumed)))
    return [*counts, *((f"closed with {code}", format_count(count)) for code, count in c.close_codes.items())]


def workers(run: Run) -> list[list[str]]:
    """Return one row per worker: index, CPU (mean, maximum, polling), memory, messages."""
    return [
        [
            str(w.index),
            f"{w.cpu_percent_mean:.0f} %",
            f"{w.cpu_percent_max:.0f} %",
            f"{w.polling_percent:.0f} %",
            format_bytes(w.rss_bytes),
            format_count(w.messages),
        ]
        for w in run.generator.workers
    ]


def generator(run: Run) -> list[Fact]:
    """Return the generator's cost per message and connection."""
    g = run.generator
    return [
        ("CPU per message", _micros(g.cpu_us_per_message)),
        ("of which polling", _micros(g.polling_us_per_message)),
        ("memory per connection", format_bytes(g.bytes_per_connection)),
    ]


def _micros(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} µs"
