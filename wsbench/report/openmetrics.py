"""A run as OpenMetrics text (1.0), for Prometheus: its text-file collector, a push gateway, or promtool.

Latencies are summaries in seconds. Their quantiles are over all messages that were due: a quantile among the lost
messages is +Inf. `wsbench_run_info` has the target and the conditions. Counts are those of the measure phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest

from wsbench.measure.series import MESSAGE_COUNTS
from wsbench.results.percentile_fields import PERCENTILES, figure_of
from wsbench.results.run_result import ConnectionCounts, Latency, MessageCounts, Run
from wsbench.units import NS_PER_S

_VERDICTS = ("ok", "late", "saturated")
_Sample = tuple[str, dict[str, str], float]
"""Suffix of the name, labels, value."""


def encode(run: Run, series: Sequence[str]) -> bytes:
    """Encode a run with these series of latencies."""
    help_text = "Latency by series; quantiles are over all messages that were due, +Inf among the lost ones."
    samples = [sample for name in series for sample in _summary(name, run.latency[name])]
    latency = _family("wsbench_latency_seconds", "summary", help_text, samples)
    families = (*_about(run), latency, *_counts(run), *_health(run))
    text: bytes = generate_latest(SimpleNamespace(collect=lambda: [each for each in families if each.samples]))
    return text


def _family(name: str, kind: str, text: str, samples: Iterable[_Sample]) -> Metric:
    unit = name.rpartition("_")[2]
    family = Metric(name, text, kind, unit if unit in ("seconds", "bytes") else "")
    for suffix, labels, value in samples:
        family.add_sample(name + suffix, labels, value)
    return family


def _gauge(name: str, text: str, value: float | None) -> Metric:
    return _family(name, "gauge", text, [] if value is None else [("", {}, value)])


def _about(run: Run) -> Iterator[Metric]:
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
    yield _family("wsbench_run", "info", "What was measured, and where.", [("_info", labels, 1)])
    yield _gauge("wsbench_run_complete", "0 if the run ended early.", int(run.complete))
    yield _gauge("wsbench_measured_seconds", "Length of the measure phase.", c.duration_ns / NS_PER_S)


def _summary(name: str, latency: Latency) -> Iterator[_Sample]:
    if not latency.count and not latency.lost:
        return
    for label, percentile in PERCENTILES.items():
        value_ns = figure_of(latency, label)
        value = float("inf") if value_ns is None else value_ns / NS_PER_S
        yield "", {"series": name, "quantile": f"{percentile.quantile:g}"}, value
    yield "_count", {"series": name}, latency.count
    yield "_sum", {"series": name}, (latency.mean_ns or 0) * latency.count / NS_PER_S


def _counts(run: Run) -> Iterator[Metric]:
    t, b = run.throughput, run.bytes
    messages = _outcomes(run.messages, MESSAGE_COUNTS)
    yield _family("wsbench_messages", "counter", "Messages by outcome.", messages)
    yield _family("wsbench_throughput", "gauge", "Messages per second.", _sides("", t.sent_per_s, t.received_per_s))
    payload = _sides("_total", b.payload_sent, b.payload_received)
    yield _family("wsbench_payload_bytes", "counter", "Payload of messages.", payload)
    wire = _sides("_total", b.wire_sent, b.wire_received)
    yield _family("wsbench_wire_bytes", "counter", "Bytes on the sockets, with frame headers and TLS.", wire)
    connections = _outcomes(run.connections, ("opened", "failed", "dropped", "reconnected"))
    yield _family("wsbench_connections", "counter", "Connections of the whole run.", connections)
    if (available := run.availability).percent is not None:
        text = "Share of the wanted connection time in which the connections were open."
        yield _gauge("wsbench_availability_ratio", text, available.percent / 100)
        yield _gauge("wsbench_outage_seconds", "Longest time without any connection.", available.outage_ns / NS_PER_S)


def _outcomes(counts: MessageCounts | ConnectionCounts, names: Iterable[str]) -> list[_Sample]:
    return [("_total", {"outcome": name}, getattr(counts, name)) for name in names]


def _sides(suffix: str, sent: float, received: float) -> list[_Sample]:
    return [(suffix, {"direction": "sent"}, sent), (suffix, {"direction": "received"}, received)]


def _health(run: Run) -> Iterator[Metric]:
    verdict, name = run.generator.verdict, "wsbench_generator_verdict"
    states = (("", {name: state}, int(state == verdict)) for state in dict.fromkeys((*_VERDICTS, verdict)))
    yield _family(name, "stateset", "The generator's verdict on itself.", states)
    gates = {gate.expression: int(gate.failed) for gate in run.gates}
    failed = (("", {"expression": expression}, value) for expression, value in gates.items())
    yield _family("wsbench_gate_failed", "gauge", "1 for a --fail-if that failed.", failed)
    yield _gauge("wsbench_target_cpu_seconds", "CPU time of the target.", run.target.cpu_s)
    yield _gauge("wsbench_target_resident_bytes", "Memory of the target.", run.target.rss_bytes)
