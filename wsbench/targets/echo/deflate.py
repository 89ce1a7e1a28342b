"""permessage-deflate (RFC 7692) on the server's side: which offers to accept, and with which limits."""

from __future__ import annotations

from typing import Any

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
# RFC 7692 (7.1.2) allows 8 to 15 for both, but zlib cannot compress raw deflate with a window of 8 bits
_MIN_BITS = {"server_max_window_bits": 9, "client_max_window_bits": 8}
_MAX_BITS = 15


def parse_compression(text: str) -> list[ServerPerMessageDeflateFactory] | None:
    """Parse 'off', 'on', or parameters in the syntax of RFC 7692, into extensions for `websockets`.

    'on' has the RFC's defaults: windows of 15 bits with context takeover (about 300 kB per connection), unless the
    client's offer asks for less. Parameters, such as 'client_max_window_bits=12; server_no_context_takeover', are
    limits of the server. Every offer compatible with them is accepted, and the answer has the stricter of both. A
    client that does not offer `client_max_window_bits` cannot be limited by it (7.1.2.2) and is served without.
    Raises ValueError for an unknown or repeated parameter, or a value out of range.
    """
    stripped = text.strip()
    if stripped.lower() in ("off", "none", ""):
        return None
    if stripped.lower() in ("on", "deflate", "permessage-deflate"):
        return [ServerPerMessageDeflateFactory()]
    limits: dict[str, Any] = {}
    for part in stripped.removeprefix("permessage-deflate").strip("; ").split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name in limits:
            raise ValueError(f"{name} is given twice")
        limits[name] = _limit(name, value.strip('"') if equals else None)
    return [ServerPerMessageDeflateFactory(**limits)]


def _limit(name: str, value: str | None) -> int | bool | None:
    if name in _FLAGS:
        if value is not None:
            raise ValueError(f"{name} takes no value")
        return True
    if name not in _MIN_BITS:
        known = ", ".join((*_FLAGS, *_MIN_BITS))
        raise ValueError(f"{name!r} is no parameter of permessage-deflate: use off, on, or {known}")
    if value is None and name == "client_max_window_bits":
        return None  # in an offer: "you may limit me"; a server has nothing to limit by that
    minimum = _MIN_BITS[name]
    if value is None or not value.isdecimal() or not minimum <= int(value) <= _MAX_BITS:
        why = " (8 is allowed by RFC 7692, but zlib cannot compress with it)" if value == "8" else ""
        raise ValueError(f"{name} must be a number from {minimum} to {_MAX_BITS}, not {value or 'empty'}{why}")
    return int(value)
