"""`wsbench calibrate`: what this machine's generator can do, how exact it is, and a check against known answers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from wsbench import machine
from wsbench.cli.progress import ProgressLine
from wsbench.errors import WsbenchError
from wsbench.launcher.execution import RunRequest, execute
from wsbench.report.text.text_table import draw, left
from wsbench.results import calibration_result
from wsbench.results.calibration_result import CALIBRATION_FILE, Calibration, KnownAnswer, LoopSpeed
from wsbench.results.directory import ResultNotStored, Staging, replace_file
from wsbench.results.environment import environment
from wsbench.results.run_result import Run
from wsbench.run import exit_codes
from wsbench.run.options import RunOptions
from wsbench.targets.echo.delays import Stall
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.units import NS_PER_MS, NS_PER_S, format_bytes, format_count, format_duration

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


@click.command("calibrate")
@click.option("--results", type=click.Path(path_type=Path), default="results", show_default=True, metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print calibration.json on standard output.")
@click.option("--quiet", is_flag=True, help="Print nothing but the result's place.")
def command(results: Path, as_json: bool, quiet: bool) -> int:
    """Find out what this machine's generator can be trusted with. Takes about a minute."""
    Staging.create(results, "calibration").discard()  # what keeps it from being stored is said now, not in a minute
    with ProgressLine(enabled=not quiet) as line:
        calibration = _calibrate(line)
    document = calibration_result.encode(calibration)
    if as_json:
        click.echo(document, nl=False)
    elif not quiet:
        click.echo("\n".join(_text(calibration)))
    try:
        replace_file(results / CALIBRATION_FILE, document)
    except OSError as error:
        raise ResultNotStored(results, error) from error
    if not as_json:
        click.echo(f"stored: {results / CALIBRATION_FILE}")
    return exit_codes.of_calibration(calibration)


def _calibrate(line: ProgressLine) -> Calibration:
    line.say("timers, timestamps and the loopback floor")
    of_machine = _of_machine()
    with EmbeddedTarget.start() as target:
        line.say("closed loop at full speed")
        closed = _run(target, duration=3 * NS_PER_S)
        held, limit = _highest_open_loop(target, closed.throughput.received_per_s, line)
        users = min(_MANY, machine.connections_of_a_process() or _MANY)
        line.say(f"{format_count(users)} connections")
        many = _run(target, users=users, spawn_rate=float(users), rate=_STALL_RATE, duration=NS_PER_S)
    line.say("closed loop with TLS, and with compression")
    with EmbeddedTarget.start(tls=True) as target:
        tls = _run(target, duration=2 * NS_PER_S)
    with EmbeddedTarget.start(compression="on") as target:
        compression = _run(target, compression="on", duration=2 * NS_PER_S)
    line.say(f"known answers: a delay of {format_duration(_DELAY_NS)}, a stall of {format_duration(_STALL.stop_ns)}")
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
    """From two runs at the same rate; nothing, when they differ too little to tell."""
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
    target: EmbeddedTarget, closed_per_s: float, line: ProgressLine
) -> tuple[LoopSpeed | None, float | None]:
    """Bisect between nothing and what a closed loop reaches for the highest rate with verdict ok."""
    low, high = 0.0, closed_per_s
    held: LoopSpeed | None = None
    limit: float | None = None
    for _ in range(_STEPS):
        rate = (low + high) / 2
        line.say(f"open loop at {format_count(rate)} messages/s")
        run = _run(target, rate=float(round(rate)), duration=2 * NS_PER_S)
        if run.generator.verdict == "ok" and run.throughput.received_per_s > 0.99 * rate:
            low, held = rate, _loop(run)
        else:
            high = limit = rate
    return held, limit


def _answers(run: Run) -> Iterator[KnownAnswer]:
    """Replies leave `_DELAY_NS` late, and none in a stall: those wait for its end, evenly from 0 to all of it."""
    share = _STALL.stop_ns / _STALL.every_ns
    latency = run.latency["response"]
    yield KnownAnswer("p50", _DELAY_NS, latency.p50_ns, _DELAY_TOLERANCE_NS)
    for name, quantile, measured in (("p90", 0.9, latency.p90_ns), ("p99", 0.99, latency.p99_ns)):
        waited = (quantile - (1 - share)) / share * _STALL.stop_ns
        expected = round(waited) + _DELAY_NS
        yield KnownAnswer(name, expected, measured, round(_TOLERANCE * expected))


def _text(found: Calibration) -> list[str]:
    return draw([left(), left()], _rows(found))


def _rows(found: Calibration) -> Iterator[tuple[str, str]]:
    m, environment, closed, held = found.machine, found.environment, found.closed_loop, found.open_loop
    timer, plain, trip = m["timer"], m["plain_timer"], m["round_trip"]
    yield "machine", f"{environment.cpu}, {environment.cores} cores, {environment.kernel}, {environment.python}"
    yield (
        "timer",
        f"{'timerfd' if m['exact_timer'] else 'plain timer'}: {format_duration(timer['p50_ns'])} late at p50, "
        f"{format_duration(timer['p99_ns'])} at p99 (gevent's own: {format_duration(plain['p50_ns'])})",
    )
    yield "timestamps", "kernel" if m["kernel_timestamps"] else "user space only: the kernel gives none"
    yield (
        "loopback floor",
        f"{format_duration(trip['p50_ns'])} per round trip at p50, {format_duration(trip['p99_ns'])} at p99 "
        f"(bare TCP, {m['payload_size']} bytes)",
    )
    yield (
        "closed loop",
        f"{format_count(closed.per_s)} replies/s from one process, "
        f"{closed.cpu_us_per_message:.1f} µs CPU per round trip (verdict {closed.verdict})",
    )
    rate = f"{format_count(held.per_s)} messages/s" if held else "no rate"
    limit = f" (not {format_count(found.open_loop_limit)})" if found.open_loop_limit else ""
    yield "open loop", f"{rate} with verdict ok{limit}"
    for name, loop in (("TLS", found.tls), ("compression", found.compression)):
        factor = found.cpu_factor(loop)
        yield name, "–" if factor is None else f"{factor:.2f} times the CPU per round trip"
    yield (
        "memory",
        f"{format_bytes(found.connection_bytes)} per connection, "
        f"{format_bytes(found.process_bytes)} for a process without connections",
    )
    for answer in found.known_answers:
        yield (
            "known answer",
            f"response {answer.figure}: {format_duration(answer.measured_ns)}, expected "
            f"{format_duration(answer.expected_ns)} ± {format_duration(answer.tolerance_ns)}: "
            f"{'right' if answer.right else 'WRONG'}",
        )
