"""A target that can be started: its name, capabilities and requirements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from wsbench import machine
from wsbench.errors import Side, TargetError, UsageError
from wsbench.targets.running import RunningTarget

Protocol = Literal["echo", "socket.io"]
"""echo: text returns as text, binary as binary, on any path. socket.io: Engine.IO and Socket.IO over WebSocket."""


@dataclass(frozen=True)
class Capabilities:
    """Optional features of a target: wss:// with a certificate made for the run, permessage-deflate, several cores."""

    tls: bool = True
    compression: bool = True
    workers: bool = True


@dataclass(frozen=True)
class Settings:
    """Settings of a target. `compression` is "off" or "on"; the embedded target also accepts parameters."""

    tls: bool = False
    compression: str = "off"
    workers: int = 1

    @property
    def compressed(self) -> bool:
        """Whether to grant permessage-deflate."""
        return self.compression != "off"


class StartableTarget(ABC):
    """A server that wsbench can start, to measure it.

    Attributes:
        url: of a server that is running already; empty for one that wsbench starts.
        install_command: installs its requirements; empty when there is nothing to install.
    """

    name: str
    url: str = ""
    protocol: Protocol = "echo"
    capabilities: Capabilities
    install_command: str = ""

    @abstractmethod
    def missing(self) -> str | None:
        """Return in a few words what this machine lacks to start the target, or None."""

    @abstractmethod
    def version(self) -> str:
        """Return the installed version; raise TargetError when the server is missing."""

    @abstractmethod
    def _start(self, settings: Settings) -> RunningTarget:
        """Start the target; the caller has checked its requirements and capabilities."""

    def unsupported(self, *, tls: bool = False, compression: str = "off", workers: int = 1) -> str | None:
        """Return why the target does not support these settings, on any machine, or None."""
        able = self.capabilities
        lacks = {
            "TLS": tls and not able.tls,
            "compression": compression != "off" and not able.compression,
            "several workers": workers > 1 and not able.workers,
        }
        lacking = [feature for feature, is_lacking in lacks.items() if is_lacking]
        if not lacking and compression not in ("off", "on"):
            return self._unsupported_compression(compression)
        return f"{self.name} has no {' and no '.join(lacking)}" if lacking else None

    def start(self, *, tls: bool = False, compression: str = "off", workers: int = 1) -> RunningTarget:
        """Start the target on a free port of 127.0.0.1, and wait until it accepts connections.

        Raises:
            UsageError: the target does not support the settings.
            TargetError: a requirement is missing, or the target did not start; with the end of its standard error.
        """
        if problem := self.unsupported(tls=tls, compression=compression, workers=workers):
            raise UsageError(problem, remedy="`wsbench targets` shows what each target supports.")
        self.require()
        return self._start(Settings(tls, compression, workers))

    def most_connections(self) -> int | None:
        """Return how many connections it can hold by the limit of open files here; None if that is not known."""
        return machine.connections_of_a_process()

    def check_room(self, connections: int) -> None:
        """Raise UsageError if the target, with one worker, cannot hold this many connections."""
        room = self.most_connections()
        if room is not None and connections > room:
            raise UsageError(
                f"target {self.name}, which wsbench starts, can hold {room:,} connections by the limit of open files "
                f"({machine.most_open_files()}), and {connections:,} are wanted",
                remedy="Raise the hard limit (ulimit -Hn), or take fewer connections.",
            )

    def require(self) -> None:
        """Raise TargetError, with the command that installs it, when a requirement is missing."""
        if missing := self.missing():
            remedy = f"Install it: {self.install_command}" if self.install_command else ""
            raise TargetError(f"target {self.name} cannot be started: {missing}", remedy=remedy, side=Side.GENERATOR)

    def _unsupported_compression(self, compression: str) -> str | None:
        return f"{self.name} takes compression 'off' or 'on', not {compression!r}"
