"""A target of an experiment: one of the catalogue or a custom server, with the options to reach it."""

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
        name: for tables, keys and `wsbench compare EXPERIMENT:TARGET`.
        transport: "ws" or "wss" of a custom server, which has one URL; None for targets of the catalogue, which serve
            both.
        options: options of `wsbench run` that only this target needs (ca, header, ...), parsed.
    """

    name: str
    target: StartableTarget
    transport: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def hole(self, transport: str, compression: str) -> str | None:
        """Return why no machine can run the target under these conditions; None if it can be run."""
        if self.target.protocol != "echo":
            return f"{self.name} speaks {self.target.protocol}, which wsbench's own users do not"
        if self.transport not in (None, transport):
            return f"{self.name} is at a {self.transport}:// URL"
        return self.target.unsupported(**self._settings(transport, compression))

    def start(self, transport: str, compression: str) -> RunningTarget:
        """Start the target; raise TargetError if something is missing, or it did not come up."""
        return self.target.start(**self._settings(transport, compression))

    def _settings(self, transport: str, compression: str) -> dict[str, Any]:
        # Only the client offers parameters; the target just grants what it is offered.
        granted = "off" if compression == "off" else "on"
        return {"tls": self.transport is None and transport == WSS, "compression": granted}
