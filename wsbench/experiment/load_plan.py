"""The arithmetic of `wsbench plan`: processes, machines, ports, descriptors, memory and bandwidth for a load.

The capacity of a process is measured (`wsbench calibrate`), stated by the user, or assumed. The plan is projected from
it, and every number states which of these it is.

    processes   enough for the rate, each at its measured rate less the headroom, and for the connections
    machines    enough for the processes, the memory, and the bandwidth
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from wsbench.machine import OWN_DESCRIPTORS

MEASURED, STATED, ASSUMED, PROJECTED = "measured", "stated", "assumed", "projected"

PORTS_USED = 0.8
"""Share of an address's ports that the plan uses: the fuller the range, the longer the kernel searches."""
MEMORY_USED = 0.8
BANDWIDTH_USED = 0.8
WIDE_PORTS = (1024, 65535)
_SEGMENT_PAYLOAD = 1448
"""Bytes of a message in one packet on Ethernet: 1500 less IPv4's 20 and TCP's 32 (with timestamps)."""
_PACKET_OVERHEAD = 14 + 4 + 20 + 32
"""Ethernet's header and checksum, IPv4, TCP."""
_TLS_RECORD = 5 + 1 + 16
"""TLS 1.3: header, content type, tag."""
_MASK = 4
"""Bytes of the mask in a client's frame."""


class Basis(msgspec.Struct, frozen=True):
    """An input of a plan; `source` is "measured", "stated" or "assumed", and `how` is its origin."""

    value: float
    source: str
    how: str


class Costs(msgspec.Struct, frozen=True):
    """Capacity and costs of a load-generating process and its machine.

    Attributes:
        rate: messages a second that a process sends with the verdict ok.
        tls_factor, compression_factor: CPU per message relative to the plain closed loop.
        connections: limit for a process.
        ports: of one source address, towards one server port.
        memory: bytes of a machine; None for no limit.
    """

    rate: Basis
    tls_factor: Basis
    compression_factor: Basis
    connections: Basis
    connection_bytes: Basis
    kernel_bytes: Basis
    process_bytes: Basis
    ports: Basis
    processes_per_machine: Basis
    memory: Basis | None = None


class WantedLoad(msgspec.Struct, frozen=True):
    """The load to plan for.

    Attributes:
        headroom: share of a process's rate that is not used.
        bandwidth: bits a second of a machine, in each direction; None for no limit.
        destinations: number of pairs of address and port at which the server listens.
    """

    connections: int
    rate: float
    payload_size: int = 128
    tls: bool = False
    compression: bool = False
    headroom: float = 0.3
    bandwidth: float | None = None
    destinations: int = 1


class PlanFigure(msgspec.Struct, frozen=True):
    """One number of the plan, in "", "B", "bit/s" or "messages/s"; None where it does not apply."""

    name: str
    unit: str
    whole: float | None
    a_machine: float | None
    a_process: float | None
    how: str
    source: str = PROJECTED


class LoadPlan(msgspec.Struct, frozen=True):
    """The plan.

    Attributes:
        bound_by: the resource that determines the number of machines: "processes", "memory" or "bandwidth".
        source_addresses: number that a machine needs.
        wide_ports: whether the machine must use all ports from 1024.
        nofile: limit of open files that a process needs.
    """

    processes: int
    processes_per_machine: int
    machines: int
    bound_by: str
    connections_per_process: int
    connections_per_machine: int
    source_addresses: int
    wide_ports: bool
    nofile: int
    figures: list[PlanFigure]


def plan_load(wanted: WantedLoad, costs: Costs) -> LoadPlan:
    """Return the plan for a load. All machines are alike and run the same number of processes."""
    by_rate = math.ceil(wanted.rate / usable_rate(wanted, costs))
    by_connections = math.ceil(wanted.connections / costs.connections.value)
    needed = max(by_rate, by_connections, 1)
    machines, bound_by = _machines(wanted, costs, needed)
    a_machine = math.ceil(needed / machines)
    processes = machines * a_machine
    per_machine = math.ceil(wanted.connections / machines)
    wide = per_machine > _usable_ports(costs.ports.value, wanted)
    ports = WIDE_PORTS[1] - WIDE_PORTS[0] + 1 if wide else costs.ports.value
    sizing = LoadPlan(
        processes=processes,
        processes_per_machine=a_machine,
        machines=machines,
        bound_by=bound_by,
        connections_per_process=math.ceil(wanted.connections / processes),
        connections_per_machine=per_machine,
        source_addresses=math.ceil(per_machine / _usable_ports(ports, wanted)),
        wide_ports=wide,
        nofile=math.ceil(wanted.connections / processes) + OWN_DESCRIPTORS,
        figures=[],
    )
    why = f"{by_rate} for the rate, {by_connections} for the connections; the same on every machine"
    return replace(sizing, figures=list(_figures(wanted, costs, sizing, why)))


def usable_rate(wanted: WantedLoad, costs: Costs) -> float:
    """Return the messages a second planned for a process."""
    tls = costs.tls_factor.value if wanted.tls else 1.0
    compression = costs.compression_factor.value if wanted.compression else 1.0
    return costs.rate.value * (1 - wanted.headroom) / (tls * compression)


def bytes_on_the_wire(payload_size: int, *, tls: bool, sent: bool) -> int:
    """Return the bytes of one message in its own packets, with all headers but without pure acknowledgements."""
    header = 2 if payload_size < 126 else 4 if payload_size < 65536 else 10
    frame = payload_size + header + (_MASK if sent else 0) + (_TLS_RECORD if tls else 0)
    return frame + math.ceil(frame / _SEGMENT_PAYLOAD) * _PACKET_OVERHEAD


def _usable_ports(ports: float, wanted: WantedLoad) -> float:
    return ports * PORTS_USED * wanted.destinations


def _machines(wanted: WantedLoad, costs: Costs, processes: int) -> tuple[int, str]:
    needed = {"processes": math.ceil(processes / costs.processes_per_machine.value)}
    if costs.memory is not None:
        needed["memory"] = math.ceil(_memory(wanted, costs, processes) / (costs.memory.value * MEMORY_USED))
    if wanted.bandwidth is not None:
        needed["bandwidth"] = math.ceil(_bits_per_s(wanted, sent=True) / (wanted.bandwidth * BANDWIDTH_USED))
    bound_by = max(needed, key=needed.__getitem__)
    return needed[bound_by], bound_by


def _memory(wanted: WantedLoad, costs: Costs, processes: int) -> float:
    a_connection = costs.connection_bytes.value + costs.kernel_bytes.value
    return processes * costs.process_bytes.value + wanted.connections * a_connection


def _bits_per_s(wanted: WantedLoad, *, sent: bool) -> float:
    return 8 * wanted.rate * bytes_on_the_wire(wanted.payload_size, tls=wanted.tls, sent=sent)


def _figures(wanted: WantedLoad, costs: Costs, sizing: LoadPlan, why: str) -> Iterator[PlanFigure]:
    machines, processes = sizing.machines, sizing.processes
    yield PlanFigure("worker processes", "", processes, sizing.processes_per_machine, None, why)
    yield PlanFigure("machines", "", machines, None, None, f"determined by their {sizing.bound_by}")
    how, a_machine, a_process = "evenly spread", sizing.connections_per_machine, sizing.connections_per_process
    yield PlanFigure("connections", "", wanted.connections, a_machine, a_process, how)
    yield PlanFigure("rate", "messages/s", wanted.rate, wanted.rate / machines, wanted.rate / processes, how)
    how = f"one per connection, and {OWN_DESCRIPTORS} per process"
    yield PlanFigure("open files", "", None, sizing.nofile * sizing.processes_per_machine, sizing.nofile, how)
    ports = f"ports {WIDE_PORTS[0]} to {WIDE_PORTS[1]}" if sizing.wide_ports else "the ports set on this machine"
    how = f"{100 * PORTS_USED:g} % of {ports} towards each of {wanted.destinations} server ports"
    addresses = sizing.source_addresses
    yield PlanFigure("source addresses", "", addresses * machines, addresses, None, how)
    memory = _memory(wanted, costs, processes)
    how = "processes and connections, with the kernel's part"
    yield PlanFigure("memory", "B", memory, memory / machines, None, how)
    for name, sent in (("bandwidth, sent", True), ("bandwidth, received", False)):
        bits_per_s = _bits_per_s(wanted, sent=sent)
        how = f"{bytes_on_the_wire(wanted.payload_size, tls=wanted.tls, sent=sent)} bytes per message on the wire"
        how += ", without the savings of compression" if wanted.compression else ""
        yield PlanFigure(name, "bit/s", bits_per_s, bits_per_s / machines, None, how)
