"""The measurements of `wsbench calibrate`: short runs against an embedded target whose delays are known."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from wsbench import machine
from wsbench.errors import WsbenchError
from wsbench.launcher.execution import RunRequest, execute
from wsbench.results import calibration_result
from wsbench.results.calibration_result import Calibration, KnownAnswer, LoopSpeed
from wsbench.results.environment import environment
from wsbench.results.run_result import Run
from wsbench.run.options import RunOptions
from wsbench.targets.echo.delays import Stall
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.units import NS_PER_MS, NS_PER_S, format_count, format_duration

_PAYLOAD = 128
_USERS = 100
_SPAWN_RATE = 500.0
_MANY = 1_100
"""Connections; with 100, for the memory of one."""
_STEPS = 4
_DELAY_NS = 5 * NS_PER_MS
_STALL = Stall(stop_ns=NS_PER_S // 2, every_ns=5 * NS_PER_S // 2)
_STALL_RATE = 500.0
_TOLERANCE = 0.05
_DELAY_TOLERANCE_NS = NS_PER_MS


def calibrate(say: Callable[[str], None]) -> Calibration:
    """Measure this machine, and the generator on it; takes about a minute. `say` is called with each step."""
    say("timers, timestamps and the loopback floor")
    of_machine = _of_machine()
    with EmbeddedTarget.start() as target:
        say("closed loop at full speed")
        closed = _run(target, duration=3 * NS_PER_S)
        held, limit = _highest_open_loop(target, closed.throughput.received_per_s, say)
        users = min(_MANY, machine.connections_of_a_process() or _MANY)
        say(f"{format_count(users)} connections")
        many = _run(target, users=users, spawn_rate=float(users), rate=_STALL_RATE, duration=NS_PER_S)
    say("closed loop with TLS, and with compression")
    with EmbeddedTarget.start(tls=True) as target:
        tls = _run(target, duration=2 * NS_PER_S)
    with EmbeddedTarget.start(compression="on") as target:
        compression = _run(target, compression="on", duration=2 * NS_PER_S)
    say(f"known answers: a delay of {format_duration(_DELAY_NS)}, a stall of {format_duration(_STALL.stop_ns)}")
    with EmbeddedTarget.start(delay_ns=_DELAY_NS, stall=_STALL) as target:
        stalled = _run(target, rate=_STALL_RATE, duration=3 * _STALL.every_ns)
    return Calibration(
        schema=calibration_result.SCHEMA,
        environment=environment(),
        machine=of_machine,
        closed_loop=_loop(closed),
        open_loop=held,
        open_loop_limit=limit,
        known_answers=list(_answers(stalled)),
        tls=_loop(tls),
        compression=_loop(compression),
        **_memory(stalled, many),
    )


def _memory(few: Run, many: Run) -> dict[str, int]:
    """Return the memory of a connection and of a process, from two runs at one rate; empty if they differ little."""
    more = many.connections.opened - few.connections.opened
    of_few, of_many = few.generator.workers[0].rss_bytes, many.generator.workers[0].rss_bytes
    if more < _USERS or of_many <= of_few:
        return {}
    a_connection = (of_many - of_few) // more
    return {"connection_bytes": a_connection, "process_bytes": of_few - few.connections.opened * a_connection}


def _of_machine() -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-P", "-m", "wsbench.worker.calibration", str(_PAYLOAD)], capture_output=True, check=False
    )
    if process.returncode != 0:
        raise WsbenchError("the machine could not be measured", remedy=process.stderr.decode(errors="replace").strip())
    measured: dict[str, Any] = msgspec.json.decode(process.stdout)
    return measured


def _run(target: EmbeddedTarget, *, users: int = _USERS, spawn_rate: float = _SPAWN_RATE, **values: Any) -> Run:
    with tempfile.TemporaryDirectory(prefix="wsbench-") as directory:
        values = {"payload_size": _PAYLOAD, "warmup": NS_PER_S // 2, "name": "calibration", **values}
        options = RunOptions.from_values({**values, "results": directory}, url=target.url, users=users)
        finished = execute(RunRequest(options, spawn_rate).against(target))
        if finished.interrupted:
            raise KeyboardInterrupt
        return finished.run


def _loop(run: Run) -> LoopSpeed:
    return LoopSpeed(run.throughput.received_per_s, run.generator.verdict, run.generator.cpu_us_per_message)


def _highest_open_loop(
    target: EmbeddedTarget, closed_per_s: float, say: Callable[[str], None]
) -> tuple[LoopSpeed | None, float | None]:
    """Bisect below a closed loop's speed: the highest rate with verdict ok, and the lowest rate that failed."""
    low, high = 0.0, closed_per_s
    held: LoopSpeed | None = None
    limit: float | None = None
    for _ in range(_STEPS):
        rate = (low + high) / 2
        say(f"open loop at {format_count(rate)} messages/s")
        run = _run(target, rate=float(round(rate)), duration=2 * NS_PER_S)
        if run.generator.verdict == "ok" and run.throughput.received_per_s > 0.99 * rate:
            low, held = rate, _loop(run)
        else:
            high = limit = rate
    return held, limit


def _answers(run: Run) -> Iterator[KnownAnswer]:
    """Yield the known percentiles.

    Replies leave `_DELAY_NS` late, and none in a stall: those wait for its end, evenly from 0 to its length.
    """
    share = _STALL.stop_ns / _STALL.every_ns
    latency = run.latency["response"]
    yield KnownAnswer("p50", _DELAY_NS, latency.p50_ns, _DELAY_TOLERANCE_NS)
    for name, quantile, measured in (("p90", 0.9, latency.p90_ns), ("p99", 0.99, latency.p99_ns)):
        waited = (quantile - (1 - share)) / share * _STALL.stop_ns
        expected = round(waited) + _DELAY_NS
        yield KnownAnswer(name, expected, measured, round(_TOLERANCE * expected))
