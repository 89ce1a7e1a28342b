"""A running target: its URL, name, version and processes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from wsbench.targets.child import Child


class RunningTarget:
    """A running target. Use it as a context manager: leaving it stops the target.

    `name` and `version` are the server implementation's. `ca_file` is the PEM file of the CA to trust, for a target
    with a certificate made for this run; it is deleted with the target.
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
        """Take over processes that are ready.

        Args:
            children: the processes, stopped from the last to the first; empty for a server that wsbench did not start.
            resources: closed after all of them have stopped.
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
        """The ids of the target's processes, without their descendants."""
        return [pid for child in self.children for pid in child.pids]

    @property
    def running(self) -> bool:
        """Whether all processes are running."""
        return all(child.running for child in self.children)

    @property
    def stderr_tail(self) -> str:
        """The end of what each process wrote to standard error, 2,000 bytes at most."""
        return "\n".join(filter(None, (child.output_tail for child in self.children)))

    def stop(self, timeout: float | None = None) -> int:
        """Stop all processes (see `Child.stop`); return the first exit code that is not 0, or 0."""
        with self._resources:
            codes = [child.stop(timeout) for child in reversed(self.children)]
        return next((code for code in codes if code), 0)
