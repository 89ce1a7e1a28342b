"""RFC 6455 framing without I/O: building the frames of a client, and reading frame headers."""

from __future__ import annotations

import functools
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from struct import Struct

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.typing import BytesLike

try:
    from websockets.speedups import apply_mask as apply_mask  # exported: the echo loop masks its own frames
except ImportError:  # pragma: no cover - wheels without the C extension
    from websockets.utils import apply_mask as apply_mask

TEXT = 0x81
BINARY = 0x82
MASKED = 0x80
_U16 = Struct("!BBH")
_U64 = Struct("!BBQ")
_KEY = Struct("4s")
_MASK_POOL = 256
RSV1 = 0x40
EMPTY_BLOCK = b"\x00\x00\xff\xff"
"""End of a sync flush, which is not sent (RFC 7692, 7.2.1)."""


Payloads = Iterable[tuple[bytes, Iterable[bytes]]]
"""Groups of payloads: the prefix that a group shares, and the suffix of each payload."""


def _mask_pools() -> Iterator[Iterator[tuple[bytes]]]:
    while True:
        yield _KEY.iter_unpack(os.urandom(_KEY.size * _MASK_POOL))


next_mask_key = itertools.chain.from_iterable(_mask_pools()).__next__
"""Return the next mask key; all connections share the pool.

RFC 6455, 10.3 requires keys that the author of a payload cannot predict. Here wsbench itself is the author, so a pool
of random bytes, refilled when it is empty, is enough.
"""


def client_frame(payload: BytesLike, first_byte: int) -> bytes:
    """Return a masked frame, ready for the socket."""
    (key,) = next_mask_key()
    return frame_header(first_byte, len(payload), MASKED) + key + apply_mask(payload, key)


def echoed_frames(payloads: Payloads, size: int, first_byte: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield for each payload of `size` bytes the server's echo (a plain frame) and our masked frame.

    It costs half as much as `client_frame` for each: the generator builds the common parts once.
    """
    plain, masked = frame_header(first_byte, size), frame_header(first_byte, size, MASKED)
    next_key = next_mask_key
    for prefix, suffixes in payloads:
        for suffix in suffixes:
            payload = prefix + suffix
            (key,) = next_key()
            yield plain + payload, masked + key + apply_mask(payload, key)


def deflate_of(protocol: ClientProtocol) -> PerMessageDeflate | None:
    """Return the negotiated permessage-deflate if it is the only extension."""
    if len(protocol.extensions) == 1 and isinstance(protocol.extensions[0], PerMessageDeflate):
        return protocol.extensions[0]
    return None


class DeflatingFramer:
    """Builder of masked, compressed client frames of one connection (RFC 7692, 7.2.1).

    With context takeover, the usual case, it calls the extension's compressor directly. This avoids two frame objects a
    message: 2 of about 57 µs.
    """

    __slots__ = ("_deflate",)

    def __init__(self, deflate: PerMessageDeflate) -> None:
        self._deflate = deflate

    def frame(self, payload: bytes, first_byte: int) -> bytes:
        """Return a masked, compressed frame, ready for the socket."""
        deflate = self._deflate
        data: BytesLike
        if deflate.local_no_context_takeover:
            data = deflate.encode(Frame(Opcode.TEXT if first_byte == TEXT else Opcode.BINARY, payload)).data
        else:
            encoder = deflate.encoder
            data = (encoder.compress(payload) + encoder.flush(zlib.Z_SYNC_FLUSH))[: -len(EMPTY_BLOCK)]
        return client_frame(data, first_byte | RSV1)


@functools.lru_cache(maxsize=4096)
def frame_header(first_byte: int, size: int, mask_bit: int = 0) -> bytes:
    """Return the header of a frame with `size` bytes of payload; with `MASKED`, the mask key follows it."""
    if size < 126:
        return bytes((first_byte, mask_bit | size))
    if size < 65536:
        return _U16.pack(first_byte, mask_bit | 126, size)
    return _U64.pack(first_byte, mask_bit | 127, size)


def frame_bounds(data: bytes, start: int) -> tuple[int, int] | None:
    """Return the offsets of the payload and of the end of the frame at `start`; None if its header is incomplete.

    The end may be beyond the data. A mask key (which a server must not send) counts as header.
    """
    available = len(data) - start
    if available < 2:
        return None
    second = data[start + 1]
    size, header = second & 0x7F, 2
    if size >= 126:
        header = 4 if size == 126 else 10
        if available < header:
            return None
        size = int.from_bytes(data[start + 2 : start + header], "big")
    if second & MASKED:
        header += 4
    return start + header, start + header + size
