"""Frames of ours, read by websockets' protocol objects, and the bounds of frames."""

from __future__ import annotations

import pytest
from helpers import frames as by_hand
from helpers.reference import decoded
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol

from wsbench.websocket.frames import BINARY, TEXT, client_frame, echoed_frames, frame_bounds

LENGTHS = st.one_of(st.integers(0, 40), st.sampled_from([124, 125, 126, 127, 128, 65_535, 65_536, 65_537]))


@given(size=LENGTHS, first=st.integers(0, 127), text=st.booleans())
@settings(max_examples=100)
def test_a_frame_of_ours_is_one_a_server_understands(size: int, first: int, text: bool) -> None:
    payload = bytes((first + place) % 128 for place in range(size))
    opcode = by_hand.TEXT if text else by_hand.BINARY
    framed = client_frame(payload, TEXT if text else BINARY)
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(framed)
    assert [(event.opcode, bytes(event.data), event.fin) for event in _frames(server)] == [(opcode, payload, True)]
    assert server.parser_exc is None
    assert decoded([framed]) == [(opcode, payload)]
    assert len(framed) - size == 6 + (0 if size < 126 else 2 if size < 65_536 else 8)


def test_mask_keys_do_not_repeat_and_outlast_their_pool() -> None:
    framed = [client_frame(b"payload", BINARY) for _ in range(3000)]
    assert len({each[2:6] for each in framed}) > 2990
    server = ServerProtocol(state=OPEN)
    server.receive_data(b"".join(framed))
    assert [bytes(event.data) for event in _frames(server)] == [b"payload"] * 3000


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 70_000])
def test_frames_made_one_after_the_other_are_those_made_one_by_one(size: int) -> None:
    payloads = [bytes([number % 256]) * size for number in range(400)]  # more than mask keys are made at a time
    parts = [(payload[: size // 2], [payload[size // 2 :]]) for payload in payloads]
    together = [(b"", [*payloads[:7]]), *parts[7:]]
    made = list(echoed_frames(together, size, BINARY))
    assert [echo for echo, _ in made] == [by_hand.encode(by_hand.BINARY, payload) for payload in payloads]
    assert decoded([frame for _, frame in made]) == [(by_hand.BINARY, payload) for payload in payloads]
    head = len(made[0][1]) - size
    assert len({frame[head - 4 : head] for _, frame in made}) > 390


def _frames(protocol: Protocol) -> list[Frame]:
    return [event for event in protocol.events_received() if isinstance(event, Frame)]


# -- offsets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "start", "bounds"),
    [
        (b"", 0, None),
        (b"\x81", 0, None),
        (b"\x81\x00", 0, (2, 2)),
        (b"\x81\x05he", 0, (2, 7)),
        (b"..\x81\x05hello", 2, (4, 9)),
        (b"\x81\x7e\x01", 0, None),
        (b"\x81\x7e\x01\x00", 0, (4, 260)),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00", 0, None),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 0, (10, 65_546)),
        (b"\x82\x85", 0, (6, 11)),  # masked: the key is part of the header
    ],
)
def test_where_a_frames_payload_begins_and_ends(data: bytes, start: int, bounds: tuple[int, int] | None) -> None:
    assert frame_bounds(data, start) == bounds
