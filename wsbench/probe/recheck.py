"""After a failure, one more connection that tells its cause for certain. It carries nothing that the user gave.

What a first attempt leaves open: which certificate it was that failed the check, and whether a port that fell silent
or hung up speaks TLS, or speaks none.
"""

from __future__ import annotations

import contextlib

from wsbench.errors import ConnectError, HandshakeError, Side
from wsbench.probe.certificate import ServerCertificate, read_certificate, utc_now
from wsbench.transport.connect import Connector
from wsbench.transport.connect_attempt import ConnectAttempt
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_errors import NO_TLS_REMEDY
from wsbench.websocket.handshake import ConnectOptions
from wsbench.websocket.tls import client_context

_PATIENCE_NS = 2_000_000_000
_HUNG_UP = ("handshake-closed", "handshake-reset", "handshake-timeout", "not-http")


def fetch_certificate(options: ConnectOptions) -> ServerCertificate | None:
    """The certificate that the server shows, unchecked. No request is sent; None when there is none to be had."""
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
    """The certificate of an attempt that got past TLS; None without TLS, or when it cannot be read."""
    der = attempt.tls.certificate if attempt.tls is not None else None
    return read_certificate(der) if der is not None else None


def add_certificate_faults(
    error: ConnectError, options: ConnectOptions, certificate: ServerCertificate | None
) -> ConnectError:
    """The error of a certificate that failed the check, with all that is wrong with it, dates and names included."""
    if certificate is None:
        return error
    faults = certificate.faults(options.uri.host, utc_now())
    if error.kind != "certificate":  # about a date or the name: the certificate says it in more detail
        what = f"the certificate of {options.where} {' and '.join(faults)}" if faults else error.what
    else:
        what = " and ".join([error.what, *faults])
    return ConnectError(what, step=error.step, side=error.side, kind=error.kind, remedy=error.remedy)


def recheck(error: ConnectError, options: ConnectOptions) -> ConnectError:
    """The same error, or a surer one: ws:// to a port that speaks TLS, wss:// to one that speaks none."""
    if error.step == "upgrade" and not options.uri.secure and error.kind in _HUNG_UP and _speaks_tls(options):
        how = {"handshake-timeout": "says nothing to plain text"}.get(error.kind, "hangs up on plain text")
        what = f"{options.where} speaks TLS: it {how}, but takes a TLS handshake"
        return ConnectError(
            what, step="upgrade", side=Side.TARGET, kind="tls-expected", remedy="Use wss:// instead of ws://."
        )
    if error.step == "tls" and error.kind in ("tls", "tls-timeout", "handshake-reset"):
        answer = _plain_answer(options)
        if answer is not None:
            what = f"{options.where} speaks no TLS: it does not take a TLS handshake, but answers plain HTTP ({answer})"
            return ConnectError(what, step="tls", side=Side.TARGET, kind="no-tls", remedy=NO_TLS_REMEDY)
    return error


def _speaks_tls(options: ConnectOptions) -> bool:
    return fetch_certificate(options) is not None


def _plain_answer(options: ConnectOptions) -> str | None:
    """The status that the port answers to an upgrade request without TLS; None when that is no HTTP."""
    try:
        handshake = Connector(_bare(options, "ws"), context=None, traffic=Traffic()).connect()
    except HandshakeError as error:
        return str(error.status) if error.status is not None else None
    except ConnectError:
        return None
    handshake.socket.close()
    return "101"


def _bare(options: ConnectOptions, scheme: str) -> ConnectOptions:
    """Only whom to ask: no path, no credentials."""
    return ConnectOptions(
        f"{scheme}://{options.where}/",
        connect_timeout_ns=min(options.connect_timeout_ns, _PATIENCE_NS),
    )
