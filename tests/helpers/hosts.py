"""Hosts of their own: network namespaces on one switch, with cables that can be pulled out and plugged in again.

Needs root (`@pytest.mark.needs("netns")`). A host may hang on a slow cable (helpers/cable.py), which delays and loses
packets in user space: not every kernel has netem.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import components, process
from .process import Running, scaled

NETWORK = "10.213.77"
_SWITCH = "switch"
_numbers = itertools.count()


def _ip(*arguments: str) -> None:
    done = subprocess.run(
        [str(components.tool("ip")), *arguments], capture_output=True, text=True, timeout=scaled(20), check=False
    )
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


@dataclass(frozen=True)
class Cable:
    """A slow cable: every packet takes `delay_ms` in each direction, and of a hundred `loss_percent` are lost."""

    delay_ms: float = 0
    loss_percent: float = 0


@dataclass
class Host:
    """One host; its loopback is its own too."""

    name: str
    address: str
    cwd: Path
    _plug: tuple[str, str]
    _stack: ExitStack
    started: list[Running] = field(default_factory=list)

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> Running:
        """A command on this host, in a directory of the host's own; stopped with the hosts, if not before."""
        running = Running([str(components.tool("ip")), "netns", "exec", self.name, *command], cwd=self.cwd, env=env)
        self._stack.callback(running.stop)
        self.started.append(running)
        return running

    def wsbench(self, *arguments: str) -> Running:
        """`wsbench ARGUMENTS` on this host."""
        return self.run(sys.executable, "-m", "wsbench", *arguments)

    def locust(self, scenario: Path, *arguments: str) -> Running:
        """`locust -f scenario ARGUMENTS` on this host."""
        return self.run(sys.executable, "-m", "locust", "-f", str(scenario), "--headless", *arguments)

    def serve(self, *options: str, port: int = 8765) -> tuple[Running, str]:
        """`wsbench serve` on this host, ready, and its URL."""
        server = self.wsbench("serve", "--host", self.address, "--port", str(port), *options)
        return server, server.wait_for(r"^listening on (ws\S+)", 30)[1]

    def unplug(self) -> None:
        """Pull its cable out: nothing comes or goes, and nobody is told."""
        _ip("-n", self._plug[0], "link", "set", self._plug[1], "down")

    def plug_in(self) -> None:
        """Put it back."""
        _ip("-n", self._plug[0], "link", "set", self._plug[1], "up")

    def get(self, url: str) -> str:
        """What a plain HTTP request from this host brings."""
        read = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"
        result = self.run(sys.executable, "-c", read, url).finish(30)
        assert result.returncode == 0, result.stderr
        return result.stdout


@contextmanager
def hosts(directory: Path, *names: str, cables: Mapping[str, Cable] | None = None) -> Iterator[dict[str, Host]]:
    """Hosts that reach each other, each with a directory of its name; removed with all that runs on them."""
    mark = f"wsb{os.getpid()}-{next(_numbers)}"
    switch = f"{mark}-{_SWITCH}"
    with ExitStack() as stack:
        _namespace(switch, stack)
        _ip("-n", switch, "link", "add", _SWITCH, "type", "bridge")
        _ip("-n", switch, "link", "set", _SWITCH, "up")
        found = {}
        for number, name in enumerate(names, 1):
            namespace, plug = f"{mark}-{name}", f"port{number}"
            _namespace(namespace, stack)
            cable = (cables or {}).get(name)
            if cable is None:
                _ip("link", "add", plug, "netns", switch, "type", "veth", "peer", "name", "eth", "netns", namespace)
            else:
                _lay(cable, switch, plug, namespace, stack)
            address = f"{NETWORK}.{number}"
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth")
            for device in ("eth", "lo"):
                _ip("-n", namespace, "link", "set", device, "up")
            _ip("-n", switch, "link", "set", plug, "master", _SWITCH, "up")
            (directory / name).mkdir(exist_ok=True)
            found[name] = Host(namespace, address, directory / name, (switch, plug), stack)
        yield found


def _namespace(name: str, stack: ExitStack) -> None:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "delete", name)


def _lay(cable: Cable, switch: str, plug: str, namespace: str, stack: ExitStack) -> None:
    ends = [plug, f"{plug}far"]
    options = ["--delay-ms", str(cable.delay_ms), "--loss-percent", str(cable.loss_percent)]
    command = [str(components.tool("ip")), "netns", "exec", switch, sys.executable, "-m", "helpers.cable"]
    running = Running([*command, *ends, *options], cwd=process.TESTS)
    stack.callback(running.stop)
    running.wait_for("^laid")
    _ip("-n", switch, "link", "set", ends[1], "netns", namespace, "name", "eth")
