"""Options of a connection: its handshake, and how to reach the server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from wsbench.credentials import HIDDEN, Secrets
from wsbench.errors import UsageError
from wsbench.source_addresses import SourceRange
from wsbench.websocket.compression import parse_compression
from wsbench.websocket.server_url import ServerUri, character, parse_url

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_NOT_IN_HEADER = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")
_OURS = {
    "sec-websocket-protocol": "Use --subprotocol instead (in a scenario: subprotocols).",
    "sec-websocket-extensions": "Use --compression instead.",
    "content-length": "An upgrade request has no body.",
    "transfer-encoding": "An upgrade request has no body.",
} | dict.fromkeys(
    ("sec-websocket-version", "sec-websocket-key", "sec-websocket-accept", "upgrade", "connection"),
    "wsbench sends what the handshake needs (RFC 6455, 4.1).",
)
"""Headers that the user cannot set, by name in lower case, each with the remedy."""


@dataclass(frozen=True)
class ConnectOptions:
    """Options of a connection. Immutable; one object for all connections of a run.

    It raises UsageError for a URL or a text that an upgrade request cannot hold.

    Attributes:
        url: ws:// or wss:// URL, percent-encoded here; `uri` are its parts.
        headers: extra headers of the upgrade request, in order.
        compression: 'off', 'on' or permessage-deflate parameters.
        max_size: the longest message accepted, in bytes.
        message_size: expected size of the messages sent, in bytes.
        ca_file: a CA to trust besides the system's.
        insecure: do not check the server's certificate.
        connect_timeout_ns: for all steps from name resolution to the upgrade together.
        addresses: of a name with several: 'first' that answers, or 'all' that answer in turn.
        sources: addresses to connect from, in turn; none for the system's choice.
        resume_tls: later connections resume the TLS session of an earlier one.
        secret_names: names of headers and query parameters with secret values, beside those that look so.
        show_credentials: hide no secrets.
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
    addresses: str = "first"
    sources: tuple[SourceRange, ...] = ()
    resume_tls: bool = False
    secret_names: tuple[str, ...] = ()
    show_credentials: bool = False
    uri: ServerUri = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", parse_url(self.url))
        object.__setattr__(self, "url", self.uri.text)
        try:
            for name, value in self.headers:
                check_header(name, value)
            for number, name in enumerate(self.subprotocols):
                parse_subprotocol(name)
                if name in self.subprotocols[:number]:
                    raise ValueError(f"the subprotocol {name!r} is given twice")
            parse_origin(self.origin or "")
        except ValueError as error:
            raise UsageError(str(error)) from error

    @property
    def plain(self) -> bool:
        """True if the connection uses neither TLS nor compression."""
        return not self.uri.secure and parse_compression(self.compression) is None

    @property
    def where(self) -> str:
        """Host and port, as in a URL."""
        return self.uri.where

    @property
    def shown_url(self) -> str:
        """The URL without secrets."""
        return self.secrets.url(self.url)

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets in the upgrade request."""
        secrets = Secrets(self.secret_names, self.show_credentials)
        return secrets.knowing(url=self.url, headers=self.headers, subprotocols=self.subprotocols)


def parse_header(text: str) -> tuple[str, str]:
    """Parse 'Name: value'; raise ValueError if it is not of this form, or no header can hold it."""
    name, _, value = text.partition(":")
    if ":" not in text or not _TOKEN.fullmatch(name.strip()):
        first, *others = text.split(maxsplit=1) or [text]
        raise ValueError(f"{' '.join([first, *(HIDDEN for _ in others)])!r} is not a header: use 'Name: value'")
    header = name.strip(), value.strip(" \t")
    check_header(*header)
    return header


def check_header(name: str, value: str) -> None:
    """Raise ValueError if the name is no token, or the value has a character that a header cannot hold."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is part of the handshake. {_OURS[name.lower()]}")
    _check_value(value, f"the header {name}")


def parse_subprotocol(text: str) -> str:
    """Return the text; raise ValueError if it is no token, which RFC 6455 requires of a subprotocol."""
    if not _TOKEN.fullmatch(text):
        bad = next((char for char in text if not _TOKEN.fullmatch(char)), "")
        reason = f"it has {character(bad)} in it" if bad else "it is empty"
        several = "; give each its own --subprotocol" if bad in (",", " ") else ""
        raise ValueError(f"{text!r} is not a subprotocol: {reason}{several}")
    return text


def parse_origin(text: str) -> str:
    """Return the text; raise ValueError if a header cannot hold it."""
    _check_value(text, f"the origin {text!r}")
    return text


def _check_value(value: str, what: str) -> None:
    if match := _NOT_IN_HEADER.search(value):
        raise ValueError(f"{what} has {character(match[0])} in it: use printable characters of Latin-1")
