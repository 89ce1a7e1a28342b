"""Targets outside the catalogue: a command line for wsbench to start, or the URL of a running server."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from wsbench.errors import UsageError
from wsbench.targets.catalogue import programs
from wsbench.targets.catalogue.target import Capabilities, Settings, StartableTarget
from wsbench.targets.child import HOST, START_TIMEOUT_S, Child, on_a_free_port
from wsbench.targets.running import RunningTarget

_PORT = "{port}"
_FIXED = Capabilities(tls=False, compression=True, workers=False)
"""wsbench does not configure these servers. Whether they grant compression is in the result."""


class CommandTarget(StartableTarget):
    """A command line that starts a server in the foreground.

    Args:
        command: split like a shell command, but not run by a shell. `{port}` is replaced by a free port.
        url: URL of the server; `{port}` is replaced too.

    Raises:
        UsageError: `command` or `url` has no {port}, or `url` is not a WebSocket URL.
    """

    def __init__(
        self,
        command: str,
        url: str = f"ws://{HOST}:{_PORT}/",
        *,
        name: str = "",
        version: str = "",
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        try:
            self._command = shlex.split(command)
        except ValueError as exc:
            raise UsageError(f"the target's command {command!r} cannot be split: {exc}") from exc
        if not self._command or _PORT not in command or _PORT not in url:
            raise UsageError(
                f"the target's command {command!r} and URL {url!r} must both contain {_PORT}",
                remedy=f"For example: 'my-server --port {_PORT}' and 'ws://{HOST}:{_PORT}/'.",
            )
        _check(url.replace(_PORT, "1"))
        self._url = url
        self._version = version
        self._start_timeout_s = start_timeout_s
        self.name = name or self._command[0]
        self.capabilities = _FIXED

    def missing(self) -> str | None:
        return None if programs.find(self._command[0]) else f"no program {self._command[0]}"

    def version(self) -> str:
        """Return the version that the user stated."""
        return self._version

    def most_connections(self) -> None:
        """Return None: it may be several processes."""

    def _start(self, settings: Settings) -> RunningTarget:  # noqa: ARG002
        def start(port: int) -> Child:
            command = [part.replace(_PORT, str(port)) for part in self._command]
            return Child(self.name, command, prints_url=False, start_timeout_s=self._start_timeout_s)

        port, child = on_a_free_port(start, urlsplit(self._url).hostname or HOST)
        url = self._url.replace(_PORT, str(port))
        return RunningTarget(url, name=self.name, version=self._version, children=[child])


class UrlTarget(StartableTarget):
    """A server that is running already: starting it does nothing. Raises UsageError for a URL that is not ws(s)://."""

    def __init__(self, url: str, *, name: str = "", version: str = "") -> None:
        _check(url)
        self.url = url
        self._version = version
        self.name = name or url
        self.capabilities = _FIXED

    def missing(self) -> None:
        """Return None: wsbench cannot know."""

    def version(self) -> str:
        """Return the version that the user stated."""
        return self._version

    def most_connections(self) -> None:
        """Return None: wsbench cannot know."""

    def _start(self, settings: Settings) -> RunningTarget:  # noqa: ARG002
        return RunningTarget(self.url, name=self.name, version=self._version, children=[])


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{url!r} is not a WebSocket URL", remedy=f"It looks like ws://{HOST}:8765/echo.")
