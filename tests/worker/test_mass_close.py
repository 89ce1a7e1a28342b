"""Many connections are closed at the end of a run: a busy server is waited for, a silent one is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from gevent.server import StreamServer
from helpers import frames
from helpers.driver import LoggedDriver

from wsbench.transport.connect import Connector
from wsbench.transport.connection import Connection
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.worker import mass_close

Answers = Callable[[int], float | None]
"""From the number of a close frame to the delay of its answer in seconds; None for none."""


class Closing:
    """A server that answers close frames as `answers` has it, and clients of it.

    Attributes:
        close_frames: how many have reached the server.
    """

    def __init__(self, answers: Answers) -> None:
        self.close_frames = 0
        self.finished: list[Connection] = []
        self._answers = answers
        self._over = Event()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self._traffic = Traffic()
        options = ConnectOptions(f"ws://127.0.0.1:{self._server.server_port}/")
        self._connector = Connector(options, context=None, traffic=self._traffic)

    def drivers(self, count: int) -> list[LoggedDriver]:
        """Return drivers with open connections."""
        opened = []
        for _ in range(count):
            driver = LoggedDriver()
            driver.attach(Connection(self._connector.connect(), driver, self._traffic))
            opened.append(driver)
        return opened

    def close(self, drivers: list[LoggedDriver], *, patience_s: float) -> None:
        mass_close.close_all(drivers, self._begin, self._finish, patience_s=patience_s)

    def stop(self) -> None:
        self._over.set()
        self._server.stop()

    def unanswered(self) -> int:
        return sum(connection.unanswered is not None for connection in self.finished)

    def _begin(self, driver: LoggedDriver) -> Connection | None:
        connection = driver.connection
        if connection is not None:
            connection.begin_close()
        return connection

    def _finish(self, connection: Connection) -> None:
        connection.finish_close(0)
        self.finished.append(connection)

    def _serve(self, client: object, _address: object) -> None:
        sock: gevent.socket.socket = client  # type: ignore[assignment,name-defined]
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        sock.sendall(frames.upgrade_answer(frames.parse_request(head)))
        sock.recv(4096)
        self.close_frames += 1
        delay_s = self._answers(self.close_frames)
        if delay_s is None:
            self._over.wait()
        else:
            gevent.sleep(delay_s)
            sock.sendall(frames.encode_close(1000))
        sock.close()


MakeClosing = Callable[[Answers], Closing]


@pytest.fixture
def closing() -> Iterator[MakeClosing]:
    made: list[Closing] = []

    def make(answers: Answers) -> Closing:
        made.append(Closing(answers))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_all_are_closed_and_those_without_a_connection_are_no_hindrance(closing: MakeClosing) -> None:
    server = closing(lambda _: 0.0)
    server.close([LoggedDriver(), *server.drivers(300), LoggedDriver()], patience_s=30)
    assert len(server.finished) == 300 and server.unanswered() == 0


def test_a_server_that_takes_longer_than_the_patience_but_answers_is_waited_for(closing: MakeClosing) -> None:
    server = closing(lambda number: number * 0.2)
    drivers, began = server.drivers(20), time.monotonic()
    server.close(drivers, patience_s=2.0)
    assert time.monotonic() - began > 3.0, "the test does not outlast the patience"
    assert len(server.finished) == 20 and server.unanswered() == 0


def test_a_server_that_answers_none_gets_the_other_close_frames_at_once(closing: MakeClosing) -> None:
    server = closing(lambda _: None)
    drivers, frames_seen = server.drivers(600), list[int]()
    running = gevent.spawn(server.close, drivers, patience_s=1.0)
    while not running.ready():
        gevent.sleep(0.05)
        frames_seen.append(server.close_frames)
    assert 256 in frames_seen and server.close_frames == 600
    assert len(server.finished) == server.unanswered() == 600


def test_one_connection_that_is_not_answered_does_not_hold_up_the_others(closing: MakeClosing) -> None:
    server = closing(lambda number: None if number == 1 else 0.0)
    server.close(server.drivers(300), patience_s=0.5)
    assert len(server.finished) == 300 and server.unanswered() == 1
