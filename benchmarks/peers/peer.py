"""A peer: a load generator, whether it is installed, and its command for the common load."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from helpers import components

HERE = Path(__file__).parent
NODE_BIN = HERE / "node" / "node_modules" / ".bin"
PAYLOAD_SIZE = 128
"""Bytes of the JSON text that all send, wsbench's default."""


def _payload() -> str:
    empty = json.dumps({"id": "peer", "seq": 1, "pad": ""})
    return json.dumps({"id": "peer", "seq": 1, "pad": "x" * (PAYLOAD_SIZE - len(empty))})


PAYLOAD = _payload()


@dataclass(frozen=True)
class Load:
    """The load: `connections` to `url`, a closed loop with one message in flight on each.

    Attributes:
        measured_s: length of the measured window.
        lasting_s: minimum time that all connections must be busy: the window and the time before it.
        directory: empty working directory of the peer.
    """

    url: str
    connections: int
    measured_s: float
    lasting_s: float
    directory: Path

    @property
    def address(self) -> str:
        """host:port."""
        return urlsplit(self.url).netloc

    @property
    def port(self) -> int:
        """Port of the server."""
        return urlsplit(self.url).port or 0


@dataclass(frozen=True)
class Peer:
    """A load generator.

    Attributes:
        version: returns its version and that of its WebSocket library; called only if nothing is missing.
        missing: returns the command that installs it, or an empty text.
        verifies: what it checks of a reply.
        server: module of the server.
        note: differences of its load from the common one.
        finishes: it ends on its own soon after the window, with a result on standard output.
    """

    name: str
    version: Callable[[], str]
    missing: Callable[[], str]
    command: Callable[[Load], list[str]]
    verifies: str
    environment: Mapping[str, str] = field(default_factory=dict)
    server: str = "benchmarks.c_server"
    note: str = ""
    finishes: bool = False


def program(name: str) -> str:
    """Return the path of a peer's program: in benchmarks/peers/node, or on PATH; empty if there is none."""
    own = NODE_BIN / name
    return str(own) if own.exists() else components.tool(name) or ""


def unless_program(name: str, remedy: str) -> Callable[[], str]:
    """Return `Peer.missing` for a program."""
    return lambda: "" if program(name) else remedy


def unless_modules(*names: str) -> Callable[[], str]:
    """Return `Peer.missing` for Python packages of the extra `peers`."""
    return lambda: "" if all(importlib.util.find_spec(name) for name in names) else "pip install -e '.[peers]'"


def python_versions(*packages: str) -> Callable[[], str]:
    """Return `Peer.version` for Python packages."""
    return lambda: ", ".join(f"{package} {metadata.version(package)}" for package in packages)


def npm_version(package: str) -> Callable[[], str]:
    """Return `Peer.version` for an npm package in benchmarks/peers/node."""

    def version() -> str:
        manifest = HERE / "node" / "node_modules" / package / "package.json"
        return json.loads(manifest.read_text())["version"] if manifest.exists() else "?"

    return version


def filled(template: str, values: Mapping[str, object], directory: Path) -> str:
    """Copy a file of this directory with every @NAME@ replaced; return the path of the copy."""
    text = (HERE / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    path = directory / template
    path.write_text(text)
    return os.fspath(path)
