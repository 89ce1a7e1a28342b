"""Errors of a connection that got no response to its upgrade request: name, TCP, TLS, timeout."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Sequence

from wsbench.errors import INTERNAL, REPORT_IT, ConnectError, Side, described
from wsbench.units import format_seconds
from wsbench.websocket.connect_options import ConnectOptions

_PLAIN = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_MESSAGE",
    "PACKET_LENGTH_TOO_LONG",
)
NO_TLS_REMEDY = "The port seems to speak no TLS: use ws:// instead of wss://."
NO_CLIENT_CERTIFICATE = "wsbench has no client certificate: use a port of the server that requires none."
_CLIENT_CERTIFICATE = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_NO_CERTIFICATE",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
    "ALERT_UNKNOWN_CA",
)
"""Alerts of servers about the certificate of a client, which none has here."""
_ALERTS = {
    "HANDSHAKE_FAILURE": (
        "no version and cipher are accepted by both sides, or it requires a client certificate",
        "Let the server speak TLS 1.2 or 1.3.",
    ),
    "PROTOCOL_VERSION": ("its version of TLS is too old", "Let the server speak TLS 1.2 or 1.3."),
    "UNSUPPORTED_PROTOCOL": ("its version of TLS is too old", "Let the server speak TLS 1.2 or 1.3."),
    "UNRECOGNIZED_NAME": ("it does not know this host name", "Use the name in its certificate."),
    "NO_APPLICATION_PROTOCOL": ("it offers no HTTP/1.1", "Let it offer http/1.1 (ALPN): WebSocket needs that."),
}
_HANDSHAKE_RECORD = b"\x16\x03"
_NO_FILES = (errno.EMFILE, errno.ENFILE)
_NO_PORTS = (errno.EADDRNOTAVAIL, errno.EADDRINUSE)
# OpenSSL's X509_V_ERR_*
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 9, 10, 18, 19
_NO_ISSUER = (2, 20, 21)
_WRONG_HOST = (62, 64)


def unknown_host(host: str, error: Exception) -> ConnectError:
    """Return the error of a name without an address."""
    what = f"the host {host} is unknown ({getattr(error, 'strerror', None) or error})"
    remedy = "Check the spelling of the URL and this machine's name resolution."
    return ConnectError(what, step="dns", side=Side.NETWORK, kind="unknown-host", remedy=remedy)


def is_local(error: OSError) -> bool:
    """Return whether this machine, and not the server, is what a TCP connection failed for."""
    return error.errno in (*_NO_FILES, *_NO_PORTS)


def tcp_error(options: ConnectOptions, refused: Sequence[tuple[str, OSError]]) -> ConnectError:
    """Return the error of a TCP connection that none of the server's addresses accepted, each with its reason."""
    # "Refused" says most: a machine without IPv6 fails at an IPv6 address in ways that say nothing of the server.
    error = min((error for _, error in refused), key=lambda error: error.errno != errno.ECONNREFUSED)
    where, remedy = options.where, ""
    if error.errno == errno.ECONNREFUSED:
        what, side, kind = f"nothing listens on {where} (connection refused)", Side.TARGET, "refused"
        remedy = "Is the server running, and is this its port?"
    elif error.errno in _NO_FILES:
        what, side, kind = "this process cannot open more files", Side.GENERATOR, "descriptors"
        remedy = "Raise the limit (ulimit -n), or use more --processes."
    elif error.errno in _NO_PORTS:
        what, side, kind = f"this machine has no source port left towards {where}", Side.GENERATOR, "ports"
        remedy = "Use several addresses of this machine (--source-ip), or fewer connections."
    else:
        what, side, kind = f"no connection to {where}: {error.strerror or error}", Side.NETWORK, "unreachable"
    what += _tried(options, refused)
    return ConnectError(what, step="tcp", side=side, kind=kind, remedy=remedy)


def _tried(options: ConnectOptions, refused: Sequence[tuple[str, OSError]]) -> str:
    """Return the addresses of a name that were tried, in words."""
    if not refused or options.uri.is_address:
        return ""
    if len(refused) == 1:
        return f"; its address is {refused[0][0]}"
    return f"; its addresses: {', '.join(f'{address} ({error.strerror or error})' for address, error in refused)}"


def address_family_mismatch(options: ConnectOptions, source: str) -> ConnectError:
    """Return the error of a source address of another family than the server's."""
    what = f"{options.where} cannot be reached from {source}: one is IPv4, the other IPv6"
    remedy = "Give a --source-ip of the server's address family, or none."
    return ConnectError(what, step="tcp", side=Side.GENERATOR, kind="source-ip", remedy=remedy)


def broken(options: ConnectOptions, step: str, error: OSError) -> ConnectError:
    """Return the error of a connection that broke during a step, "tls" or "upgrade"."""
    during = "the TLS handshake" if step == "tls" else "the upgrade"
    what = f"{options.where} broke the connection during {during}: {error.strerror or error}"
    remedy = "The server, or a firewall or proxy before it, broke the connection: see its log."
    if options.uri.secure:
        remedy += " It may require a client certificate, and wsbench has none."
    return ConnectError(what, step=step, side=Side.TARGET, kind="handshake-reset", remedy=remedy)


def closed_during_tls(options: ConnectOptions, received: bytes) -> ConnectError:
    """Return the error of a stream that ended during the TLS handshake; `received` are the server's first bytes."""
    what = f"{options.where} closed the connection during the TLS handshake: perhaps"
    if received.startswith(_HANDSHAKE_RECORD):
        what += " it requires a client certificate"
        remedy = NO_CLIENT_CERTIFICATE
    else:
        what += " it speaks no TLS on this port, or only versions before 1.2"
        remedy = "Does the port speak TLS? If not, use ws:// instead of wss://."
    return ConnectError(what, step="tls", side=Side.TARGET, kind="tls", remedy=remedy)


def timed_out(
    options: ConnectOptions, step: str, received: int, refused: Sequence[tuple[str, OSError]] = ()
) -> ConnectError:
    """Return the error of a timeout during `step`, which had brought `received` bytes.

    `refused` are the server's addresses that did not accept a connection, each with its reason.
    """
    where, side = options.where, Side.TARGET
    remedy = "Is it a WebSocket server, and is it alive?"
    if step == "dns":
        what, kind = f"no name server returned an address of {options.uri.host}", "dns-timeout"
        side, remedy = Side.NETWORK, "Check this machine's name resolution (/etc/resolv.conf)."
    elif step == "tcp":
        what, kind, side = f"{where} did not accept the connection", "connect-timeout", Side.NETWORK
        remedy = "Likely causes: a firewall that drops packets, a wrong address, or a full listen queue."
    elif step == "tls":
        what, kind = f"{where} accepted the connection, but did not complete the TLS handshake", "tls-timeout"
        remedy = "Is it a WebSocket server, does the port speak TLS, and is it alive?"
    elif received:
        what, kind = f"{where} sent {received} bytes of an answer, but not all of it", "handshake-timeout"
    else:
        what, kind = f"{where} accepted the connection, but never answered the upgrade request", "handshake-timeout"
    what += f" within {format_seconds(options.connect_timeout_ns)} (timeout){_tried(options, refused)}"
    return ConnectError(what, step=step, side=side, kind=kind, remedy=remedy)


def tls_error(error: ssl.SSLError, options: ConnectOptions, received: bytes = b"") -> ConnectError:
    """Return the error of a failed TLS handshake; `received` are the server's first bytes."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, options)
    where, name = options.where, error.reason or ""
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if any(alert in name for alert in _CLIENT_CERTIFICATE):
        return client_certificate(f"no TLS with {where}: it requires a client certificate ({reason})")
    if name in _PLAIN:
        shown = "".join(chr(b) if 32 <= b < 127 else "·" for b in received[:40])
        what = f"no TLS with {where}: {reason}, because the port speaks plain text{f' ({shown!r})' if shown else ''}"
        return ConnectError(what, step="tls", side=Side.TARGET, kind="no-tls", remedy=NO_TLS_REMEDY)
    meaning, remedy = next((_ALERTS[key] for key in _ALERTS if key in name), ("", ""))
    what = f"no TLS with {where}: {f'{meaning} ({reason})' if meaning else reason}"
    return ConnectError(what, step="tls", side=Side.TARGET, kind="tls", remedy=remedy)


def client_certificate(what: str) -> ConnectError:
    """Return the error of a server that requires a client certificate."""
    return ConnectError(what, step="tls", side=Side.TARGET, kind="client-certificate", remedy=NO_CLIENT_CERTIFICATE)


def _certificate_error(error: ssl.SSLCertVerificationError, options: ConnectOptions) -> ConnectError:
    message, code = error.verify_message.rstrip("."), error.verify_code
    what, kind, remedy = "is not trusted", "certificate", "Give its CA with --ca FILE, or --insecure to skip the check."
    if code == _EXPIRED:
        what, kind = "has expired", "certificate-expired"
        remedy = "Renew the server's certificate; --insecure skips the check. (Is this machine's clock right?)"
    elif code == _NOT_YET_VALID:
        what, kind = "is not valid yet", "certificate-not-yet-valid"
        remedy = "Check the clocks of the server and of this machine; --insecure skips the check."
    elif code in _WRONG_HOST:
        what, kind = f"is not for the host name {options.uri.host}", "certificate-host"
        remedy = (
            "Use the name that the certificate has, or give the server one for this name; --insecure skips the check."
        )
    elif code in (_SELF_SIGNED, _SELF_SIGNED_IN_CHAIN):
        what = "is not trusted: it is self-signed" if code == _SELF_SIGNED else "is not trusted: its CA is not"
    elif code in _NO_ISSUER:
        what = "is not trusted: its issuer is unknown here"
    return ConnectError(
        f"the certificate of {options.where} {what} ({message})", step="tls", side=Side.TARGET, kind=kind, remedy=remedy
    )


def internal(error: Exception) -> ConnectError:
    """Return the error of a fault of wsbench itself."""
    what = f"wsbench failed to connect: {described(error)}"
    return ConnectError(what, step="upgrade", side=Side.GENERATOR, kind=INTERNAL, remedy=REPORT_IT)
