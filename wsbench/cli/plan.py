"""`wsbench plan`: project the machines, ports, memory and bandwidth that a larger load needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from wsbench import machine
from wsbench.cli.params import COUNT, FILE, POSITIVE_SIZE, RATE, SIZE, Parsed, option, share_between
from wsbench.errors import ExitCode, ResultError, UsageError
from wsbench.experiment.load_plan import ASSUMED, MEASURED, STATED, Basis, Costs, LoadPlan, WantedLoad, plan_load
from wsbench.report.text import plan_text
from wsbench.results import calibration_result
from wsbench.results.calibration_result import CALIBRATION_FILE, Calibration
from wsbench.results.environment import environment
from wsbench.results.json_files import encode_json
from wsbench.source_addresses import ephemeral_ports
from wsbench.units import format_cores, parse_positive_size

_SCHEMA = 1
_CONNECTIONS = 20_000
_TLS_FACTOR, _COMPRESSION_FACTOR = 1.7, 4.0
_CONNECTION_BYTES, _PROCESS_BYTES, _KERNEL_BYTES = 15_000, 80_000_000, 5_000
_TLS_BYTES = 50_000
_OPENED_PER_S = {False: 500, True: 200}
"""Connections a second and process, without TLS and with it."""
_BANDWIDTH = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:bit|bps)?(?:/s)?", re.IGNORECASE | re.ASCII)


class PlanDocument(msgspec.Struct, frozen=True):
    """The document of `--json`: the load, the costs that the plan rests on, the plan, and how to carry it out.

    Attributes:
        like: the calibrated machine; None if all costs were stated.
    """

    schema: int
    wanted: WantedLoad
    like: str | None
    costs: Costs
    sizing: LoadPlan
    commands: list[str]
    settings: list[str]
    notes: list[str]


def _plan(**values: Any) -> ExitCode:
    wanted = WantedLoad(
        connections=values["connections"],
        rate=values["rate"],
        payload_size=values["payload_size"],
        tls=values["tls"],
        compression=values["compression"],
        headroom=values["headroom"],
        bandwidth=values["bandwidth"],
        destinations=values["destinations"],
    )
    calibration = _calibration(values)
    costs = _costs(calibration, values)
    sizing = plan_load(wanted, costs)
    plan = PlanDocument(
        schema=_SCHEMA,
        wanted=wanted,
        like=_like(calibration),
        costs=costs,
        sizing=sizing,
        commands=list(plan_text.commands(wanted, sizing, opened_per_s=_OPENED_PER_S[wanted.tls])),
        settings=list(plan_text.settings(sizing)),
        notes=list(_notes(wanted, calibration, values)),
    )
    if values["json"]:
        click.echo(encode_json(plan), nl=False)
    else:
        rows = plan_text.render(wanted, costs, sizing, like=plan.like, notes=plan.notes)
        click.echo("\n".join([*rows, "", *plan_text.instructions(plan.commands, plan.settings)]))
    return ExitCode.OK


def _calibration(values: dict[str, Any]) -> Calibration | None:
    """Return the stored calibration; None if there is none and the rate of a process is stated."""
    try:
        return calibration_result.load(values["results"])
    except ResultError as error:
        if values["rate_per_process"] and not (values["results"] / CALIBRATION_FILE).exists():
            return None
        remedy = "Run `wsbench calibrate` (a minute), or state what a process can do: --rate-per-process."
        raise ResultError(error.what, remedy=remedy) from error


def _costs(calibration: Calibration | None, values: dict[str, Any]) -> Costs:
    here = environment()
    tls = calibration.cpu_factor(calibration.tls) if calibration else None
    compression = calibration.cpu_factor(calibration.compression) if calibration else None
    like = calibration.environment if calibration else here
    per_core = f"one a core of {'the machine that was calibrated' if calibration else 'this one'}"
    if like.cpu_quota is not None:
        per_core += f", within its CPU quota ({format_cores(like.cpu_quota)})"
    like_here = calibration is None or calibration.environment.host_id == here.host_id
    memory = _memory_here() if like_here else None
    return Costs(
        rate=_rate(calibration, values),
        tls_factor=_or_assumed(tls, _TLS_FACTOR, "times the CPU a message takes with TLS"),
        compression_factor=_or_assumed(
            compression, _COMPRESSION_FACTOR, "times the CPU a message takes with compression"
        ),
        connections=_stated(values["connections_per_process"], "--connections-per-process")
        or Basis(_CONNECTIONS, ASSUMED, "as many as wsbench is tried with"),
        connection_bytes=_connection_bytes(calibration, values),
        kernel_bytes=Basis(_KERNEL_BYTES, ASSUMED, "a socket in the kernel, its buffers empty"),
        process_bytes=_or_assumed(
            calibration.process_bytes if calibration else None, _PROCESS_BYTES, "a process without connections"
        ),
        ports=Basis(ephemeral_ports(), MEASURED, "net.ipv4.ip_local_port_range here"),
        processes_per_machine=_stated(values["processes"], "--processes")
        or Basis(like.usable_cores, MEASURED, per_core),
        memory=_stated(values["memory"], "--memory") or memory,
    )


def _memory_here() -> Basis:
    usable, whose = machine.usable_memory()
    return Basis(usable, MEASURED, f"what {whose}")


def _rate(calibration: Calibration | None, values: dict[str, Any]) -> Basis:
    if stated := _stated(values["rate_per_process"], "--rate-per-process"):
        return stated
    assert calibration is not None
    if calibration.open_loop is None:
        raise UsageError(
            f"the calibration in {values['results']} found no rate that this machine's generator holds",
            remedy="Run `wsbench calibrate` while the machine is quiet, or state it: --rate-per-process.",
        )
    return Basis(calibration.open_loop.per_s, MEASURED, "the highest open-loop rate with verdict ok in the calibration")


def _connection_bytes(calibration: Calibration | None, values: dict[str, Any]) -> Basis:
    if stated := _stated(values["bytes_per_connection"], "--bytes-per-connection"):
        return stated
    plain = _or_assumed(
        calibration.connection_bytes if calibration else None, _CONNECTION_BYTES, "an open echo connection and its user"
    )
    if not values["tls"]:
        return plain
    return Basis(plain.value + _TLS_BYTES, ASSUMED, f"{plain.source} without TLS, and {_TLS_BYTES // 1000} kB for it")


def _or_assumed(measured: float | None, assumed: float, how: str) -> Basis:
    return Basis(assumed, ASSUMED, how) if measured is None else Basis(measured, MEASURED, how)


def _stated(value: float | None, option: str) -> Basis | None:
    return None if value is None else Basis(value, STATED, option)


def _like(calibration: Calibration | None) -> str | None:
    if calibration is None:
        return None
    environment = calibration.environment
    return f"{environment.cpu}, {environment.cores_text}, {environment.kernel}, {environment.python}"


def _notes(wanted: WantedLoad, calibration: Calibration | None, values: dict[str, Any]) -> Iterator[str]:
    """Yield what a reader must know beside the numbers."""
    measured_size = calibration.machine.get("payload_size") if calibration and not values["rate_per_process"] else None
    if measured_size and wanted.payload_size > 8 * measured_size:
        yield (
            f"The rate of a process was measured with {measured_size} bytes a message; with {wanted.payload_size} it "
            "is lower: measure it (`wsbench capacity --payload-size`) and state it (--rate-per-process)."
        )
    if calibration and calibration.environment.host_id != machine.host_id():
        yield "The calibration is another machine's: the plan is for machines like that one."
    yield (
        "A projection is not a measurement: first try one machine with its share of the load, and check the verdict. "
        "The target and the network must bear the load as well."
    )


def _memory(text: str) -> int:
    """Parse a size with its unit: 64 bytes are meant by nobody."""
    if text.strip().isdecimal():
        raise ValueError(f"{text!r} has no unit: use for example 64GB")
    return parse_positive_size(text)


def _bandwidth(text: str) -> float:
    if text.strip().isdecimal():
        raise ValueError(f"{text!r} has no unit: use for example 10Gbit or 500Mbit")
    match = _BANDWIDTH.fullmatch(text.strip())
    value = float(match[1]) * {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}[match[2].lower()] if match else 0.0
    if value <= 0:
        raise ValueError(f"{text!r} is no bandwidth in bits a second: use for example 10Gbit or 500Mbit")
    return value


command = click.Command(
    "plan",
    callback=_plan,
    params=[
        option("--connections N", "Connections in all.", COUNT, required=True),
        option("--rate R", "Messages per second over all connections.", RATE, required=True),
        option("--payload-size BYTES", "Size of a message.", SIZE, "128"),
        option("--tls", "Connections use wss."),
        option("--compression", "Connections use permessage-deflate."),
        option("--headroom P", "Share of a process's rate to keep in reserve.", share_between(0, 0.9), "30%"),
        option("--processes N", "Processes on each machine (default: one per core).", COUNT),
        option("--connections-per-process N", f"Maximum connections of a process (default {_CONNECTIONS:,}).", COUNT),
        option("--memory SIZE", "Memory of each machine, for example 64GB.", Parsed("size", _memory)),
        option(
            "--bandwidth B",
            "Bandwidth of each machine in each direction, for example 10Gbit (default: unlimited).",
            Parsed("bandwidth", _bandwidth),
        ),
        option(
            "--destinations N",
            "Addresses and ports at which the server listens: each allows as many connections as a machine has ports.",
            COUNT,
            1,
        ),
        option("--rate-per-process R", "Messages per second of a process, instead of the measured rate.", RATE),
        option("--bytes-per-connection SIZE", "Memory of a connection, instead of the measured size.", POSITIVE_SIZE),
        option("--results DIR", "Directory in which `wsbench calibrate` stored its result.", FILE, "results"),
        option("--json", "Print one JSON document on standard output."),
    ],
    help="Project what a larger load needs: processes, machines, open files, ports, memory and bandwidth, with the "
    "commands and settings for it. The projection rests on what `wsbench calibrate` measured here.",
)
