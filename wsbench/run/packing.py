"""MessagePack of what processes of a run exchange, with the types that msgspec does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")


def pack(message: Any) -> bytes:
    """Return the message as bytes."""
    return _encoder.encode(message)


def unpack(data: bytes, type_: type[_T]) -> _T:
    """Return the message of `type_` that `pack` encoded; raise msgspec.MsgspecError if `data` is none."""
    return msgspec.msgpack.decode(data, type=type_, dec_hook=_decode)


def _encode(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be packed")


def _decode(type_: type, value: Any) -> Any:
    if type_ is Path:
        return Path(value)
    raise NotImplementedError(f"{type_.__name__} cannot be unpacked")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode)
