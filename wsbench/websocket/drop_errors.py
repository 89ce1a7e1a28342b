"""Why an open connection ended. One `ConnectionLost` for each way to end, with its close code and kind."""

from __future__ import annotations

import ssl

from websockets.frames import Close

from wsbench.errors import INTERNAL, ConnectionLost, Side, described
from wsbench.websocket.frame_reader import Flood, violation_code


def closed(close: Close | None, when: str = "") -> ConnectionLost:
    """Return the error of a close frame from the server, or (None) of a stream that ended without one."""
    if close is None:
        what = f"the server ended the connection{when} without a close frame"
        return ConnectionLost(what, code=1006, kind="closed-abruptly")
    what = f"the server closed the connection{when} with {close}"
    return ConnectionLost(what, code=int(close.code), reason=close.reason, kind="closed")


def close_unanswered(timeout_s: float) -> ConnectionLost:
    """Return the error of a close frame of ours that got no answer in time."""
    what = f"the server did not answer the close frame within {timeout_s:g} s"
    return ConnectionLost(what, code=1006, kind="close-unanswered")


def reset(error: Exception) -> ConnectionLost:
    """Return the error of a socket that failed."""
    reason = error.strerror if isinstance(error, OSError) else None
    return ConnectionLost(f"the connection broke: {reason or error}", code=1006, kind="reset")


def tls_failed(error: ssl.SSLError) -> ConnectionLost:
    """Return the error of a TLS record that could not be read."""
    return ConnectionLost(f"TLS broke: {error.reason or error}", code=1006, kind="tls")


def protocol_violated(error: Exception) -> ConnectionLost:
    """Return the error of a violation, with its close code even if that could not be sent."""
    did, kind = (
        ("flooded the connection", "flood") if isinstance(error, Flood) else ("broke the protocol", "protocol-error")
    )
    return ConnectionLost(f"the server {did}: {error}", code=violation_code(error), kind=kind)


def internal(error: Exception) -> ConnectionLost:
    """Return the error of a fault of wsbench itself."""
    lost = ConnectionLost(f"wsbench failed: {described(error)}", code=1006, side=Side.GENERATOR, kind=INTERNAL)
    lost.__cause__ = error
    return lost
