"""What a report says in words: rows of (what, value) for people."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from wsbench.report import series_labels
from wsbench.results.percentiles import PERCENTILES, figure_of
from wsbench.results.run_result import Run
from wsbench.units import format_bytes, format_count, format_duration, format_seconds

Fact = tuple[str, str]

_FIGURES = (*PERCENTILES, "max", "mean")
VERDICTS = {
    "ok": "The generator kept up: the figures are the server's.",
    "late": "Messages left late enough to spoil `response`; `service` still holds.",
    "saturated": "The generator was the limit: throughput, and all that hangs on it, is its own and not the server's.",
}
"""What a verdict means, in a sentence; another version's may be missing."""


def tiles(run: Run) -> list[Fact]:
    """The figures that one looks for first."""
    first = series_labels.headline_series(run)
    latency, c, m = run.latency[first], run.connections, run.messages
    return [
        ("throughput", _rate(run.throughput.received_per_s)),
        (f"{first} p50", format_duration(latency.p50_ns)),
        (f"{first} p99", format_duration(latency.p99_ns)),
        (f"{first} p99.9", format_duration(latency.p99_9_ns)),
        ("lost", format_count(m.lost + m.missed)),
        ("connections", f"{format_count(c.opened)} of {format_count(c.asked)}"),
    ]


def latencies(run: Run, names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """A row a figure, with its value for each of the series `names`."""
    of = [run.latency[name] for name in names]
    rows = [(what, [format_duration(figure_of(each, what)) for each in of]) for what in _FIGURES]
    rows.append(("messages", [format_count(each.count) for each in of]))
    if any(each.lost for each in of):
        rows.append(("lost", [format_count(each.lost) for each in of]))
    return rows


def counters(run: Run) -> list[Fact]:
    """The scenario's own."""
    return [(name, format_count(count)) for name, count in run.counters.items()]


def conditions(run: Run) -> list[Fact]:
    """What was asked for, and what the server granted of it."""
    c, n = run.conditions, run.negotiated
    rows = [
        ("URL", c.url),
        ("scenario", c.scenario),
        ("load", _load(run)),
        ("connections", f"{format_count(c.users)} from {_some(c.processes, 'process', 'processes')}"),
        ("phases", f"warm-up {format_seconds(c.warmup_ns)}, measure {format_seconds(c.duration_ns)}"),
        ("time allowed for a reply", format_seconds(c.timeout_ns)),
        ("compression", f"{c.compression} asked, {n.compression or 'none'} granted"),
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
    if c.loop == "closed" and series_labels.has_own_scenario(run):
        return "the scenario's own"
    if c.loop == "closed":
        return f"closed loop, {c.in_flight} in flight a connection"
    return f"open loop, {c.rate:,.10g} messages/s, {c.arrivals}" if c.rate else "open loop"


def target(run: Run) -> list[Fact]:
    """The server, as far as anybody knows it."""
    t = run.target
    known = [
        ("target", " ".join(filter(None, (t.name, t.version))) or "–"),
        ("started by wsbench", "yes" if t.started_by_wsbench else "no"),
    ]
    if t.started_by_wsbench:
        known += [
            ("CPU, measure phase", "–" if t.cpu_s is None else f"{t.cpu_s:,.2f} s"),
            ("CPU a message", _micros(t.cpu_us_per_message)),
            ("memory", format_bytes(t.rss_bytes)),
            ("memory a connection", format_bytes(t.bytes_per_connection)),
        ]
    return known


def environment(run: Run) -> list[Fact]:
    """The machine and the software that made the load."""
    e = run.environment
    stamps = {"kernel": "the kernel's", "user": "the program's own", "mixed": "mixed"}.get(
        run.timestamps.source or "", "–"
    )
    counts = f" ({format_count(run.timestamps.kernel)} kernel, {format_count(run.timestamps.user)} program)"
    return [
        ("CPU", f"{e.cpu}, {_some(e.cores, 'core', 'cores')}"),
        ("kernel", e.kernel),
        ("Python", e.python),
        ("packages", ", ".join(f"{name} {version}" for name, version in e.packages.items()) or "–"),
        ("open files allowed", format_count(e.nofile)),
        ("receive timestamps", stamps + (counts if run.timestamps.source == "mixed" else "")),
        ("wsbench", run.wsbench),
    ]


def messages(run: Run) -> list[tuple[str, str, str]]:
    """Counts of the measure phase, and of all phases."""
    measured, all_of_it = run.messages, run.messages_all_phases
    return [
        (name, format_count(getattr(measured, name)), format_count(getattr(all_of_it, name)))
        for name in measured.__struct_fields__
    ]


def traffic(run: Run) -> list[Fact]:
    """Bytes of the measure phase."""
    b = run.bytes
    return [
        ("payload sent", format_bytes(b.payload_sent)),
        ("payload received", format_bytes(b.payload_received)),
        ("on the wire, sent", format_bytes(b.wire_sent)),
        ("on the wire, received", format_bytes(b.wire_received)),
    ]


def connections(run: Run) -> list[Fact]:
    """Of the whole run, with how they ended."""
    c = run.connections
    counts = [
        (name, format_count(getattr(c, name))) for name in ("asked", "opened", "failed", "dropped", "reconnected")
    ]
    if run.conditions.tls:
        counts.append(("TLS sessions resumed", format_count(c.tls_resumed)))
    return [*counts, *((f"closed with {code}", format_count(count)) for code, count in c.close_codes.items())]


def workers(run: Run) -> list[list[str]]:
    """A row a worker: index, CPU (mean, greatest, of it waiting), memory, messages."""
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
    """What a message cost the generator."""
    g = run.generator
    return [
        ("CPU a message", _micros(g.cpu_us_per_message)),
        ("of it waiting", _micros(g.polling_us_per_message)),
        ("memory a connection", format_bytes(g.bytes_per_connection)),
    ]


def _rate(per_s: float | None) -> str:
    return "–" if per_s is None else f"{format_count(per_s)}/s"


def _micros(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} µs"


def _some(count: int, one: str, many: str) -> str:
    return f"{format_count(count)} {one if count == 1 else many}"
