"""The opening handshake: what we ask for, and a diagnosis in words when the answer is not what RFC 6455 wants."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
)
from websockets.http11 import Request
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from wsbench.errors import ConnectError, HandshakeError, Side, UsageError
from wsbench.wire.compression import parse_compression
from wsbench.wire.sources import SourceRange

_PROXY = (
    "a proxy that dropped the Upgrade and Connection headers is the likely cause; nginx needs proxy_http_version 1.1, "
    'proxy_set_header Upgrade $http_upgrade and proxy_set_header Connection "upgrade".'
)
PROXY_REMEDY = _PROXY[0].upper() + _PROXY[1:]
HEAD_LIMIT = 65_536
"""A longer head is no answer."""
_BODY_START = 200


@dataclass(frozen=True)
class ConnectOptions:
    """What a connection asks for. Immutable, one for all connections of a run.

    Attributes:
        url: ws:// or wss:// URL.
        headers: extra headers of the upgrade request, in order.
        compression: 'off', 'on' or permessage-deflate parameters.
        max_size: the longest message accepted, in bytes.
        message_size: of the messages that will be sent, as far as known.
        sources: addresses to connect from, in turn; none for the system's choice.
        resume_tls: whether later connections resume the TLS session of an earlier one.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    compression: str = "off"
    ca_file: str | None = None
    insecure: bool = False
    timeout_ns: int = 10_000_000_000
    max_size: int = 64 * 1024 * 1024
    message_size: int = 16_384
    sources: tuple[SourceRange, ...] = ()
    resume_tls: bool = False
    uri: WebSocketURI = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", parse_url(self.url))

    @property
    def where(self) -> str:
        """host:port, for people."""
        return f"{self.uri.host}:{self.uri.port}"


@dataclass(frozen=True)
class Negotiated:
    """What the server granted, read from the handshake."""

    compression: str | None = None
    subprotocol: str | None = None
    tls_version: str | None = None
    tls_cipher: str | None = None


def parse_url(url: str) -> WebSocketURI:
    """The parts of a WebSocket URL.

    Raises:
        UsageError: not a ws:// or wss:// URL; an http(s) one is told its WebSocket form.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        better = ("ws" if scheme.lower() == "http" else "wss") + "://" + rest
        raise UsageError(f"{url} is an HTTP URL, not a WebSocket one", remedy=f"Use {better} instead.")
    try:
        uri = parse_uri(url)
        # parse_uri takes port 0 for none at all
        valid = bool(uri.host) and 0 < uri.port < 65536 and urlsplit(url).port != 0
    except (InvalidURI, ValueError):
        valid = False
    if not valid:
        raise UsageError(f"{url!r} is not a WebSocket URL", remedy="Use for example ws://127.0.0.1:8765/echo.")
    return uri


def parse_header(text: str) -> tuple[str, str]:
    """Name and value of 'Name: value'.

    Raises:
        ValueError: no colon, no name, or a line break.
    """
    name, colon, value = text.partition(":")
    name = name.strip()
    if not colon or not name or not name.isascii() or any(c.isspace() for c in name):
        raise ValueError(f"{text!r} is not a header: use 'Name: value'")
    if "\r" in value or "\n" in value:
        raise ValueError(f"the header {name} has a line break in its value")
    return name, value.strip()


def new_protocol(options: ConnectOptions) -> tuple[ClientProtocol, Request]:
    """A protocol object for one connection, and the upgrade request to send through it."""
    offer = parse_compression(options.compression, message_size=options.message_size)
    protocol = ClientProtocol(
        options.uri,
        origin=Origin(options.origin) if options.origin is not None else None,
        extensions=[offer] if offer else None,
        subprotocols=[Subprotocol(name) for name in options.subprotocols] or None,
        max_size=options.max_size,
    )
    request = protocol.connect()
    for name, value in options.headers:
        # Host and Authorization of one's own replace ours; anything else is added, repeats included.
        if name.lower() in ("host", "authorization", "origin") and name in request.headers:
            del request.headers[name]
        request.headers[name] = value
    return protocol, request


@dataclass(frozen=True)
class Reply:
    """An HTTP answer as far as it came. `status` is None when it is not HTTP."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Reply:
        """Read the head leniently: this is for telling a person what came, not for deciding anything."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if not first.startswith("HTTP/") or len(words) < 2 or not re.fullmatch("[0-9]{3}", words[1]):
            return cls(None, (), raw[:_BODY_START])
        pairs = (line.partition(":") for line in lines if ":" in line)
        return cls(int(words[1]), tuple((name.strip(), value.strip()) for name, _, value in pairs), body[:_BODY_START])

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def granted(self) -> str:
        """The headers by which a server grants something."""
        names = ("sec-websocket-extensions", "sec-websocket-protocol")
        return ", ".join(f"{key}: {value}" for key, value in self.headers if key.lower() in names)

    @property
    def phrase(self) -> str:
        """'404 Not Found'."""
        try:
            return f"{self.status} {HTTPStatus(self.status or 0).phrase}"
        except ValueError:
            return str(self.status)

    @property
    def excerpt(self) -> str:
        """What came back, short enough for an error line: telling headers and the start of the body."""
        telling = [f"{k}: {v}" for k, v in self.headers if k.lower() in ("server", "content-type", "location")]
        text = " ".join(self.body.decode("utf-8", "replace").split())[:100]
        shown = "".join(c if c.isprintable() else "·" for c in text)
        parts = [*telling, *([f"body {shown!r}"] if shown else [])]
        return f" ({', '.join(parts)})" if parts else ""


def diagnose(error: Exception | None, raw: bytes, options: ConnectOptions) -> HandshakeError:
    """Why the handshake failed, in words: `error` is the protocol's own, `raw` what came back (maybe cut)."""
    reply = Reply.parse(raw)
    what, kind, remedy, side = _explain(error, reply, raw, options)
    return HandshakeError(
        what, kind=kind, side=side, remedy=remedy, status=reply.status, headers=reply.headers, body=reply.body
    )


def _explain(error: Exception | None, reply: Reply, raw: bytes, options: ConnectOptions) -> tuple[str, str, str, Side]:
    target, where = Side.TARGET, options.where
    if not raw:
        return (
            f"{where} closed the connection without answering the upgrade request",
            "handshake-closed",
            "Is this a WebSocket server, and is ws:// (or wss://) the right scheme for its port?",
            target,
        )
    if reply.status is None and not raw.startswith(b"HTTP/1.1"):
        return _not_http(raw, where)
    if isinstance(error, InvalidStatus) or reply.status not in (None, 101):
        return _rejected(reply, options)
    if isinstance(error, InvalidUpgrade):
        missing = f"{error.name}: {error.value}" if error.value else f"no {error.name} header"
        return f"{where} answered 101, but with {missing}", "no-upgrade", PROXY_REMEDY, target
    if isinstance(error, InvalidHeader) and error.name == "Sec-WebSocket-Accept":
        wrong = "a wrong" if isinstance(error, InvalidHeaderValue) else "no valid"
        return (
            f"{where} answered 101 with {wrong} Sec-WebSocket-Accept{f' ({error.value})' if error.value else ''}",
            "wrong-accept",
            "The answer does not belong to our request: no WebSocket server, or a cache or proxy that replays answers.",
            target,
        )
    if isinstance(error, NegotiationError | InvalidHeader):
        return (
            f"{where} granted what was not asked for ({reply.granted})",
            "negotiation",
            "RFC 6455 (4.1) makes a client refuse that; ask for it (--compression, --subprotocol) or mend the server.",
            target,
        )
    if b"\r\n\r\n" not in raw:
        cut = "does not end its headers" if len(raw) >= HEAD_LIMIT else "closed the connection amid its answer"
        return f"{where} {cut}, after {len(raw)} bytes", "handshake-cut", "The server failed: see its log.", target
    return _not_http(raw, where)


def _not_http(raw: bytes, where: str) -> tuple[str, str, str, Side]:
    if raw[:1] == b"\x15" or raw[:2] == b"\x16\x03":
        return f"{where} speaks TLS", "tls-expected", "Use wss:// instead of ws://.", Side.TARGET
    if raw.startswith(b"HTTP/1.0"):
        return f"{where} answered with HTTP/1.0, which has no upgrade", "http-1.0", PROXY_REMEDY, Side.TARGET
    shown = "".join(chr(b) if 32 <= b < 127 else "·" for b in raw[:60])
    return (
        f"{where} did not answer the upgrade request with HTTP/1.1, but with {shown!r}",
        "not-http",
        "Is this a WebSocket server?",
        Side.TARGET,
    )


def _rejected(reply: Reply, options: ConnectOptions) -> tuple[str, str, str, Side]:
    path = options.uri.resource_name
    what = f"{options.where} answered {reply.phrase} to the upgrade request for {path}{reply.excerpt}"
    status = reply.status or 0
    location = reply.header("location")
    if status in (301, 302, 303, 307, 308) and location:
        return what, "redirected", f"Use the URL it points to: {_as_ws(location)}", Side.TARGET
    if status == 401:
        return what, "unauthorized", "Send credentials: --header 'Authorization: ...'.", Side.TARGET
    if status == 403:
        return what, "forbidden", "The origin or credentials are refused: try --origin or --header.", Side.TARGET
    if status in (502, 503, 504):
        return what, "unavailable", "The server, or the one behind its proxy, is down or overloaded.", Side.TARGET
    if status == 404:
        return what, "not-found", f"Check the path of the URL; if it is right, {_PROXY}", Side.TARGET
    if b"HTTPS port" in reply.body or b"HTTP request to an HTTPS" in reply.body:
        return what, "tls-expected", "Use wss:// instead of ws://.", Side.TARGET
    if status >= 500:
        return what, "rejected", "The server failed on the request: see its log.", Side.TARGET
    if reply.header("upgrade") is None or status in (200, 400, 426):
        return what, "no-upgrade", PROXY_REMEDY, Side.TARGET
    return what, "rejected", "The server refused the upgrade: see its log.", Side.TARGET


def _as_ws(location: str) -> str:
    return "ws" + location.removeprefix("http") if location.startswith("http") else location


def tls_error(error: ssl.SSLError, options: ConnectOptions) -> ConnectError:
    """Why TLS did not come about, in words."""
    where = options.where
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectError(
            f"the certificate of {where} is not trusted: {error.verify_message}",
            step="tls",
            side=Side.TARGET,
            kind="certificate",
            remedy="Give its CA with --ca FILE, or --insecure to skip the check.",
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    plain = error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE")
    return ConnectError(
        f"no TLS with {where}: {reason}",
        step="tls",
        side=Side.TARGET,
        kind="no-tls" if plain else "tls",
        remedy="The port seems to speak no TLS: use ws:// instead of wss://." if plain else "",
    )
