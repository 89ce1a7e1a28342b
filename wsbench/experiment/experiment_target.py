"""What an experiment measures: a target of the catalogue, or a server of the user's own, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsbench.targets.catalogue import StartableTarget
from wsbench.targets.running import RunningTarget

WS, WSS = "ws", "wss"


@dataclass(frozen=True)
class ExperimentTarget:
    """One target of an experiment.

    Attributes:
        name: in tables, keys and `wsbench compare EXPERIMENT:TARGET`.
        transport: "ws" or "wss" of a server of the user's own, which is at one URL; None for the catalogue's, which are
            told what to serve.
        options: options of `wsbench run` that it needs and the others do not (ca, header, ...), as text.
    """

    name: str
    target: StartableTarget
    transport: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def hole(self, transport: str, compression: str) -> str | None:
        """Why there can be no run of it under these conditions, on any machine; None when there can."""
        if self.target.protocol != "echo":
            return f"{self.name} speaks {self.target.protocol}, which wsbench's own users do not"
        if self.transport not in (None, transport):
            return f"{self.name} is at a {self.transport}:// URL"
        return self.target.unsupported(**self._settings(transport, compression))

    def start(self, transport: str, compression: str) -> RunningTarget:
        """Start it.

        Raises:
            TargetError: something is missing, or it did not come up.
        """
        return self.target.start(**self._settings(transport, compression))

    def _settings(self, transport: str, compression: str) -> dict[str, Any]:
        # Parameters are for the client to offer: a target is told no more than to grant what it is offered.
        told = "off" if compression == "off" else "on"
        return {"tls": self.transport is None and transport == WSS, "compression": told}
