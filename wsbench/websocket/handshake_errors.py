"""Diagnosis of a response to the upgrade request that violates RFC 6455.

The first sentence names the cause and its evidence; the remedy says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urljoin

from websockets.exceptions import InvalidHeader, InvalidHeaderValue, InvalidStatus, InvalidUpgrade, NegotiationError

from wsbench.errors import HandshakeError, printable
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.http_response import HttpResponse

_NGINX = (
    "nginx needs proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and "
    'proxy_set_header Connection "upgrade".'
)
_PROXY = f"a proxy that dropped the Upgrade and Connection headers is the likely cause; {_NGINX}"
PROXY_REMEDY = f"Let the proxy use HTTP/1.1 and pass on the Upgrade and Connection headers; {_NGINX}"
HEAD_LIMIT = 65_536
"""Longest head that is accepted."""

_HTTPS_PORT = re.compile(rb"HTTPS port|HTTP request to an HTTPS|plain HTTP to an SSL|speaks? TLS|requires? TLS", re.I)
_OLD_HTTP = re.compile(rb"HTTP/1\.0|HTTP version", re.IGNORECASE)
_NO_UPGRADE = re.compile(
    rb"upgrade[ \"'`-]*(?:header|hdr|required)|(?:connection|upgrade)[\"']? (?:header|hdr|must)|"
    rb"connection upgrade|only to [\"']?websocket|not a? ?websocket|speaks WebSocket|expected? .{0,20}upgrade|"
    rb"missing .{0,20}(?:upgrade|connection)",
    re.IGNORECASE,
)
_ORIGIN = re.compile(rb"origin|cors|cross-site", re.IGNORECASE)


class Cause(NamedTuple):
    """Cause of a refusal; `what` completes a sentence about the server."""

    what: str
    kind: str
    remedy: str


def diagnose(error: Exception | None, raw: bytes, options: ConnectOptions) -> HandshakeError:
    """Return why the handshake failed, from the protocol's `error` and the `raw` response (perhaps cut)."""
    response = HttpResponse.parse(raw)
    what, kind, remedy = _explain(error, response, raw, options)
    return HandshakeError(
        printable(options.secrets.text(f"{options.where} {what}")),
        kind=kind,
        remedy=printable(options.secrets.text(remedy)),
        status=response.status,
        headers=response.headers,
        body=response.body,
    )


def _explain(error: Exception | None, response: HttpResponse, raw: bytes, options: ConnectOptions) -> Cause:
    if not raw:
        return Cause(
            "closed the connection without answering the upgrade request: "
            f"it is no WebSocket server, or the port speaks {'no ' if options.uri.secure else ''}TLS",
            "handshake-closed",
            "Is this a WebSocket server, and is ws:// (or wss://) the right scheme for its port?",
        )
    if response.status is None and not raw.startswith(b"HTTP/1.1"):
        return _not_http(raw)
    if isinstance(error, InvalidStatus) or response.status not in (None, 101):
        return _rejected(response, options)
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
    if b"\r\n\r\n" not in raw:
        cut = "does not end its headers" if len(raw) >= HEAD_LIMIT else "broke off in the middle of its answer"
        return Cause(f"{cut}, after {len(raw)} bytes", "handshake-cut", "The server failed: see its log.")
    return _not_http(raw)


def _not_offered(error: Exception, response: HttpResponse, options: ConnectOptions) -> Cause:
    """Explain an extension or a subprotocol that was granted but not offered, or not in this form."""
    extensions, subprotocol = response.header("sec-websocket-extensions"), response.header("sec-websocket-protocol")
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


# -- an HTTP answer other than 101 -------------------------------------------------------------------------------------


def _rejected(response: HttpResponse, options: ConnectOptions) -> Cause:
    what, kind, remedy = next(filter(None, (rule(response, options) for rule in _RULES)), _REFUSED)
    path = options.uri.resource_name
    what = f"answered {response.phrase} to the upgrade request for {path}: {what}{response.excerpt}"
    return Cause(what, kind, remedy)


def _redirected(response: HttpResponse, options: ConnectOptions) -> Cause | None:
    location = response.header("location")
    if response.status not in (301, 302, 303, 307, 308) or not location:
        return None
    here = f"{'https' if options.uri.secure else 'http'}://{options.where}{options.uri.resource_name}"
    target = urljoin(here, location)
    there = "ws" + target.removeprefix("http") if target.startswith("http") else target
    what = "it redirects, which WebSocket clients do not follow"
    return Cause(what, "redirected", f"Use the URL it points to: {there}")


def _wants_tls(response: HttpResponse, options: ConnectOptions) -> Cause | None:
    if options.uri.secure or not _HTTPS_PORT.search(response.body):
        return None
    return Cause("this port speaks TLS", "tls-expected", "Use wss:// instead of ws://.")


def _wants_another_version(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    offered = response.header("sec-websocket-version")
    if offered is None or response.status in (401, 403):
        return None
    if "13" not in re.findall(r"\d+", offered):
        what = f"it refuses version 13 of the protocol, and supports {offered or 'no version that it names'}"
        return Cause(what, "version", "The server is older than RFC 6455, or no WebSocket server: update it.")
    if response.status != 426 and not _is_client_error(response):
        return None
    proxy = f"a proxy{_called(response)} dropped or changed its headers"
    what = f"it did not receive the handshake as we sent it (version 13, Upgrade, Connection): {proxy}"
    return Cause(what, "no-upgrade", PROXY_REMEDY)


def _refuses_the_client(response: HttpResponse, options: ConnectOptions) -> Cause | None:
    if response.status == 407:
        return Cause("a proxy wants authentication", "unauthorized", "Send --header 'Proxy-Authorization: ...'.")
    if response.status == 401:
        sent = options.uri.user_info is not None or any(name.lower() == "authorization" for name, _ in options.headers)
        what = "it refuses the credentials (authentication)" if sent else "authentication is missing"
        return Cause(what, "unauthorized", f"Send credentials{' that it takes' * sent}: --header 'Authorization: ...'.")
    if response.status == 403 or (_is_client_error(response) and _ORIGIN.search(response.body)):
        return _forbidden(response, options)
    if response.status == 429:
        return Cause("it limits the rate of connections", "rejected", "Wait, or raise its limit.")
    return None


def _forbidden(response: HttpResponse, options: ConnectOptions) -> Cause:
    sent = next((value for name, value in options.headers if name.lower() == "origin"), options.origin)
    origin = f"the origin {sent}" if sent is not None else "a request without an Origin header"
    certain = bool(_ORIGIN.search(response.body))
    what = f"it refuses {origin}" if certain else f"it refuses {origin}, or the credentials"
    other = "another --origin" if sent is not None else f"--origin https://{options.uri.host}"
    remedy = f"Try {other} or a --header with credentials; ASGI servers also answer 403 to a wrong path."
    return Cause(what, "forbidden", remedy)


def _unavailable(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    if response.status not in (502, 503, 504):
        return None
    what = "the server, or the one behind its proxy, is down or overloaded"
    return Cause(what, "unavailable", "See the log of the server, or of the one behind its proxy.")


def _missed_our_headers(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    """Explain a response that itself says that the Upgrade headers did not arrive."""
    if response.status == 505 or (_is_client_error(response) and _OLD_HTTP.search(response.body)):
        what = f"a proxy{_called(response)} passed the request on as HTTP/1.0, which has no upgrade"
        return Cause(what, "no-upgrade", PROXY_REMEDY)
    if response.status == 426 or (_is_client_error(response) and _NO_UPGRADE.search(response.body)):
        what = f"the Upgrade and Connection headers did not reach it: a proxy{_called(response)} dropped them"
        return Cause(what, "no-upgrade", PROXY_REMEDY)
    return None


def _knows_no_such_path(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    if response.status not in (404, 410):
        return None
    what = "it has no such path"
    if response.proxy:
        what += f", or the proxy {response.proxy} dropped the Upgrade and Connection headers"
    return Cause(what, "not-found", f"Check the path of the URL; if it is right, {_PROXY}")


def _failed(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    if (response.status or 0) < 500 or response.status == 501:
        return None
    if response.proxy:
        what = f"the server failed, as some do when a proxy ({response.proxy}) drops the Upgrade and Connection headers"
        return Cause(what, "rejected", f"See the log of the server behind the proxy; without an entry there, {_PROXY}")
    return Cause("the server failed on it", "rejected", "The server failed on the request: see its log.")


def _is_a_web_server(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    if not (response.status in (200, 400, 426) or response.header("upgrade") is None):
        return None
    dropped = f"a proxy{_called(response)} dropped the Upgrade and Connection headers"
    if (response.status or 0) < 300:
        what = f"plain HTTP, as from a web server: there is no WebSocket at this path, or {dropped}"
    elif response.is_plain_text:
        what = f"it refuses the request for the reason in its body, or {dropped}"
    else:
        what = f"it saw no WebSocket handshake: it is a plain HTTP server, or {dropped}"
    return Cause(what, "no-upgrade", f"Check port and path of the URL; if they are right, {_PROXY}")


_RULES: tuple[Callable[[HttpResponse, ConnectOptions], Cause | None], ...] = (
    _redirected,
    _wants_tls,
    _wants_another_version,
    _refuses_the_client,
    _unavailable,
    _missed_our_headers,
    _knows_no_such_path,
    _failed,
    _is_a_web_server,
)
"""In this order: the strongest evidence first."""
_REFUSED = Cause("it refused the upgrade", "rejected", "The server refused the upgrade: see its log.")


def _is_client_error(response: HttpResponse) -> bool:
    return 400 <= (response.status or 0) < 500


def _called(response: HttpResponse) -> str:
    return f" ({response.proxy})" if response.proxy else ""
