"""Gates, each against the counts and the exact distributions of a run by phase."""

from __future__ import annotations

import pytest
from helpers.sample_run import RUN
from msgspec.structs import replace

from wsbench.measure.delta import IntervalDelta
from wsbench.measure.histogram import Buckets, record
from wsbench.measure.phases import INTERVAL_NS, Phase
from wsbench.measure.totals import Totals
from wsbench.results.run_result import Availability, Latency, MessageCounts, Run, WholeRun
from wsbench.run.gate_checker import GateChecker, GateFigures
from wsbench.run.gate_parser import parse, parse_objective

US, MS = 1_000, 1_000_000


def evenly(count: int, step_ns: int) -> Buckets:
    """Return a distribution of `step_ns`, 2 `step_ns`, … `count` `step_ns`."""
    buckets: Buckets = {}
    for number in range(1, count + 1):
        record(buckets, number * step_ns)
    return buckets


RAMP = IntervalDelta(
    Phase.RAMP,
    0,
    {
        "open_ns": 4 * INTERVAL_NS,
        "sent": 20,
        "received": 10,
        "lost": 10,
        "lost:login": 1,
        "counter:prices": 7,
        "corrupted": 2,
        "missed": 4,
    }
    | {"rejected:login": 2, "connections_opened": 50, "connect_failed": 6, "errors_listed": 7},
    {"response": evenly(10, 100 * MS), "login": evenly(9, MS), "connect": evenly(4, MS)},
)
MEASURE = IntervalDelta(
    Phase.MEASURE,
    10 * INTERVAL_NS,
    {
        "open_ns": 9 * INTERVAL_NS,
        "away_ns": INTERVAL_NS,
        "connections_opened": 10,
        "connect_failed": 6,
        "dropped": 4,
        "reconnects_failed": 5,
        "errors_listed": 11,
        "sent": 1000,
        "received": 900,
        "lost": 100,
        "corrupted": 9,
        "lost:GET /api": 10,
        "counter:prices": 30,
    },
    {"response": evenly(900, US), "service": evenly(900, US), "GET /api": evenly(90, MS)},
)


def measured() -> tuple[Run, Totals]:
    totals = Totals()
    totals.add([RAMP, MEASURE])
    own = {"login": Latency(9, 1, phases="all"), "GET /api": Latency(90, 10), "idle": Latency()}
    run = replace(
        RUN,
        messages=MessageCounts(sent=1000, received=900, lost=100, corrupted=9),
        messages_all_phases=MessageCounts(sent=1020, received=910, lost=110, corrupted=11),
        whole_run=WholeRun(attempts=80, failed=8, due=1020, lost=110, errors=129),
        connections=replace(RUN.connections, dropped=3, reconnects_failed=7),
        availability=Availability(92.857, 14 * INTERVAL_NS, INTERVAL_NS, 2_500_000_000),
        counters={"prices": 37, "missing.garden": 5, "expected": 200, "never": 0},
        latency={**RUN.latency, "connect": Latency(4, phases="all"), **own},
    )
    return run, totals


RUN_MEASURED, TOTALS = measured()
CHECKER = GateChecker(GateFigures.of(RUN_MEASURED), TOTALS)


@pytest.mark.parametrize(
    ("expression", "failed", "value"),
    [
        # percentiles, exact: of all that was due, the lost ones as the slowest
        ("p50 > 499us", True, "500 µs"),
        ("p50 > 501us", False, "500 µs"),
        ("p85.5 > 1s", False, "855 µs"),
        ('"GET /api".p72.5 < 100ms', True, "73.0 ms"),
        ("p95 > 1h", True, "– (100 of 1,000 were lost)"),
        ("p95 < 1h", False, "– (100 of 1,000 were lost)"),
        ("min > 2us", False, "1.00 µs"),
        ("mean > 450us", True, "451 µs"),
        ("max > 901us", False, "900 µs"),
        ("ramp.max > 900ms", True, "1.00 s"),
        ("ramp.p50 > 1h", True, "– (14 of 24 were lost)"),
        ("warmup.p50 > 1h", True, "– (nothing was measured)"),
        # a series without a value in the measure phase is that of the whole run
        ("login.max > 8ms", True, "9.00 ms"),
        ("measure.login.max > 8ms", True, "– (nothing was measured)"),
        ("idle.p99 > 1s", True, "– (nothing was measured)"),
        ("connect.p50 > 1s", False, "2.00 ms"),
        ("away.max > 1s", False, "0 ns"),
        ("away.count > 0", False, "0"),
        # counts: of the whole run, or of a phase
        ("lost > 0", True, "110"),
        ("measure.lost > 100", False, "100"),
        ("ramp.lost >= 10", True, "10"),
        ("warmup.lost != 0", False, "0"),
        ("errors > 128", True, "129"),
        ("measure.errors == 120", True, "120"),
        ("measure.errors > 12%", False, "11.8% (120 of 1,016)"),
        ("ramp.errors == 23", True, "23"),
        ("ramp.errors > 29%", False, "28.7% (23 of 80)"),
        ("measure.failed > 6", False, "6"),
        ("measure.dropped >= 4", True, "4"),
        ("reconnects_failed > 6", True, "7"),
        ("measure.reconnects_failed > 5", False, "5"),
        ("ramp.reconnects_failed > 0", False, "0"),
        # connections that were wanted and not open
        ("availability < 99.9%", True, "92.85 %"),
        ("availability < 92%", False, "92.85 %"),
        ("measure.availability < 90%", False, "90 %"),
        ("warmup.availability < 90%", False, "– (no connection was wanted)"),
        ("outage > 2s", True, "2.50 s"),
        ("outage > 3s", False, "2.50 s"),
        ("failed == 8", True, "8"),
        ("ramp.failed >= 10%", True, "10.7% (6 of 56)"),
        ("dropped > 3", False, "3"),
        ("sent < 1020", False, "1,020"),
        ("corrupted > 11", False, "11"),
        ("throughput < 1k/s", True, "995/s"),
        ("measure.throughput < 1k/s", True, "995/s"),
        ("response.count == 910", True, "910"),
        ("measure.count == 900", True, "900"),
        ('"GET /api".lost > 9', True, "10"),
        ('ramp."GET /api".lost > 9', False, "0"),
        ("login.errors == 3", True, "3"),
        ("measure.login.errors > 0", False, "0"),
        ("response.errors == 125", True, "125"),
        # percentages
        ("lost > 10.7%", True, "10.8% (110 of 1,020)"),
        ("measure.lost > 10%", False, "10% (100 of 1,000)"),
        ("warmup.lost > 1%", True, "– (of 0 due)"),
        ("warmup.lost < 1%", False, "– (of 0 due)"),
        ("errors > 11%", True, "11.7% (129 of 1,100)"),
        ("failed >= 10%", True, "10% (8 of 80)"),
        ("measure.corrupted > 1%", False, "0.9% (9 of 1,000)"),
        ('"GET /api".lost >= 10%', True, "10% (10 of 100)"),
        ("login.errors > 29%", True, "30% (3 of 10)"),
        # counters and ratios
        ("prices < 38", True, "37"),
        ("ramp.prices == 7", True, "7"),
        ("drain.prices > 0", False, "0"),
        ("missing.garden > 5", False, "5"),
        ("missing.garden / expected > 2%", True, "2.5% (5 of 200)"),
        ("missing.garden / expected > 0.02", True, "0.025 (5 of 200)"),
        ("measure.prices / measure.sent < 3%", False, "3% (30 of 1,000)"),
        ("prices / never > 1%", True, "– (of 0 never)"),
        ("prices / never < 1%", False, "– (of 0 never)"),
    ],
)
def test_a_gate_on(expression: str, failed: bool, value: str) -> None:
    gate = CHECKER.check(parse(expression))
    assert (gate.expression, gate.failed, gate.value) == (expression, failed, value)


KNOWN = "there are GET /api, expected, idle, login, missing.garden, never, prices"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("aks.p50 > 1h", f"no series is called aks; {KNOWN}"),
        ("aks.p50 < 1ns", f"no series is called aks; {KNOWN}"),
        ("prices.p50 < 1ns", f"no series is called prices; {KNOWN}"),
        ("login < 1", f"no counter is called login; {KNOWN}"),
        ("erors < 1", f"no counter is called erors; {KNOWN}; did you mean errors?"),
        ("prices / price < 1", f"no counter is called price; {KNOWN}"),
        ("measure.expected < 1", "expected is computed at the end, over the whole run"),
    ],
)
def test_a_gate_on_what_the_run_does_not_have_fails(expression: str, reason: str) -> None:
    gate = CHECKER.check(parse(expression))
    assert (gate.failed, gate.value) == (True, f"– ({reason})")


@pytest.mark.parametrize(
    ("objective", "holds"),
    [
        ("p50 < 501us", True),
        ("p50 < 499us", False),
        ("p50 <= 501us", True),
        ("p99 < 1h", False),  # lost is not fast
        ("lost == 110", True),
        ("lost == 0", False),
        ("lost < 11%", True),
        ("throughput >= 995/s", True),
        ("throughput > 1k/s", False),
        ("availability >= 92%", True),
        ("availability > 99%", False),
        ("outage < 2s", False),
        ("order.p50 < 1h", False),
        ("prices / expected < 20%", True),
    ],
)
def test_an_objective_holds_if_the_opposite_gate_passes(objective: str, holds: bool) -> None:
    gate = CHECKER.check(parse_objective(objective).opposite)
    assert gate.failed is not holds
    assert gate.stated == f"--slo '{parse_objective(objective)}'", "as the user stated it"
