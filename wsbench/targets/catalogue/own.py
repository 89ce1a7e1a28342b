"""Servers of the user's own: a command line that wsbench starts, or a URL where something runs already."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from wsbench.errors import UsageError
from wsbench.targets.catalogue import programs
from wsbench.targets.catalogue.target import Capabilities, Settings, Target
from wsbench.targets.child import Child
from wsbench.targets.ports import HOST, on_a_free_port
from wsbench.targets.running import RunningTarget

_PORT = "{port}"
_AS_THEY_ARE = Capabilities(tls=False, compression=True, workers=False)
"""They are not told how to run. Whether they grant compression is theirs to decide, and a result says it."""


class CommandTarget(Target):
    """A command line that starts a server in the foreground, on a port that it is given.

    Args:
        command: split as a shell would; no shell sees it. `{port}` is replaced.
        url: where it echoes then; `{port}` is replaced.

    Raises:
        UsageError: one of both has no {port}, or the URL is none.
    """

    def __init__(self, command: str, url: str = f"ws://{HOST}:{_PORT}/", *, name: str = "", version: str = "") -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as exc:
            raise UsageError(f"the target's command {command!r} cannot be split: {exc}") from exc
        if not self._words or _PORT not in command or _PORT not in url:
            raise UsageError(
                f"the target's command {command!r} and URL {url!r} must both have {_PORT}",
                remedy=f"For example: 'my-server --port {_PORT}' and 'ws://{HOST}:{_PORT}/'.",
            )
        _check(url.replace(_PORT, "1"))
        self._url = url
        self._version = version
        self.name = name or self._words[0]
        self.capabilities = _AS_THEY_ARE

    def missing(self) -> str | None:
        """The program."""
        return None if programs.find(self._words[0]) else f"no program {self._words[0]}"

    def version(self) -> str:
        """As it was given: nobody knows how to ask."""
        return self._version

    def _start(self, settings: Settings) -> RunningTarget:  # noqa: ARG002
        def start(port: int) -> RunningTarget:
            url = self._url.replace(_PORT, str(port))
            child = Child(self.name, [word.replace(_PORT, str(port)) for word in self._words], says_when_ready=False)
            try:
                child.wait_until_it_accepts(urlsplit(url).hostname or HOST, port)
            except BaseException:
                child.stop()
                raise
            return RunningTarget(url, name=self.name, version=self._version, children=[child])

        return on_a_free_port(start)


class UrlTarget(Target):
    """A server that somebody else runs: starting it does nothing.

    Raises:
        UsageError: the URL is none.
    """

    def __init__(self, url: str, *, name: str = "", version: str = "") -> None:
        _check(url)
        self._url = url
        self._version = version
        self.name = name or url
        self.capabilities = _AS_THEY_ARE

    def missing(self) -> None:
        """Nothing that we would know of."""

    def version(self) -> str:
        """As it was given."""
        return self._version

    def _start(self, settings: Settings) -> RunningTarget:  # noqa: ARG002
        return RunningTarget(self._url, name=self.name, version=self._version, children=[])


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise UsageError(f"{url!r} is no WebSocket URL", remedy=f"It looks like ws://{HOST}:8765/echo.")
