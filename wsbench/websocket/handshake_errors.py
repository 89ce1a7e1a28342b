"""Diagnosis of a response to the upgrade request that violates RFC 6455.

The first sentence names the cause and its evidence; the remedy says what to do.
"""

from __future__ import annotations

from websockets.exceptions import InvalidHeader, InvalidHeaderValue, InvalidStatus, InvalidUpgrade, NegotiationError

from wsbench.errors import HandshakeError, Side, printable
from wsbench.websocket.compression import is_too_small_for_zlib
from wsbench.websocket.connect_errors import NO_CLIENT_CERTIFICATE
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.http_response import HttpResponse, split_head
from wsbench.websocket.refusals import PROXY_REMEDY, Cause, explain_refusal

HEAD_LIMIT = 65_536
"""Longest head that is accepted."""


def diagnose(error: Exception | None, raw: bytes, options: ConnectOptions) -> HandshakeError:
    """Return why the handshake failed, from the protocol's `error` and the `raw` response (perhaps cut)."""
    response = HttpResponse.parse(raw)
    what, kind, remedy, side = _explain(error, response, raw, options)
    return HandshakeError(
        printable(options.secrets.text(f"{options.where} {what}")),
        kind=kind,
        remedy=printable(options.secrets.text(remedy)),
        status=response.status,
        headers=response.headers,
        body=response.body,
        side=side,
    )


def _explain(error: Exception | None, response: HttpResponse, raw: bytes, options: ConnectOptions) -> Cause:
    if not raw:
        return _hung_up(options)
    if response.status is None and not raw.startswith(b"HTTP/1.1"):
        return _not_http(raw)
    if isinstance(error, InvalidStatus) or response.status not in (None, 101):
        return explain_refusal(response, options)
    if isinstance(error, InvalidUpgrade):
        missing = f"{error.name}: {error.value}" if error.value else f"no {error.name} header"
        what = f"answered 101, but with {missing}: a proxy changed the answer, or this is no WebSocket server"
        return Cause(what, "no-upgrade", PROXY_REMEDY)
    if isinstance(error, InvalidHeader) and error.name == "Sec-WebSocket-Accept":
        wrong = "a wrong" if isinstance(error, InvalidHeaderValue) else "no valid"
        value = f" ({error.value})" if error.value else ""
        what = f"answered 101 with {wrong} Sec-WebSocket-Accept{value}: the answer does not belong to our request"
        return Cause(what, "wrong-accept", "This is no WebSocket server, or a cache or proxy replays old answers.")
    if isinstance(error, NegotiationError | InvalidHeader):
        return _not_offered(error, response, options)
    if raw.startswith(b"HTTP/1.0"):
        return _not_http(raw)
    if split_head(raw)[1] is None:
        cut = "does not end its headers" if len(raw) >= HEAD_LIMIT else "broke off in the middle of its answer"
        return Cause(f"{cut}, after {len(raw)} bytes", "handshake-cut", "The server failed: see its log.")
    if response.status == 101:
        what = f"answered 101, but in a head that is not valid HTTP ({error and error.__cause__})"
        return Cause(
            what, "invalid-http", "Fix the server, or the proxy before it: RFC 9112 says what a head may hold."
        )
    return _not_http(raw)


def _hung_up(options: ConnectOptions) -> Cause:
    what = "closed the connection without answering the upgrade request: it is no WebSocket server, or"
    if options.uri.secure:  # then TLS is established
        remedy = f"Is this a WebSocket server? {NO_CLIENT_CERTIFICATE}"
        return Cause(f"{what} it requires a client certificate", "handshake-closed", remedy)
    remedy = "Is this a WebSocket server, and is ws:// (not wss://) the right scheme for its port?"
    return Cause(f"{what} the port speaks TLS", "handshake-closed", remedy)


def _not_offered(error: Exception, response: HttpResponse, options: ConnectOptions) -> Cause:
    """Explain an extension or a subprotocol that was granted but not offered, or not in this form."""
    extensions, subprotocol = response.header("sec-websocket-extensions"), response.header("sec-websocket-protocol")
    if extensions is not None and is_too_small_for_zlib(extensions, options.compression):
        what = "granted client_max_window_bits=8, as the offer allows, but with which zlib cannot compress here"
        remedy = "Let the server grant 9, or do not offer it: --compression 'server_no_context_takeover', for example."
        return Cause(what, "zlib-limit", remedy, Side.GENERATOR)
    # The protocol object checks extensions first.
    if extensions is not None and (subprotocol is None or "subprotocol" not in str(error)):
        name, header, offered, option = "extension", "Extensions", options.compression != "off", "--compression"
    else:
        name, header, offered, option = "subprotocol", "Protocol", bool(options.subprotocols), "--subprotocol"
    granted = extensions if header == "Extensions" else subprotocol
    what = f"granted {'an' if header == 'Extensions' else 'a'} {name} that was not offered{' in this form' * offered}"
    what += f" (Sec-WebSocket-{header}: {granted}{f'; {error}' if offered else ''})"
    return Cause(
        what, "negotiation", f"RFC 6455 (4.1) makes clients refuse that: offer it ({option}) or fix the server."
    )


def _not_http(raw: bytes) -> Cause:
    if raw[:1] == b"\x15" or raw[:2] == b"\x16\x03":
        return Cause("speaks TLS on this port", "tls-expected", "Use wss:// instead of ws://.")
    if raw.startswith(b"HTTP/1.0"):
        what = "answered with HTTP/1.0, which has no upgrade: the server, or a proxy before it, speaks no HTTP/1.1"
        return Cause(what, "http-1.0", PROXY_REMEDY)
    if raw[3:5] == b"\x04\x00" and len(raw) >= 9:  # a SETTINGS frame: the first one of an HTTP/2 server
        return Cause("speaks HTTP/2 only", "not-http", "Use a port on which the server speaks HTTP/1.1.")
    shown = "".join(chr(b) if 32 <= b < 127 else "·" for b in raw[:60])
    what = f"did not answer the upgrade request with HTTP/1.1, but with {shown!r}: it is no WebSocket server"
    return Cause(what, "not-http", "Is this a WebSocket server?")
