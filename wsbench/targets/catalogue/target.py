"""What a target of the catalogue is: a name, what it can do, what it needs, and how it is started."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from wsbench.errors import Side, TargetError, UsageError
from wsbench.targets.running import RunningTarget

Protocol = Literal["echo", "socket.io"]
"""echo: text comes back as text, binary as binary, on any path. socket.io: Engine.IO and Socket.IO on top of it."""


@dataclass(frozen=True)
class Capabilities:
    """What a target can be asked for.

    Attributes:
        tls: to serve wss:// with a certificate made for the occasion.
        compression: to grant permessage-deflate; without it, only "off" can be asked for.
        workers: to use several cores: N processes, or N threads where that is what the server has.
    """

    tls: bool = True
    compression: bool = True
    workers: bool = True


@dataclass(frozen=True)
class Settings:
    """How a target is to run: `compression` is "off" or "on"; the embedded target takes parameters as well."""

    tls: bool = False
    compression: str = "off"
    workers: int = 1

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate is to be granted."""
        return self.compression != "off"


class Target(ABC):
    """A server that can be started to be measured.

    Attributes:
        name: in the catalogue.
        protocol: what it speaks on top of WebSockets.
        capabilities: what it can be asked for.
        install_command: brings what it needs to this machine; empty when there is nothing to install.
    """

    name: str
    protocol: Protocol = "echo"
    capabilities: Capabilities
    install_command: str = ""

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks to start it, in a few words; None when it lacks nothing."""

    @abstractmethod
    def version(self) -> str:
        """The installed version, read from the real thing.

        Raises:
            TargetError: it is missing.
        """

    @abstractmethod
    def _start(self, settings: Settings) -> RunningTarget:
        """Start it; nothing is missing, and it can do what is asked for."""

    def unsupported(self, *, tls: bool = False, compression: str = "off", workers: int = 1) -> str | None:
        """Why it cannot be started so, on any machine; None when it can. For the holes of a matrix."""
        able = self.capabilities
        lacking = [
            what
            for what, lacks in (
                ("TLS", tls and not able.tls),
                ("compression", compression != "off" and not able.compression),
                ("several workers", workers > 1 and not able.workers),
            )
            if lacks
        ]
        if not lacking and compression not in ("off", "on"):
            return self._unsupported_compression(compression)
        return f"{self.name} has no {' and no '.join(lacking)}" if lacking else None

    def start(self, *, tls: bool = False, compression: str = "off", workers: int = 1) -> RunningTarget:
        """Start it on a free port of 127.0.0.1, and wait until it accepts connections.

        Args:
            compression: "off" or "on".
            workers: processes or threads that serve, 1 or more.

        Raises:
            UsageError: it cannot do what is asked for.
            TargetError: something is missing, or it did not come up; with the end of what it wrote.
        """
        if problem := self.unsupported(tls=tls, compression=compression, workers=workers):
            raise UsageError(problem, remedy="`wsbench targets` says what each target can do.")
        self.require()
        return self._start(Settings(tls, compression, workers))

    def require(self) -> None:
        """Nothing is missing.

        Raises:
            TargetError: something is, with the command that installs it.
        """
        if missing := self.missing():
            remedy = f"Install it: {self.install_command}" if self.install_command else ""
            raise TargetError(f"target {self.name} cannot be started: {missing}", remedy=remedy, side=Side.GENERATOR)

    def _unsupported_compression(self, compression: str) -> str | None:
        return f"{self.name} takes compression 'off' or 'on', not {compression!r}"
