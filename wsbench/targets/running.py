"""A target that runs: where it listens, what it is, which processes it is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from wsbench.targets.child import Child


class RunningTarget:
    """A running target. Use it as a context manager: leaving it stops the target.

    Attributes:
        url: ws:// or wss://, of what is to be measured.
        ca_file: PEM of the authority to trust, when the target has a certificate of its own; it vanishes with the
            target.
        name, version: of the server implementation, as the catalogue has them.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        version: str,
        children: Sequence[Child],
        ca_file: Path | None = None,
        resources: contextlib.ExitStack | None = None,
    ) -> None:
        """Take over what was started.

        Args:
            children: the processes; stopped from the last to the first. None for what somebody else started.
            resources: closed when all of them have stopped.
        """
        self.url = url
        self.ca_file = ca_file
        self.name = name
        self.version = version
        self.children = tuple(children)
        self._resources = resources or contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        """The processes whose CPU and memory, with their descendants', are the target's."""
        return [pid for child in self.children for pid in child.pids]

    @property
    def running(self) -> bool:
        """Whether all of it lives."""
        return all(child.running for child in self.children)

    @property
    def stderr_tail(self) -> str:
        """The last lines that it wrote to standard error, 2,000 bytes at most of every process."""
        return "\n".join(filter(None, (child.output_tail for child in self.children)))

    def stop(self, timeout: float | None = None) -> int:
        """Stop all of it (see `Child.stop`); the first exit code that is not 0, if any."""
        with self._resources:
            codes = [child.stop(timeout) for child in reversed(self.children)]
        return next((code for code in codes if code), 0)
