"""Every exception wsbench raises on purpose: what is wrong, on whose side, and what to do about it.

An error is a value first and a text second: the command line prints it in one or two lines, a result counts
it by `kind` and `side`. Anything that is not a `WsbenchError` is a bug of ours and may show a traceback.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Side(StrEnum):
    """Whose side a fault lies on, as far as can be told from here."""

    TARGET = "target"
    GENERATOR = "generator"
    NETWORK = "network"


class ExitCode(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    NOT_MEASURED = 3
    NOT_TRUSTED = 4
    INCONCLUSIVE = 5
    INTERRUPTED = 130


def printable(text: str) -> str:
    """One line that does nothing to a terminal, whoever wrote it: names of files, and what servers say, are quoted."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "·" for char in text)


class WsbenchError(Exception):
    """Base of all errors.

    Attributes:
        what: one sentence without a full stop: what is wrong.
        remedy: one sentence: what to do about it; empty when there is nothing to say.
        side: whose side the fault lies on.
        kind: short stable name under which a result counts it (`errors[].kind`).
        exit_code: what a command that ends with it exits with.
    """

    kind = "error"
    exit_code = ExitCode.NOT_MEASURED

    def __init__(self, what: str, *, remedy: str = "", side: Side = Side.GENERATOR, kind: str | None = None) -> None:
        super().__init__(what)
        self.what = printable(what)
        self.remedy = remedy
        self.side = side
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what


class UsageError(WsbenchError):
    """A bad option, file or URL: nothing was started."""

    kind = "usage"
    exit_code = ExitCode.USAGE


class ConnectError(WsbenchError):
    """A connection that did not come about: name, TCP, TLS or the upgrade.

    Attributes:
        step: "dns", "tcp", "tls" or "upgrade".
    """

    kind = "connect"

    def __init__(self, what: str, *, step: str, side: Side, kind: str, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy, side=side, kind=kind)
        self.step = step


class HandshakeError(ConnectError):
    """The opening handshake was answered, but not by a WebSocket server, or wrongly.

    Attributes:
        status: HTTP status of the answer, None when there was no valid HTTP answer.
        headers: the answer's headers, in order.
        body: the start of the answer's body.
    """

    def __init__(
        self,
        what: str,
        *,
        kind: str,
        side: Side = Side.TARGET,
        remedy: str = "",
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(what, step="upgrade", side=side, kind=kind, remedy=remedy)
        self.status = status
        self.headers = headers
        self.body = body


class ConnectionLost(WsbenchError):
    """An open connection that ended before we asked it to.

    Attributes:
        code: the close code; 1006 when the peer went without a close frame (RFC 6455, 7.1.5).
        reason: the close reason the peer gave.
    """

    kind = "dropped"

    def __init__(
        self,
        what: str,
        *,
        code: int,
        reason: str = "",
        side: Side = Side.TARGET,
        kind: str | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(what, remedy=remedy, side=side, kind=kind)
        self.code = code
        self.reason = reason


class ResultError(WsbenchError):
    """A stored result that cannot be read: missing, truncated, edited, or of a schema we do not know."""

    kind = "result"
    exit_code = ExitCode.USAGE


class TargetError(WsbenchError):
    """A target that wsbench should have started did not come up or did not stay up."""

    kind = "target"

    def __init__(self, what: str, *, remedy: str = "", side: Side = Side.TARGET) -> None:
        super().__init__(what, remedy=remedy, side=side)
