"""Virtual hosts: network namespaces on one switch, with links that tests can disconnect and reconnect.

Needs root (`@pytest.mark.needs("netns")`). A host may have a slow link (helpers/tap_link.py), which delays and loses
packets in user space, because not every kernel has netem.
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
class TapLink:
    """A slow link with a delay of `delay_ms` in each direction, which loses `loss_percent` of all packets."""

    delay_ms: float = 0
    loss_percent: float = 0


@dataclass
class Host:
    """A host with its own loopback interface."""

    name: str
    address: str
    cwd: Path
    _plug: tuple[str, str]
    _stack: ExitStack
    started: list[Running] = field(default_factory=list)

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> Running:
        """Start a command on this host, in the host's directory; it is stopped with the hosts at the latest."""
        running = Running([str(components.tool("ip")), "netns", "exec", self.name, *command], cwd=self.cwd, env=env)
        self._stack.callback(running.stop)
        self.started.append(running)
        return running

    def wsbench(self, *arguments: str) -> Running:
        """Start `wsbench ARGUMENTS` on this host."""
        return self.run(sys.executable, "-m", "wsbench", *arguments)

    def locust(self, scenario: Path, *arguments: str) -> Running:
        """Start `locust -f scenario ARGUMENTS` on this host."""
        return self.run(sys.executable, "-m", "locust", "-f", str(scenario), "--headless", *arguments)

    def serve(self, *options: str, port: int = 8765) -> tuple[Running, str]:
        """Start `wsbench serve` on this host; return it, ready, and its URL."""
        server = self.wsbench("serve", "--host", self.address, "--port", str(port), *options)
        return server, server.wait_for(r"^listening on (ws\S+)", 30)[1]

    def unplug(self) -> None:
        """Disconnect the host: packets are lost without any error."""
        _ip("-n", self._plug[0], "link", "set", self._plug[1], "down")

    def plug_in(self) -> None:
        """Reconnect the host."""
        _ip("-n", self._plug[0], "link", "set", self._plug[1], "up")

    def get(self, url: str) -> str:
        """Return the body of an HTTP response to a request from this host."""
        read = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"
        result = self.run(sys.executable, "-c", read, url).finish(30)
        assert result.returncode == 0, result.stderr
        return result.stdout


@contextmanager
def hosts(directory: Path, *names: str, links: Mapping[str, TapLink] | None = None) -> Iterator[dict[str, Host]]:
    """Create hosts that can reach each other, each with a directory of its name; stop all processes at the end."""
    mark = f"wsb{os.getpid()}-{next(_numbers)}"
    switch = f"{mark}-{_SWITCH}"
    with ExitStack() as stack:
        _namespace(switch, stack)
        _ip("-n", switch, "link", "add", _SWITCH, "type", "bridge")
        _ip("-n", switch, "link", "set", _SWITCH, "up")
        created = {}
        for number, name in enumerate(names, 1):
            namespace, plug = f"{mark}-{name}", f"port{number}"
            _namespace(namespace, stack)
            link = (links or {}).get(name)
            if link is None:
                _ip("link", "add", plug, "netns", switch, "type", "veth", "peer", "name", "eth", "netns", namespace)
            else:
                _connect_tap(link, switch, plug, namespace, stack)
            address = f"{NETWORK}.{number}"
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth")
            for device in ("eth", "lo"):
                _ip("-n", namespace, "link", "set", device, "up")
            _ip("-n", switch, "link", "set", plug, "master", _SWITCH, "up")
            (directory / name).mkdir(exist_ok=True)
            created[name] = Host(namespace, address, directory / name, (switch, plug), stack)
        yield created


def _namespace(name: str, stack: ExitStack) -> None:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "delete", name)


def _connect_tap(link: TapLink, switch: str, plug: str, namespace: str, stack: ExitStack) -> None:
    ends = [plug, f"{plug}far"]
    options = ["--delay-ms", str(link.delay_ms), "--loss-percent", str(link.loss_percent)]
    command = [str(components.tool("ip")), "netns", "exec", switch, sys.executable, "-m", "helpers.tap_link"]
    running = Running([*command, *ends, *options], cwd=process.TESTS)
    stack.callback(running.stop)
    running.wait_for("^ready")
    _ip("-n", switch, "link", "set", ends[1], "netns", namespace, "name", "eth")
