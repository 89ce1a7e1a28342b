"""The client's offer of permessage-deflate (RFC 7692)."""

from __future__ import annotations

from typing import Any

from websockets.exceptions import InvalidHandshake
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.headers import parse_extension

_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_SMALLEST_BLOCK, _LARGEST_BLOCK = 1 << 7, 1 << 14
"""Symbols in a zlib block at memLevel 1 and 8: 1 << (memLevel + 6)."""
_BITS = ("server_max_window_bits", "client_max_window_bits")
_SMALLEST_WINDOW = ("client_max_window_bits", "8")


def parse_compression(text: str, *, message_size: int = _LARGEST_BLOCK) -> ClientPerMessageDeflateFactory | None:
    """Return the offer for 'off', 'on', or parameters such as 'client_max_window_bits=12; server_no_context_takeover'.

    `message_size` is the size of the messages to compress, in bytes. Raise ValueError for an unknown parameter or a
    value out of range.
    """
    settings = _settings(message_size)
    stripped = text.strip()
    if stripped.lower() in ("off", "none", ""):
        return None
    if stripped.lower() in ("on", "deflate", "permessage-deflate"):
        return ClientPerMessageDeflateFactory(client_max_window_bits=True, compress_settings=settings)
    parameters: dict[str, Any] = {}
    for part in stripped.removeprefix("permessage-deflate").strip("; ").split(";"):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name in parameters:
            raise ValueError(f"{name} is given twice")
        parameters[name] = _value(name, value.strip('"'))
    # The factory offers client_max_window_bits by default: offer only the given parameters.
    return ClientPerMessageDeflateFactory(**{"client_max_window_bits": None, **parameters}, compress_settings=settings)


def is_too_small_for_zlib(granted: str, offered: str) -> bool:
    """Return whether the server granted the client a window of 8 bits, and the offer allowed it: zlib needs 9."""
    offer = parse_compression(offered)
    if offer is None:
        return False
    try:
        [(_, parameters)] = parse_extension(granted)
        changed = [("client_max_window_bits", "9") if each == _SMALLEST_WINDOW else each for each in parameters]
        offer.process_response_params(changed, [])
    except (ValueError, InvalidHandshake):
        return False
    return changed != parameters


def _settings(message_size: int) -> dict[str, Any]:
    """Return zlib settings for a generator, whose main work on a compressed message is compressing.

    On short messages the lowest level saves one percent less than the highest, at half the cost. Memory for one message
    in one block keeps the tables of hundreds of connections in the CPU cache.
    """
    block_bits = (min(max(message_size, _SMALLEST_BLOCK), _LARGEST_BLOCK) - 1).bit_length()
    return {"level": 1, "memLevel": block_bits - 6}


def _value(name: str, value: str) -> int | bool:
    if name in _FLAGS:
        if value:
            raise ValueError(f"{name} takes no value")
        return True
    if name not in _BITS:
        raise ValueError(
            f"{name!r} is no parameter of permessage-deflate: use off, on, or some of {', '.join((*_FLAGS, *_BITS))}"
        )
    if not value:
        if name == "client_max_window_bits":
            return True
        raise ValueError(f"{name} needs a value from 8 to 15")
    smallest = 9 if name == "client_max_window_bits" else 8
    if not value.isdecimal() or not smallest <= int(value) <= 15:
        why = " (8 is allowed by RFC 7692, but zlib cannot compress with it)" if smallest == 9 else ""
        raise ValueError(f"{name} must be from {smallest} to 15{why}, not {value!r}")
    return int(value)
