"""RFC 6455 framing, pure: building frames, and cutting a server's byte stream into messages.

`websockets`' ClientProtocol is the authority. Only what is plainest and most frequent has a lane of its own:
whole, unfragmented, unmasked data frames while no fragmented message is under way (RFC 6455, 5.2 to 5.4), plain or
compressed by permessage-deflate, whose state stays in the protocol's own extension object. Every other byte goes
through the protocol object, a whole frame at a time where the frame is whole, so that between two frames nothing is
pending in it and the fast lane can take over again.
"""

from __future__ import annotations

import functools
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.typing import BytesLike

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - wheels without the C extension
    from websockets.utils import apply_mask

__all__ = [
    "BINARY",
    "MASKED",
    "TEXT",
    "DeflatingFramer",
    "Flood",
    "FrameReader",
    "Payloads",
    "ReceivedMessage",
    "apply_mask",
    "client_frame",
    "deflate_of",
    "echoed_frames",
    "frame_bounds",
    "frame_header",
    "next_mask_key",
]

TEXT = 0x81
BINARY = 0x82
MASKED = 0x80
_U16 = Struct("!BBH")
_U64 = Struct("!BBQ")
_KEY = Struct("4s")
_MASK_POOL = 256
_DATA = (TEXT, BINARY)
_RSV1 = 0x40
_EMPTY_BLOCK = b"\x00\x00\xff\xff"
"""What a sync flush ends with, and what is left out on the wire (RFC 7692, 7.2.1)."""
_SHORT = 2044
"""Up to here the extension inflates a frame in one go."""
_DEFLATED = (TEXT | _RSV1, BINARY | _RSV1)
_OPCODES = frozenset(int(opcode) for opcode in Opcode)
_WINDOW = 32_768
_MAX_FINAL_BLOCKS = 100
_SMALL_FRAME = 125
_MAX_SMALL_FRAMES = 2000
"""Of these a slow frame costs 10 µs: more of them would keep the process from every other connection."""


Payloads = Iterable[tuple[bytes, Iterable[bytes]]]
"""One after the other: what several of them begin with, and what each of those goes on with."""


class Flood(Exception):
    """Frames without end that make no message: pings, or fragments of next to nothing."""


class ReceivedMessage(NamedTuple):
    """A whole application message as it came from the server."""

    payload: bytes
    text: bool


def _mask_pools() -> Iterator[Iterator[tuple[bytes]]]:
    while True:
        yield _KEY.iter_unpack(os.urandom(_KEY.size * _MASK_POOL))


next_mask_key = itertools.chain.from_iterable(_mask_pools()).__next__
"""The next mask key, of those of all connections.

RFC 6455, 10.3 wants keys that whoever supplies the payload cannot predict, against proxies that take it for HTTP. Here
nobody but us supplies payloads, so a pool of random bytes that is refilled now and then is enough.
"""


def client_frame(payload: BytesLike, first_byte: int) -> bytes:
    """One masked frame, ready for the socket."""
    (key,) = next_mask_key()
    return frame_header(first_byte, len(payload), MASKED) + key + apply_mask(payload, key)


def echoed_frames(payloads: Payloads, size: int, first_byte: int) -> Iterator[tuple[bytes, bytes]]:
    """For each payload of `size` bytes: the plain frame by which a server sends it back, and the masked one to it.

    At half of what `client_frame` and its like would cost: a generator keeps at hand what all frames have in common.
    """
    plain, masked = frame_header(first_byte, size), frame_header(first_byte, size, MASKED)
    next_key = next_mask_key
    for head, rests in payloads:
        for rest in rests:
            payload = head + rest
            (key,) = next_key()
            yield plain + payload, masked + key + apply_mask(payload, key)


def deflate_of(protocol: ClientProtocol) -> PerMessageDeflate | None:
    """The permessage-deflate that was negotiated, if it and nothing else was."""
    if len(protocol.extensions) == 1 and isinstance(protocol.extensions[0], PerMessageDeflate):
        return protocol.extensions[0]
    return None


class DeflatingFramer:
    """Builds masked, compressed client frames of one connection (RFC 7692, 7.2.1).

    With context takeover, the commonest, the extension's own compressor is used as the extension does it, without the
    two frame objects a message that it would make: 2 of some 57 µs.
    """

    __slots__ = ("_deflate",)

    def __init__(self, deflate: PerMessageDeflate) -> None:
        self._deflate = deflate

    def frame(self, payload: bytes, first_byte: int) -> bytes:
        """One masked frame, ready for the socket."""
        deflate = self._deflate
        data: BytesLike
        if deflate.local_no_context_takeover:
            data = deflate.encode(Frame(Opcode.TEXT if first_byte == TEXT else Opcode.BINARY, payload)).data
        else:
            encoder = deflate.encoder
            data = (encoder.compress(payload) + encoder.flush(zlib.Z_SYNC_FLUSH))[: -len(_EMPTY_BLOCK)]
        return client_frame(data, first_byte | _RSV1)


@functools.lru_cache(maxsize=4096)
def frame_header(first_byte: int, size: int, mask_bit: int = 0) -> bytes:
    """What comes before a payload of `size` bytes; before its key, if the bit is `MASKED`."""
    if size < 126:
        return bytes((first_byte, mask_bit | size))
    if size < 65536:
        return _U16.pack(first_byte, mask_bit | 126, size)
    return _U64.pack(first_byte, mask_bit | 127, size)


def frame_bounds(data: bytes, start: int) -> tuple[int, int] | None:
    """Offsets of the payload and of the end of the frame that begins at `start`; None while its header is cut.

    The end may lie beyond the data. A masked frame's key (which a server must not send) counts as header.
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


class FrameReader:
    """Cuts what a server sends after its handshake into messages.

    Attributes:
        idle: whether the next byte is the first of a frame and no fragmented message is under way.
        pongs: payloads of pongs that came; whoever wants to know takes them out.
        small_frames: control frames and short fragments since the last whole message. Too many of them fail the
            connection; the caller resets the count once a second.

    Invariants: bytes of an incomplete frame wait here, never in the protocol object, unless the frame's stated
    length is over the limit (then the protocol object gets to see it at once, and refuses it); after a whole
    frame the protocol object's own buffer is empty.
    """

    __slots__ = (
        "_chunks",
        "_deflate",
        "_fragments",
        "_have",
        "_max_frame",
        "_need",
        "_text",
        "idle",
        "pongs",
        "protocol",
        "small_frames",
    )

    def __init__(self, protocol: ClientProtocol) -> None:
        self.protocol = protocol
        self._deflate = deflate_of(protocol)
        limit = protocol.max_message_size
        self._max_frame = 2**63 if limit is None else limit
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = 0
        self._fragments = bytearray()
        self._text = False
        self.small_frames = 0
        self.idle = protocol.current_size is None
        self.pongs: list[bytes] = []

    def join(self, data: bytes) -> bytes:
        """What has to be looked at now that `data` came: nothing while the frame is still incomplete.

        Chunks of a long frame are collected and joined once, when the frame is whole.
        """
        if not self._chunks:
            return data
        self._chunks.append(data)
        self._have += len(data)
        if self._have < self._need:
            return b""
        joined = b"".join(self._chunks)
        self._chunks.clear()
        self.idle = self.protocol.current_size is None  # if all of it was predicted, nobody feeds it
        return joined

    def feed(self, data: bytes) -> list[ReceivedMessage]:
        """The messages that `data` (from `join`) completes; replies to control frames wait in the protocol."""
        messages: list[ReceivedMessage] = []
        protocol = self.protocol
        offset, size = 0, len(data)
        while offset < size:
            bounds = frame_bounds(data, offset)
            if protocol.state is not OPEN or self._must_reject(data, offset, bounds):
                self._through_protocol(data[offset:], messages)
                break
            if bounds is None or bounds[1] > size:
                self._buffer(data[offset:], bounds[1] - offset if bounds else 0)
                break
            payload, end = bounds
            first = data[offset]
            if first in _DATA and protocol.current_size is None:
                self._deliver(data[payload:end], first == TEXT, messages)
            elif first in _DEFLATED and protocol.current_size is None and self._deflate is not None:
                self._inflate(self._deflate, data[payload:end], first == TEXT | _RSV1, messages)
            else:
                self.small_frames += end - payload <= _SMALL_FRAME
                self._through_protocol(data[offset:end], messages)
                if self.small_frames > _MAX_SMALL_FRAMES and protocol.parser_exc is None:
                    self._give_up(1008, Flood(f"{self.small_frames} short frames in a row, and no message"))
            offset = end
        self.idle = not self._chunks and protocol.current_size is None
        return messages

    def feed_eof(self) -> list[ReceivedMessage]:
        """The stream ended; an incomplete frame goes to the protocol object, which says what that means."""
        messages: list[ReceivedMessage] = []
        if self._chunks:
            rest = b"".join(self._chunks)
            self._chunks.clear()
            self._through_protocol(rest, messages)
        self.protocol.receive_eof()
        return messages

    def _must_reject(self, data: bytes, start: int, bounds: tuple[int, int] | None) -> bool:
        """Whether the frame's first two bytes or its length alone are reason enough to fail the connection."""
        if len(data) - start < 2:
            # The protocol object looks at two bytes at once: given one, it would keep it, and we would lose our place.
            return False
        if data[start] & 0x0F not in _OPCODES or data[start + 1] & MASKED:
            return True
        # What is left of the limit for the rest of a fragmented message.
        room = self._max_frame - (self.protocol.current_size or 0)
        return bounds is not None and bounds[1] - bounds[0] > room

    def _give_up(self, code: int, error: Exception) -> None:
        """Fail the connection as the protocol object does where it finds the fault itself."""
        self.protocol.fail(code, str(error))
        self.protocol.parser_exc = error

    def _buffer(self, rest: bytes, need: int) -> None:
        self._chunks.append(rest)
        self._have = len(rest)
        self._need = need if need > 0 else self._have + 1

    def _through_protocol(self, data: bytes, messages: list[ReceivedMessage]) -> None:
        protocol = self.protocol
        if protocol.reader.eof:
            return
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event, messages)

    def _frame(self, frame: Frame, messages: list[ReceivedMessage]) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments = bytearray()
        elif frame.opcode is not Opcode.CONT:
            if frame.opcode is Opcode.PONG:
                self.pongs.append(bytes(frame.data))
            return
        self._fragments += frame.data
        if frame.fin:
            payload = bytes(self._fragments)
            self._fragments = bytearray()
            try:
                if self._deflate is not None:
                    payload = self._continue_after_final_block(self._deflate, payload)
            except (ProtocolError, PayloadTooBig) as error:
                self._give_up(1009 if isinstance(error, PayloadTooBig) else 1002, error)
            else:
                self._deliver(payload, self._text, messages)

    def _inflate(self, deflate: PerMessageDeflate, data: bytes, text: bool, messages: list[ReceivedMessage]) -> None:
        """What the protocol object does with a whole compressed frame."""
        try:
            payload = self._continue_after_final_block(deflate, self._inflated(deflate, data, text))
        except (ProtocolError, PayloadTooBig) as error:
            self._give_up(1009 if isinstance(error, PayloadTooBig) else 1002, error)
        else:
            self._deliver(payload, text, messages)

    def _inflated(self, deflate: PerMessageDeflate, data: bytes, text: bool) -> bytes:
        """What the extension makes of a frame; of a short one with context takeover, without its frame objects.

        Raises:
            ProtocolError, PayloadTooBig: as the extension does.
        """
        limit = self.protocol.max_message_size
        if deflate.remote_no_context_takeover or len(data) >= _SHORT:
            frame = Frame(Opcode.TEXT if text else Opcode.BINARY, data, rsv1=True)
            return bytes(deflate.decode(frame, max_size=limit).data)
        decoder = deflate.decoder
        try:
            payload = decoder.decompress(data + _EMPTY_BLOCK, limit or 0)
        except zlib.error as error:
            raise ProtocolError("decompression failed") from error
        if decoder.unconsumed_tail:
            raise PayloadTooBig(None, limit)
        return payload

    def _continue_after_final_block(self, deflate: PerMessageDeflate, payload: bytes) -> bytes:
        """The whole message that begins with `payload`: a block with BFINAL ends no stream here (RFC 7692, 7.2.3.4).

        zlib stops at such a block, and the extension would take every later message for an empty one.

        Raises:
            ProtocolError: what follows the block cannot be inflated, or there are too many of them.
        """
        decoder = getattr(deflate, "decoder", None)  # none is kept without context takeover
        limit = self.protocol.max_message_size or 0
        for _ in range(_MAX_FINAL_BLOCKS):
            if decoder is None or not decoder.eof:
                return payload
            rest = decoder.unused_data
            decoder = deflate.decoder = zlib.decompressobj(-deflate.remote_max_window_bits, payload[-_WINDOW:])
            try:
                payload += decoder.decompress(rest, limit)
            except zlib.error as error:
                raise ProtocolError("decompression failed") from error
            if decoder.unconsumed_tail or len(payload) > (limit or len(payload)):
                raise PayloadTooBig(None, limit)
        raise ProtocolError("too many final blocks in a message")

    def _deliver(self, payload: bytes, text: bool, messages: list[ReceivedMessage]) -> None:
        # The sans-I/O protocol leaves the check of text to its callers (RFC 6455, 8.1).
        if text and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                if self.protocol.state is OPEN:
                    self.protocol.fail(1007, f"{error.reason} at position {error.start}")
                    self.protocol.parser_exc = error
                return
        self.small_frames = 0
        messages.append(ReceivedMessage(payload, text))
