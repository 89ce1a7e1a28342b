"""The summary at the end of a run: plain text, read in ten seconds."""

from __future__ import annotations

from collections.abc import Mapping

from wsbench.report import availability_text, outcome_text, series_labels
from wsbench.report.text import text_histogram
from wsbench.report.text.stored_rows import stored_rows
from wsbench.report.text.text_table import draw, facts, left, right
from wsbench.results.percentile_fields import figure_of
from wsbench.results.run_result import Latency, ReplyExample, Run
from wsbench.units import format_bytes, format_count, format_counted, format_duration, format_seconds

LATENCY_COLUMNS = ("p50", "p90", "p99", "p99.9", "max")
_MEMORY_FROM = 1000
"""Fewer connections give no meaningful memory per connection."""
_PEERS_SHOWN = 4
ERRORS_SHOWN = 5
"""Number of error kinds shown, the most frequent first, and of examples of wrong replies; run.json has all."""
_SIGNS = {"µ": "u", "–": "-", "×": "x", "…": "...", "✓": "+", "✗": "x", "·": "."}
_ASCII = text_histogram.ASCII | {ord(sign): plain for sign, plain in _SIGNS.items()}


def render(run: Run, path: str) -> str:
    """Return the summary. `path` is the result's directory."""
    target = f"  ({run.target.name} {run.target.version})" if run.target.name else ""
    rows = [outcome_text.headline(run), ""] if run.outcome.result else []
    rows += [f"{run.conditions.url}{target}", describe_conditions(run)]
    if not run.complete:
        rows.append("INCOMPLETE: the run ended early; these are the results until then")
    rows += ["", *facts(_throughput(run)), "", *_latency(run), "", *text_histogram.rows(run)]
    errors = [("error", f"{error.count} × {error.example} [{error.side}]") for error in run.errors[:ERRORS_SHOWN]]
    rows += [*facts([*_connections(run), *errors, *_examples(run)]), "", *_verdict(run)]
    gates = [("FAILED" if g.failed else "passed", f"{g.stated}   was {g.value}") for g in run.gates]
    rows += [*facts(gates), "", *stored_rows(path)]
    return "\n".join(rows) + "\n"


def legible(summary: str, encoding: str | None) -> str:
    """Return the summary as it is if `encoding` has all of its characters, else in ASCII."""
    try:
        summary.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return summary.translate(_ASCII).encode("ascii", "backslashreplace").decode()
    return summary


def describe_conditions(run: Run) -> str:
    """Describe in one line what was requested and what the server granted."""
    c = run.conditions
    message = f"{c.payload_size} bytes {'binary' if c.binary else 'text'}"
    if c.loop == "open":
        load = f"open loop, {format_count(c.rate)} messages/s, {c.arrivals}"
    else:
        load = f"closed loop, {c.in_flight} in flight"
    if series_labels.has_own_scenario(run):  # it chooses its own messages and rate
        settings = ", ".join(f"{name}={value}" for name, value in c.settings.items())
        message = f"scenario {c.scenario}" + (f" ({settings})" if settings else "")
        load = load if c.loop == "open" else "at its own rate"
    granted = run.negotiated.compression or ("none granted" if c.compression != "off" else "none")
    security = f", {run.negotiated.tls_version}" if c.tls else ""
    processes = f" from {c.processes} processes" if c.processes > 1 else ""
    return (
        f"{format_count(c.users)} connections{processes}, {load}, {message}, "
        f"compression {granted}{security}, {format_seconds(c.duration_ns)}"
    )


def _throughput(run: Run) -> list[tuple[str, str]]:
    t, m = run.throughput, run.messages
    if not (m.sent or m.received or m.missed) and series_labels.scenario_series(run):
        return [("messages", "none")]
    unit = "messages/s received" if m.pushed else "replies/s"
    payload_per_s = run.bytes.payload_received / (run.conditions.duration_ns / 1e9 or 1.0)
    counts = {"sent": m.sent, "received": m.received, "lost": m.lost}
    others = {
        **{name: getattr(m, name) for name in ("missed", "duplicated", "reordered")},
        "corrupted": m.corrupted - m.rejected,
        "failed by the scenario": m.rejected,
        **{name.replace("_", "-"): getattr(m, name) for name in ("unexpected", "late", "one_way", "pushed")},
    }
    counts |= {name: count for name, count in others.items() if count}
    return [
        ("throughput", f"{format_count(t.received_per_s)} {unit}   ({format_bytes(payload_per_s)}/s of payload)"),
        ("messages", ", ".join(f"{format_count(count)} {name}" for name, count in counts.items())),
    ]


def _latency(run: Run) -> list[str]:
    custom = series_labels.scenario_series(run)
    columns = [left("latency", 12), *map(right, LATENCY_COLUMNS)]
    if custom:  # their counts differ
        columns += [right("count"), left()]
    names = (*series_labels.message_series(run), *custom, *_connecting(run))
    table = draw(columns, [_series(run, name, counted=bool(custom)) for name in names])
    if run.counters:
        counters = [[f"  {name}", format_count(count)] for name, count in run.counters.items()]
        table += ["", *draw([left("counted", 12), right("of the whole run")], counters)]
    return table


def _connecting(run: Run) -> list[str]:
    """Return the connect series, if the scenario itself opens connections, or had to reopen some."""
    c = run.connections
    again = c.reconnected or c.opened > run.conditions.users
    return series_labels.connect_series(run) if again and series_labels.scenario_series(run) else []


def _series(run: Run, name: str, *, counted: bool) -> list[str]:
    latency = run.latency[name]
    cells = [f"  {series_labels.label(run, name)}", *latency_cells(latency)]
    if counted:
        cells += [format_count(latency.count), f"{format_count(latency.lost)} lost" if latency.lost else ""]
    return cells


def latency_cells(latency: Latency) -> list[str]:
    """Return the figures of a series under `LATENCY_COLUMNS`."""
    return [format_duration(figure_of(latency, column)) for column in LATENCY_COLUMNS]


def _connections(run: Run) -> list[tuple[str, str]]:
    c = run.connections
    opened = f"{format_count(c.opened)} of {format_count(c.asked)} opened"
    trouble = {"failed": c.failed, "dropped": c.dropped, "reconnected": c.reconnected}
    parts = [opened, *(f"{format_count(count)} {name}" for name, count in trouble.items() if count)]
    connect = run.latency["connect"]
    text = ", ".join(parts)
    if connect.count:
        text += f"   (p50 {format_duration(connect.p50_ns)}, max {format_duration(connect.max_ns)})"
    sides = {"target": run.target.bytes_per_connection, "generator": run.generator.bytes_per_connection}
    sizes = [f"{side} {format_bytes(size)}" for side, size in sides.items() if size is not None]
    memory = [("memory", f"{', '.join(sizes)} per connection")] if sizes and c.opened >= _MEMORY_FROM else []
    away = [("available", described)] if (described := availability_text.describe(run)) else []
    return [("connections", text), *_peers(c.peers), *away, *memory]


def _peers(peers: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the server's addresses, those with most connections first, if there are several."""
    if len(peers) < 2:
        return []
    busiest = sorted(peers, key=lambda address: -peers[address])
    shown = [f"{format_count(peers[address])} to {address}" for address in busiest[:_PEERS_SHOWN]]
    others = (
        [format_counted(len(busiest) - len(shown), "other address", "other addresses")]
        if len(busiest) > len(shown)
        else []
    )
    return [("addresses", ", ".join([*shown, *others]))]


def _examples(run: Run) -> list[tuple[str, str]]:
    """Return the first wrong reply of each kind: how it differs, and what it was."""
    rows = []
    for example in run.examples[:ERRORS_SHOWN]:
        rows += [
            (example.kind, f"{first_of(example)}: {example.difference}"),
            ("", f"received '{example.received}'"),
        ]
    return rows


def first_of(example: ReplyExample) -> str:
    """Return of what the example is the first."""
    return f"{example.name}, the first" if example.name else "the first"


def _verdict(run: Run) -> list[str]:
    g = run.generator
    cpu = f"   {g.cpu_us_per_message:.1f} µs CPU per message" if g.cpu_us_per_message is not None else ""
    if g.polling_us_per_message:
        cpu += f" ({g.polling_us_per_message:.1f} µs of it waiting)"
    if run.target.cpu_us_per_message is not None:
        cpu += f", target {run.target.cpu_us_per_message:.1f} µs"
    stamps = f", {run.timestamps.source} timestamps" if run.timestamps.source else ""
    rows = facts([("generator", f"{g.verdict}{cpu}{stamps}")])
    for finding in g.findings:
        rows += [f"  {finding.code}: {finding.evidence}", f"    {finding.remedy}"]
    return rows
