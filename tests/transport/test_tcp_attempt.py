"""TCP connections to names with several addresses, on real sockets."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence

import gevent
import pytest
from helpers.addresses import Addresses
from helpers.process import scaled

from wsbench.errors import ConnectError, Side
from wsbench.transport.address_race import HEAD_START_S
from wsbench.transport.resolver import Address
from wsbench.transport.server_addresses import ServerAddresses
from wsbench.transport.tcp_attempt import TcpAttempt
from wsbench.websocket.connect_options import ConnectOptions

OPTIONS = ConnectOptions("ws://name.test/")


@pytest.fixture
def addresses() -> Iterator[Addresses]:
    with Addresses() as made:
        yield made


def server(*found: Address, use: str = "first") -> ServerAddresses:
    made = ServerAddresses("name.test", 80, use=use, look_up=lambda _host, _port: found)
    made.resolve()
    return made


def connected_to(known: ServerAddresses, source: str | None = None) -> str:
    """Open a connection and close it; return the server's address."""
    attempt = TcpAttempt(OPTIONS, known, source)
    with gevent.Timeout(scaled(10)), attempt.open() as connection:
        peer: str = connection.getpeername()[0]
    assert attempt.peers == {each[4][0]: int(each[4][0] == peer) for each in known.known}
    return peer


def error_of(known: ServerAddresses) -> ConnectError:
    with gevent.Timeout(scaled(10)), pytest.raises(ConnectError) as caught:
        TcpAttempt(OPTIONS, known, None).open().close()
    return caught.value


def test_the_first_address_is_used_while_it_accepts(addresses: Addresses) -> None:
    known = server(addresses.accepting(), addresses.accepting())
    assert [connected_to(known) for _ in range(4)] == ["127.0.0.1"] * 4


def test_a_refusing_address_costs_no_time(addresses: Addresses) -> None:
    known = server(*(addresses.refusing() for _ in range(40)), addresses.accepting())
    began = time.monotonic()
    assert connected_to(known) == "127.0.0.41"
    assert time.monotonic() - began < 40 * HEAD_START_S


def test_a_silent_address_delays_one_connection_by_its_head_start(addresses: Addresses) -> None:
    known = server(addresses.silent(), addresses.accepting())
    attempt = TcpAttempt(OPTIONS, known, None)
    began = time.monotonic()
    attempt.open().close()
    assert time.monotonic() - began >= HEAD_START_S
    assert attempt.peers == {"127.0.0.1": 0, "127.0.0.2": 1}
    ((silent, reason),) = attempt.refused
    assert (silent, str(reason)) == ("127.0.0.1", "no answer within 0.25 s")
    assert known.order()[0][4][0] == "127.0.0.2"
    assert known.answers(known.order()[0]), "so the next connection has nothing to wait for"


@pytest.mark.parametrize("use", ["first", "all"])
def test_an_address_that_answers_has_no_rival(addresses: Addresses, use: str) -> None:
    """A handshake that waits in a busy server's queue must not move to another address, as in a race."""
    busy, other = addresses.silent(), addresses.accepting()
    known = server(busy, other, use=use)
    known.accepted(busy)
    with pytest.raises(gevent.Timeout), gevent.Timeout(3 * HEAD_START_S):
        TcpAttempt(OPTIONS, known, None).open()


def test_an_address_that_stops_answering_is_replaced(addresses: Addresses) -> None:
    first, second = addresses.accepting(), addresses.accepting()
    known = server(first, second)
    assert connected_to(known) == "127.0.0.1"
    addresses.stop(first)
    assert [connected_to(known) for _ in range(3)] == ["127.0.0.2"] * 3


def test_a_name_that_moves_is_followed_without_a_failed_connection(addresses: Addresses) -> None:
    old, new = addresses.accepting(), addresses.accepting()
    found: list[Sequence[Address]] = [[old]]
    now_s = [1000.0]
    known = ServerAddresses("name.test", 80, look_up=lambda _host, _port: found[0], clock=lambda: now_s[0])
    known.resolve()
    assert connected_to(known) == "127.0.0.1"
    addresses.stop(old)
    found[0] = [new]
    now_s[0] += 1
    assert connected_to(known) == "127.0.0.2"


def test_all_addresses_that_answer_share_the_connections(addresses: Addresses) -> None:
    known = server(addresses.accepting(), addresses.refusing(), addresses.accepting(), addresses.silent(), use="all")
    used = [connected_to(known) for _ in range(12)]
    assert set(used) == {"127.0.0.1", "127.0.0.3"}
    assert used[4:] == ["127.0.0.1", "127.0.0.3"] * 4 or used[4:] == ["127.0.0.3", "127.0.0.1"] * 4


def test_an_error_names_every_address_with_its_reason(addresses: Addresses) -> None:
    error = error_of(server(addresses.refusing(), addresses.refusing()))
    assert (error.kind, error.side) == ("refused", Side.TARGET)
    assert error.what == (
        "nothing listens on name.test:80 (connection refused); "
        "its addresses: 127.0.0.1 (Connection refused), 127.0.0.2 (Connection refused)"
    )
    assert error_of(server(addresses.refusing())).what.endswith("(connection refused); its address is 127.0.0.3")


def test_a_timeout_names_the_silent_addresses(addresses: Addresses) -> None:
    attempt = TcpAttempt(OPTIONS, server(addresses.silent(), addresses.refusing()), None)
    with gevent.Timeout(2 * HEAD_START_S, False):
        attempt.open()
    error = attempt.give_up()
    assert (error.kind, error.side) == ("connect-timeout", Side.NETWORK)
    assert error.what.endswith("its addresses: 127.0.0.1 (no answer), 127.0.0.2 (Connection refused)")


def test_a_shortage_of_this_machine_is_no_fault_of_an_address(addresses: Addresses) -> None:
    found = [addresses.accepting(), addresses.accepting()]
    known = server(*found)
    known.accepted(found[1])
    assert connected_to(known) == "127.0.0.2"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        error = error_of(known)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (error.kind, error.side) == ("descriptors", Side.GENERATOR)
    assert connected_to(known) == "127.0.0.2"


def test_no_attempt_is_left_after_a_race(addresses: Addresses) -> None:
    found = [addresses.silent(), addresses.silent(), addresses.accepting()]

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    connected_to(server(*found))
    before = descriptors()
    connected_to(server(*found))
    with pytest.raises(gevent.Timeout), gevent.Timeout(HEAD_START_S * 1.5):
        TcpAttempt(OPTIONS, server(*found[:2]), None).open()
    assert descriptors() == before
