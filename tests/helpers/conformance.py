"""Requirements of RFC 6455 and RFC 7692 for a receiver of frames, as a table of inputs and expected results.

The table serves both roles: `wire(case, masked=...)` returns the bytes that a client (masked) or a server sends. A
receiver delivers `messages` (a server: echoes them), answers pings with `pongs`, and closes with one of `closes`. Every
case applies with and without compression; `compressed(case)` is the case with compressed messages, and `DEFLATE` has
the cases that exist only with permessage-deflate. Sections are those of the RFCs.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .frames import BINARY, CLOSE, CONTINUATION, CONTROL, DATA, PING, PONG, TEXT, unmask

RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
NO_CODE = 1005
"""In `closes`: a close frame without a code (RFC 6455, 7.1.5)."""
_KEY = b"\x37\xfa\x21\x3d"
_TAIL = b"\x00\x00\xff\xff"  # RFC 7692, 7.2.1


@dataclass(frozen=True)
class Frame:
    """A frame, valid or not.

    Attributes:
        rsv: RSV1, RSV2, RSV3, or a combination.
        stated: length in the header if it is not that of the payload; always in eight bytes.
        mask: False: masked by a server, or not masked by a client.
        key: masking key.
    """

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    stated: int | None = None
    mask: bool = True
    key: bytes = _KEY

    def wire(self, *, masked: bool) -> bytes:
        """Return the bytes that a client (`masked`) or a server sends."""
        size, bit = len(self.payload), 0x80 if masked == self.mask else 0
        first = (0x80 if self.fin else 0) | self.rsv | self.opcode
        if self.stated is not None:
            head = bytes((first, bit | 127)) + self.stated.to_bytes(8)
        elif size < 126:
            head = bytes((first, bit | size))
        elif size < 1 << 16:
            head = bytes((first, bit | 126)) + size.to_bytes(2)
        else:
            head = bytes((first, bit | 127)) + size.to_bytes(8)
        return head + (self.key + unmask(self.payload, self.key) if bit else self.payload)


@dataclass(frozen=True)
class Deflate:
    """Compression by the sender of a case's frames, as negotiated for its direction."""

    takeover: bool = True
    bits: int = 15

    def parameters(self, *, client: bool) -> str:
        """Return the parameters after 'permessage-deflate' in the header, for frames of a client or of a server."""
        side = "client" if client else "server"
        chosen = [] if self.takeover else [f"{side}_no_context_takeover"]
        if self.bits != 15:
            chosen.append(f"{side}_max_window_bits={self.bits}")
        return "; ".join(chosen)

    def of(self, *payloads: bytes) -> list[bytes]:
        """Return the payloads compressed as messages of one connection (RFC 7692, 7.2.1)."""
        compressed, compressor = [], None
        for payload in payloads:
            if compressor is None or not self.takeover:
                compressor = zlib.compressobj(wbits=-self.bits)
            data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
            compressed.append(data.removesuffix(_TAIL))
        return compressed


@dataclass(frozen=True)
class Case:
    """Input on a new connection, and the expected result.

    Attributes:
        section: section of the RFC.
        messages: (opcode, payload) of the delivered messages, in order.
        pongs: payloads of the pongs, in order.
        closes: permitted codes of the receiver's close frame; empty: the connection stays open.
        chop: size of the pieces in which the input is sent; 0: one piece.
        deflate: compression of the messages; None: not compressed.
    """

    name: str
    section: str
    frames: tuple[Frame, ...]
    messages: tuple[tuple[int, bytes], ...] = ()
    pongs: tuple[bytes, ...] = ()
    closes: frozenset[int] = frozenset()
    chop: int = 0
    deflate: Deflate | None = None


def wire(case: Case, *, masked: bool) -> bytes:
    """Return all bytes that a client (`masked`) or a server sends."""
    return b"".join(frame.wire(masked=masked) for frame in case.frames)


def pieces(case: Case, *, masked: bool) -> list[bytes]:
    """Return the same bytes in the pieces in which to send them."""
    data = wire(case, masked=masked)
    return [data[at : at + case.chop] for at in range(0, len(data), case.chop)] if case.chop else [data]


def compressed(case: Case) -> Case | None:
    """Return the case with every message compressed, or None if its frames are not complete messages.

    Only messages that are delivered or fail by their content have a compressed form; a misplaced frame has none.
    """
    by_content = not case.closes or case.closes == NOT_UTF8 or any(frame.opcode == CLOSE for frame in case.frames)
    if case.deflate or not by_content or any(frame.rsv or frame.stated or not frame.mask for frame in case.frames):
        return None
    groups = _messages(case.frames)
    if groups is None:
        return None
    deflate, replaced = Deflate(), list(case.frames)
    datas = deflate.of(*(b"".join(case.frames[at].payload for at in group) for group in groups))
    for group, data in zip(groups, datas, strict=True):
        step = -(-len(data) // len(group))
        for number, at in enumerate(group):
            part = data[number * step : (number + 1) * step]
            replaced[at] = dataclasses.replace(case.frames[at], payload=part, rsv=0 if number else RSV1)
    return dataclasses.replace(case, name=f"{case.name}, compressed", frames=tuple(replaced), deflate=deflate)


def _messages(frames: tuple[Frame, ...]) -> list[list[int]] | None:
    """Return the positions of each message's frames, or None without messages or with a misplaced or incomplete one."""
    groups: list[list[int]] = []
    under_way = False
    for at, frame in enumerate(frames):
        if frame.opcode in CONTROL:
            continue
        if (frame.opcode == CONTINUATION) != under_way:
            return None
        if not under_way:
            groups.append([])
        groups[-1].append(at)
        under_way = not frame.fin
    return groups if groups and not under_way else None


# -- the cases -------------------------------------------------------------------------------------------------------

BROKEN = frozenset({1002})
NOT_UTF8 = frozenset({1007})
TOO_BIG = frozenset({1002, 1009})  # a length that breaks the protocol and is too big as well
BAD_DEFLATE = frozenset({1002, 1007})  # RFC 7692 names no code
BEHIND = Frame(TEXT, b"behind")
ALIVE = Frame(PING, b"alive?")


def _text(payload: bytes) -> tuple[int, bytes]:
    return TEXT, payload


def _parts(opcode: int, *payloads: bytes) -> tuple[Frame, ...]:
    """Return a message in as many frames as there are payloads."""
    last = len(payloads) - 1
    return tuple(
        Frame(CONTINUATION if number else opcode, payload, fin=number == last)
        for number, payload in enumerate(payloads)
    )


IN_PARTS = _parts(TEXT, b"frag", b"ment")


def _whole_messages() -> Iterator[Case]:
    for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536):
        for opcode, name, unit in ((TEXT, "text", b"*"), (BINARY, "binary", b"\xfe")):
            payload = unit * size
            yield Case(f"{name} of {size} bytes", "6455 5.2", (Frame(opcode, payload),), ((opcode, payload),))
            if size >= 126:
                frames = (Frame(opcode, payload), ALIVE)
                yield Case(
                    f"{name} of {size} bytes in pieces",
                    "6455 5.2",
                    frames,
                    ((opcode, payload),),
                    (b"alive?",),
                    chop=997,
                )
    yield Case(
        "messages one after the other in one segment",
        "6455 5.2",
        (Frame(TEXT, b"one"), Frame(BINARY, b"\x00"), Frame(TEXT), Frame(TEXT, b"four")),
        (_text(b"one"), (BINARY, b"\x00"), _text(b""), _text(b"four")),
    )
    for key in (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"):
        frame = Frame(TEXT, b"masked by a client", key=key)
        yield Case(f"mask key {key.hex()}", "6455 5.3", (frame,), (_text(b"masked by a client"),))


def _wrong_frames() -> Iterator[Case]:
    before, delivered = Frame(TEXT, b"before"), (_text(b"before"),)
    for opcode, name in ((TEXT, "text"), (BINARY, "binary"), (PING, "ping"), (CLOSE, "close")):
        wrong = Frame(opcode, b"\x03\xe8" if opcode == CLOSE else b"hi", mask=False)
        yield Case(
            f"{name} masked by a server or unmasked by a client",
            "6455 5.1",
            (before, wrong, BEHIND),
            delivered,
            closes=BROKEN,
        )
    for rsv in range(RSV3, 0x80, RSV3):
        # RSV1 alone on a message has a meaning on a connection with compression: this payload is no deflate there
        wrong = Frame(TEXT, b"\xff\xff\xff\xff\xff", rsv=rsv)
        closes = BAD_DEFLATE if rsv == RSV1 else BROKEN
        yield Case(
            f"text with reserved bits {rsv >> 4:03b}", "6455 5.2", (before, wrong, ALIVE), delivered, closes=closes
        )
    for opcode, rsv, name in ((PING, RSV1, "ping"), (PONG, RSV2, "pong"), (CLOSE, RSV1 | RSV2 | RSV3, "close")):
        wrong = Frame(opcode, b"\x03\xe8", rsv=rsv)
        yield Case(
            f"{name} with reserved bits {rsv >> 4:03b}", "6455 5.2", (before, wrong, BEHIND), delivered, closes=BROKEN
        )
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"reserved"):
            yield Case(
                f"opcode {opcode}, {len(payload)} bytes",
                "6455 5.2",
                (before, Frame(opcode, payload), BEHIND),
                delivered,
                closes=BROKEN,
                chop=1 if payload else 0,
            )
    for stated in (1 << 63, (1 << 64) - 1, 1 << 62):
        for opcode in DATA:
            wrong = Frame(opcode, b"the rest never comes", stated=stated)
            yield Case(
                f"opcode {opcode}, stated length {stated:#x}", "6455 5.2", (before, wrong), delivered, closes=TOO_BIG
            )


def _control_frames() -> Iterator[Case]:
    full = b"\xfe" * 125
    yield Case("ping without payload", "6455 5.5.2", (Frame(PING),), pongs=(b"",))
    yield Case("ping", "6455 5.5.2", (Frame(PING, b"hello"),), pongs=(b"hello",))
    yield Case("ping with what is not UTF-8", "6455 5.5.2", (Frame(PING, b"\x00\xff\xfe"),), pongs=(b"\x00\xff\xfe",))
    yield Case("ping of 125 bytes", "6455 5.5", (Frame(PING, full),), pongs=(full,))
    yield Case("ping of 125 bytes, byte by byte", "6455 5.5", (Frame(PING, full),), pongs=(full,), chop=1)
    for opcode, name in ((PING, "ping"), (PONG, "pong")):
        yield Case(f"{name} of 126 bytes", "6455 5.5", (Frame(opcode, full + b"!"), BEHIND), closes=BROKEN)
        wrong = Frame(opcode, b"part", fin=False)
        yield Case(f"{name} that is not final", "6455 5.5", (wrong, Frame(CONTINUATION, b"s")), closes=BROKEN)
    yield Case("pong nobody asked for", "6455 5.5.3", (Frame(PONG), Frame(PONG, b"unsolicited")))
    yield Case("pong, then a ping", "6455 5.5.3", (Frame(PONG, b"one-way"), ALIVE), pongs=(b"alive?",))
    pings = tuple(b"ping %d" % number for number in range(10))
    frames = tuple(Frame(PING, payload) for payload in pings)
    yield Case("ten pings", "6455 5.5.3", frames, pongs=pings)
    yield Case("ten pings, byte by byte", "6455 5.5.3", frames, pongs=pings, chop=1)


def _fragments() -> Iterator[Case]:
    parts, delivered = IN_PARTS, (_text(b"fragment"),)
    for chop in (0, 1):
        how = ", byte by byte" if chop else ""
        yield Case(f"two fragments{how}", "6455 5.4", parts, delivered, chop=chop)
        yield Case(
            f"a ping between two fragments{how}",
            "6455 5.4",
            (parts[0], ALIVE, parts[1]),
            delivered,
            (b"alive?",),
            chop=chop,
        )
    yield Case("a pong between two fragments", "6455 5.4", (parts[0], Frame(PONG, b"?"), parts[1]), delivered)
    five = _parts(BINARY, b"a", b"\xff", b"", b"b", b"c")
    between = tuple(frame for number, part in enumerate(five) for frame in (part, Frame(PING, b"%d" % number)))
    pongs = (b"0", b"1", b"2", b"3", b"4")
    yield Case("five fragments, a ping behind each", "6455 5.4", between, ((BINARY, b"a\xffbc"),), pongs)
    yield Case("two fragmented messages", "6455 5.4", parts + parts, delivered * 2)
    yield Case("fragments without payload", "6455 5.4", _parts(TEXT, b"", b"", b""), (_text(b""),))
    yield Case("a payload in the middle fragment alone", "6455 5.4", _parts(TEXT, b"", b"here", b""), (_text(b"here"),))
    long = b"0123456789abcdef" * 4096
    yield Case(
        "a long message in 256 fragments",
        "6455 5.4",
        _parts(BINARY, *(long[at : at + 256] for at in range(0, len(long), 256))),
        ((BINARY, long),),
    )
    for fin in (True, False):
        alone = Frame(CONTINUATION, b"of nothing", fin=fin)
        what = "final continuation" if fin else "continuation"
        yield Case(f"a {what} of nothing", "6455 5.4", (alone, BEHIND), closes=BROKEN)
        yield Case(f"a {what} of nothing, byte by byte", "6455 5.4", (alone, BEHIND), closes=BROKEN, chop=1)
        yield Case(f"a {what} behind a whole message", "6455 5.4", (BEHIND, alone), (_text(b"behind"),), closes=BROKEN)
        yield Case(
            f"a {what} behind a fragmented message", "6455 5.4", (*parts, alone, BEHIND), delivered, closes=BROKEN
        )
    for opcode in DATA:
        for fin in (True, False):
            again = Frame(opcode, b"ment", fin=fin)
            name = f"a message (opcode {opcode}, {'final' if fin else 'not final'}) in an unfinished one"
            yield Case(name, "6455 5.4", (parts[0], again, Frame(CONTINUATION, b"")), closes=BROKEN)


# -- UTF-8 -----------------------------------------------------------------------------------------------------------

VALID_UTF8 = {
    "two, three and four bytes": "Hello-µ@ßöäüàá-€-𝄞-UTF-8!!".encode(),
    "kosme": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "U+0000": b"\x00",
    "U+0080": b"\xc2\x80",
    "U+0800": b"\xe0\xa0\x80",
    "U+10000": b"\xf0\x90\x80\x80",
    "U+007F": b"\x7f",
    "U+07FF": b"\xdf\xbf",
    "U+FFFF": b"\xef\xbf\xbf",
    "U+10FFFF": b"\xf4\x8f\xbf\xbf",
    "U+D7FF": b"\xed\x9f\xbf",
    "U+E000": b"\xee\x80\x80",
    "U+FFFD": b"\xef\xbf\xbd",
    "U+FFFE": b"\xef\xbf\xbe",
    "U+FEFF": b"\xef\xbb\xbf",
    "U+1FFFE": b"\xf0\x9f\xbf\xbe",
    "U+10FFFE": b"\xf4\x8f\xbf\xbe",
}
INVALID_UTF8 = {
    "U+110000": b"\xf4\x90\x80\x80",
    "U+1FFFFF": b"\xf7\xbf\xbf\xbf",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "highest of five bytes": b"\xfb\xbf\xbf\xbf\xbf",
    "highest of six bytes": b"\xfd\xbf\xbf\xbf\xbf\xbf",
    "first continuation byte alone": b"\x80",
    "last continuation byte alone": b"\xbf",
    "seven continuation bytes": b"\x80\xbf\x80\xbf\x80\xbf\x80",
    "start bytes of two, each with a space": b"\xc2 \xc3 \xdf ",
    "start bytes of three, each with a space": b"\xe0 \xe1 \xef ",
    "start bytes of four, each with a space": b"\xf0 \xf1 \xf4 ",
    "the last of two missing": b"\xc2",
    "the last of three missing": b"\xe0\xa0",
    "the last of four missing": b"\xf0\x90\x80",
    "the last two of four missing": b"\xf0\x90",
    "kosme, then half a character": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce",
    "incomplete ones in a row": b"\xc2\xe0\xa0\xf0\x90\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "overlong slash in two": b"\xc0\xaf",
    "overlong slash in three": b"\xe0\x80\xaf",
    "overlong slash in four": b"\xf0\x80\x80\xaf",
    "highest overlong in two": b"\xc1\xbf",
    "highest overlong in three": b"\xe0\x9f\xbf",
    "highest overlong in four": b"\xf0\x8f\xbf\xbf",
    "overlong zero in two": b"\xc0\x80",
    "overlong zero in three": b"\xe0\x80\x80",
    "overlong zero in four": b"\xf0\x80\x80\x80",
    "first high surrogate": b"\xed\xa0\x80",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "valid, invalid, valid": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
}


def _bytewise(payload: bytes) -> tuple[Frame, ...]:
    return _parts(TEXT, *(payload[at : at + 1] for at in range(len(payload))), b"")


def _utf8() -> Iterator[Case]:
    for name, payload in VALID_UTF8.items():
        yield Case(f"UTF-8: {name}", "6455 8.1", (Frame(TEXT, payload),), (_text(payload),))
        yield Case(f"UTF-8: {name}, a fragment a byte", "6455 5.6", _bytewise(payload), (_text(payload),))
    euro = "κόσμε€".encode()
    half = len(euro) - 2
    frames = (*_parts(TEXT, euro[:half], euro[half:]), ALIVE)
    yield Case("UTF-8: a character cut by the edge of two fragments", "6455 5.6", frames, (_text(euro),), (b"alive?",))
    frames = (Frame(TEXT, euro[:half], fin=False), ALIVE, Frame(CONTINUATION, euro[half:]))
    yield Case("UTF-8: a ping amid a character", "6455 5.6", frames, (_text(euro),), (b"alive?",), chop=1)
    for name, payload in INVALID_UTF8.items():
        yield Case(f"not UTF-8: {name}", "6455 8.1", (Frame(TEXT, payload), BEHIND), closes=NOT_UTF8)
        yield Case(f"not UTF-8: {name}, a fragment a byte", "6455 8.1", (*_bytewise(payload), BEHIND), closes=NOT_UTF8)
        yield Case(f"anything goes in binary: {name}", "6455 5.6", (Frame(BINARY, payload),), ((BINARY, payload),))
    # The receiver may fail at once or at the message's end (8.1): these cases accept both.
    frames = (Frame(TEXT, b"before"), *_parts(TEXT, b"fine so far", b"\xff", b"too late"), BEHIND)
    yield Case("not UTF-8 in the second of three fragments", "6455 8.1", frames, (_text(b"before"),), closes=NOT_UTF8)
    cut = (*_parts(TEXT, b"\xe2", b"\x82"), Frame(TEXT, b"\xac"))
    yield Case("a character that goes on in the next message", "6455 8.1", cut, closes=NOT_UTF8)


# -- closing ---------------------------------------------------------------------------------------------------------

VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
"""RFC 6455, 7.4.1 and 7.4.2; 1012 to 1014 have been registered since (IANA, WebSocket Close Code Number Registry)."""
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


def close(code: int, reason: bytes = b"") -> Frame:
    """Return a close frame."""
    return Frame(CLOSE, code.to_bytes(2) + reason)


def _closing() -> Iterator[Case]:
    normal = frozenset({1000})
    yield Case("close without payload", "6455 5.5.1", (Frame(CLOSE),), closes=frozenset({NO_CODE, 1000}))
    for code in VALID_CODES:
        yield Case(f"close {code}", "6455 7.4", (close(code),), closes=frozenset({code}))
    yield Case("close with a reason", "6455 5.5.1", (close(1000, "auf Wiederhören".encode()),), closes=normal)
    yield Case("close with the longest reason", "6455 5.5", (close(1000, b"*" * 123),), closes=normal)
    yield Case("close, byte by byte", "6455 5.5.1", (close(1000, b"slowly"),), closes=normal, chop=1)
    yield Case(
        "message, then close", "6455 5.5.1", (Frame(TEXT, b"last"), close(1000)), (_text(b"last"),), closes=normal
    )
    frames = (Frame(TEXT, b"last"), ALIVE, close(1000))
    yield Case("message, ping, close", "6455 5.5.1", frames, (_text(b"last"),), (b"alive?",), normal)
    long = b"0123456789abcdef" * 16_384
    yield Case(
        "a long message, then close",
        "6455 5.5.1",
        (Frame(BINARY, long), close(1000), ALIVE),
        ((BINARY, long),),
        closes=normal,
    )
    for name, behind in (("close", close(1001)), ("ping", ALIVE), ("message", BEHIND), ("wrong", Frame(3, b"!"))):
        yield Case(f"{name} behind close", "6455 5.5.1", (close(1000), behind), closes=normal)
    first, last = _parts(TEXT, b"never", b" whole")
    # A control frame may come within a message (5.4), which is then lost: the receiver may report that or not.
    yield Case("close amid a message", "6455 5.4", (first, close(1000), last), closes=normal | BROKEN)

    yield Case("close of one byte", "6455 5.5.1", (Frame(CLOSE, b"\x03"), BEHIND), closes=BROKEN)
    yield Case("close of 126 bytes", "6455 5.5", (close(1000, b"*" * 124), BEHIND), closes=BROKEN)
    yield Case("close that is not final", "6455 5.5", (Frame(CLOSE, b"\x03\xe8", fin=False), BEHIND), closes=BROKEN)
    for code in INVALID_CODES:
        yield Case(f"close {code}, which must not be sent", "6455 7.4", (close(code), BEHIND), closes=BROKEN)
    for name in ("FF", "the last of three missing", "overlong slash in two", "first high surrogate"):
        frames = (close(1000, b"why? " + INVALID_UTF8[name]), BEHIND)
        yield Case(f"close with a reason that is not UTF-8: {name}", "6455 5.5.1", frames, closes=NOT_UTF8 | BROKEN)


CASES = (*_whole_messages(), *_wrong_frames(), *_control_frames(), *_fragments(), *_utf8(), *_closing())
"""On every connection, with and without compression."""


# -- cases that exist only with permessage-deflate (RFC 7692) ----------------------------------------------------------

HELLO_DEFLATED = bytes.fromhex("f248cdc9c90700")  # RFC 7692, 7.2.3.1
_AGAIN = bytes.fromhex("f200110000")  # 7.2.3.2: the same, with what the window holds of it
_STORED = bytes.fromhex("000500faff48656c6c6f00")  # 7.2.3.3
_FINAL = bytes.fromhex("f348cdc9c9070000")  # 7.2.3.4: BFINAL, then the beginning of an empty block
_TWO_BLOCKS = bytes.fromhex("f24805000000ffffcac9c90700")  # 7.2.3.5


def _deflate(*payloads: bytes, opcode: int = TEXT, deflate: Deflate | None = None) -> tuple[Frame, ...]:
    """Return frames with one compressed message each."""
    return tuple(Frame(opcode, data, rsv=RSV1) for data in (deflate or Deflate()).of(*payloads))


def _deflate_messages() -> Iterator[Case]:
    hello, plain = _text(b"Hello"), Deflate()
    for name, section, datas in (
        ("one block", "7.2.3.1", (HELLO_DEFLATED,)),
        ("the window kept from message to message", "7.2.3.2", (HELLO_DEFLATED, _AGAIN)),
        ("a stored block", "7.2.3.3", (_STORED,)),
        ("a block with BFINAL", "7.2.3.4", (_FINAL,)),
        ("two blocks", "7.2.3.5", (_TWO_BLOCKS,)),
    ):
        frames = tuple(Frame(TEXT, data, rsv=RSV1) for data in datas)
        yield Case(f"deflate: {name}", f"7692 {section}", frames, (hello,) * len(datas), deflate=plain)
        yield Case(
            f"deflate: {name}, byte by byte", f"7692 {section}", frames, (hello,) * len(datas), deflate=plain, chop=1
        )
    parts = (Frame(TEXT, HELLO_DEFLATED[:3], fin=False, rsv=RSV1), Frame(CONTINUATION, HELLO_DEFLATED[3:]))
    yield Case("deflate: two fragments", "7692 7.2.3.1", parts, (hello,), deflate=plain)
    frames = (parts[0], ALIVE, parts[1])
    yield Case("deflate: a ping between two fragments", "7692 6.1", frames, (hello,), (b"alive?",), deflate=plain)
    yield Case(
        "deflate: nothing, compressed", "7692 7.2.3.6", (Frame(TEXT, b"\x00", rsv=RSV1),), (_text(b""),), deflate=plain
    )
    frames = (Frame(TEXT, HELLO_DEFLATED, rsv=RSV1), Frame(TEXT, b"plain"), Frame(TEXT, _AGAIN, rsv=RSV1))
    yield Case(
        "deflate: a plain message between compressed ones",
        "7692 6",
        frames,
        (hello, _text(b"plain"), hello),
        deflate=plain,
    )
    short = '{"symbol": "€uro", "bid": 1.0812}, '.encode()
    text = short * 300
    for deflate in (Deflate(), Deflate(takeover=False), Deflate(bits=9), Deflate(takeover=False, bits=9)):
        how = f"{'window kept' if deflate.takeover else 'window not kept'}, {deflate.bits} bits"
        for opcode, name in ((TEXT, "text"), (BINARY, "binary")):
            frames = _deflate(text, short, text, opcode=opcode, deflate=deflate)
            messages = ((opcode, text), (opcode, short), (opcode, text))
            yield Case(f"deflate: {name}, {how}", "7692 7.1", frames, messages, deflate=deflate)


def _deflate_wrong() -> Iterator[Case]:
    hello, delivered, plain = Frame(TEXT, HELLO_DEFLATED, rsv=RSV1), (_text(b"Hello"),), Deflate()
    first, plainly = Frame(TEXT, HELLO_DEFLATED[:3], fin=False, rsv=RSV1), Frame(TEXT, b"a", fin=False)
    for name, wrong in (
        ("RSV1 on a continuation", (first, Frame(CONTINUATION, HELLO_DEFLATED[3:], rsv=RSV1))),
        ("RSV1 on the continuation of a plain message", (plainly, Frame(CONTINUATION, HELLO_DEFLATED, rsv=RSV1))),
        ("RSV1 on a ping", (Frame(PING, b"\x00", rsv=RSV1),)),
        ("RSV1 on a pong", (Frame(PONG, b"\x00", rsv=RSV1),)),
        ("RSV1 on a close", (Frame(CLOSE, b"\x03\xe8", rsv=RSV1),)),
        ("RSV1 and RSV2", (Frame(TEXT, HELLO_DEFLATED, rsv=RSV1 | RSV2),)),
        ("RSV1 and RSV3", (Frame(TEXT, HELLO_DEFLATED, rsv=RSV1 | RSV3),)),
        ("RSV1 on opcode 3", (Frame(3, HELLO_DEFLATED, rsv=RSV1),)),
        ("a continuation of nothing", (Frame(CONTINUATION, _AGAIN),)),
    ):
        yield Case(f"deflate: {name}", "7692 6", (hello, *wrong, BEHIND), delivered, closes=BROKEN, deflate=plain)
    for name, data in (
        ("no block type", b"\x07"),
        ("a stored block whose length is not confirmed", b"\x00\x05\x00\xff\xff12345"),
        ("a distance before the beginning", bytes.fromhex("025e000000")),
    ):
        frames = (hello, Frame(BINARY, data, rsv=RSV1), BEHIND)
        yield Case(f"deflate: {name}", "7692 7.2.2", frames, delivered, closes=BAD_DEFLATE, deflate=plain)
    # Announces no context takeover, and uses it.
    frames = (hello, Frame(TEXT, _AGAIN, rsv=RSV1), BEHIND)
    yield Case(
        "deflate: the window kept against the agreement",
        "7692 7.1.1.1",
        frames,
        delivered,
        closes=BAD_DEFLATE,
        deflate=Deflate(takeover=False),
    )
    frames = (*_deflate(b"fine", b"not \xff fine"), BEHIND)
    yield Case(
        "deflate: not UTF-8 when inflated", "6455 8.1", frames, (_text(b"fine"),), closes=NOT_UTF8, deflate=plain
    )


DEFLATE = (*_deflate_messages(), *_deflate_wrong())
"""On a connection with permessage-deflate alone, with `deflate` negotiated for the sender."""
COMPRESSED = tuple(made for case in CASES if (made := compressed(case)) is not None)
"""The compressed form of all `CASES` that have one."""
