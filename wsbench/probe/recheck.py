"""A second connection after a failure, to make its cause certain. It carries none of the user's headers or paths.

It finds which certificate failed the check, whether a port that was silent or hung up speaks TLS, and whether a server
that hung up had asked for a client certificate.
"""

from __future__ import annotations

import contextlib
from typing import Any

from wsbench.errors import ConnectError, HandshakeError, Side
from wsbench.probe.certificate import ServerCertificate, read_certificate, utc_now
from wsbench.transport.connect import Connector
from wsbench.transport.connect_attempt import ConnectAttempt
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_errors import NO_TLS_REMEDY, client_certificate
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.tls import client_context

_TIMEOUT_NS = 2_000_000_000
_NOT_ADMITTED = ("handshake-closed", "handshake-reset", "tls", "forbidden")
_CERTIFICATE_REQUEST = 13
"""Type of a handshake message (RFC 8446, 4)."""
_HUNG_UP = ("handshake-closed", "handshake-reset", "handshake-timeout", "not-http")


def fetch_certificate(options: ConnectOptions) -> ServerCertificate | None:
    """Fetch the server's certificate without checking it or sending a request; return None if there is none."""
    bare = _bare(options, "wss")
    attempt = Connector(bare, context=client_context(ca_file=None, insecure=True), traffic=Traffic()).attempt()
    try:
        with contextlib.closing(attempt.steps()) as steps:
            for step in steps:
                if step == "tls":
                    return certificate_from(attempt)
    except ConnectError:
        pass
    return None


def certificate_from(attempt: ConnectAttempt) -> ServerCertificate | None:
    """Return the certificate of an attempt that completed TLS; None without TLS, or if it cannot be decoded."""
    der = attempt.tls.ssl_object.getpeercert(binary_form=True) if attempt.tls is not None else None
    return read_certificate(der) if der is not None else None


def add_certificate_faults(
    error: ConnectError, options: ConnectOptions, certificate: ServerCertificate | None
) -> ConnectError:
    """Add all faults of a certificate that failed the check to its error, dates and names included."""
    if certificate is None:
        return error
    faults = certificate.faults(options.uri.host, utc_now())
    if error.kind != "certificate":  # about a date or the name: `faults` has more detail
        what = f"the certificate of {options.where} {' and '.join(faults)}" if faults else error.what
    else:
        what = " and ".join([error.what, *faults])
    return ConnectError(what, step=error.step, side=error.side, kind=error.kind, remedy=error.remedy)


def recheck(error: ConnectError, options: ConnectOptions) -> ConnectError:
    """Return the error, or a more certain one: the wrong scheme for the port, or no certificate of ours."""
    if error.step == "upgrade" and not options.uri.secure and error.kind in _HUNG_UP and fetch_certificate(options):
        how = {"handshake-timeout": "does not answer plain text"}.get(error.kind, "hangs up on plain text")
        what = f"{options.where} speaks TLS: it {how}, but accepts a TLS handshake"
        remedy = "Use wss:// instead of ws://."
        return ConnectError(what, step="upgrade", side=Side.TARGET, kind="tls-expected", remedy=remedy)
    if options.uri.secure and error.kind in _NOT_ADMITTED and _asks_for_client_certificate(options):
        if error.kind == "forbidden":
            error.what += "; or it requires the client certificate for which it asked in the TLS handshake"
            return error
        return client_certificate(f"{options.where} asked for a client certificate, and then ended the connection")
    if error.step == "tls" and error.kind in ("tls", "tls-timeout", "handshake-reset"):
        status = _plain_http_status(options)
        if status is not None:
            what = f"{options.where} speaks no TLS: it accepts no TLS handshake, but answers plain HTTP ({status})"
            return ConnectError(what, step="tls", side=Side.TARGET, kind="no-tls", remedy=NO_TLS_REMEDY)
    return error


def _asks_for_client_certificate(options: ConnectOptions) -> bool:
    """Return whether the server sends a CertificateRequest in the TLS handshake."""
    context, types = client_context(ca_file=None, insecure=True), set[int]()

    def on_message(_stream: Any, direction: str, _version: int, _kind: int, type_: int, _data: bytes) -> None:
        if direction == "read":
            types.add(type_)

    # Only this callback, which ssl has for debugging, sees what TLS 1.3 encrypts.
    context._msg_callback = on_message  # type: ignore[attr-defined]
    attempt = Connector(_bare(options, "wss"), context=context, traffic=Traffic()).attempt()
    with contextlib.suppress(ConnectError), contextlib.closing(attempt.steps()) as steps:
        next((step for step in steps if step == "tls"), None)
    return _CERTIFICATE_REQUEST in types


def _plain_http_status(options: ConnectOptions) -> str | None:
    """Return the status of the response to an upgrade request without TLS; None if that is not HTTP."""
    try:
        handshake = Connector(_bare(options, "ws"), context=None, traffic=Traffic()).connect()
    except HandshakeError as error:
        return str(error.status) if error.status is not None else None
    except ConnectError:
        return None
    handshake.socket.close()
    return "101"


def _bare(options: ConnectOptions, scheme: str) -> ConnectOptions:
    """Return options with the server's address only: no path, no credentials."""
    timeout_ns = min(options.connect_timeout_ns, _TIMEOUT_NS)
    return ConnectOptions(f"{scheme}://{options.where}/", connect_timeout_ns=timeout_ns)
