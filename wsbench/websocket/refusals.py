"""Causes of an HTTP response other than 101: rules on its status, headers and body."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urljoin

from wsbench.errors import Side
from wsbench.websocket.connect_errors import NO_CLIENT_CERTIFICATE
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.http_response import HttpResponse

_NGINX = (
    "nginx needs proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and "
    'proxy_set_header Connection "upgrade".'
)
_PROXY = f"a proxy that dropped the Upgrade and Connection headers is the likely cause; {_NGINX}"
PROXY_REMEDY = f"Let the proxy use HTTP/1.1 and pass on the Upgrade and Connection headers; {_NGINX}"
_HTTPS_PORT = re.compile(rb"HTTPS port|HTTP request to an HTTPS|plain HTTP to an SSL|speaks? TLS|requires? TLS", re.I)
_CLIENT_CERTIFICATE = re.compile(
    rb"client certificate|(?:SSL|TLS) certificate (?:was sent|error|required)|certificate (?:is )?required",
    re.IGNORECASE,
)
_OLD_HTTP = re.compile(rb"HTTP/1\.0|HTTP version", re.IGNORECASE)
_NO_UPGRADE = re.compile(
    rb"upgrade[ \"'`-]*(?:header|hdr|required)|(?:connection|upgrade)[\"']? (?:header|hdr|must)|"
    rb"connection upgrade|only to [\"']?websocket|not a? ?websocket|speaks WebSocket|expected? .{0,20}upgrade|"
    rb"missing .{0,20}(?:upgrade|connection)",
    re.IGNORECASE,
)
_ORIGIN = re.compile(rb"origin|cors|cross-site", re.IGNORECASE)
_ASGI_SERVERS = re.compile(r"uvicorn|hypercorn|daphne|granian", re.IGNORECASE)


class Cause(NamedTuple):
    """Cause of a refusal; `what` completes a sentence about the server."""

    what: str
    kind: str
    remedy: str
    side: Side = Side.TARGET


def explain_refusal(response: HttpResponse, options: ConnectOptions) -> Cause:
    """Return why the server answered with another status than 101."""
    cause = next(filter(None, (rule(response, options) for rule in _RULES)), _REFUSED)
    answered = f"answered {response.phrase} to the upgrade request for {options.uri.resource_name}"
    return cause._replace(what=f"{answered}: {cause.what}{response.excerpt}")


def _is_interim(response: HttpResponse, options: ConnectOptions) -> Cause | None:  # noqa: ARG001
    if (response.status or 0) >= 200:
        return None
    return Cause("it is an interim response, and no other followed", "handshake-cut", "The server failed: see its log.")


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


def _wants_a_client_certificate(response: HttpResponse, options: ConnectOptions) -> Cause | None:
    if not options.uri.secure or not _is_client_error(response) or not _CLIENT_CERTIFICATE.search(response.body):
        return None
    return Cause("it requires a client certificate", "client-certificate", NO_CLIENT_CERTIFICATE)


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
        return _unauthorized(_credentials(options))
    if response.status == 403 or (_is_client_error(response) and _ORIGIN.search(response.body)):
        return _forbidden(response, options)
    if response.status == 429:
        return Cause("it limits the rate of connections", "rejected", "Wait, or raise its limit.")
    return None


def _unauthorized(sent: list[str]) -> Cause:
    if not sent:
        return Cause("authentication is missing", "unauthorized", "Send credentials: --header 'Authorization: ...'.")
    remedy = "Are they valid, and where the server looks for them? Others: --header 'Authorization: ...'."
    return Cause(f"it refuses the credentials ({', '.join(sent)})", "unauthorized", remedy)


def _credentials(options: ConnectOptions) -> list[str]:
    """Return where the request has credentials, as far as names show it."""
    query = [each.partition("=")[0] for each in options.uri.query.split("&")]
    return [
        *(["user and password of the URL"] if options.uri.user_info is not None else []),
        *(f"the header {name}" for name, _ in options.headers if options.secrets.named(name)),
        *(f"{name} in the query" for name in map(unquote, query) if options.secrets.named(name)),
    ]


def _forbidden(response: HttpResponse, options: ConnectOptions) -> Cause:
    sent = next((value for name, value in options.headers if name.lower() == "origin"), options.origin)
    origin = f"the origin {sent}" if sent is not None else "a request without an Origin header"
    other = "another --origin" if sent is not None else f"--origin https://{options.uri.host}"
    others = f"{other} or a --header with credentials"
    if _ORIGIN.search(response.body):
        return Cause(f"it refuses {origin}", "forbidden", f"Try {other}.")
    if _is_of_asgi(response):
        what = f"it refuses {origin}, the path or the credentials"
        remedy = f"ASGI servers answer so to any of them: check the path, then try {others}."
        return Cause(what, "forbidden", remedy)
    return Cause(f"it refuses {origin}, or the credentials", "forbidden", f"Try {others}.")


def _is_of_asgi(response: HttpResponse) -> bool:
    """Return whether a 403 may be an ASGI server's, whose application closed before it accepted: it has no body."""
    server = response.header("server")
    known = server is None or _ASGI_SERVERS.search(server) is not None
    return known and not response.body and response.header("sec-websocket-version") is None


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
    if response.header("server") == "uvicorn":
        what += ", or its uvicorn has no WebSocket library"
        remedy = "Check the path of the URL; if it is right, see uvicorn's log: pip install 'uvicorn[standard]'."
        return Cause(what, "not-found", remedy)
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
    _is_interim,
    _redirected,
    _wants_tls,
    _wants_a_client_certificate,
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
