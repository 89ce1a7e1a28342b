"""From the generator's observations of itself to a verdict, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wsbench.cgroup_cpu import Throttling
from wsbench.measure.finding_rules import judge
from wsbench.measure.findings import LATE, NOTE, SATURATED, Evidence, Finding, WorkerFitness
from wsbench.measure.histogram import Buckets, record

US, MS, S = 1_000, 1_000_000, 1_000_000_000

FIT = WorkerFitness(index=0, cpu_percent_mean=40.0, descriptors=100, nofile=20_000)
GOOD = Evidence(
    closed_loop=False,
    workers=[FIT],
    series={},
    counts={"sent": 1_000_000, "received": 1_000_000},
    users=50,
    opened=50,
)


def stopped(ns: int, throttled_periods: int = 40, cores: float = 0.5, cgroup: str = "a") -> dict[str, Any]:
    """Return the fitness of a worker whose CPU quota stopped its cgroup for so long in 10 s."""
    return {"throttling": Throttling(cores, cgroup, 100, throttled_periods, ns), "measured_ns": 10 * S}


def spread(*values_ns: tuple[int, int]) -> Buckets:
    """Return buckets of (value, count)."""
    buckets: Buckets = {}
    for value, count in values_ns:
        record(buckets, value, count)
    return buckets


def judged(**changes: Any) -> tuple[str, dict[str, Finding]]:
    """Return the verdict and the findings by code; `worker` changes the worker, other arguments the evidence."""
    worker = changes.pop("worker", {})
    evidence = replace(GOOD, **changes)
    if worker:
        evidence = replace(evidence, workers=[replace(FIT, **worker)])
    verdict, findings = judge(evidence)
    assert len({finding.code for finding in findings}) == len(findings)
    return verdict, {finding.code: finding for finding in findings}


def quantiles(p50: int, p99: int) -> Buckets:
    return spread((p50, 980), (p99, 20))


def test_a_generator_with_time_to_spare_is_ok_and_has_no_findings() -> None:
    series = {
        "response": quantiles(100 * US, 300 * US),
        "service": quantiles(90 * US, 280 * US),
        "send_lag": quantiles(40 * US, 90 * US),
        "read_lag": quantiles(20 * US, 60 * US),
    }
    assert judged(series=series) == ("ok", {})
    assert judged(series=series, closed_loop=True) == ("ok", {})


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    # evidence                                                                          verdict    code
    ("cpu at its limit", {"worker": {"cpu_percent_mean": 90.0}}, "saturated", "cpu-saturated"),
    (
        "sent late",
        {"series": {"send_lag": quantiles(50 * US, 5 * MS), "response": quantiles(1 * MS, 6 * MS)}},
        "late",
        "sent-late",
    ),
    ("a rate that nothing keeps to", {"series": {"send_lag": spread((0, 1000))}}, "ok", "unscheduled"),
    ("sent late, nothing answered", {"series": {"send_lag": quantiles(50 * US, 5 * MS)}}, "late", "sent-late"),
    (
        "replies wait, closed loop",
        {"closed_loop": True, "series": {"read_lag": spread((1500 * US, 9)), "service": spread((24 * US, 9))}},
        "saturated",
        "read-late",
    ),
    (
        "replies wait, open loop",
        {"series": {"read_lag": spread((1500 * US, 9)), "service": spread((24 * US, 9))}},
        "late",
        "read-late",
    ),
    ("a ramp that waits for the server", {"worker": {"handshakes_queued_ns": 6 * S}}, "ok", "slow-ramp"),
    ("a stall", {"worker": {"stall_max_ns": 51 * MS}}, "ok", "hub-stalled"),
    ("a long stall", {"worker": {"stall_max_ns": 101 * MS}}, "late", "hub-stalled"),
    ("a pause of the collector", {"worker": {"gc_pause_max_ns": 21 * MS}}, "ok", "gc-pause"),
    ("stopped by a CPU quota", {"worker": stopped(101 * MS)}, "late", "cpu-throttled"),
    ("a CPU quota used up", {"worker": stopped(101 * MS, 90)}, "saturated", "cpu-throttled"),
    ("a CPU quota, closed loop", {"worker": stopped(101 * MS), "closed_loop": True}, "saturated", "cpu-throttled"),
    ("seldom stopped by a CPU quota", {"worker": stopped(100 * MS)}, "ok", "cpu-throttled"),
    ("seldom stopped, closed loop", {"worker": stopped(MS, 1), "closed_loop": True}, "ok", "cpu-throttled"),
    ("a clock step", {"worker": {"clock_steps": 1, "clock_step_max_ns": 3 * S}}, "late", "clock-stepped"),
    ("few descriptors left", {"worker": {"descriptors": 18_001}}, "ok", "descriptors"),
    ("no timerfd", {"worker": {"exact_timer": False}}, "ok", "coarse-timer"),
    ("missed", {"counts": {**GOOD.counts, "missed": 1234}}, "ok", "missed"),
    ("replies after the timeout", {"counts": {**GOOD.counts, "late": 3}}, "ok", "late-replies"),
    ("fewer connections", {"opened": 49}, "ok", "fewer-connections"),
    ("connections dropped", {"dropped": 1}, "ok", "dropped"),
    ("a worker without a last word", {"missing_workers": [3]}, "late", "worker-lost"),
    ("no master", {"master_lost": "the master was lost"}, "late", "master-lost"),
    ("a fault of ours", {"generator_errors": ["wsbench failed: KeyError: 1"]}, "late", "generator-error"),
    (
        "no kernel timestamps",
        {"counts": {"sent": 10**6, "received": 10**6, "user_stamped": 10**6}},
        "ok",
        "no-kernel-timestamps",
    ),
    ("values under zero", {"series": {"service": {-5: 2, 100: 1}}}, "ok", "out-of-range"),
    ("values over an hour", {"series": {"response": spread((7200 * S, 1))}}, "ok", "out-of-range"),
    ("compression not granted", {"compression_asked": "on"}, "ok", "compression-not-granted"),
    ("subprotocol not granted", {"subprotocols_asked": ("chat", "v2")}, "ok", "subprotocol-not-granted"),
    ("nothing sent", {"counts": {}}, "ok", "no-samples"),
    ("few samples", {"counts": {"sent": 9_999, "received": 9_999}}, "ok", "few-samples"),
]


@pytest.mark.parametrize(("changes", "verdict", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_evidence_leads_to_a_finding_and_a_verdict(changes: dict[str, Any], verdict: str, code: str) -> None:
    found_verdict, findings = judged(**changes)
    assert (found_verdict, list(findings)) == (verdict, [code])
    finding = findings[code]
    assert finding.evidence and finding.remedy
    assert finding.severity == {"ok": NOTE, "late": LATE, "saturated": SATURATED}[verdict]


QUIET: list[tuple[str, dict[str, Any]]] = [
    ("cpu below its limit, but for a moment", {"worker": {"cpu_percent_mean": 89.9}}),
    # lateness that a shared machine has anyway
    ("sent a little late", {"series": {"send_lag": quantiles(50 * US, 1900 * US), "response": spread((2 * MS, 9))}}),
    # lateness that is nothing against what the server took
    ("sent late to a slow server", {"series": {"send_lag": spread((5 * MS, 9)), "response": spread((11 * MS, 9))}}),
    # in a closed loop a message is due when it is sent
    ("lag in a closed loop", {"closed_loop": True, "series": {"send_lag": spread((5 * MS, 9))}}),
    ("sent when due in a closed loop", {"closed_loop": True, "series": {"send_lag": spread((0, 9))}}),
    ("sent on time, now and then to the nanosecond", {"series": {"send_lag": spread((0, 9), (US, 1))}}),
    # nothing that a lateness could spoil: nobody answers
    (
        "sent late without asking",
        {
            "counts": {"sent": 9, "one_way": 9, "received": 90, "pushed": 90},
            "series": {"send_lag": spread((5 * MS, 9))},
        },
    ),
    ("replies read late of a slow server", {"series": {"read_lag": spread((MS, 9)), "service": spread((MS // 9, 9))}}),
    ("replies read a little late", {"series": {"read_lag": spread((190 * US, 9)), "service": spread((US, 9))}}),
    ("a start of thousands at once", {"worker": {"handshakes_queued_ns": 5 * S}}),
    ("stalls at the limit", {"worker": {"stall_max_ns": 50 * MS, "gc_pause_max_ns": 20 * MS}}),
    ("descriptors at the limit", {"worker": {"descriptors": 18_000}}),
    ("a CPU quota that was enough", {"worker": stopped(0, 0)}),
    ("no measure phase", {"worker": {**stopped(5 * S), "measured_ns": 0}}),
    ("no limit of descriptors known", {"worker": {"descriptors": 18_000, "nofile": 0}}),
    ("no timerfd, but nothing to time", {"closed_loop": True, "worker": {"exact_timer": False}}),
    ("a few user timestamps", {"counts": {"sent": 10**6, "received": 10**6, "user_stamped": 10**6 - 1}}),
    ("compression granted", {"compression_asked": "on", "compression_granted": "permessage-deflate"}),
    ("subprotocol granted", {"subprotocols_asked": ("chat",), "subprotocol_granted": "chat"}),
    ("just enough samples", {"counts": {"sent": 99_000, "missed": 1_000, "received": 99_000}}),
]


@pytest.mark.parametrize("changes", [case[1] for case in QUIET], ids=[case[0] for case in QUIET])
def test_evidence_without_a_finding(changes: dict[str, Any]) -> None:
    verdict, findings = judged(**changes)
    findings.pop("missed", None)
    assert (verdict, findings) == ("ok", {})


@pytest.mark.parametrize(
    ("cpu_ns", "said", "advice"),
    [
        (5_400 * MS, "worker 0 used 90 % of a core: the generator was too slow", "Use more --processes"),
        (5_399 * MS, "worker 0 used 89 % of a core: the server answered them more slowly", "Lower --spawn-rate"),
        (600 * MS, "worker 0 used 10 % of a core: the server answered them more slowly", "Lower --spawn-rate"),
    ],
)
def test_a_slow_ramp_names_the_side_that_was_too_slow(cpu_ns: int, said: str, advice: str) -> None:
    _, findings = judged(worker={"handshakes_queued_ns": 6 * S, "handshakes_queued_cpu_ns": cpu_ns})
    slow = findings["slow-ramp"]
    assert (
        slow.evidence.startswith(f"handshakes queued for 6.00 s of the ramp, in which {said}") and advice in slow.remedy
    )


def test_the_most_severe_finding_comes_first_and_is_the_verdict() -> None:
    verdict, findings = judged(
        counts={"sent": 5, "missed": 5},
        worker={"cpu_percent_mean": 99.0, "clock_steps": 1, "gc_pause_max_ns": S},
        dropped=1,
    )
    assert verdict == "saturated"
    severities = [finding.severity for finding in findings.values()]
    assert severities == [SATURATED, LATE, NOTE, NOTE, NOTE, NOTE]
    assert list(findings)[:2] == ["cpu-saturated", "clock-stepped"]


def test_without_a_connection_nothing_was_negotiated() -> None:
    _, findings = judged(opened=0, compression_asked="on", subprotocols_asked=("chat",))
    assert list(findings) == ["fewer-connections"]


def test_every_worker_is_examined_and_named() -> None:
    workers = [replace(FIT, index=index, cpu_percent_mean=50.0 + 25 * index) for index in range(3)]
    _, findings = judge(replace(GOOD, workers=workers))
    assert [finding.code for finding in findings] == ["cpu-saturated"]
    assert "worker 2 used 100 % of a core" in findings[0].evidence
    assert "worker 1" not in findings[0].evidence

    stalled = [replace(FIT, index=index, stall_max_ns=60 * MS * index) for index in range(3)]
    _, findings = judge(replace(GOOD, workers=stalled))
    assert [(f.code, f.severity, f.evidence.split("'")[0]) for f in findings] == [
        ("hub-stalled", LATE, "worker 2"),
        ("hub-stalled", NOTE, "worker 1"),
    ]


def test_workers_in_one_cgroup_share_the_time_for_which_it_was_stopped() -> None:
    workers = [replace(FIT, index=index, **stopped(800 * MS - index * MS)) for index in range(8)]
    workers.append(replace(FIT, index=8, **stopped(90 * MS, cgroup="b")))
    _, (finding,) = judge(replace(GOOD, workers=workers))
    assert finding.severity == NOTE  # 1 % of the time: not more than that
    assert finding.evidence == (
        "the CPU quota (0.5 cores) stopped worker 0, worker 1, worker 2, worker 3 and 4 more in 40 of 100 periods of "
        "the measure phase, for 100 ms each"
    )


def test_the_cgroup_that_was_stopped_longest_is_named() -> None:
    workers = [replace(FIT, index=index, **stopped(800 * MS, cgroup=f"of host {index}")) for index in range(8)]
    workers[5] = replace(FIT, index=5, **stopped(900 * MS, cgroup="of host 5", cores=2))
    _, (finding,) = judge(replace(GOOD, workers=workers))
    assert finding.severity == LATE
    assert finding.evidence == (
        "the CPU quota (2 cores) stopped worker 5 in 40 of 100 periods of the measure phase, for 900 ms"
    )


def test_more_processes_are_advised_within_the_cpu_quota() -> None:
    _, findings = judged(worker={"cpu_percent_mean": 99.0})
    assert "more --processes (one per core), " in findings["cpu-saturated"].remedy
    _, findings = judged(worker={"cpu_percent_mean": 99.0, **stopped(0, 0, cores=1.0)})
    assert "(one per core, within the CPU quota of 1 core), " in findings["cpu-saturated"].remedy


@pytest.mark.parametrize(
    ("sent", "needs"),
    [
        (0, None),
        (19, "p50 needs 20, p90 needs 100, p99 needs 1,000, p99.9 needs 10,000, p99.99 needs 100,000"),
        (1000, "p99.9 needs 10,000, p99.99 needs 100,000"),
        (99_999, "p99.99 needs 100,000"),
    ],
)
def test_percentiles_with_too_few_samples_are_named(sent: int, needs: str | None) -> None:
    _, findings = judged(counts={"sent": sent})
    if needs is None:
        assert list(findings) == ["no-samples"]
    else:
        assert findings["few-samples"].evidence == f"too few messages ({sent:,}): {needs}"


def test_evidence_holds_the_figures() -> None:
    series = {"send_lag": quantiles(50 * US, 5 * MS), "response": quantiles(1 * MS, 6 * MS)}
    _, findings = judged(series=series)
    assert "5.00 ms or more after they were due (response p99: 6.00 ms)" in findings["sent-late"].evidence
    _, findings = judged(series={"service": {-5: 2, 100: 1, **spread((7200 * S, 4))}})
    assert "2 values of service were negative and 4 over an hour" in findings["out-of-range"].evidence
    _, findings = judged(opened=48)
    assert "48 of 50 connections" in findings["fewer-connections"].evidence
    _, findings = judged(compression_asked="client_max_window_bits=12")
    assert "offered (client_max_window_bits=12)" in findings["compression-not-granted"].evidence
    _, findings = judged(subprotocols_asked=("chat", "v2"))
    assert "chat, v2" in findings["subprotocol-not-granted"].evidence


@pytest.mark.parametrize(
    ("closed_loop", "polling", "late_ns", "verdict", "code"),
    [
        (True, 0.0, 100 * US, "saturated", "cpu-saturated"),
        (False, 0.0, 100 * US, "ok", "cpu-busy"),
        (False, 0.0, 600 * US, "saturated", "cpu-saturated"),
        (False, 20.0, 600 * US, "ok", None),
    ],
)
def test_a_busy_open_loop_is_judged_by_its_lateness(
    closed_loop: bool, polling: float, late_ns: int, verdict: str, code: str | None
) -> None:
    busy = {"cpu_percent_mean": 97.0, "polling_percent": polling}
    series = {"send_lag": spread((late_ns, 1000)), "response": spread((5 * MS, 1000))}
    found, findings = judged(worker=busy, series=series, closed_loop=closed_loop)
    assert found == verdict
    assert list(findings) == ([code] if code else [])
