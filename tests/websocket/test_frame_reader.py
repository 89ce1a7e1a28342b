"""Framing: our reader, over every way of cutting a stream, against websockets' protocol object fed with all of it.

The reference is ClientProtocol with the fragments of its events put together here. One difference is deliberate: the
reader checks that text is UTF-8 (1007), which the sans-I/O protocol leaves to its callers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from helpers import frames as by_hand
from helpers.reference import LIMIT, Outcome, client, cut, in_pieces, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol

from wsbench.websocket.frame_reader import ReceivedMessage


class Server:
    """Writer of a server's stream, valid or not, which knows where frames and messages end.

    Attributes:
        idle_at: the offsets at which the next byte is a frame's first, outside a fragmented message.
    """

    def __init__(self, *, deflate: bool = False) -> None:
        self._protocol = ServerProtocol(state=OPEN)
        self._protocol.extensions = [PerMessageDeflate(False, False, 15, 15)] if deflate else []
        self.stream = b""
        self.idle_at = {0}

    def _written(self, *, under_way: bool = False) -> None:
        self.stream += b"".join(self._protocol.data_to_send())
        if not under_way:
            self.idle_at.add(len(self.stream))

    def message(self, payload: bytes, text: bool) -> None:
        (self._protocol.send_text if text else self._protocol.send_binary)(payload)
        self._written()

    def fragmented(self, parts: list[bytes], text: bool, *, between: bytes | None = None) -> None:
        (self._protocol.send_text if text else self._protocol.send_binary)(parts[0], fin=False)
        self._written(under_way=True)
        for number, part in enumerate(parts[1:], 2):
            if between is not None:
                self._protocol.send_ping(between)
                self._protocol.send_pong(between)
            self._protocol.send_continuation(part, fin=number == len(parts))
            self._written(under_way=number < len(parts))

    def ping(self, payload: bytes) -> None:
        self._protocol.send_ping(payload)
        self._written()

    def pong(self, payload: bytes) -> None:
        self._protocol.send_pong(payload)
        self._written()

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame. May be called twice: a server may continue after its close, or send another one."""
        payload = b"" if code is None else code.to_bytes(2) + reason.encode()
        self.raw(by_hand.encode(by_hand.CLOSE, payload))

    def raw(self, data: bytes, *, under_way: bool = False) -> None:
        self.stream += data
        if not under_way:
            self.idle_at.add(len(self.stream))


def check(server: Server, cuts: Iterable[int], *, deflate: bool = False, max_size: int | None = LIMIT) -> Outcome:
    expected = whole(server.stream, client(deflate=deflate, max_size=max_size))
    pieces = cut(server.stream, cuts)
    found, _ = in_pieces(pieces, client(deflate=deflate, max_size=max_size), server.idle_at)
    assert found == expected, [len(piece) for piece in pieces]
    return expected


# -- streams that hypothesis makes up --------------------------------------------------------------------------------

LENGTHS = st.one_of(st.integers(0, 40), st.sampled_from([124, 125, 126, 127, 128, 65_535, 65_536, 65_537]))
TEXTS = st.one_of(
    st.text(max_size=20).map(str.encode),
    LENGTHS.map(lambda size: (b"abcdefghij" * (size // 10 + 1))[:size]),
    LENGTHS.map(lambda size: ("äß€😀" * (size // 11 + 1)).encode()[: size // 11 * 11]),
)
BINARIES = st.one_of(st.binary(max_size=40), LENGTHS.map(lambda size: (bytes(range(256)) * 257)[:size]))
SHORT = st.binary(max_size=125)
CLOSE_CODES = st.sampled_from([None, 1000, 1001, 1011, 3000, 4999, 999, 1004, 1005, 1006, 1015, 2999, 5000])

WRONG = {
    "masked": b"\x81\x85\x01\x02\x03\x04" + bytes(5),
    "masked and empty": b"\x82\x80\x01\x02\x03\x04",
    "masked and long": b"\x82\xfe\x01\x00" + bytes(300),
    "reserved bit 1": b"\xc1\x02hi",
    "reserved bit 2": b"\xa2\x02hi",
    "reserved bit 3": b"\x91\x02hi",
    "reserved bit in a ping": b"\xc9\x02hi",
    "opcode 3": b"\x83\x02hi",
    "opcode 3, second byte like a header": b"\x83\x01hi" + b"\x82\x01x",
    "opcode 7, second byte like a text frame's first": b"\x87\x81" + bytes(300),
    "opcode 11": b"\x8b\x02hi",
    "opcode 15, not final": b"\x0f\x7e\x00\x02hi",
    "continuation of nothing": b"\x80\x02hi",
    "continuation of nothing, not final": b"\x00\x02hi",
    "new message in an unfinished one": b"\x01\x02hi" + b"\x81\x02ho",
    "new binary message in an unfinished one": b"\x02\x00" + b"\x02\x02ho",
    "long ping": b"\x89\x7e\x00\x7e" + bytes(126),
    "fragmented ping": b"\x09\x02hi",
    "close in an unfinished message": b"\x01\x02hi" + b"\x88\x02\x03\xe8",
    "close of one byte": b"\x88\x01\x03",
    "close with a reason that is not UTF-8": b"\x88\x04\x03\xe8\xff\xff",
    "close with a forbidden code": b"\x88\x02\x03\xed",
    "over the limit": b"\x82\x7f" + (LIMIT + 1).to_bytes(8) + bytes(LIMIT + 1),
    "over the limit, most of it to come": b"\x82\x7f" + (2**40).to_bytes(8) + bytes(50),
    "longest length there is": b"\x82\x7f" + (2**64 - 1).to_bytes(8) + bytes(50),
    "fragments over the limit together": b"\x02\x7e\xff\xff" + bytes(65_535) + b"\x80\x7e\xff\xff" + bytes(65_535),
    "fragments over the limit, most to come": b"\x02\x7e\xff\xff" + bytes(65_535) + b"\x80\x7e\xff\xff" + bytes(10),
    "deflated, but garbage": b"\xc1\x05\xff\xff\xff\xff\xff",
}

STEPS = st.one_of(
    st.tuples(st.just("text"), TEXTS),
    st.tuples(st.just("binary"), BINARIES),
    st.tuples(st.just("plain text"), TEXTS),
    st.tuples(st.just("text in parts"), TEXTS, st.lists(st.integers(0, 70_000), max_size=4), st.none() | SHORT),
    st.tuples(st.just("binary in parts"), BINARIES, st.lists(st.integers(0, 70_000), max_size=4), st.none() | SHORT),
    st.tuples(st.just("ping"), SHORT),
    st.tuples(st.just("pong"), SHORT),
)
ENDS = st.one_of(
    st.none(),
    st.tuples(st.just("close"), CLOSE_CODES, st.text(max_size=20)),
    st.tuples(st.just("wrong"), st.sampled_from(sorted(WRONG))),
)


def act(server: Server, step: tuple[object, ...]) -> None:
    kind, *rest = step
    if kind in ("text", "binary"):
        server.message(rest[0], kind == "text")  # type: ignore[arg-type]
    elif kind == "plain text":  # which a server may send on a connection with compression, too
        server.raw(by_hand.encode(by_hand.TEXT, rest[0]))  # type: ignore[arg-type]
    elif kind in ("text in parts", "binary in parts"):
        payload, cuts, between = rest
        parts = cut(payload, (at % (len(payload) + 1) for at in cuts))  # type: ignore[arg-type, attr-defined]
        server.fragmented([*parts, b""], kind == "text in parts", between=between)  # type: ignore[arg-type]
    elif kind == "ping":
        server.ping(rest[0])  # type: ignore[arg-type]
    elif kind == "pong":
        server.pong(rest[0])  # type: ignore[arg-type]
    elif kind == "close":
        server.close(*rest)  # type: ignore[arg-type]
    else:
        server.raw(WRONG[rest[0]])  # type: ignore[index]


@st.composite
def streams(draw: st.DrawFn) -> tuple[Server, bool, list[int]]:
    """Draw a stream, perhaps compressed, ended properly or not, or cut; and where to split it."""
    deflate = draw(st.booleans())
    server = Server(deflate=deflate)
    for step in draw(st.lists(STEPS, min_size=1, max_size=12)):
        act(server, step)
    end = draw(ENDS)
    if end is not None:
        act(server, end)
        for step in draw(st.lists(STEPS, max_size=3)):  # what comes after the end
            act(server, step)
    if draw(st.integers(0, 3)) == 0:
        server.stream = server.stream[: draw(st.integers(0, len(server.stream)))]
    size = len(server.stream)
    near = st.sampled_from(sorted(server.idle_at)).flatmap(lambda at: st.integers(at - 12, at + 12))
    cuts = draw(st.lists(st.one_of(st.integers(0, size), near), min_size=3, max_size=30))
    return server, deflate, [at for at in cuts if 0 < at < size]


@given(streams())
@settings(max_examples=200)
def test_however_a_stream_is_cut_it_reads_as_if_whole(made: tuple[Server, bool, list[int]]) -> None:
    server, deflate, cuts = made
    check(server, cuts, deflate=deflate)


# -- streams of which every cut is tried -----------------------------------------------------------------------------


def lively(*, deflate: bool) -> Server:
    """Return a stream with every kind of valid frame."""
    server = Server(deflate=deflate)
    server.message(b"one", True)
    server.message(b"", True)
    server.message(b"", False)
    server.ping(b"are you there?")
    server.message(b"x" * 126, False)
    server.fragmented([b"two \xe2", b"\x82", b"", b"\xac!"], True, between=b"now")
    server.message("äöü".encode(), True)
    server.pong(b"")
    server.fragmented([b"", b"only part"], False)
    server.message(b"\xff\xfe", False)
    server.close(1000, "done")
    return server


@pytest.mark.parametrize("deflate", [False, True])
def test_a_lively_stream_cut_at_every_pair_of_places(deflate: bool) -> None:
    server = lively(deflate=deflate)
    expected = whole(server.stream, client(deflate=deflate))
    assert len(expected.messages) == 8
    assert expected.states[-1][0] is State.CLOSED
    for cuts in itertools.combinations(range(0, len(server.stream), 3), 2):
        found, _ = in_pieces(cut(server.stream, cuts), client(deflate=deflate), server.idle_at)
        assert found == expected, cuts


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_a_lively_stream_in_small_pieces(deflate: bool, size: int) -> None:
    server = lively(deflate=deflate)
    check(server, range(size, len(server.stream), size), deflate=deflate)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("before", [b"", b"\x81\x02ok", b"\x01\x02ok\x80\x00"], ids=["first", "second", "behind-parts"])
def test_what_is_wrong_is_refused_wherever_it_is_cut(wrong: str, before: bytes) -> None:
    deflate = wrong.startswith("deflated")
    server = Server()
    if before:
        server.raw(before)
    server.raw(WRONG[wrong])
    start, size = len(before), len(server.stream)
    early = range(start + 1, min(start + 20, size))
    for cuts in [(), *((at,) for at in early), early, *((at, at + 1) for at in early), (size - 1,)]:
        expected = check(server, cuts, deflate=deflate)
        assert expected.states[0][0] is not OPEN
        assert len(expected.messages) == bool(before)
    behind = Server()
    behind.raw(server.stream + b"\x82\x05never")
    check(behind, [start + 1, size], deflate=deflate)


def test_a_frame_that_states_too_great_a_length_is_refused_without_waiting_for_it() -> None:
    protocol = client()
    found, reader = in_pieces([b"\x82\x7f", (2**40).to_bytes(8)], protocol)
    assert found.states[0][0] is State.CLOSING
    assert found.sent[0][0] == by_hand.CLOSE
    assert found.sent[0][1][:2] == (1009).to_bytes(2)
    assert reader.feed(b"more") == []


def test_fragments_may_be_as_long_as_the_message_may_be_and_no_longer() -> None:
    for last, fits in ((LIMIT - 65_535, True), (LIMIT - 65_534, False)):
        server = Server()
        server.fragmented([bytes(65_535), bytes(last)], False)
        outcome = check(server, [5, 65_539, 65_540])
        assert bool(outcome.messages) is fits


def test_without_a_limit_nothing_is_too_long() -> None:
    server = Server()
    server.message(bytes(200_000), False)
    server.fragmented([bytes(100_000), bytes(100_000)], False)
    outcome = check(server, range(65_536, len(server.stream), 65_536), max_size=None)
    assert [len(payload) for payload, _ in outcome.messages] == [200_000, 200_000]


def test_a_long_message_compressed_to_little_is_refused() -> None:
    server = Server(deflate=True)
    server.message(bytes(LIMIT + 1), False)
    assert len(server.stream) < 1000
    assert check(server, [1, 5, 30], deflate=True).sent[0][1][:2] == (1009).to_bytes(2)


# -- the deliberate difference ---------------------------------------------------------------------------------------

NOT_UTF8 = {
    "a lone byte": [b"ab\xff"],
    "a cut character": [b"ab\xe2\x82"],
    "a surrogate": [b"\xed\xa0\x80"],
    "an overlong form": [b"\xc0\xaf"],
    "in the second part": [b"fine", b"\xff"],
    "a character cut by the end of the last part": [b"\xe2", b"\x82", b""],
}


@pytest.mark.parametrize("parts", NOT_UTF8.values(), ids=NOT_UTF8)
@pytest.mark.parametrize("deflate", [False, True])
def test_text_that_is_not_utf8_fails_the_connection_with_1007(parts: list[bytes], deflate: bool) -> None:
    server = Server(deflate=deflate)
    server.message(b"before", True)
    if len(parts) == 1:
        server.message(parts[0], True)
    else:
        server.fragmented(parts, True)
    server.message(b"behind", True)
    assert len(whole(server.stream, client(deflate=deflate)).messages) == 3, "the protocol object lets it pass"
    for at in range(1, len(server.stream)):
        for cuts in ([], [at], range(at, len(server.stream), at)):
            protocol = client(deflate=deflate)
            found, _ = in_pieces(cut(server.stream, cuts), protocol)
            assert found.messages == [ReceivedMessage(b"before", True)], cuts
            assert isinstance(protocol.parser_exc, UnicodeDecodeError)
            assert [(opcode, payload[:2]) for opcode, payload in found.sent] == [(by_hand.CLOSE, (1007).to_bytes(2))]
            assert [state[0] for state in found.states] == [State.CLOSING, State.CLOSED]


def test_binary_may_be_anything() -> None:
    server = Server()
    server.message(b"\xff\xfe", False)
    server.fragmented([b"\xe2", b"\x28"], False)
    assert len(check(server, range(1, len(server.stream))).messages) == 2


# -- what we send ----------------------------------------------------------------------------------------------------
