"""Hiding credentials in output. A header's or query parameter's name decides whether its value is one."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

HIDDEN = "***"
_NAMES = re.compile(r"auth|cookie|token|secret|passw|api[-_]?key|session|credential|signature|jwt", re.IGNORECASE)
_QUERY_NAMES = re.compile(rf"(?:{_NAMES.pattern})|^(?:key|sig|code|pwd)$", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s]*)")
_CHALLENGES = ("www-authenticate", "proxy-authenticate")


def hide_header(name: str, value: str) -> str:
    """Return the value without credentials; the scheme of an Authorization header stays."""
    lower = name.lower()
    if lower.startswith("sec-websocket-") or lower in _CHALLENGES or not _NAMES.search(name):
        return hide_in_target(value) if lower in ("location", "referer") else value
    scheme, space, rest = value.partition(" ")
    if "authorization" in lower and rest and scheme.isalpha():
        return f"{scheme}{space}{HIDDEN}"
    return HIDDEN if value else value


def hide_in_target(target: str) -> str:
    """Hide credentials among the query parameters of a request target, or of any text."""

    def shown(match: re.Match[str]) -> str:
        secret = match[3] and _QUERY_NAMES.search(match[2])
        return f"{match[1]}{match[2]}={HIDDEN}" if secret else match[0]

    return _PARAMETER.sub(shown, target)


def hide_in_url(url: str) -> str:
    """Hide the password of a URL and credentials in its query."""
    parts = urlsplit(url)
    if parts.password is not None:
        host = parts.netloc.rpartition("@")[2]
        parts = SplitResult(parts.scheme, f"{parts.username}:{HIDDEN}@{host}", parts.path, parts.query, parts.fragment)
    return hide_in_target(urlunsplit(parts))
