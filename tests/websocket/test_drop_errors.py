"""Every way in which an open connection ends has one name, one code and one side."""

from __future__ import annotations

import ssl

import pytest
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close

from wsbench.errors import ConnectionLost, Side, WsbenchError
from wsbench.websocket import drop_errors
from wsbench.websocket.frame_reader import Flood
from wsbench.websocket.tls import client_context

NOT_UTF8 = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def tls_error() -> ssl.SSLError:
    """OpenSSL's error about bytes that are not TLS."""
    incoming = ssl.MemoryBIO()
    incoming.write(b"HTTP/1.1 400 Bad Request")
    with pytest.raises(ssl.SSLError) as caught:
        client_context(ca_file=None, insecure=True).wrap_bio(incoming, ssl.MemoryBIO()).do_handshake()
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind", "code", "what"),
    [
        (
            drop_errors.closed(Close(1011, "full")),
            "closed",
            1011,
            "closed the connection with 1011 (internal error) full",
        ),
        (drop_errors.closed(None), "closed-abruptly", 1006, "without a close frame"),
        (drop_errors.close_unanswered(2.5), "close-unanswered", 1006, "did not answer the close frame within 2.5 s"),
        (drop_errors.reset(ConnectionResetError(104, "Connection reset by peer")), "reset", 1006, "reset by peer"),
        (drop_errors.reset(OSError("no number")), "reset", 1006, "broke: no number"),
        (drop_errors.tls_failed(tls_error()), "tls", 1006, "TLS broke: WRONG_VERSION_NUMBER"),
        (drop_errors.protocol_violated(ProtocolError("masked")), "protocol-error", 1002, "protocol: masked"),
        (drop_errors.protocol_violated(NOT_UTF8), "protocol-error", 1007, "invalid start byte"),
        (drop_errors.protocol_violated(PayloadTooBig(9, 8)), "protocol-error", 1009, "9"),
        (drop_errors.protocol_violated(Flood("pings")), "flood", 1008, "flooded the connection: pings"),
    ],
)
def test_the_servers_ways_to_end(error: ConnectionLost, kind: str, code: int, what: str) -> None:
    assert (error.kind, error.code, error.side) == (kind, code, Side.TARGET)
    assert what in error.what


def test_a_fault_of_ours_is_said_to_be_ours() -> None:
    cause = KeyError("a bug")
    error = drop_errors.internal(cause)
    assert (error.kind, error.code, error.side) == ("internal", 1006, Side.GENERATOR)
    assert error.what == "wsbench failed: KeyError: 'a bug'"
    assert error.__cause__ is cause
    assert drop_errors.internal(WsbenchError("no room")).what == "wsbench failed: no room"
