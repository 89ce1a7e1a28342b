"""What a peer is: a load generator, how it is found, and how it is told to put one and the same load on a server."""

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
"""Bytes of the JSON text that everybody sends, wsbench's own default."""


def _payload() -> str:
    empty = json.dumps({"id": "peer", "seq": 1, "pad": ""})
    return json.dumps({"id": "peer", "seq": 1, "pad": "x" * (PAYLOAD_SIZE - len(empty))})


PAYLOAD = _payload()


@dataclass(frozen=True)
class Load:
    """What to do: so many connections to `url`, a closed loop with one message in flight on each.

    Attributes:
        measured_s: length of the window in which the peer is measured.
        lasting_s: how long all connections must be kept busy, at least: the window and what lies before it.
        directory: an empty one, the peer's working directory.
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
        """Of the server."""
        return urlsplit(self.url).port or 0


@dataclass(frozen=True)
class Peer:
    """A load generator.

    Attributes:
        version: of it and of what does the work in it; called only when nothing is missing.
        missing: the command that installs it, or nothing when it is there.
        verifies: what of a reply it looks at.
        server: the module that it is run against.
        note: in what its load differs from everybody's.
        finishes: ends by itself soon after the window, with a result on standard output.
    """

    name: str
    version: Callable[[], str]
    missing: Callable[[], str]
    command: Callable[[Load], list[str]]
    verifies: str
    environment: Mapping[str, str] = field(default_factory=dict)
    server: str = "benchmarks.picows_server"
    note: str = ""
    finishes: bool = False


def program(name: str) -> str:
    """Path of a peer's program: of tests/peers/node, or on PATH; nothing when there is none."""
    own = NODE_BIN / name
    return str(own) if own.exists() else components.tool(name) or ""


def unless_program(name: str, remedy: str) -> Callable[[], str]:
    """`Peer.missing` of a program."""
    return lambda: "" if program(name) else remedy


def unless_modules(*names: str) -> Callable[[], str]:
    """`Peer.missing` of Python packages: those of the extra `peers`."""
    return lambda: "" if all(importlib.util.find_spec(name) for name in names) else "pip install -e '.[peers]'"


def python_versions(*packages: str) -> Callable[[], str]:
    """`Peer.version` of Python packages."""
    return lambda: ", ".join(f"{package} {metadata.version(package)}" for package in packages)


def npm_version(package: str) -> Callable[[], str]:
    """`Peer.version` of an npm package of tests/peers/node, with Node's own."""

    def version() -> str:
        manifest = HERE / "node" / "node_modules" / package / "package.json"
        return json.loads(manifest.read_text())["version"] if manifest.exists() else "?"

    return version


def filled(template: str, values: Mapping[str, object], directory: Path) -> str:
    """Path of a copy of a file of this folder, with every @NAME@ replaced."""
    text = (HERE / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    path = directory / template
    path.write_text(text)
    return os.fspath(path)
