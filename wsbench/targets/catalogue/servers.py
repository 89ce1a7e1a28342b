"""The servers of the catalogue, for each of which wsbench has a small program: see wsbench/targets/servers."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from wsbench import machine
from wsbench.targets import servers
from wsbench.targets.catalogue import golang, programs
from wsbench.targets.catalogue.target import Capabilities, Protocol, Settings, StartableTarget
from wsbench.targets.child import Child
from wsbench.targets.echo.socket_room import most_connections
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.targets.running import RunningTarget
from wsbench.targets.self_signed import issue

_SERVERS = Path(servers.__file__).parent
_NODE = _SERVERS / "node"


class Embedded(StartableTarget):
    """`wsbench serve`, the baseline of comparisons."""

    name = "websockets"
    capabilities = Capabilities()

    def missing(self) -> None:
        """Return None: it is part of wsbench."""

    def version(self) -> str:
        """Return the version of `websockets`, on which it is built."""
        return metadata.version("websockets")

    def most_connections(self) -> int | None:
        files = machine.most_open_files()
        return None if files is None else most_connections(files)

    def _start(self, settings: Settings) -> RunningTarget:
        return EmbeddedTarget.start(tls=settings.tls, compression=settings.compression, workers=settings.workers)

    def _unsupported_compression(self, compression: str) -> None:
        """Return None: it also accepts parameters of permessage-deflate, and checks them itself."""


class _ServerProgram(StartableTarget):
    """A program with the options --port, --workers, --cert, --key and --compression, which prints its URL."""

    def __init__(self, name: str, capabilities: Capabilities, protocol: Protocol = "echo") -> None:
        self.name = name
        self.capabilities = capabilities
        self.protocol = protocol

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command that starts the program, without options."""

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
            url, _ = child.wait_for_url()
            return RunningTarget(
                url,
                name=self.name,
                version=self.version(),
                children=[child],
                ca_file=ca_file,
                resources=undo.pop_all(),
            )


class PythonServer(_ServerProgram):
    """The module of wsbench.targets.servers that has the target's name, with _ instead of -.

    `packages` are the PyPI names of the packages that it imports; the first is the server.
    """

    def __init__(self, name: str, packages: list[str], capabilities: Capabilities, protocol: Protocol = "echo") -> None:
        super().__init__(name, capabilities, protocol)
        self._packages = packages
        self.install_command = f"{shlex.quote(sys.executable)} -m pip install {' '.join(packages)}"

    def missing(self) -> str | None:
        absent = [package for package in self._packages if _version(package) is None]
        return f"no Python package {' and '.join(absent)}" if absent else None

    def version(self) -> str:
        """Return the version of the first package, and in brackets the others'."""
        self.require()
        first, *others = (f"{package} {_version(package)}" for package in self._packages)
        version = first.split()[1]
        return f"{version} ({', '.join(others)})" if others else version

    def _command(self) -> Sequence[str]:
        # -P: the server must not import a json.py from the user's directory
        return [sys.executable, "-P", "-m", f"{servers.__name__}.{self.name.replace('-', '_')}"]


class NodeServer(_ServerProgram):
    """A program of wsbench/targets/servers/node, and the npm package that it uses."""

    install_command = f"npm ci --prefix {shlex.quote(str(_NODE))}"

    def __init__(self, name: str, file: str, package: str, capabilities: Capabilities, protocol: Protocol = "echo"):
        super().__init__(name, capabilities, protocol)
        self._file = _NODE / file
        self._package = package
        if programs.find("node") is None or programs.find("npm") is None:
            self.install_command = f"apt-get install nodejs npm && {NodeServer.install_command}"

    def missing(self) -> str | None:
        if programs.find("node") is None:
            return "no node on PATH"
        if not (_NODE / "node_modules" / self._package).is_dir():
            return f"node's package {self._package} is not installed"
        return None

    def version(self) -> str:
        """Return the version of the package, and in brackets node's."""
        self.require()
        manifest = str(_NODE / "node_modules" / self._package / "package.json")
        package = programs.output_of("node", "-p", f"require({manifest!r}).version")
        return f"{package} (node {programs.version_in(programs.output_of('node', '--version'))})"

    def _command(self) -> Sequence[str]:
        return [programs.find("node") or "node", str(self._file)]


class GoServer(_ServerProgram):
    """gorilla/websocket, built from Debian's source package on first use."""

    install_command = "apt-get install golang-go golang-github-gorilla-websocket-dev"

    def missing(self) -> str | None:
        return golang.missing()

    def version(self) -> str:
        """Return the version of the library, and in brackets the compiler's."""
        self.require()
        return f"{golang.library_version()} (go {golang.compiler_version()})"

    def _command(self) -> Sequence[str]:
        return [str(golang.build(_SERVERS / "go" / "gorilla.go"))]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


_WITHOUT_COMPRESSION = Capabilities(compression=False)
ENTRIES: tuple[StartableTarget, ...] = (
    Embedded(),
    PythonServer("picows", ["picows"], _WITHOUT_COMPRESSION),
    PythonServer("aiohttp", ["aiohttp"], Capabilities()),
    PythonServer("tornado", ["tornado"], Capabilities()),
    PythonServer("uvicorn-wsproto", ["uvicorn", "wsproto"], Capabilities()),
    PythonServer("uvicorn-websockets", ["uvicorn", "websockets"], Capabilities()),
    PythonServer("granian", ["granian"], _WITHOUT_COMPRESSION),
    PythonServer("socketify", ["socketify"], Capabilities()),
    NodeServer("ws", "ws.js", "ws", Capabilities()),
    GoServer("gorilla", Capabilities()),
    PythonServer("python-socketio", ["python-socketio", "uvicorn"], Capabilities(), protocol="socket.io"),
    NodeServer("socketio-node", "socketio.js", "socket.io", Capabilities(), protocol="socket.io"),
)
