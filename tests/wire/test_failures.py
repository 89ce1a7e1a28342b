"""Why a connection did not even get an answer, in words."""

from __future__ import annotations

import ssl

import pytest

from wsbench.errors import Side
from wsbench.wire.failures import tls_error
from wsbench.wire.handshake import ConnectOptions


@pytest.mark.parametrize(
    ("reason", "kind", "told", "remedy"),
    [
        ("WRONG_VERSION_NUMBER", "no-tls", "speaks plain text ('HTTP/1.1 400')", "ws:// instead of wss://"),
        ("HTTP_REQUEST", "no-tls", "speaks plain text", "ws:// instead of wss://"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "tls", "no version and cipher", "TLS 1.2 or 1.3"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "tls", "wants a client certificate", "wants none"),
        ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "tls", "speaks no HTTP/1.1", "ALPN"),
        ("SOMETHING_ELSE", "tls", "something else", ""),
    ],
)
def test_why_tls_did_not_come_about(reason: str, kind: str, told: str, remedy: str) -> None:
    cause = ssl.SSLError(1, f"[SSL: {reason}] something")
    cause.reason = reason
    error = tls_error(cause, ConnectOptions("wss://server.test/"), b"HTTP/1.1 400")
    assert (error.kind, error.step, error.side) == (kind, "tls", Side.TARGET)
    assert remedy in error.remedy
    assert error.what.startswith("no TLS with server.test:443: ")
    assert told in error.what and reason.replace("_", " ").lower() in error.what
