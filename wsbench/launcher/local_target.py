"""The target that wsbench starts: its options, its start, and its death."""

from __future__ import annotations

from pathlib import Path

from wsbench.errors import UsageError, WsbenchError
from wsbench.targets import catalogue
from wsbench.targets.running import RunningTarget

DEFAULT_TARGET = "websockets"
PLACEHOLDER_URL = "ws://127.0.0.1/echo"
"""The URL of a target before it is started, with another port; it allows to check options early."""


def check_target(url: str | None, name: str, *, tls: bool, scenario: Path | None) -> None:
    """Raise UsageError if the options about the target do not go together."""
    if url is not None:
        if tls or name != DEFAULT_TARGET:
            remedy = "With a URL, say wss://."
            raise UsageError("--tls and --target are for the target that wsbench starts", remedy=remedy)
        return
    target = catalogue.find(name)
    if target.protocol != "echo" and scenario is None:
        raise UsageError(
            f"target {target.name} speaks {target.protocol}, which wsbench's own users do not",
            remedy="Name a --scenario whose users do, or take another target.",
        )


def room_of(name: str | None) -> float:
    """Return how many connections the target to start can hold; infinity without one, or if that is not known."""
    room = catalogue.find(name).most_connections() if name is not None else None
    return float("inf") if room is None else room


def check_room(url: str | None, name: str, connections: int) -> None:
    """Raise UsageError if the target to start, if there is no URL, cannot hold this many connections."""
    if url is None:
        catalogue.find(name).check_room(connections)


def start_target(name: str, *, tls: bool, compression: str) -> RunningTarget:
    """Start a target that accepts the `compression` that clients will offer; raise TargetError if it fails."""
    return catalogue.find(name).start(tls=tls, compression="off" if compression == "off" else "on")


def death_of(target: RunningTarget) -> str:
    """Return how a target that no longer runs has ended, with the end of its standard error."""
    states = ", ".join(f"{child.name} {child.describe_state()}" for child in target.children if not child.running)
    stderr = f"\nit wrote: {target.stderr_tail}" if target.stderr_tail else ""
    return f"target {target.name} died in the run: {states}{stderr}"


def explain_by_death(error: WsbenchError, target: RunningTarget) -> WsbenchError:
    """Return the error of a run, or that its target died, which then is the cause."""
    return error if target.running else WsbenchError(death_of(target), remedy=error.what)
