"""The servers of the catalogue that wsbench brings a small program for: see wsbench/targets/servers."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from wsbench.targets import servers
from wsbench.targets.catalogue import golang, programs
from wsbench.targets.catalogue.target import Capabilities, Protocol, Settings, Target
from wsbench.targets.child import Child
from wsbench.targets.embedded import TargetProcess
from wsbench.targets.running import RunningTarget
from wsbench.targets.self_signed import issue

_SERVERS = Path(servers.__file__).parent
_NODE = _SERVERS / "node"


class Embedded(Target):
    """`wsbench serve`, the baseline."""

    name = "websockets"
    capabilities = Capabilities()

    def missing(self) -> None:
        """Nothing: it is part of wsbench."""

    def version(self) -> str:
        """Of the library that it serves with."""
        return metadata.version("websockets")

    def _start(self, settings: Settings) -> RunningTarget:
        return TargetProcess.start_embedded(
            tls=settings.tls, compression=settings.compression, workers=settings.workers
        )

    def _unsupported_compression(self, compression: str) -> None:
        """It takes parameters of permessage-deflate, and complains of those that it does not know."""


class _Server(Target):
    """A program that takes --port, --workers, --cert, --key and --compression, and says where it listens."""

    def __init__(self, name: str, capabilities: Capabilities, protocol: Protocol = "echo") -> None:
        self.name = name
        self.capabilities = capabilities
        self.protocol = protocol

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Starts it, options aside."""

    def _start(self, settings: Settings) -> RunningTarget:
        with contextlib.ExitStack() as undo:
            arguments, ca_file = ["--port", "0"], None
            if settings.tls:
                certificate = issue(Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="wsbench-"))))
                arguments += ["--cert", str(certificate.cert), "--key", str(certificate.key)]
                ca_file = certificate.ca
            if settings.compressed:
                arguments.append("--compression")
            if settings.workers > 1:
                arguments += ["--workers", str(settings.workers)]
            child = Child(self.name, [*self._command(), *arguments])
            undo.callback(child.stop)
            url, _ = child.ready_line()
            return RunningTarget(
                url,
                name=self.name,
                version=self.version(),
                children=[child],
                ca_file=ca_file,
                resources=undo.pop_all(),
            )


class PythonServer(_Server):
    """A module of wsbench.targets.servers.

    Args:
        module: its name there.
        packages: that it imports, by their names on PyPI; the first one's version counts, the second's is named too.
    """

    def __init__(
        self,
        name: str,
        module: str,
        packages: Sequence[str],
        capabilities: Capabilities,
        protocol: Protocol = "echo",
    ) -> None:
        super().__init__(name, capabilities, protocol)
        self._module = module
        self._packages = tuple(packages)
        self.install_command = f"{shlex.quote(sys.executable)} -m pip install {' '.join(packages)}"

    def missing(self) -> str | None:
        """A package."""
        absent = [package for package in self._packages if _version(package) is None]
        return f"no Python package {' and '.join(absent)}" if absent else None

    def version(self) -> str:
        """Of the first package, and in brackets of the one that it leaves WebSockets to."""
        self.require()
        first, *others = (f"{package} {_version(package)}" for package in self._packages)
        version = first.split()[1]
        return f"{version} ({', '.join(others)})" if others else version

    def _command(self) -> Sequence[str]:
        # -P: a file of the user's called json.py is none of the server's business
        return [sys.executable, "-P", "-m", f"{servers.__name__}.{self._module}"]


class NodeServer(_Server):
    """A file of wsbench/targets/servers/node, and the npm package that it is about."""

    install_command = f"npm ci --prefix {shlex.quote(str(_NODE))}"

    def __init__(self, name: str, file: str, package: str, capabilities: Capabilities, protocol: Protocol = "echo"):
        super().__init__(name, capabilities, protocol)
        self._file = _NODE / file
        self._package = package
        if programs.find("node") is None or programs.find("npm") is None:
            self.install_command = f"apt-get install nodejs npm && {NodeServer.install_command}"

    def missing(self) -> str | None:
        """node, or the package."""
        if programs.find("node") is None:
            return "no node on PATH"
        if not (_NODE / "node_modules" / self._package).is_dir():
            return f"node's package {self._package} is not installed"
        return None

    def version(self) -> str:
        """Of the package, and in brackets of node."""
        self.require()
        manifest = str(_NODE / "node_modules" / self._package / "package.json")
        package = programs.said("node", "-p", f"require({manifest!r}).version")
        return f"{package} (node {programs.version_in(programs.said('node', '--version'))})"

    def _command(self) -> Sequence[str]:
        return [programs.find("node") or "node", str(self._file)]


class GoServer(_Server):
    """gorilla/websocket, built from Debian's source package on first use."""

    install_command = "apt-get install golang-go golang-github-gorilla-websocket-dev"

    def missing(self) -> str | None:
        """The compiler, or the library's source."""
        return golang.missing()

    def version(self) -> str:
        """Of the library, and in brackets of the compiler."""
        self.require()
        return f"{golang.library_version()} (go {golang.compiler_version()})"

    def _command(self) -> Sequence[str]:
        return [str(golang.built(_SERVERS / "go" / "gorilla.go"))]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


_WITHOUT_COMPRESSION = Capabilities(compression=False)
ENTRIES: tuple[Target, ...] = (
    Embedded(),
    PythonServer("picows", "picows", ["picows"], _WITHOUT_COMPRESSION),
    PythonServer("aiohttp", "aiohttp", ["aiohttp"], Capabilities()),
    PythonServer("tornado", "tornado", ["tornado"], Capabilities()),
    PythonServer("uvicorn-wsproto", "uvicorn_wsproto", ["uvicorn", "wsproto"], Capabilities()),
    PythonServer("uvicorn-websockets", "uvicorn_websockets", ["uvicorn", "websockets"], Capabilities()),
    PythonServer("granian", "granian", ["granian"], _WITHOUT_COMPRESSION),
    PythonServer("socketify", "socketify", ["socketify"], Capabilities()),
    NodeServer("ws", "ws.js", "ws", Capabilities()),
    GoServer("gorilla", Capabilities()),
    PythonServer("python-socketio", "socketio", ["python-socketio", "uvicorn"], Capabilities(), protocol="socket.io"),
    NodeServer("socketio-node", "socketio.js", "socket.io", Capabilities(), protocol="socket.io"),
)
