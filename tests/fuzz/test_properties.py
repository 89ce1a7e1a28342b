"""The properties of `make fuzz`, with inputs from hypothesis and with the seeds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from . import properties

BYTES = st.binary(max_size=300)
HANDSHAKE_LINES = st.lists(
    st.sampled_from([
        b"Upgrade: websocket", b"Connection: Upgrade", b"connection: keep-alive, upgrade", b"Upgrade: h2c", b"Upgrade:",
        b"Sec-WebSocket-Accept: ACCEPT", b"Sec-WebSocket-Accept: AAAA", b"Sec-WebSocket-Protocol: chat", b"\r",
        b"Sec-WebSocket-Protocol: chat, v2", b"Sec-WebSocket-Extensions: permessage-deflate", b"no colon", b" folded",
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10", b"Content-Length: 5", b"\xff: \x00",
        b"Transfer-Encoding: chunked", b"Sec-WebSocket-Extensions: x", b"", b"A: b",
    ]),
    max_size=9,
)  # fmt: skip
STATUS = st.sampled_from([b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 101 ", b"HTTP/1.1 200 OK", b"HTTP/1.0 101 S"])
EDITS = st.lists(
    st.tuples(
        st.integers(0, 400), st.sampled_from([b"null", b"-1", b"1e999", b"9" * 30, b'""', b"[]", b"{}", b"", b"1"])
    ),
    min_size=1,
    max_size=4,
).map(lambda edits: b"\0".join(place.to_bytes(2) + value for place, value in edits))


@pytest.mark.parametrize("subject", properties.SUBJECTS)
def test_what_fuzzing_begins_with(subject: str) -> None:
    seeds = list(properties.seeds(subject))
    assert seeds
    for seed in seeds:
        properties.SUBJECTS[subject](seed)


@pytest.mark.parametrize("subject", properties.SUBJECTS)
def test_any_bytes(subject: str) -> None:
    @given(BYTES)
    @settings(max_examples=100)
    def holds(data: bytes) -> None:
        properties.SUBJECTS[subject](data)

    holds()


@given(
    flags=st.integers(0, 7),
    cuts=st.binary(min_size=8, max_size=8),
    pieces=st.lists(
        st.tuples(
            st.sampled_from([0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0x41, 0xC2, 0x09, 0x83]),
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\x03\xe8", b"\x03\xedx", b"\xe2\x82", b"\xac", b"\xf2H\xcd\xc9\xc9\x07\x00"]),
            ),
        ),
        min_size=1,
        max_size=12,
    ),
    torn=st.integers(0, 30),
)
@settings(max_examples=300)
def test_frames_in_any_order(flags: int, cuts: bytes, pieces: list[tuple[int, bytes]], torn: int) -> None:
    """Control frames, fragments, compressed and invalid frames: most fail, and all in the same way as the reference."""
    stream = b"".join(bytes((first, len(payload))) + payload for first, payload in pieces)
    properties.frames(bytes((flags,)) + cuts + stream[: len(stream) - max(0, torn - 15)])


@given(flags=st.integers(0, 3), size=st.integers(1, 255), status=STATUS, lines=HANDSHAKE_LINES, behind=BYTES)
@settings(max_examples=300)
def test_heads_of_an_answer(flags: int, size: int, status: bytes, lines: list[bytes], behind: bytes) -> None:
    properties.handshake(bytes((flags, size)) + b"\r\n".join([status, *lines, b"", behind]))


@given(EDITS)
@settings(max_examples=200)
def test_edited_results(edits: bytes) -> None:
    properties.stored(edits)
