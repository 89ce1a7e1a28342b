"""Reconnection of a dropped connection, against a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
import pytest
from helpers.driver import LoggedDriver
from helpers.peer import PATIENCE_S, Peer, until

from wsbench.run.options import RunOptions
from wsbench.worker.engine import Engine


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.stop()


@pytest.fixture
def engine(peer: Peer) -> Iterator[Engine]:
    made = Engine(RunOptions.from_texts({}, url=peer.url, users=1), worker=0, send=lambda _: None)
    yield made
    made.finish()


def test_a_dropped_connection_is_reopened_after_a_pause(engine: Engine, peer: Peer) -> None:
    driver = LoggedDriver()
    engine.connections.register(driver)
    began = time.monotonic()
    reopening = gevent.spawn(engine.connections.reconnect, driver)
    peer.accept()
    assert reopening.get(timeout=PATIENCE_S) is True
    assert time.monotonic() - began >= 0.05
    assert driver.connection is not None
    assert (engine.connections.tally.reconnected, engine.connections.tally.opened) == (1, 0)


def test_a_refused_connection_is_tried_again(engine: Engine, peer: Peer) -> None:
    driver = LoggedDriver()
    engine.connections.register(driver)
    reopening = gevent.spawn(engine.connections.reconnect, driver)
    peer.accept(lambda _: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    peer.close()
    peer.accept()
    assert reopening.get(timeout=PATIENCE_S) is True
    assert [tally.count for tally in engine.errors.tallies] == [1]


def test_the_pauses_grow_while_connections_are_accepted_and_closed_at_once(engine: Engine, peer: Peer) -> None:
    driver = LoggedDriver()
    engine.connections.register(driver)
    began = time.monotonic()
    for number in range(1, 5):
        reopening = gevent.spawn(engine.connections.reconnect, driver)
        peer.accept()
        assert reopening.get(timeout=PATIENCE_S) is True
        peer.close()
        until(lambda number=number: len(driver.drops) == number)
    assert time.monotonic() - began >= 0.5 * (0.1 + 0.2 + 0.4 + 0.8)


def test_the_server_says_when_to_come_back(engine: Engine, peer: Peer) -> None:
    driver = LoggedDriver()
    engine.connections.register(driver)
    reopening = gevent.spawn(engine.connections.reconnect, driver)
    peer.accept(lambda _: b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
    refused = time.monotonic()
    peer.close()
    peer.accept()
    assert time.monotonic() - refused >= 1
    assert reopening.get(timeout=PATIENCE_S) is True


def test_a_connection_that_is_not_wanted_any_more_is_not_reopened(engine: Engine) -> None:
    assert engine.connections.reconnect(LoggedDriver(), wanted=lambda: False) is False
    assert engine.connections.tally.reconnected == 0


def test_after_the_run_no_connection_is_reopened(engine: Engine) -> None:
    engine.finish()
    assert engine.connections.reconnect(LoggedDriver()) is False
