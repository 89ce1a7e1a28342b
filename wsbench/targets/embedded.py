"""The echo target as a process of its own: started on a free port, asked for its statistics, stopped for certain."""

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

from wsbench.targets.child import Child
from wsbench.targets.echo.delays import Stall
from wsbench.targets.running import RunningTarget

_STATS_TIMEOUT_S = 5.0
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class TargetProcess(RunningTarget):
    """A running echo target, which can be asked for its counters.

    Should the program that started it die without stopping it, it notices and stops by itself.

    Attributes:
        pid: of the process that was started; with several workers, of their parent.
    """

    def __init__(self, child: Child, url: str, ca_file: Path | None) -> None:
        """Take over a process that is ready, and ask what it is.

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
    def start_embedded(
        cls,
        *,
        tls: bool = False,
        compression: str = "off",
        workers: int = 1,
        delay_ns: int = 0,
        jitter_ns: int = 0,
        stall: Stall | None = None,
        extra: Sequence[str] = (),
    ) -> Self:
        """Start the echo target on a free port of 127.0.0.1. Options as in `EchoOptions`.

        Args:
            extra: more of `wsbench serve`'s options, as typed.

        Raises:
            TargetError: it did not come up; the message has what it wrote to standard error.
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
        # as large as other targets take them: here it is a measurement that asks, not the network
        arguments += ["--max-size", str(_MAX_MESSAGE_BYTES), *extra]
        # -P: a file of the user's called json.py is none of the target's business
        command = [sys.executable, "-P", "-m", "wsbench", "serve", "--exit-with-parent", *arguments]
        child = Child("the target", command, guarded=False)
        try:
            return cls(child, *child.ready_line())
        except BaseException:
            child.stop()
            raise

    def stats(self) -> dict[str, Any]:
        """The target's counters, current at this moment (see /stats in the README).

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
            f"the target does not give its statistics: {exc or type(exc).__name__}; it {child.state()}"
        ) from exc
    assert isinstance(document, dict)
    return document
