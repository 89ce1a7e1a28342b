"""Errors of connections that got no response to the upgrade request."""

from __future__ import annotations

import errno
import ssl

import pytest

from wsbench.errors import Side
from wsbench.websocket.connect_errors import closed_during_tls, tcp_error, timed_out, tls_error
from wsbench.websocket.connect_options import ConnectOptions

REFUSED = ("127.0.0.1", OSError(errno.ECONNREFUSED, "Connection refused"))
NO_IPV6 = ("::1", OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"))


@pytest.mark.parametrize(
    ("url", "refused", "kind", "what"),
    [
        ("ws://10.0.0.1/", [REFUSED], "refused", "nothing listens on 10.0.0.1:80 (connection refused)"),
        ("ws://[::1]/", [NO_IPV6], "ports", "this machine has no source port left towards [::1]:80"),
        (
            "ws://a.test/",
            [REFUSED],
            "refused",
            "nothing listens on a.test:80 (connection refused); its address is 127.0.0.1",
        ),
        (
            "ws://localhost/",
            [NO_IPV6, REFUSED],
            "refused",
            "nothing listens on localhost:80 (connection refused); "
            "its addresses: ::1 (Cannot assign requested address), 127.0.0.1 (Connection refused)",
        ),
    ],
)
def test_a_tcp_error_names_the_addresses_of_a_name(
    url: str, refused: list[tuple[str, OSError]], kind: str, what: str
) -> None:
    error = tcp_error(ConnectOptions(url), refused)
    assert (error.kind, error.what, error.step) == (kind, what, "tcp")


@pytest.mark.parametrize(
    ("reason", "kind", "text", "remedy"),
    [
        ("WRONG_VERSION_NUMBER", "no-tls", "speaks plain text ('HTTP/1.1 400')", "ws:// instead of wss://"),
        ("HTTP_REQUEST", "no-tls", "speaks plain text", "ws:// instead of wss://"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "tls", "no version and cipher", "TLS 1.2 or 1.3"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "client-certificate", "requires a client certificate", "requires none"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "client-certificate", "requires a client certificate", "has no client cert"),
        ("TLSV1_ALERT_UNKNOWN_CA", "client-certificate", "requires a client certificate", "has no client cert"),
        ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "tls", "offers no HTTP/1.1", "ALPN"),
        ("SOMETHING_ELSE", "tls", "something else", ""),
    ],
)
def test_every_tls_failure_has_its_kind_and_remedy(reason: str, kind: str, text: str, remedy: str) -> None:
    cause = ssl.SSLError(1, f"[SSL: {reason}] something")
    cause.reason = reason
    error = tls_error(cause, ConnectOptions("wss://server.test/"), b"HTTP/1.1 400")
    assert (error.kind, error.step, error.side) == (kind, "tls", Side.TARGET)
    assert remedy in error.remedy
    assert error.what.startswith("no TLS with server.test:443: ")
    assert text in error.what and reason.replace("_", " ").lower() in error.what


@pytest.mark.parametrize(
    ("received", "text"),
    [(b"", "speaks no TLS on this port, or only versions before 1.2"), (b"\x16\x03\x03\x00\x7a", "client certificate")],
)
def test_a_server_that_has_begun_the_tls_handshake_speaks_tls(received: bytes, text: str) -> None:
    error = closed_during_tls(ConnectOptions("wss://server.test/"), received)
    assert (error.kind, error.step) == ("tls", "tls") and text in error.what


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (10, "certificate-expired", "the certificate of server.test:443 has expired (because)"),
        (9, "certificate-not-yet-valid", "is not valid yet"),
        (62, "certificate-host", "is not for the host name server.test"),
        (64, "certificate-host", "is not for the host name server.test"),
        (18, "certificate", "is not trusted: it is self-signed"),
        (19, "certificate", "is not trusted: its CA is not"),
        (20, "certificate", "is not trusted: its issuer is unknown here"),
        (99, "certificate", "is not trusted (because)"),
    ],
)
def test_every_certificate_failure_has_its_kind(code: int, kind: str, text: str) -> None:
    cause = ssl.SSLCertVerificationError(1, "failed")
    cause.verify_code, cause.verify_message = code, "because."
    error = tls_error(cause, ConnectOptions("wss://server.test/"))
    assert (error.kind, error.step, error.side) == (kind, "tls", Side.TARGET)
    assert text in error.what and "--insecure" in error.remedy


@pytest.mark.parametrize(
    ("step", "received", "kind", "side", "text"),
    [
        ("dns", 0, "dns-timeout", Side.NETWORK, "no name server returned an address of server.test"),
        ("tcp", 0, "connect-timeout", Side.NETWORK, "did not accept the connection"),
        ("tls", 0, "tls-timeout", Side.TARGET, "did not complete the TLS handshake"),
        ("upgrade", 0, "handshake-timeout", Side.TARGET, "never answered the upgrade request"),
        ("upgrade", 7, "handshake-timeout", Side.TARGET, "sent 7 bytes of an answer"),
    ],
)
def test_a_timeout_names_the_step_and_the_side(step: str, received: int, kind: str, side: Side, text: str) -> None:
    error = timed_out(ConnectOptions("wss://server.test/", connect_timeout_ns=1_500_000_000), step, received)
    assert (error.kind, error.step, error.side) == (kind, step, side)
    assert text in error.what and "within 1.5s" in error.what and error.remedy
