"""A run as OpenMetrics text (1.0), for Prometheus: its text-file collector, a push gateway, or promtool.

Latencies are summaries, in seconds, their quantiles over all messages that were due: one that falls among the lost is
+Inf. What the run was like (target, conditions) is in `wsbench_run_info`. Counts are of the measure phase.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.results.percentiles import PERCENTILES, figure_of
from wsbench.results.run_result import Latency, Run
from wsbench.units import NS_PER_S

_VERDICTS = ("ok", "late", "saturated")
Sample = tuple[str, Mapping[str, str], float]
"""Suffix of the name, labels, value."""


@dataclass(frozen=True)
class Family:
    """One metric family. `unit`, if any, is the end of its name."""

    name: str
    kind: str
    help: str
    unit: str = ""
    samples: Sequence[Sample] = ()


def encode(run: Run, series: Sequence[str]) -> bytes:
    """The run, with these series of latencies."""
    rows: list[str] = []
    for family in (*_about(run), _latency(run, series), *_counts(run), *_health(run)):
        if family.samples:
            rows += _rows(family)
    return ("\n".join([*rows, "# EOF"]) + "\n").encode()


def _rows(family: Family) -> Iterator[str]:
    yield f"# TYPE {family.name} {family.kind}"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}"
    yield f"# HELP {family.name} {_escape(family.help)}"
    for suffix, labels, value in family.samples:
        inner = ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items())
        number = "+Inf" if value == float("inf") else repr(value)
        yield f"{family.name}{suffix}{{{inner}}} {number}" if inner else f"{family.name}{suffix} {number}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _about(run: Run) -> Iterator[Family]:
    c = run.conditions
    labels = {
        "id": run.id,
        "name": run.name,
        "wsbench": run.wsbench,
        "url": c.url,
        "target": run.target.name or "",
        "target_version": run.target.version or "",
        "loop": c.loop,
        "rate": "" if c.rate is None else f"{c.rate:.10g}",
        "in_flight": str(c.in_flight) if c.loop == "closed" else "",
        "connections": str(c.users),
        "processes": str(c.processes),
        "payload_size": str(c.payload_size),
        "frames": "binary" if c.binary else "text",
        "compression": run.negotiated.compression or "",
        "tls": run.negotiated.tls_version or "",
        "host_id": run.environment.host_id,
    }
    yield Family("wsbench_run", "info", "What was measured, and where.", samples=[("_info", labels, 1)])
    complete: list[Sample] = [("", {}, int(run.complete))]
    yield Family("wsbench_run_complete", "gauge", "0 when the run was ended before its time.", samples=complete)
    length: list[Sample] = [("", {}, c.duration_ns / NS_PER_S)]
    yield Family("wsbench_measured_seconds", "gauge", "Length of the measure phase.", "seconds", length)


def _latency(run: Run, series: Sequence[str]) -> Family:
    text = "Latency by series; quantiles are over all that were due, +Inf among the lost."
    samples = [sample for name in series for sample in _summary(name, run.latency[name])]
    return Family("wsbench_latency_seconds", "summary", text, "seconds", samples)


def _summary(name: str, latency: Latency) -> Iterator[Sample]:
    if not latency.count and not latency.lost:
        return
    for label, percentile in PERCENTILES.items():
        value_ns = figure_of(latency, label)
        value = float("inf") if value_ns is None else value_ns / NS_PER_S
        yield "", {"series": name, "quantile": f"{percentile.quantile:g}"}, value
    yield "_count", {"series": name}, latency.count
    yield "_sum", {"series": name}, (latency.mean_ns or 0) * latency.count / NS_PER_S


def _counts(run: Run) -> Iterator[Family]:
    m, b, c = run.messages, run.bytes, run.connections
    outcomes = MESSAGE_COUNTS
    messages: list[Sample] = [("_total", {"outcome": name}, getattr(m, name)) for name in outcomes]
    yield Family("wsbench_messages", "counter", "Messages by what became of them.", samples=messages)
    rates: list[Sample] = [
        ("", {"direction": "sent"}, run.throughput.sent_per_s),
        ("", {"direction": "received"}, run.throughput.received_per_s),
    ]
    yield Family("wsbench_throughput", "gauge", "Messages a second.", samples=rates)
    for name, text, sent, received in (
        ("wsbench_payload_bytes", "Payload of messages.", b.payload_sent, b.payload_received),
        ("wsbench_wire_bytes", "Bytes through the sockets: frames, TLS and all.", b.wire_sent, b.wire_received),
    ):
        sizes: list[Sample] = [
            ("_total", {"direction": "sent"}, sent),
            ("_total", {"direction": "received"}, received),
        ]
        yield Family(name, "counter", text, "bytes", sizes)
    connections: list[Sample] = [
        ("_total", {"outcome": name}, getattr(c, name)) for name in ("opened", "failed", "dropped", "reconnected")
    ]
    yield Family("wsbench_connections", "counter", "Connections of the whole run.", samples=connections)


def _health(run: Run) -> Iterator[Family]:
    verdict = run.generator.verdict
    name = "wsbench_generator_verdict"
    known = dict.fromkeys((*_VERDICTS, verdict))
    states: list[Sample] = [("", {name: state}, int(state == verdict)) for state in known]
    yield Family(name, "stateset", "What the generator says of itself.", samples=states)
    gates = {gate.expression: int(gate.failed) for gate in run.gates}
    failed: list[Sample] = [("", {"expression": expression}, value) for expression, value in gates.items()]
    yield Family("wsbench_gate_failed", "gauge", "1 for a --fail-if that failed.", samples=failed)
    t = run.target
    cpu: list[Sample] = [] if t.cpu_s is None else [("", {}, t.cpu_s)]
    yield Family("wsbench_target_cpu_seconds", "gauge", "CPU time of the target.", "seconds", cpu)
    memory: list[Sample] = [] if t.rss_bytes is None else [("", {}, t.rss_bytes)]
    yield Family("wsbench_target_resident_bytes", "gauge", "Memory of the target.", "bytes", memory)
