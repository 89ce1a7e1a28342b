"""A plan for a large load, for the terminal: its numbers, their basis, commands and settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from wsbench.experiment.load_plan import WIDE_PORTS, Basis, Costs, LoadPlan, PlanFigure, WantedLoad, usable_rate
from wsbench.report.text.text_table import draw, left, right
from wsbench.units import format_bytes, format_count, format_rate

_DESCRIPTOR_CEILING = 1_048_576
"""Linux's default of fs.nr_open."""
_DESCRIPTORS = 4_096
"""The hard limit of open files that every system grants."""
_TRACKED = 30_000
"""Connections that bring a small machine's nf_conntrack table near its limit."""


def render(
    wanted: WantedLoad, costs: Costs, sizing: LoadPlan, *, like: str | None, notes: Sequence[str]
) -> Iterator[str]:
    """Yield the lines with the plan's numbers and their basis."""
    yield (
        f"{format_count(wanted.connections)} connections, {format_count(wanted.rate)} messages/s of "
        f"{format_bytes(wanted.payload_size)}, {'wss' if wanted.tls else 'ws'}"
        f"{', compression' if wanted.compression else ''}"
    )
    yield f"on machines like this one: {like}" if like else "on machines of which nothing was measured"
    yield ""
    columns = [left(), *map(right, ("in total", "per machine", "per process")), left()]
    yield from draw(columns, map(_figure_row, sizing.figures))
    yield ""
    yield "based on"
    rows = ((value, f"{basis.source}: {basis.how}") for value, basis in basis_rows(wanted, costs))
    yield from draw([left(), left()], rows, indent=2)
    for note in notes:
        yield from ("", note)


def _figure_row(figure: PlanFigure) -> list[str]:
    formatted = {"B": format_bytes, "bit/s": format_bit_rate, "messages/s": format_rate}.get(figure.unit, format_count)
    values = (figure.whole, figure.a_machine, figure.a_process)
    cells = ("" if value is None else formatted(value) for value in values)
    return [figure.name, *cells, f"{figure.source}: {figure.how}"]


def format_bit_rate(value: float) -> str:
    """Return a bit rate with its unit: '1.63 Gbit/s'."""
    return format_bytes(value).replace("B", "bit/s")


def basis_rows(wanted: WantedLoad, costs: Costs) -> Iterator[tuple[str, Basis]]:
    """Yield the costs that this plan is based on, each as text and basis."""
    yield f"{format_count(costs.rate.value)} messages/s per process", costs.rate
    how = f"--headroom (30% by default); planned with {format_count(usable_rate(wanted, costs))}/s"
    yield f"{100 * wanted.headroom:g} % of it as headroom", Basis(wanted.headroom, "stated", how)
    if wanted.tls:
        yield f"{costs.tls_factor.value:.2f} times for TLS", costs.tls_factor
    if wanted.compression:
        yield f"{costs.compression_factor.value:.2f} times for compression", costs.compression_factor
    yield f"{format_count(costs.connections.value)} connections per process", costs.connections
    yield f"{format_bytes(costs.connection_bytes.value)} per connection", costs.connection_bytes
    yield f"{format_bytes(costs.kernel_bytes.value)} per connection in the kernel", costs.kernel_bytes
    yield f"{format_bytes(costs.process_bytes.value)} per process", costs.process_bytes
    yield f"{format_count(costs.ports.value)} ports per address", costs.ports
    yield f"{format_count(costs.processes_per_machine.value)} processes per machine", costs.processes_per_machine
    if costs.memory is not None:
        yield f"{format_bytes(costs.memory.value)} of memory per machine", costs.memory
    if wanted.bandwidth is not None:
        yield f"{format_bit_rate(wanted.bandwidth)} per machine", Basis(wanted.bandwidth, "stated", "--bandwidth")


def commands(wanted: WantedLoad, sizing: LoadPlan, *, opened_per_s: int) -> Iterator[str]:
    """Yield the master's command and that of every load machine. One process opens `opened_per_s` connections/s."""
    scheme = "wss" if wanted.tls else "ws"
    options = f" --payload-size {wanted.payload_size}" if wanted.payload_size != 128 else ""
    options += " --compression on" if wanted.compression else ""
    spawn_rate = max(1, min(wanted.connections, sizing.processes * opened_per_s))
    yield (
        f"locust -f scenarios/echo.py --master --expect-workers {sizing.processes} --headless "
        f"-u {wanted.connections} -r {spawn_rate} --rate {wanted.rate:.9g} --duration 60s{options} "
        f"--host {scheme}://TARGET/echo"
    )
    processes = f" --processes {sizing.processes_per_machine}" if sizing.processes_per_machine > 1 else ""
    sources = " --source-ip FIRST-LAST" if sizing.source_addresses > 1 else ""
    yield f"locust -f scenarios/echo.py --worker --master-host MASTER{processes}{sources}"


def settings(sizing: LoadPlan) -> Iterator[str]:
    """Yield the kernel settings that a load machine needs beyond Linux's defaults."""
    if sizing.wide_ports:
        yield f"sysctl -w net.ipv4.ip_local_port_range='{WIDE_PORTS[0]} {WIDE_PORTS[1]}'"
        yield "sysctl -w net.ipv4.tcp_tw_reuse=1"
    if sizing.nofile > _DESCRIPTOR_CEILING:
        yield f"sysctl -w fs.nr_open={_rounded(sizing.nofile)}"
    if sizing.nofile > _DESCRIPTORS:
        yield f"ulimit -Hn {_rounded(sizing.nofile)}"
    if sizing.connections_per_machine > _TRACKED:
        yield f"sysctl -w net.netfilter.nf_conntrack_max={_rounded(2 * sizing.connections_per_machine)}"


def _rounded(value: float) -> int:
    """Round up to two significant digits."""
    step: int = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return math.ceil(value / step) * step


def instructions(commands: Sequence[str], settings: Sequence[str]) -> Iterator[str]:
    """Yield the lines that tell how to carry out the plan."""
    if settings:
        yield "on every load machine, before the test, as root (nf_conntrack only where it is loaded)"
        yield from (f"  {line}" for line in settings)
        yield ""
    yield "on the master"
    yield f"  {commands[0]}"
    yield "on every load machine"
    yield f"  {commands[1]}"
