"""Requirements of RFC 6455 and RFC 7692 for a client, case by case (helpers/conformance.py), over a real socket."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable

import gevent
import pytest
from helpers import conformance, frames
from helpers.conformance import NO_CODE, Case, Deflate, Frame
from helpers.frames import Incoming
from helpers.peer import PATIENCE_S, Pair, granting, until

from wsbench.errors import HandshakeError, Side

MakePair = Callable[..., Pair]
LAST = b"the last ping of all"


def with_deflate(pair: MakePair, deflate: Deflate) -> Pair:
    parameters = deflate.parameters(client=False)
    header = "Sec-WebSocket-Extensions: permessage-deflate" + (f"; {parameters}" if parameters else "")
    return pair(answer=granting(header), compression="on").start()


def send(both: Pair, case: Case) -> None:
    """Send a case as the server; the client may close before the end."""
    with contextlib.suppress(OSError):
        for piece in conformance.pieces(case, masked=False):
            both.peer.send(piece)
            gevent.sleep(0)


def answers(both: Pair) -> list[Incoming]:
    """Return what the client sends, up to its close frame (or its pong to the last ping)."""
    came: list[Incoming] = []
    while not came or (came[-1].opcode != frames.CLOSE and came[-1].payload != LAST):
        came.append(both.peer.receive())
    return came


def check(both: Pair, case: Case) -> None:
    send(both, case)
    if not case.closes:
        both.peer.send(frames.encode(frames.PING, LAST))
    *came, last = answers(both)
    assert [each.payload for each in came if each.opcode == frames.PONG] == list(case.pongs)
    assert [each.opcode for each in came] == [frames.PONG] * len(came)
    if case.closes:
        ended(both, case, last)
    else:
        assert both.connection.is_open
        assert both.log.drops == []
    delivered = [(frames.TEXT if text else frames.BINARY, payload) for payload, text in both.log.messages]
    assert delivered == list(case.messages)
    if not case.closes:
        assert both.log.pongs == [frame.payload for frame in case.frames if frame.opcode == frames.PONG]


def code_of(close: bytes) -> int:
    return int.from_bytes(close[:2]) if close else NO_CODE


def ended(both: Pair, case: Case, close: Incoming) -> None:
    """Check for one drop, with the code that the server received, and for the end of TCP."""
    code, drop = code_of(close.payload), both.log.drop
    assert code in case.closes
    assert drop.side is Side.TARGET
    assert both.log.after_drop == []
    if drop.kind == "closed":  # by the server, and in order
        assert drop.code in [code_of(frame.payload) for frame in case.frames if frame.opcode == frames.CLOSE]
    else:
        assert (drop.kind, drop.code) == ("protocol-error", code)
        close.payload[2:].decode()
    with contextlib.suppress(ConnectionError):  # we may have sent more than was read
        assert both.peer.at_eof()


def ids(cases: Iterable[Case]) -> list[str]:
    return [f"{case.section} {case.name}" for case in cases]


@pytest.mark.parametrize("case", conformance.CASES, ids=ids(conformance.CASES))
def test_without_compression(pair: MakePair, case: Case) -> None:
    check(pair().start(), case)


@pytest.mark.parametrize("case", conformance.CASES, ids=ids(conformance.CASES))
def test_without_compression_where_it_was_negotiated(pair: MakePair, case: Case) -> None:
    check(with_deflate(pair, Deflate()), case)


@pytest.mark.parametrize("case", conformance.COMPRESSED, ids=ids(conformance.COMPRESSED))
def test_compressed(pair: MakePair, case: Case) -> None:
    check(with_deflate(pair, case.deflate or Deflate()), case)


@pytest.mark.parametrize("case", conformance.DEFLATE, ids=ids(conformance.DEFLATE))
def test_what_only_compression_can_do(pair: MakePair, case: Case) -> None:
    check(with_deflate(pair, case.deflate or Deflate()), case)


def compressed(payload: bytes, *, final: bool, window: bytes = b"") -> bytes:
    """A message, ended by a block with BFINAL and the byte after it, or as usual; `window` is the data before it."""
    compressor = zlib.compressobj(wbits=-15, zdict=window)
    data = compressor.compress(payload)
    if final:
        return data + compressor.flush() + b"\x00"
    return (data + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_final_block_ends_no_more_than_its_message(pair: MakePair, fragments: int) -> None:
    """RFC 7692, 7.2.3.4: some servers compress every message like this; the window continues."""
    both = with_deflate(pair, Deflate())
    texts = [b"one " * 10, b"two", "drei €".encode(), b"four " * 1000, b""]
    datas = [compressed(text, final=number != 2) for number, text in enumerate(texts)]
    datas.append(compressed(b"five ", final=True)[:-1] + compressed(b"six", final=True))  # two in a message
    datas.append(compressed(b"five six", final=False, window=b"five six"))
    for data in datas:
        step = -(-len(data) // fragments)
        parts = [data[at : at + step] for at in range(0, len(data), step)]
        for number, part in enumerate(parts):
            opcode, rsv = (frames.CONTINUATION, 0) if number else (frames.TEXT, conformance.RSV1)
            both.peer.send(Frame(opcode, part, fin=number == len(parts) - 1, rsv=rsv).wire(masked=False))
    until(lambda: len(both.log.messages) == len(datas) or both.log.drops)
    assert both.log.drops == []
    assert [payload for payload, _ in both.log.messages] == [*texts, b"five six", b"five six"]


@pytest.mark.parametrize("after", [b"\x07", b"\x03\x00" * 1000], ids=["no block type", "final blocks without end"])
def test_what_follows_a_final_block_must_be_right_too(pair: MakePair, after: bytes) -> None:
    both = with_deflate(pair, Deflate())
    wrong = compressed(b"fine", final=True)[:-1] + after
    both.peer.send(Frame(frames.TEXT, wrong, rsv=conformance.RSV1).wire(masked=False))
    assert (both.log.drop.kind, both.log.drop.code) == ("protocol-error", 1002)
    assert both.log.messages == []


# -- when we close ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "answer", "code"),
    [
        ("6455 5.5.1", (conformance.close(1000),), 1000),
        ("6455 5.5.1", (conformance.close(4999, b"of its own"),), 4999),
        ("6455 7.1.5", (Frame(frames.CLOSE),), NO_CODE),
        ("6455 5.5.1", (*conformance.IN_PARTS, conformance.close(1000)), 1000),
        ("6455 5.5.2", (Frame(frames.PING, b"already?"), conformance.close(1000)), 1000),
        ("6455 5.5.1", (conformance.close(1000), Frame(frames.TEXT, b"after")), 1000),
        ("6455 5.5.1", (Frame(frames.CLOSE, b"\x03"),), 1002),
        ("6455 7.4", (conformance.close(1005),), 1002),
        ("6455 5.2", (Frame(3, b"!"), conformance.close(1000)), 1002),
        ("6455 8.1", (Frame(frames.TEXT, b"\xff"), conformance.close(1000)), 1000),
    ],
    ids=str,
)
def test_the_answer_to_our_close(pair: MakePair, section: str, answer: tuple[Frame, ...], code: int) -> None:
    """Messages in flight still count; we send only one close frame, whatever else arrives."""
    case = Case("", section, answer)
    both = pair().start()
    closing = gevent.spawn(both.connection.close, timeout_s=PATIENCE_S)
    assert both.peer.receive() == Incoming(frames.CLOSE, (1000).to_bytes(2))
    send(both, case)
    both.peer.end()
    closing.get(timeout=PATIENCE_S)
    assert both.connection.close_code == code
    assert both.log.drops == []
    assert both.log.messages == ([(b"fragment", True)] if conformance.IN_PARTS[0] in answer else [])
    pongs = [frame.payload for frame in answer if frame.opcode == frames.PING]
    with contextlib.suppress(EOFError):
        while True:
            assert both.peer.receive() == Incoming(frames.PONG, pongs.pop(0))
    assert pongs == []


# -- what a server may grant -----------------------------------------------------------------------------------------

GRANTED = [
    # offered                         granted
    ("on", "permessage-deflate"),
    ("on", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
    ("on", 'permessage-deflate; server_max_window_bits="9"; client_max_window_bits=15'),
    ("server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
    ("server_max_window_bits=12", "permessage-deflate; server_max_window_bits=9"),
]
REFUSED = [
    ("on", "x-unknown"),
    ("on", "permessage-deflate, x-unknown"),
    ("on", "permessage-deflate, permessage-deflate"),
    ("on", "permessage-deflate; unknown"),
    ("on", "permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
    ("on", "permessage-deflate; server_no_context_takeover=1"),
    ("on", "permessage-deflate; client_no_context_takeover=true"),
    ("on", "permessage-deflate; server_max_window_bits"),
    ("on", "permessage-deflate; server_max_window_bits=7"),
    ("on", "permessage-deflate; server_max_window_bits=16"),
    ("on", "permessage-deflate; server_max_window_bits=09"),
    ("on", "permessage-deflate; client_max_window_bits"),
    ("on", "permessage-deflate; client_max_window_bits=99"),
    ("on", "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10"),
    ("server_no_context_takeover", "permessage-deflate"),
    ("server_max_window_bits=10", "permessage-deflate"),
    ("server_max_window_bits=10", "permessage-deflate; server_max_window_bits=11"),
    ("server_no_context_takeover", "permessage-deflate; server_no_context_takeover; client_max_window_bits=10"),
    ("on", "permessage-deflate; ="),
    ("on", ";"),
    ("on", ""),
]


@pytest.mark.parametrize(("offered", "granted"), GRANTED)
def test_a_valid_grant_is_used(pair: MakePair, offered: str, granted: str) -> None:
    """RFC 7692, 7.1: the next messages are compressed as agreed, and both sides understand them."""
    both = pair(answer=granting(f"Sec-WebSocket-Extensions: {granted}"), compression=offered).start()
    assert both.handshake.negotiated.compression == granted
    both.peer.send(Frame(frames.TEXT, conformance.HELLO_DEFLATED, rsv=conformance.RSV1).wire(masked=False))
    until(lambda: both.log.messages)
    assert both.log.messages == [(b"Hello", True)]


@pytest.mark.parametrize(("offered", "granted"), REFUSED)
def test_an_invalid_grant_fails_the_handshake(pair: MakePair, offered: str, granted: str) -> None:
    """RFC 6455, 4.1 and RFC 7692, 7.1."""
    with pytest.raises(HandshakeError) as caught:
        pair(answer=granting(f"Sec-WebSocket-Extensions: {granted}"), compression=offered)
    assert (caught.value.kind, caught.value.side) == ("negotiation", Side.TARGET)
    assert granted in caught.value.what
