"""Findings of a probe: faults of the server that did not stop it. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from wsbench.probe.certificate import ServerCertificate, utc_now
from wsbench.probe.document import Close, EchoResult, Probe, ProbeFinding, Upgrade
from wsbench.units import format_seconds
from wsbench.websocket.connect_options import ConnectOptions

_SOON = timedelta(days=14)
_CLOSED = {
    1003: "It does not accept this kind of message: send the right one with --payload-file or --binary.",
    1006: "It broke the connection: see its log, or that of a proxy before it.",
    1007: "It does not accept the content of the message: send the right one with --payload-file.",
    1008: "It refuses the message or its sender: send the right one (--payload-file), or credentials (--header).",
    1009: "The message is too long for it: send a shorter one.",
    1011: "The server failed: see its log.",
    1012: "The server restarts: try again.",
    1013: "The server is overloaded: try again later.",
}


def close_remedy(code: int) -> str:
    """Return the remedy for a server's close code (RFC 6455, 7.4, and IANA's registry)."""
    if 4000 <= code < 5000:
        return "The code is the application's own: see its documentation."
    return _CLOSED.get(code, "See the server's log for why.")


def findings_of(result: Probe, step: str, options: ConnectOptions, timeout_ns: int) -> Iterator[ProbeFinding]:
    """Yield the findings of a successful step; `timeout_ns` is that of each step after the upgrade."""
    waited = format_seconds(timeout_ns)
    if step == "tcp" and result.tcp is not None and result.tcp.refused:
        yield ProbeFinding(
            "address-refused",
            f"{options.uri.host} has addresses that accept no connection ({'; '.join(result.tcp.refused)})",
            "They delay every client that tries them first: let the server listen there, or remove them from the name.",
        )
    if step == "tls" and result.tls is not None and result.tls.certificate is not None:
        yield from _of_certificate(result.tls.certificate, options)
    if step == "upgrade" and result.upgrade is not None:
        yield from _of_response(result.upgrade, options)
    if step == "echo" and result.echo is not None:
        yield from _of_echo(result.echo, waited)
    if step == "ping" and result.ping is not None and result.ping.service_ns is None:
        yield ProbeFinding(
            "no-pong",
            f"the ping was not answered within {waited}",
            "RFC 6455 (5.5.3) requires a pong: fix the server; clients that send pings will consider it dead.",
        )
    if step == "close" and result.close is not None:
        yield from _of_close(result.close, waited)


def _of_certificate(certificate: ServerCertificate, options: ConnectOptions) -> Iterator[ProbeFinding]:
    now = utc_now()
    faults = certificate.faults(options.uri.host, now)
    if faults:
        yield ProbeFinding(
            "certificate",
            f"the certificate was not checked (--insecure), and it {' and '.join(faults)}",
            "Other clients will refuse it.",
        )
    elif certificate.not_after - now < _SOON:
        yield ProbeFinding(
            "certificate-expires",
            f"the certificate expires on {certificate.not_after:%Y-%m-%d %H:%M} UTC",
            "Renew it in time.",
        )


def _of_response(upgrade: Upgrade, options: ConnectOptions) -> Iterator[ProbeFinding]:
    if upgrade.faults:
        yield ProbeFinding(
            "invalid-http",
            f"in the head of the response, {' and '.join(upgrade.faults)}",
            "Some clients refuse that (RFC 9112, 2.2 and 4): fix the server, or a proxy that changed it.",
        )
    if options.compression != "off" and upgrade.extensions is None:
        yield ProbeFinding(
            "no-compression",
            "compression was requested but not granted",
            "Switch permessage-deflate on in the server, and in a proxy that drops Sec-WebSocket-Extensions.",
        )
    if options.subprotocols and upgrade.subprotocol is None:
        yield ProbeFinding(
            "no-subprotocol",
            f"none of the requested subprotocols was granted ({options.secrets.text(', '.join(options.subprotocols))})",
            "Browsers fail such a connection: let the server choose one of them.",
        )


def _of_echo(echo: EchoResult, waited: str) -> Iterator[ProbeFinding]:
    if not echo.echoed:
        other = f"; the first message that it sent was '{echo.first_other}'" if echo.others else ""
        yield ProbeFinding(
            "no-echo",
            f"the server did not echo the message within {waited}, but stayed open{other}",
            "That is right for a server that is no echo server; `wsbench run` would count every message to it as lost.",
        )
    elif not echo.identical:
        yield ProbeFinding(
            "echo-changed",
            f"the message came back changed: {echo.difference}",
            "Nothing to fix if this is intended; clients that compare bytes will notice.",
        )


def _of_close(close: Close, waited: str) -> Iterator[ProbeFinding]:
    if close.received_code is None:
        how = "ended the connection instead" if close.tcp_ended else f"did not answer it within {waited}"
        yield ProbeFinding(
            "close-unanswered",
            f"the server received a close frame, and {how}",
            "RFC 6455 (5.5.1) requires a close frame back: fix the server, or a proxy that cuts connections.",
        )
    elif close.received_code != close.sent_code:
        reason = f" ({close.reason!r})" if close.reason else ""
        yield ProbeFinding(
            "close-code",
            f"the server answered the close code {close.sent_code} with {close.received_code}{reason}",
            "Servers usually send back the code that they received.",
        )
    if close.received_code is not None and not close.tcp_ended:
        yield ProbeFinding(
            "tcp-left-open",
            "the server answered the close frame, but left the TCP connection open",
            "It should end TCP at once (RFC 6455, 7.1.1): open connections cost it descriptors.",
        )
