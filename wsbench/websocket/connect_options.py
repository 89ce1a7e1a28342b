"""Options of a connection: its handshake, and how to reach the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from wsbench.errors import UsageError
from wsbench.source_addresses import SourceRange


@dataclass(frozen=True)
class ConnectOptions:
    """Options of a connection. Immutable; one object for all connections of a run.

    Attributes:
        url: ws:// or wss:// URL; `uri` are its parts.
        headers: extra headers of the upgrade request, in order.
        compression: 'off', 'on' or permessage-deflate parameters.
        max_size: the longest message accepted, in bytes.
        message_size: expected size of the messages sent, in bytes.
        ca_file: a CA to trust besides the system's.
        insecure: do not check the server's certificate.
        connect_timeout_ns: for all steps from name resolution to the upgrade together.
        sources: addresses to connect from, in turn; none for the system's choice.
        resume_tls: later connections resume the TLS session of an earlier one.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    compression: str = "off"
    max_size: int = 64 * 1024 * 1024
    message_size: int = 16_384
    ca_file: str | None = None
    insecure: bool = False
    connect_timeout_ns: int = 10_000_000_000
    sources: tuple[SourceRange, ...] = ()
    resume_tls: bool = False
    uri: WebSocketURI = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", parse_url(self.url))

    @property
    def where(self) -> str:
        """Host and port, as in a URL."""
        host = f"[{self.uri.host}]" if ":" in self.uri.host else self.uri.host
        return f"{host}:{self.uri.port}"


def parse_url(url: str) -> WebSocketURI:
    """Parse a ws:// or wss:// URL; raise UsageError for others, with the WebSocket form of an http(s) URL as remedy."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        better = ("ws" if scheme.lower() == "http" else "wss") + "://" + rest
        raise UsageError(f"{url} is an HTTP URL, not a WebSocket one", remedy=f"Use {better} instead.")
    try:
        uri = parse_uri(url)
        # parse_uri treats port 0 as no port
        valid = bool(uri.host) and 0 < uri.port < 65536 and urlsplit(url).port != 0
    except (InvalidURI, ValueError):
        valid = False
    if not valid:
        raise UsageError(f"{url!r} is not a WebSocket URL", remedy="Use for example ws://127.0.0.1:8765/echo.")
    return uri


def parse_header(text: str) -> tuple[str, str]:
    """Parse 'Name: value'; raise ValueError if there is no colon, no name, or a line break."""
    name, colon, value = text.partition(":")
    name = name.strip()
    if not colon or not name or not name.isascii() or any(c.isspace() for c in name):
        raise ValueError(f"{text!r} is not a header: use 'Name: value'")
    if "\r" in value or "\n" in value:
        raise ValueError(f"the header {name} has a line break in its value")
    return name, value.strip()
