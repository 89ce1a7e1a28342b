"""Measurement of a peer: CPU of its whole process tree, and the server's count of echoes, over one steady window.

The window excludes start-up and end. It begins when all connections have been open and busy for some time. At both
ends, the server reports its count, and the kernel the user and system time of all processes of the generator, ended
children included. The generator's own figures are not used.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from helpers import echo_counter, process

from benchmarks.bench import GENERATOR_CORE, pinned, serving
from benchmarks.peers.peer import Load, Peer

_SETTLE_S = 2.0
"""Time from the last connection to the window, for the rest of the start-up, caches and JIT compilers."""
_MARGIN_S = 1.0
_RAMP_TIMEOUT_S = 60.0
_LOOK_S = 0.1


@dataclass(frozen=True)
class Sample:
    """A measurement of a peer.

    Attributes:
        per_s: echoed messages per second.
        cpu_us: CPU time of the generator per round trip.
        busy: share of its core.
        others: share of a core that programs other than generator and server used.
        output: standard output of a peer that finishes.
    """

    per_s: float
    cpu_us: float
    busy: float
    others: float
    output: str = ""


class Failed(Exception):
    """The peer could not be measured; the text says why."""


def measure(peer: Peer, *, connections: int, seconds: float) -> Sample:
    """Run a peer against a new server, and measure it for `seconds`.

    Raises:
        Failed: the peer did not produce the load.
    """
    with serving(peer.server) as (server, url), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        load = Load(url, connections, seconds, _SETTLE_S + seconds + _MARGIN_S, Path(directory))
        with pinned(GENERATOR_CORE):
            generator = process.Running(peer.command(load), env=peer.environment, cwd=directory)
        try:
            _await_connections(generator, server, connections)
            time.sleep(_SETTLE_S)
            sample = _window(generator, server, load)
            return replace(sample, output=generator.finish(30).stdout) if peer.finishes else sample
        except AssertionError as error:
            raise Failed(str(error)) from None
        finally:
            generator.stop()


def _await_connections(generator: process.Running, server: process.Running, connections: int) -> None:
    deadline = time.monotonic() + process.scaled(_RAMP_TIMEOUT_S)
    opened = 0
    while time.monotonic() < deadline:
        opened = echo_counter.read(server)[1]
        if opened >= connections:
            return
        if generator.process.poll() is not None:
            raise Failed(f"ended with exit code {generator.process.returncode}: {_last_words(generator)}")
        time.sleep(_LOOK_S)
    raise Failed(f"opened {opened} of {connections} connections in {_RAMP_TIMEOUT_S:g} s: {_last_words(generator)}")


def _window(generator: process.Running, server: process.Running, load: Load) -> Sample:
    before = _reading(generator, server)
    time.sleep(load.measured_s)
    after = _reading(generator, server)
    messages, lasted_s, used_s = after.echoed - before.echoed, after.at_s - before.at_s, after.cpu_s - before.cpu_s
    if after.connections != load.connections:
        raise Failed(f"{after.connections} connections at the end, not {load.connections}: {_last_words(generator)}")
    if messages < load.connections or used_s <= 0:
        raise Failed(f"{messages} messages in {lasted_s:.1f} s: {_last_words(generator)}")
    others_s = after.machine_s - before.machine_s - used_s - (after.server_s - before.server_s)
    return Sample(messages / lasted_s, used_s / messages * 1e6, used_s / lasted_s, max(0.0, others_s / lasted_s))


@dataclass(frozen=True)
class _Reading:
    """At one end of the window: the server's counts, and CPU so far (s) of generator, server and the whole machine."""

    at_s: float
    echoed: int
    connections: int
    cpu_s: float
    server_s: float
    machine_s: float


def _reading(generator: process.Running, server: process.Running) -> _Reading:
    processes = process.leftovers(generator.pid, generator.mark)
    echoed, connections = echo_counter.read(server)
    at_s = time.monotonic()
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice  # guests are in user too
    return _Reading(at_s, echoed, connections, sum(map(_cpu_s, processes)), _cpu_s(psutil.Process(server.pid)), busy)


def _cpu_s(of: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = of.cpu_times()
        return times.user + times.system + times.children_user + times.children_system
    return 0.0


def _last_words(generator: process.Running) -> str:
    lines = (generator.stdout() + generator.stderr()).strip().splitlines()
    return lines[-1].strip()[:200] if lines else "without output"
