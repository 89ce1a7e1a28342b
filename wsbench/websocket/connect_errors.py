"""Why a connection did not even get an answer to its upgrade request: name, TCP, TLS, time. In words."""

from __future__ import annotations

import errno
import ssl

from wsbench.errors import ConnectError, Side
from wsbench.websocket.handshake import ConnectOptions

_PLAIN = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_MESSAGE",
    "PACKET_LENGTH_TOO_LONG",
)
NO_TLS_REMEDY = "The port seems to speak no TLS: use ws:// instead of wss://."
_ALERTS = {
    "CERTIFICATE_REQUIRED": (
        "it wants a client certificate, of which wsbench has none",
        "Reach it where it wants none.",
    ),
    "HANDSHAKE_FAILURE": (
        "there is no version and cipher that both sides accept, or it wants a client certificate",
        "Let the server speak TLS 1.2 or 1.3.",
    ),
    "PROTOCOL_VERSION": ("it speaks too old a version of TLS", "Let the server speak TLS 1.2 or 1.3."),
    "UNSUPPORTED_PROTOCOL": ("it speaks too old a version of TLS", "Let the server speak TLS 1.2 or 1.3."),
    "UNRECOGNIZED_NAME": ("it serves no such host name", "Use the name that its certificate has."),
    "NO_APPLICATION_PROTOCOL": ("it speaks no HTTP/1.1 there", "Let it offer http/1.1 (ALPN): WebSocket needs that."),
}
# OpenSSL's X509_V_ERR_*
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN = 9, 10, 18, 19
_NO_ISSUER = (2, 20, 21)
_WRONG_HOST = (62, 64)


def unknown_host(host: str, error: Exception) -> ConnectError:
    """The name has no address."""
    return ConnectError(
        f"the host {host} is unknown ({getattr(error, 'strerror', None) or error})",
        step="dns",
        side=Side.NETWORK,
        kind="unknown-host",
        remedy="Check the spelling of the URL and this machine's name resolution.",
    )


def tcp_error(options: ConnectOptions, error: OSError) -> ConnectError:
    """No TCP connection came about."""
    where = options.where
    if error.errno == errno.ECONNREFUSED:
        return ConnectError(
            f"nothing listens on {where} (connection refused)",
            step="tcp",
            side=Side.TARGET,
            kind="refused",
            remedy="Is the server running, and is this its port?",
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ConnectError(
            "this process may open no more files",
            step="tcp",
            side=Side.GENERATOR,
            kind="descriptors",
            remedy="Raise the limit (ulimit -n), or use more --processes.",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EADDRINUSE):
        return ConnectError(
            f"this machine has no source port left towards {where}",
            step="tcp",
            side=Side.GENERATOR,
            kind="ports",
            remedy="Spread over several addresses of this machine (--source-ip), or use fewer connections.",
        )
    reason = error.strerror or str(error)
    return ConnectError(f"no connection to {where}: {reason}", step="tcp", side=Side.NETWORK, kind="unreachable")


def not_of_one_family(options: ConnectOptions, source: str) -> ConnectError:
    """Our source address is of another kind than the server's."""
    return ConnectError(
        f"{options.where} cannot be reached from {source}: one is IPv4, the other IPv6",
        step="tcp",
        side=Side.GENERATOR,
        kind="source-ip",
        remedy="Give a --source-ip of the server's kind, or none.",
    )


def broken(options: ConnectOptions, step: str, error: OSError) -> ConnectError:
    """The connection broke amid a step, "tls" or "upgrade"."""
    reason = error.strerror or str(error)
    during = "the TLS handshake" if step == "tls" else "the upgrade"
    return ConnectError(
        f"{options.where} broke the connection during {during}: {reason}",
        step=step,
        side=Side.TARGET,
        kind="handshake-reset",
        remedy="The server, or a firewall or proxy in between, broke off: see its log.",
    )


def closed_during_tls(options: ConnectOptions) -> ConnectError:
    """The server ended the stream before TLS stood."""
    return ConnectError(
        f"{options.where} closed the connection during the TLS handshake: maybe it speaks no TLS on this port",
        step="tls",
        side=Side.TARGET,
        kind="tls",
        remedy="Does the port speak TLS? If not, use ws:// instead of wss://.",
    )


def timed_out(options: ConnectOptions, step: str, received: int) -> ConnectError:
    """A step, and the `received` bytes that it had brought, when time was over."""
    waited = f"{options.connect_timeout_ns / 1e9:g} s"
    if step == "dns":
        return ConnectError(
            f"no name server told the address of {options.uri.host} within {waited} (timeout)",
            step=step,
            side=Side.NETWORK,
            kind="dns-timeout",
            remedy="Check this machine's name resolution (/etc/resolv.conf).",
        )
    if step == "tcp":
        return ConnectError(
            f"{options.where} did not accept the connection within {waited} (timeout)",
            step=step,
            side=Side.NETWORK,
            kind="connect-timeout",
            remedy="A firewall that drops packets, a wrong address, or a full listen queue.",
        )
    if step == "tls":
        what, kind = "accepted the connection, but did not complete the TLS handshake", "tls-timeout"
    elif received:
        what, kind = f"sent {received} bytes of an answer, but not all of it", "handshake-timeout"
    else:
        what, kind = "accepted the connection, but never answered the upgrade request", "handshake-timeout"
    return ConnectError(
        f"{options.where} {what} within {waited} (timeout)",
        step=step,
        side=Side.TARGET,
        kind=kind,
        remedy=f"Is it a WebSocket server, {'does the port speak TLS, ' * (step == 'tls')}and is it alive?",
    )


def tls_error(error: ssl.SSLError, options: ConnectOptions, received: bytes = b"") -> ConnectError:
    """Why TLS did not come about; `received` is what came first."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, options)
    where, name = options.where, error.reason or ""
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if name in _PLAIN:
        shown = "".join(chr(b) if 32 <= b < 127 else "·" for b in received[:40])
        what = f"no TLS with {where}: {reason}, for the port speaks plain text{f' ({shown!r})' if shown else ''}"
        return ConnectError(what, step="tls", side=Side.TARGET, kind="no-tls", remedy=NO_TLS_REMEDY)
    meaning, remedy = next((_ALERTS[key] for key in _ALERTS if key in name), ("", ""))
    what = f"no TLS with {where}: {f'{meaning} ({reason})' if meaning else reason}"
    return ConnectError(what, step="tls", side=Side.TARGET, kind="tls", remedy=remedy)


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
        what = "is not trusted, for it is self-signed" if code == _SELF_SIGNED else "is not trusted, nor is its CA"
    elif code in _NO_ISSUER:
        what = "is not trusted: its issuer is unknown here"
    return ConnectError(
        f"the certificate of {options.where} {what} ({message})", step="tls", side=Side.TARGET, kind=kind, remedy=remedy
    )
