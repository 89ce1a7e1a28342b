"""Our frame reader beside websockets' ClientProtocol: the same bytes to both, and everything that came of them.

The reference is the protocol object fed with the whole stream at once, the fragments of its events put together here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from wsbench.websocket.frame_reader import FrameReader, ReceivedMessage

from . import frames as by_hand

LIMIT = 70_000


def client(*, deflate: bool = False, max_size: int | None = LIMIT) -> ClientProtocol:
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=OPEN, max_size=max_size)
    protocol.extensions = [PerMessageDeflate(False, False, 15, 15)] if deflate else []
    return protocol


@dataclass
class Outcome:
    """Result of a stream: messages, bytes to send, and the protocol's state before and after the stream's end."""

    messages: list[ReceivedMessage] = field(default_factory=list)
    states: list[tuple[object, ...]] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)


def state_of(protocol: ClientProtocol) -> tuple[object, ...]:
    return (
        protocol.state,
        protocol.close_sent,
        protocol.close_rcvd,
        protocol.close_rcvd_then_sent,
        repr(protocol.parser_exc),
        protocol.current_size,
    )


def decoded(written: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """Return a client's frames as (opcode, payload), unmasked by code other than websockets'."""
    return [(each.opcode, each.payload) for each in by_hand.FrameParser().feed(b"".join(written))]


def whole(stream: bytes, protocol: ClientProtocol) -> Outcome:
    """Return the reference result: the protocol object alone, the stream in one piece."""
    outcome = Outcome()
    protocol.receive_data(stream)
    outcome.messages = list(put_together(protocol.events_received()))
    written = protocol.data_to_send()
    outcome.states.append(state_of(protocol))
    protocol.receive_eof()
    outcome.states.append(state_of(protocol))
    outcome.sent = decoded([*written, *protocol.data_to_send()])
    return outcome


def put_together(events: Iterable[object]) -> Iterator[ReceivedMessage]:
    text, parts = False, b""
    for event in events:
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            text, parts = event.opcode is Opcode.TEXT, b""
        elif event.opcode is not Opcode.CONT:
            continue
        parts += bytes(event.data)
        if event.fin:
            yield ReceivedMessage(parts, text)


def cut(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(set(cuts) - {0, len(stream)}), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def in_pieces(
    pieces: list[bytes], protocol: ClientProtocol, idle_at: set[int] | None = None
) -> tuple[Outcome, FrameReader]:
    """Return the result of our reader, used as by a connection; check `idle` after every piece while it is open."""
    outcome, reader, offset, written = Outcome(), FrameReader(protocol), 0, []
    for piece in pieces:
        data = piece if reader.idle else reader.join(piece)
        if data:
            outcome.messages += reader.feed(data)
            written += protocol.data_to_send()
        offset += len(piece)
        if idle_at is not None and protocol.state is OPEN:
            assert reader.idle is (offset in idle_at), f"at byte {offset}"
    outcome.states.append(state_of(protocol))
    outcome.messages += reader.feed_eof()
    outcome.states.append(state_of(protocol))
    outcome.sent = decoded([*written, *protocol.data_to_send()])
    return outcome, reader
