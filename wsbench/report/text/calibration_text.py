"""A calibration as text."""

from __future__ import annotations

from collections.abc import Iterator

from wsbench.report.text.text_table import draw, left
from wsbench.results.calibration_result import Calibration
from wsbench.units import format_bytes, format_count, format_duration


def render(calibration: Calibration) -> str:
    """Return what `wsbench calibrate` prints."""
    return "\n".join([*draw([left(), left()], _rows(calibration)), ""])


def _rows(calibration: Calibration) -> Iterator[tuple[str, str]]:
    m, environment = calibration.machine, calibration.environment
    closed, held = calibration.closed_loop, calibration.open_loop
    timer, plain, trip = m["timer"], m["plain_timer"], m["round_trip"]
    yield "machine", f"{environment.cpu}, {environment.cores_text}, {environment.kernel}, {environment.python}"
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
    limit = f" (not {format_count(calibration.open_loop_limit)})" if calibration.open_loop_limit else ""
    yield "open loop", f"{rate} with verdict ok{limit}"
    for name, loop in (("TLS", calibration.tls), ("compression", calibration.compression)):
        factor = calibration.cpu_factor(loop)
        yield name, "–" if factor is None else f"{factor:.2f} times the CPU per round trip"
    yield (
        "memory",
        f"{format_bytes(calibration.connection_bytes)} per connection, "
        f"{format_bytes(calibration.process_bytes)} for a process without connections",
    )
    for answer in calibration.known_answers:
        yield (
            "known answer",
            f"response {answer.figure}: {format_duration(answer.measured_ns)}, expected "
            f"{format_duration(answer.expected_ns)} ± {format_duration(answer.tolerance_ns)}: "
            f"{'right' if answer.right else 'WRONG'}",
        )
