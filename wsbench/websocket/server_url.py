"""URLs of WebSocket servers (RFC 6455, 3): percent-encoded for the request, or refused with the reason."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from websockets.uri import WebSocketURI

from wsbench.errors import UsageError

_EXAMPLE = "Use for example ws://127.0.0.1:8765/echo."
_DELIMITERS = "!$&'()*+,;=:@/?[]"
"""Delimiters reserved by RFC 3986; `quote` leaves letters, digits and -._~ as they are."""
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_HOST = re.compile(r"[^a-z0-9._:-]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SLASHES_LOST = re.compile(r"(wss?|https?)(?::/(?!/)|//)", re.IGNORECASE)


@dataclass
class ServerUri(WebSocketURI):
    """The parts of a URL.

    Attributes:
        zone: the interface of a link-local address (RFC 6874); no request contains it.
        text: the URL, encoded as in the request.
    """

    zone: str = ""
    text: str = ""

    @property
    def host_and_zone(self) -> str:
        """The host as name resolution takes it: fe80::1%eth0."""
        return f"{self.host}%{self.zone}" if self.zone else self.host

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, and not a name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def where(self) -> str:
        """Host and port, as in a URL."""
        zone = f"%25{quote(self.zone)}" if self.zone else ""
        host = f"[{self.host}{zone}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_url(url: str) -> ServerUri:
    """Parse a ws:// or wss:// URL; raise UsageError for others, if possible with the right URL as remedy.

    Spaces around it are dropped. Characters that a request cannot contain are percent-encoded; what is encoded stays.
    """
    if match := _CONTROL.search(url):
        encoded = quote(match[0], errors="surrogateescape")
        raise UsageError(f"a URL cannot have {character(match[0])} in it", remedy=f"Write {encoded} instead.")
    url = url.strip(" ")
    match = _SCHEME.match(url)
    if match is None:
        _refuse(url, "it has no scheme", _put_right(url))
    scheme = match[1].lower()
    if scheme in ("http", "https"):
        better = f"{'ws' if scheme == 'http' else 'wss'}://{url[match.end() :]}"
        raise UsageError(f"{_shown(url)} is an HTTP URL, not a WebSocket one", remedy=f"Use {_shown(better)} instead.")
    if scheme not in ("ws", "wss"):
        _refuse(url, f"its scheme is {scheme}", "Use ws://, or wss:// for TLS.")
    try:
        return _parsed(url, urlsplit(url))
    except UnicodeDecodeError:
        _refuse(url, "its user or its password is not UTF-8")
    except ValueError:  # brackets without an IPv6 address, characters that IDNA does not allow
        _refuse(url, "its host is neither a name nor an address")


def with_path(url: str, path: str) -> str:
    """Return `url` with another path, or `path` if that is a whole URL.

    The query of `url` stays, behind that of the path: tokens are there. A parameter of the path replaces its namesake.
    """
    if _SCHEME.match(path):
        return path
    joined = urlsplit(urljoin(url, path))
    own = _parameters(path)
    names = {_name(each) for each in own}
    kept = [each for each in _parameters(url) if _name(each) not in names]
    return joined._replace(query="&".join([*own, *kept])).geturl()


def character(char: str) -> str:
    """Return a character and its number, for an error text: many look alike, or are not visible."""
    return f"{char!r} (U+{ord(char):04X})"


def _parsed(url: str, parts: SplitResult) -> ServerUri:
    if parts.fragment:
        _refuse(url, "it has a fragment, which no server receives", "Leave out what follows #; # itself is %23.")
    host, zone = _host(url, parts)
    user, separator, password = parts.netloc.rpartition("@")[0].partition(":")
    if parts.username is not None and not separator:
        _refuse(url, "it has a user without a password", "Use user:password@, or user:@ for an empty password.")
    secure = parts.scheme == "wss"
    path, query = _encoded(parts.path), _encoded(parts.query)
    uri = ServerUri(secure, host, _port(url, parts) or (443 if secure else 80), path, query, zone=zone)
    credentials = ""
    if parts.username is not None:
        uri.username, uri.password = unquote(user, errors="strict"), unquote(password, errors="strict")
        credentials = f"{_encoded(user)}:{_encoded(password)}@"
    where = uri.where if parts.port is not None else uri.where.rpartition(":")[0]
    uri.text = f"{parts.scheme}://{credentials}{where}{path}{f'?{query}' if query else ''}"
    return uri


def _host(url: str, parts: SplitResult) -> tuple[str, str]:
    """Return the host and the zone of a link-local address, given as %25eth0 or %eth0."""
    host = parts.hostname or ""
    if not host:
        _refuse(url, "it names no host")
    zone = ""
    if ":" in host:
        host, _, zone = host.partition("%")
        if ipaddress.ip_address(host).is_link_local and not zone:
            _refuse(url, "a link-local address needs its interface", f"Use for example [{host}%25eth0].")
    elif not host.isascii():
        host = host.encode("idna").decode()
    if match := _NOT_IN_HOST.search(host):
        _refuse(url, f"its host has {character(match[0])} in it")
    return host, unquote(zone.removeprefix("25"))


def _port(url: str, parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        remedy = "In a password, write / as %2F, ? as %3F and # as %23." if "@" in url else _EXAMPLE
        _refuse(url, "its port is not a number from 1 to 65535", remedy)
    return port


def _encoded(text: str) -> str:
    return _LONE_PERCENT.sub("%25", quote(text, safe=_DELIMITERS + "%"))


def _put_right(url: str) -> str:
    """Return the advice for a URL without a scheme: the same with one, if that makes it right."""
    if match := _SLASHES_LOST.match(url):
        scheme = match[1].lower().replace("http", "ws")
        better = f"{scheme}://{url[match.end() :]}"
    else:
        better = f"ws://{url.lstrip(':/') if url.startswith(('//', '://')) else url}"
    try:
        port = parse_url(better).port
    except UsageError:
        return _EXAMPLE
    if port == 443:
        better = better.replace("ws://", "wss://", 1)
    return f"Use {_shown(better)}{' (or wss://)' if better.startswith('ws://') else ''}."


def _refuse(url: str, reason: str, remedy: str = _EXAMPLE) -> NoReturn:
    raise UsageError(f"{_quoted(url)} is not a WebSocket URL: {reason}", remedy=remedy)


def _shown(url: str) -> str:
    """Return a URL for an error text, without spaces: secrets in it are recognised by their ends."""
    return url.replace(" ", "%20")


def _quoted(url: str) -> str:
    return repr(_shown(url))


def _parameters(url: str) -> list[str]:
    return [each for each in urlsplit(url).query.split("&") if each]


def _name(parameter: str) -> str:
    return parameter.partition("=")[0]
