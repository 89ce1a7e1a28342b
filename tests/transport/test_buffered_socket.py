"""Bytes that leave in order, however little the socket accepts at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket as green
from helpers.peer import NARROW, PATIENCE_S, until

from wsbench.transport.buffered_socket import BufferedSocket
from wsbench.transport.traffic import Traffic

BIG = bytes(range(256)) * 20_000


class Sender(BufferedSocket):
    """A socket that records the calls of its hooks."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock, Traffic())
        self.events: list[str] = []
        self.errors: list[OSError] = []

    def _fullness_changed(self) -> None:
        self.events.append("full" if self.full else "not full")

    def _flushed(self) -> None:
        self.events.append("flushed")

    def _sending_failed(self, error: OSError) -> None:
        self.errors.append(error)


class Ends:
    """A sender with a narrow socket, and the other end of its stream."""

    def __init__(self) -> None:
        ours, self.other = green.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
        self.sender = Sender(ours)

    def read(self, size: int) -> bytes:
        data = b""
        with gevent.Timeout(PATIENCE_S):
            while len(data) < size:
                more = self.other.recv(65_536)
                assert more, f"the stream ended after {len(data)} bytes"
                data += more
        return data


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    yield both
    both.sender._close_socket()
    both.other.close()


def test_what_fits_leaves_at_once(ends: Ends) -> None:
    ends.sender._write(b"one")
    ends.sender._write(b"two")
    assert ends.read(6) == b"onetwo"
    assert (ends.sender.full, ends.sender.events, ends.sender._traffic.sent) == (False, [], 6)


def test_what_does_not_fit_waits_and_leaves_in_order(ends: Ends) -> None:
    ends.sender._write(BIG)
    assert ends.sender.full
    ends.sender._write(b"after it")
    gevent.sleep(0.01)
    assert ends.sender.events == ["full"]
    assert ends.read(len(BIG) + 8) == BIG + b"after it"
    until(lambda: not ends.sender.full)
    assert ends.sender.events == ["full", "not full", "flushed"]
    assert ends.sender._traffic.sent == len(BIG) + 8
    ends.sender._write(b"and on")
    assert ends.read(6) == b"and on"


def test_a_socket_that_accepts_nothing_is_full(ends: Ends) -> None:
    ends.sender._write(BIG)
    ends.sender._unsent.clear()
    ends.sender.full = False
    before = ends.sender._traffic.sent
    ends.sender._write(b"refused")
    assert ends.sender.full
    assert ends.read(before + 7)[before:] == b"refused"


def test_a_socket_that_fails_sends_nothing_more(ends: Ends) -> None:
    ends.other.close()
    ends.sender._write(b"into the void")
    assert [type(error) for error in ends.sender.errors] == [BrokenPipeError]
    ends.sender._write(b"not tried")
    assert (ends.sender.full, len(ends.sender.errors)) == (True, 1)


def test_a_socket_that_fails_while_bytes_wait(ends: Ends) -> None:
    ends.sender._write(BIG)
    ends.other.close()
    until(lambda: ends.sender.errors)
    gevent.sleep(0.01)
    assert len(ends.sender.errors) == 1
    assert "flushed" not in ends.sender.events


def test_closing_sends_what_the_socket_still_accepts(ends: Ends) -> None:
    ends.sender._write(BIG)
    accepted = ends.sender._traffic.sent
    ends.read(accepted)
    ends.sender._close_socket()
    with gevent.Timeout(PATIENCE_S):
        last = ends.other.recv(10_000_000)
        assert last and BIG.startswith(last, accepted)
        while ends.other.recv(65_536):
            pass


def test_closing_a_socket_that_has_failed(ends: Ends) -> None:
    ends.sender._write(BIG)
    ends.other.close()
    ends.sender._close_socket()
    assert ends.sender._socket.fileno() == -1
