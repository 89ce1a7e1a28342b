"""The arithmetic of `wsbench plan`, by tables."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from wsbench.experiment.load_plan import (
    ASSUMED,
    MEASURED,
    PROJECTED,
    Basis,
    Costs,
    LoadPlan,
    WantedLoad,
    bytes_on_the_wire,
    plan_load,
    usable_rate,
)

COSTS = Costs(
    rate=Basis(20_000, MEASURED, ""),
    tls_factor=Basis(1.5, MEASURED, ""),
    compression_factor=Basis(3.0, ASSUMED, ""),
    connections=Basis(20_000, ASSUMED, ""),
    connection_bytes=Basis(20_000, MEASURED, ""),
    kernel_bytes=Basis(5_000, ASSUMED, ""),
    process_bytes=Basis(80_000_000, MEASURED, ""),
    ports=Basis(28_232, MEASURED, ""),
    processes_per_machine=Basis(4, MEASURED, ""),
    memory=Basis(16e9, MEASURED, ""),
)
MILLION = WantedLoad(connections=1_000_000, rate=200_000.0)


def plan(wanted: WantedLoad, **costs: Basis) -> LoadPlan:
    return plan_load(wanted, replace(COSTS, **costs))


@pytest.mark.parametrize(
    ("wanted", "costs", "expected"),
    [
        # (processes, a machine, machines, bound by)
        (WantedLoad(100, 1_000.0), {}, (1, 1, 1, "processes")),
        (WantedLoad(100, 14_000.0), {}, (1, 1, 1, "processes")),  # 30 % of 20,000 kept back
        (WantedLoad(100, 14_001.0), {}, (2, 2, 1, "processes")),
        (WantedLoad(20_001, 1.0), {}, (2, 2, 1, "processes")),
        (MILLION, {}, (52, 4, 13, "processes")),  # 50 for the connections, but four on each of 13 machines
        (replace(MILLION, rate=1_400_000.0), {}, (100, 4, 25, "processes")),
        (replace(MILLION, rate=1_400_000.0, headroom=0.0), {}, (72, 4, 18, "processes")),
        (WantedLoad(100, 14_000.0, tls=True), {}, (2, 2, 1, "processes")),
        (WantedLoad(100, 14_000.0, tls=True, compression=True), {}, (6, 3, 2, "processes")),
        # 50 x 80 MB and a million of 25 kB: 29 GB
        (MILLION, {"memory": Basis(2e9, MEASURED, "")}, (57, 3, 19, "memory")),
        # 200,000 x 206 bytes: 330 Mbit/s, of which 80 % of 10 Mbit/s fit
        (replace(MILLION, bandwidth=10e6), {}, (84, 2, 42, "bandwidth")),
        # one process is enough, but no machine could send so much
        (WantedLoad(10, 1_000.0, payload_size=100_000, bandwidth=500e6), {}, (3, 1, 3, "bandwidth")),
    ],
)
def test_processes_and_machines(wanted: WantedLoad, costs: dict[str, Basis], expected: tuple[Any, ...]) -> None:
    found = plan(wanted, **costs)
    assert (found.processes, found.processes_per_machine, found.machines, found.bound_by) == expected


@pytest.mark.parametrize(
    ("connections", "destinations", "addresses", "wide"),
    [
        (20_000, 1, 1, False),
        (22_585, 1, 1, False),  # 80 % of 28,232
        (22_586, 1, 1, True),  # with 64,512 ports, one is still enough
        (51_609, 1, 1, True),
        (51_610, 1, 2, True),
        (51_610, 2, 1, True),
        (45_170, 2, 1, False),
        (500_000, 1, 10, True),
    ],
)
def test_source_addresses(connections: int, destinations: int, addresses: int, wide: bool) -> None:
    one = Basis(10_000_000, ASSUMED, "")
    found = plan(
        WantedLoad(connections, 1.0, destinations=destinations), connections=one, memory=Basis(1e15, MEASURED, "")
    )
    assert found.machines == 1
    assert (found.source_addresses, found.wide_ports) == (addresses, wide)
    assert found.nofile == connections + 64


@pytest.mark.parametrize(
    ("payload_size", "tls", "sent", "expected"),
    [
        (128, False, True, 128 + 4 + 4 + 70),
        (128, False, False, 128 + 4 + 70),
        (125, False, False, 125 + 2 + 70),
        (128, True, True, 128 + 4 + 4 + 22 + 70),
        (1_444, False, False, 1_448 + 70),
        (1_445, False, False, 1_449 + 140),
        (65_536, False, False, 65_546 + 46 * 70),
    ],
)
def test_bytes_on_the_wire(payload_size: int, tls: bool, sent: bool, expected: int) -> None:
    assert bytes_on_the_wire(payload_size, tls=tls, sent=sent) == expected


def test_every_number_of_the_plan() -> None:
    figures = {figure.name: figure for figure in plan(MILLION).figures}
    assert {figure.source for figure in figures.values()} == {PROJECTED}
    assert {name: (f.whole, f.a_machine, f.a_process) for name, f in figures.items()} == {
        "worker processes": (52, 4, None),
        "machines": (13, None, None),
        "connections": (1_000_000, 76_924, 19_231),
        "rate": (200_000.0, 200_000 / 13, 200_000 / 52),
        "open files": (None, 4 * 19_295, 19_295),
        "source addresses": (26, 2, None),
        "memory": (29.16e9, 29.16e9 / 13, None),
        "bandwidth, sent": (8 * 200_000 * 206, 8 * 200_000 * 206 / 13, None),
        "bandwidth, received": (8 * 200_000 * 202, 8 * 200_000 * 202 / 13, None),
    }


@given(
    st.builds(
        WantedLoad,
        connections=st.integers(1, 10**8),
        rate=st.floats(0.1, 1e9),
        payload_size=st.integers(40, 10**6),
        tls=st.booleans(),
        compression=st.booleans(),
        headroom=st.floats(0, 0.9),
        bandwidth=st.one_of(st.none(), st.floats(1e6, 1e12)),
        destinations=st.integers(1, 100),
    )
)
def test_no_process_and_no_machine_is_asked_for_more_than_it_can(wanted: WantedLoad) -> None:
    found = plan(wanted)
    assert found.processes == found.machines * found.processes_per_machine
    assert found.processes_per_machine <= 4
    assert found.connections_per_process <= 20_000
    assert wanted.rate / found.processes <= usable_rate(wanted, COSTS) * (1 + 1e-9)
    ports = (64_512 if found.wide_ports else 28_232) * wanted.destinations
    assert found.connections_per_machine <= found.source_addresses * ports
    if wanted.bandwidth is not None:
        sent = next(figure.a_machine for figure in found.figures if figure.name == "bandwidth, sent")
        assert sent is not None
        assert sent <= wanted.bandwidth
    assert all(value is None or math.isfinite(value) for f in found.figures for value in (f.whole, f.a_machine))
