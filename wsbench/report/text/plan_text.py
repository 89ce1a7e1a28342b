"""A plan for a large load, for a terminal: its numbers with what they rest on, commands, settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from wsbench.experiment.load_plan import WIDE_PORTS, Basis, Costs, LoadPlan, PlanFigure, WantedLoad, usable_rate
from wsbench.units import format_bytes, format_count

_WIDTH = 14
_DESCRIPTOR_CEILING = 1_048_576
"""fs.nr_open as Linux sets it."""
_DESCRIPTORS = 4_096
"""A hard limit of open files that every system grants."""
_TRACKED = 30_000
"""Connections of which a small machine's nf_conntrack is near its limit."""


def render(
    wanted: WantedLoad, costs: Costs, sizing: LoadPlan, *, like: str | None, notes: Sequence[str]
) -> Iterator[str]:
    """The numbers."""
    yield f"{describe(wanted)}"
    yield f"on machines like this one: {like}" if like else "on machines of which nothing was measured"
    yield ""
    yield f"{'':<22}" + "".join(f"{name:>{_WIDTH}}" for name in ("all together", "a machine", "a process"))
    for figure in sizing.figures:
        cells = (format_figure(figure, value) for value in (figure.whole, figure.a_machine, figure.a_process))
        yield (
            f"{figure.name:<22}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells) + f"   {figure.source}: {figure.how}"
        )
    yield ""
    yield "resting on"
    for what, basis in basis_rows(wanted, costs):
        yield f"  {what:<42}{basis.source}: {basis.how}"
    for note in notes:
        yield from ("", note)


def describe(wanted: WantedLoad) -> str:
    """What is wanted, in one line."""
    how = ["wss" if wanted.tls else "ws", *(["compression"] if wanted.compression else [])]
    return (
        f"{format_count(wanted.connections)} connections, {format_count(wanted.rate)} messages/s of "
        f"{format_bytes(wanted.payload_size)}, {', '.join(how)}"
    )


def format_figure(figure: PlanFigure, value: float | None) -> str:
    """A number in its unit; nothing for None."""
    if value is None:
        return ""
    if figure.unit == "B":
        return format_bytes(value)
    if figure.unit == "bit/s":
        return format_bit_rate(value)
    return f"{format_count(value)}{'/s' if figure.unit else ''}"


def format_bit_rate(value: float) -> str:
    """'1.63 Gbit/s'."""
    return format_bytes(value).replace("B", "bit/s")


def basis_rows(wanted: WantedLoad, costs: Costs) -> Iterator[tuple[str, Basis]]:
    """What has a part in this plan, each with its value."""
    rate = f"{format_count(costs.rate.value)} messages/s a process"
    yield rate, costs.rate
    kept = Basis(
        wanted.headroom,
        "stated",
        f"--headroom (30% unless said); planned with {format_count(usable_rate(wanted, costs))}/s",
    )
    yield f"{100 * wanted.headroom:g} % of it kept back", kept
    if wanted.tls:
        yield f"{costs.tls_factor.value:.2f} times for TLS", costs.tls_factor
    if wanted.compression:
        yield f"{costs.compression_factor.value:.2f} times for compression", costs.compression_factor
    yield f"{format_count(costs.connections.value)} connections a process", costs.connections
    yield f"{format_bytes(costs.connection_bytes.value)} a connection", costs.connection_bytes
    yield f"{format_bytes(costs.kernel_bytes.value)} a connection in the kernel", costs.kernel_bytes
    yield f"{format_bytes(costs.process_bytes.value)} a process", costs.process_bytes
    yield f"{format_count(costs.ports.value)} ports an address", costs.ports
    yield f"{format_count(costs.processes_per_machine.value)} processes a machine", costs.processes_per_machine
    if costs.memory is not None:
        yield f"{format_bytes(costs.memory.value)} of memory a machine", costs.memory
    if wanted.bandwidth is not None:
        yield f"{format_bit_rate(wanted.bandwidth)} a machine", Basis(wanted.bandwidth, "stated", "--bandwidth")


def commands(wanted: WantedLoad, sizing: LoadPlan, *, opened_per_s: int) -> Iterator[str]:
    """On the master, and on each of the machines. `opened_per_s`: connections, by one process."""
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
    """For every load machine; those that Linux's own defaults do not cover."""
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
    """Up, to two digits."""
    step: int = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return math.ceil(value / step) * step


def instructions(its_commands: Sequence[str], its_settings: Sequence[str]) -> Iterator[str]:
    """How it is carried out."""
    if its_settings:
        yield "on every load machine, before, as root (nf_conntrack only where it is loaded)"
        yield from (f"  {line}" for line in its_settings)
        yield ""
    yield "on the master"
    yield f"  {its_commands[0]}"
    yield "on every load machine"
    yield f"  {its_commands[1]}"
