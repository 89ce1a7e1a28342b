"""permessage-deflate (RFC 7692) from the client's side: what to offer, and what was granted."""

from __future__ import annotations

from typing import Any

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_BITS = ("server_max_window_bits", "client_max_window_bits")


def parse_compression(text: str) -> ClientPerMessageDeflateFactory | None:
    """The offer for 'off', 'on', or parameters such as 'client_max_window_bits=12; server_no_context_takeover'.

    Raises:
        ValueError: an unknown parameter or a value out of range.
    """
    stripped = text.strip()
    if stripped.lower() in ("off", "none", ""):
        return None
    if stripped.lower() in ("on", "deflate", "permessage-deflate"):
        return ClientPerMessageDeflateFactory(client_max_window_bits=True)
    parameters: dict[str, Any] = {}
    for part in stripped.removeprefix("permessage-deflate").strip("; ").split(";"):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name in parameters:
            raise ValueError(f"{name} is given twice")
        parameters[name] = _value(name, value.strip('"'))
    # The factory would offer client_max_window_bits of its own accord: offer what was said, no more.
    return ClientPerMessageDeflateFactory(**{"client_max_window_bits": None, **parameters})


def _value(name: str, value: str) -> int | bool:
    if name in _FLAGS:
        if value:
            raise ValueError(f"{name} takes no value")
        return True
    if name not in _BITS:
        raise ValueError(
            f"{name!r} is no parameter of permessage-deflate: use off, on, or of {', '.join((*_FLAGS, *_BITS))}"
        )
    if not value:
        if name == "client_max_window_bits":
            return True
        raise ValueError(f"{name} needs a value from 9 to 15")
    # RFC 7692 allows 8, which zlib cannot do for raw deflate
    if not value.isdecimal() or not 9 <= int(value) <= 15:
        raise ValueError(f"{name} must be from 9 to 15 (8 is allowed by RFC 7692, but not by zlib), not {value!r}")
    return int(value)
