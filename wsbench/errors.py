"""Exceptions that wsbench raises on purpose: what is wrong, on whose side, and what to do about it.

The command line prints an error in one or two lines; a result counts it by `kind` and `side`. Any other exception is a
bug of wsbench and may show a traceback.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Side(StrEnum):
    """The side at fault, as far as the generator can know."""

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


INTERNAL = "internal"
"""The kind of an error that is a fault of wsbench itself."""
REPORT_IT = "This is a fault of wsbench: please report it, with the traceback in locust.log."
_LONGEST = 500
"""Limit of an exception's text in characters: errors are in every report."""


def printable(text: str) -> str:
    """Replace what could control a terminal or begin a line, for text from servers and file names."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "·" for char in text)


def excerpt(payload: bytes, limit: int = 80, at: int = 0) -> str:
    """Return at most `limit` bytes of a payload around the offset `at`, as one printable line.

    Control characters and bytes that are not UTF-8 are escaped; `…` stands for what is left out.
    """
    start = max(0, min(at - limit // 3, len(payload) - limit))
    end = start + limit
    start, end = _character_at(payload, start), _character_at(payload, end)
    shown = escape(payload[start:end].decode("utf-8", "backslashreplace"))
    return f"{'…' if start else ''}{shown}{'…' if end < len(payload) else ''}"


def escape(text: str) -> str:
    """Escape control characters, separators and surrogates: the text is then one line and valid UTF-8."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _character_at(payload: bytes, offset: int) -> int:
    """Return the offset, moved back to the first byte of a UTF-8 character if it is within one."""
    if offset >= len(payload):
        return offset
    starts = (at for at in range(offset, max(offset - 4, -1), -1) if payload[at] & 0xC0 != 0x80)
    return next(starts, offset)


class WsbenchError(Exception):
    """Base of all errors.

    Attributes:
        what: one sentence without a full stop: what is wrong.
        remedy: one sentence: what to do about it; may be empty.
        side: the side at fault; a subclass gives its default.
        kind: short stable name under which a result counts it (`errors[].kind`).
        exit_code: the exit code of a command that ends with it.
    """

    kind = "error"
    side = Side.GENERATOR
    exit_code = ExitCode.NOT_MEASURED

    def __init__(self, what: str, *, remedy: str = "", side: Side | None = None, kind: str | None = None) -> None:
        super().__init__(what)
        self.what = printable(what)
        self.remedy = remedy
        self.side = side or self.side
        self.kind = kind or self.kind

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what


class UsageError(WsbenchError):
    """A bad option, file or URL; nothing was started."""

    kind = "usage"
    exit_code = ExitCode.USAGE


class ConnectError(WsbenchError):
    """A connection that could not be opened.

    Attributes:
        step: "dns", "tcp", "tls", "upgrade", or "namespace" of Socket.IO.
    """

    kind = "connect"

    def __init__(self, what: str, *, step: str, side: Side, kind: str, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy, side=side, kind=kind)
        self.step = step


class HandshakeError(ConnectError):
    """An opening handshake that got a wrong response, or none.

    Attributes:
        status: HTTP status of the response; None without a valid HTTP response.
        headers: the response's headers, in order.
        body: the start of the response's body.
    """

    def __init__(
        self,
        what: str,
        *,
        kind: str,
        remedy: str,
        status: int | None,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        side: Side = Side.TARGET,
    ) -> None:
        super().__init__(what, step="upgrade", side=side, kind=kind, remedy=remedy)
        self.status = status
        self.headers = headers
        self.body = body


class ConnectionLost(WsbenchError):
    """An open connection that was dropped: it ended before we asked for it.

    Attributes:
        code: the close code; 1006 without a close frame (RFC 6455, 7.1.5).
        reason: the server's close reason.
    """

    side = Side.TARGET

    def __init__(
        self, what: str, *, code: int, kind: str, reason: str = "", remedy: str = "", side: Side | None = None
    ) -> None:
        super().__init__(what, remedy=remedy, side=side, kind=kind)
        self.code = code
        self.reason = reason


class ResultError(WsbenchError):
    """A stored result that cannot be read: missing, truncated, edited, or of an unknown schema."""

    kind = "result"
    exit_code = ExitCode.USAGE


class TargetError(WsbenchError):
    """A target that wsbench starts, and that did not start or did not keep running."""

    kind = "target"
    side = Side.TARGET


def described(error: BaseException) -> str:
    """Return an exception as text of limited length, also if it cannot make its own text."""
    try:
        text = error.what if isinstance(error, WsbenchError) else f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception as another:
        text = f"{type(error).__name__}, whose text raises {type(another).__name__}"
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text


def internal_error(what: str, error: BaseException) -> WsbenchError:
    """Return a fault of wsbench: `what`, and why."""
    return WsbenchError(f"{what}: {described(error)}", kind=INTERNAL, remedy=REPORT_IT)
