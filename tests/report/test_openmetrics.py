"""OpenMetrics text, read by Prometheus's own parser."""

from __future__ import annotations

import math

from helpers.sample_run import RUN
from msgspec.structs import replace
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from wsbench.measure.series import SERIES
from wsbench.report.openmetrics import encode
from wsbench.results.run_result import Gate, Generator, Latency, Run, TargetResult


def families(run: Run, *series: str) -> dict[str, Metric]:
    text = encode(run, series or SERIES).decode()
    assert text.endswith("\n# EOF\n")
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Metric, suffix: str = "") -> dict[tuple[str, ...], float]:
    """Return the samples by the values of their labels, which are in the order of their names."""
    return {
        tuple(sample.labels.values()): sample.value for sample in family.samples if sample.name == family.name + suffix
    }


def test_every_family_has_its_help_type_and_unit() -> None:
    found = families(RUN)
    assert all(family.documentation for family in found.values())
    units = {name: family.unit for name, family in found.items() if family.unit}
    assert units == {
        "wsbench_measured_seconds": "seconds",
        "wsbench_latency_seconds": "seconds",
        "wsbench_payload_bytes": "bytes",
        "wsbench_wire_bytes": "bytes",
        "wsbench_target_cpu_seconds": "seconds",
    }
    assert {family.type for family in found.values()} == {"info", "gauge", "summary", "counter", "stateset"}


def test_latencies_in_seconds() -> None:
    latency = families(RUN)["wsbench_latency_seconds"]
    assert values(latency)["0.5", "response"] == 24_123e-9
    assert values(latency)["0.999", "response"] == math.inf, "among the lost"
    assert values(latency, "_count")[("response",)] == 9_950
    assert math.isclose(values(latency, "_sum")[("response",)], 9_950 * 25_000e-9)
    assert {series for *_, series in values(latency)} == {"response", "service", "connect"}


def test_one_series() -> None:
    latency = families(RUN, "service")["wsbench_latency_seconds"]
    assert {series for *_, series in values(latency)} == {"service"}
    nothing = replace(RUN, latency={**RUN.latency, "service": Latency()})
    assert "wsbench_latency_seconds" not in families(nothing, "service")


def test_counts() -> None:
    found = families(RUN)
    messages = values(found["wsbench_messages"], "_total")
    assert (messages[("sent",)], messages[("received",)], messages[("lost",)]) == (10_000, 9_950, 50)
    assert values(found["wsbench_payload_bytes"], "_total") == {("sent",): 1, ("received",): 2}
    assert values(found["wsbench_wire_bytes"], "_total") == {("sent",): 3, ("received",): 4}
    assert values(found["wsbench_throughput"]) == {("sent",): 1000.0, ("received",): 995.0}
    assert values(found["wsbench_connections"], "_total")[("opened",)] == 50
    assert values(found["wsbench_measured_seconds"]) == {(): 10.0}


def test_target_conditions_and_verdict() -> None:
    run = replace(
        RUN, name='a "b"\\c\nd', generator=Generator("late"), complete=False, target=TargetResult(rss_bytes=5)
    )
    found = families(run)
    (info,) = found["wsbench_run"].samples
    assert (info.labels["name"], info.labels["rate"], info.labels["tls"]) == ('a "b"\\c\nd', "1000", "TLSv1.3")
    assert values(found["wsbench_generator_verdict"]) == {("ok",): 0, ("late",): 1, ("saturated",): 0}
    assert values(found["wsbench_run_complete"]) == {(): 0}
    assert values(found["wsbench_target_resident_bytes"]) == {(): 5}
    assert "wsbench_target_cpu_seconds" not in found


def test_gates() -> None:
    run = replace(RUN, gates=[Gate("p99 > 5ms", False, "…"), Gate("lost > 0", True, "…"), Gate("lost > 0", True, "…")])
    assert values(families(run)["wsbench_gate_failed"]) == {("p99 > 5ms",): 0, ("lost > 0",): 1}
    assert "wsbench_gate_failed" not in families(replace(RUN, gates=[]))
