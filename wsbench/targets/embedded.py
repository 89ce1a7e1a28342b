"""The echo target as a child process."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from wsbench.targets.child import START_TIMEOUT_S, STOP_TIMEOUT_S, Child
from wsbench.targets.echo.delays import Stall
from wsbench.targets.running import RunningTarget

_STATS_TIMEOUT_S = 5.0
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class EmbeddedTarget(RunningTarget):
    """A running echo target, which stops automatically when the program that started it dies.

    `pid` is the id of the process that was started; with several workers, of their parent.
    """

    def __init__(self, child: Child, url: str, ca_file: Path | None) -> None:
        """Take over a process that is ready, and read its name and version as `stats` does."""
        super().__init__(url, name="", version="", children=[child], ca_file=ca_file)
        self.pid = child.pid
        self._child = child
        statistics = self.stats()
        self.name, self.version = statistics["name"], statistics["version"]

    @classmethod
    def start(
        cls,
        *,
        tls: bool = False,
        compression: str = "off",
        workers: int = 1,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        stall: Stall | None = None,
        extra: Sequence[str] = (),
        start_timeout_s: float = START_TIMEOUT_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> Self:
        """Start the echo target on a free port of 127.0.0.1, with options as in `EchoOptions`.

        `extra` are further command-line options of `wsbench serve`. Raises TargetError, with the end of its standard
        error, when it did not start.
        """
        arguments = ["--host", "127.0.0.1", "--port", "0", "--workers", str(workers), "--compression", compression]
        arguments += ["--delay", f"{delay_ns}ns", "--delay-jitter", f"{jitter_ns}ns"]
        if tls:
            arguments.append("--tls")
        if stall is not None:
            arguments += ["--stall", f"{stall.stop_ns}ns every {stall.every_ns}ns"]
        # as large as the catalogue's other servers accept
        arguments += ["--max-size", str(_MAX_MESSAGE_BYTES), *extra]
        # -P: the target must not import a json.py from the user's directory
        command = [sys.executable, "-P", "-m", "wsbench", "serve", "--exit-with-parent", *arguments]
        child = Child(
            "the target", command, guarded=False, start_timeout_s=start_timeout_s, stop_timeout_s=stop_timeout_s
        )
        try:
            return cls(child, *child.wait_for_url())
        except BaseException:
            child.stop()
            raise

    def stats(self) -> dict[str, Any]:
        """Return the target's present counters, the document at /stats; raise TargetError if it does not answer."""
        connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        parts = urlsplit(self.url)
        if parts.scheme == "wss":
            context = ssl.create_default_context(cafile=self.ca_file)
            connect = functools.partial(http.client.HTTPSConnection, context=context)
        try:
            with contextlib.closing(connect(parts.hostname, parts.port, timeout=_STATS_TIMEOUT_S)) as connection:
                connection.request("GET", "/stats")
                document: dict[str, Any] = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            state = self._child.describe_state()
            message = f"the target does not answer at /stats: {exc or type(exc).__name__}; it {state}"
            raise self._child.error(message) from exc
        return document
