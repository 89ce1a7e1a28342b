"""The echo target as a child process."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from wsbench.targets.child import START_TIMEOUT_S, STOP_TIMEOUT_S, Child
from wsbench.targets.echo.delays import Stall
from wsbench.targets.running import RunningTarget

_STATS_TIMEOUT_S = 5.0
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class EmbeddedTarget(RunningTarget):
    """A running echo target.

    It stops automatically when the program that started it dies.

    Attributes:
        pid: id of the process that was started; with several workers, of their parent.
    """

    def __init__(self, child: Child, url: str, ca_file: Path | None) -> None:
        """Take over a process that is ready, and read its name and version.

        Raises:
            TargetError: it does not answer.
        """
        self.pid = child.pid
        self._child = child
        statistics = _statistics(child, url, ca_file)
        super().__init__(
            url, name=str(statistics["name"]), version=str(statistics["version"]), children=[child], ca_file=ca_file
        )

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

        Args:
            extra: further command-line options of `wsbench serve`.
            start_timeout_s, stop_timeout_s: as in `Child`.

        Raises:
            TargetError: it did not start; with the end of its standard error.
        """
        arguments = ["--host", "127.0.0.1", "--port", "0", "--workers", str(workers), "--compression", compression]
        if tls:
            arguments.append("--tls")
        if delay_ns:
            arguments += ["--delay", f"{delay_ns}ns"]
        if jitter_ns:
            arguments += ["--delay-jitter", f"{jitter_ns}ns"]
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
        """Return the target's present counters: the document at /stats.

        Raises:
            TargetError: it does not answer.
        """
        return _statistics(self._child, self.url, self.ca_file)


def _statistics(child: Child, url: str, ca_file: Path | None) -> dict[str, Any]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "wss":
        context = ssl.create_default_context(cafile=ca_file)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=_STATS_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_STATS_TIMEOUT_S)
    try:
        with contextlib.closing(connection):
            connection.request("GET", "/stats")
            document = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise child.error(
            f"the target does not answer at /stats: {exc or type(exc).__name__}; it {child.describe_state()}"
        ) from exc
    assert isinstance(document, dict)
    return document
