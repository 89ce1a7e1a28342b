"""The addresses of a server: when its name is looked up, and which address is tried first."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import gevent
import pytest
from helpers.addresses import named

from wsbench.errors import ConnectError, Side
from wsbench.transport.resolver import Address
from wsbench.transport.server_addresses import ServerAddresses

A, B, C = named("fd00::1"), named("10.0.0.1"), named("10.0.0.2")


class Names:
    """A name whose addresses, and the time, a test sets. An empty list stands for an unknown name."""

    def __init__(self, *addresses: Address, use: str = "first", turn: int = 0) -> None:
        self.addresses: Sequence[Address] = addresses
        self.lookups = 0
        self.now_s = 1000.0
        self.server = ServerAddresses(
            "name.test", 80, use=use, turn=turn, look_up=self._look_up, clock=lambda: self.now_s
        )

    def _look_up(self, host: str, port: int) -> Sequence[Address]:
        self.lookups += 1
        gevent.sleep(0)  # a name server takes its time
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.addresses

    def resolve_later(self) -> Sequence[Address]:
        """Resolve when a second has passed."""
        self.now_s += 1
        return self.server.resolve()

    def firsts(self, count: int) -> list[Address]:
        """Return the first address of each of the next `count` connections."""
        return [self.server.order()[0] for _ in range(count)]


# -- when it is looked up ----------------------------------------------------------------------------------------------


def test_many_connections_wait_for_one_lookup() -> None:
    names = Names(A, B)
    waiting = [gevent.spawn(names.server.resolve) for _ in range(50)]
    gevent.joinall(waiting, raise_error=True)
    assert [each.value for each in waiting] == [(A, B)] * 50
    assert names.lookups == 1


def test_a_name_is_not_looked_up_again_while_an_address_answers() -> None:
    names = Names(A, B)
    names.server.resolve()
    names.server.accepted(B)
    names.server.failed(A)
    names.addresses = (C,)
    assert names.resolve_later() == (A, B)


def test_a_name_is_looked_up_again_when_an_address_that_answered_fails() -> None:
    names = Names(A, B)
    names.server.resolve()
    names.server.accepted(A)
    names.server.accepted(B)
    names.server.failed(A)
    names.addresses = (C,)
    assert names.resolve_later() == (C,)
    assert names.server.order() == [C]


def test_a_name_is_looked_up_at_most_once_a_second() -> None:
    names = Names(A)
    for _ in range(100):
        names.server.resolve()
        names.server.failed(A)
        names.now_s += 0.1
    assert names.lookups <= 10


def test_an_unknown_name_fails_every_connection_and_is_asked_for_once_a_second() -> None:
    names = Names()
    for _ in range(10):
        with pytest.raises(ConnectError) as caught:
            names.server.resolve()
        assert (caught.value.kind, caught.value.step, caught.value.side) == ("unknown-host", "dns", Side.NETWORK)
    assert names.lookups == 1
    names.addresses = (A,)
    assert names.resolve_later() == (A,)


def test_known_addresses_outlive_a_name_server_that_fails() -> None:
    names = Names(A, B)
    names.server.resolve()
    names.server.failed(A)
    names.addresses = ()
    assert names.resolve_later() == (A, B)
    assert names.lookups == 2


def test_only_one_connection_waits_for_a_lookup_while_addresses_are_known() -> None:
    names = Names(A, B)
    names.server.resolve()
    names.server.failed(A)
    names.addresses = (C,)
    asking = gevent.spawn(names.resolve_later)
    gevent.sleep(0)
    assert names.server.resolve() == (A, B)
    assert asking.get() == (C,)


# -- which address is tried --------------------------------------------------------------------------------------------


def test_the_order_is_that_of_the_lookup_until_an_address_has_answered() -> None:
    names = Names(A, B, C)
    names.server.resolve()
    assert names.server.order() == [A, B, C]
    names.server.accepted(B)
    assert names.server.order() == [B, A, C]
    assert names.firsts(3) == [B, B, B]
    names.server.failed(B)
    assert names.server.order() == [A, C, B]


def test_all_addresses_are_used_in_turn() -> None:
    names = Names(A, B, C, use="all")
    names.server.resolve()
    for address in (A, B, C):
        names.server.accepted(address)
    assert names.firsts(6) == [A, B, C, A, B, C]
    assert names.server.order() == [A, B, C]
    assert names.server.order() == [B, C, A]


def test_processes_begin_with_different_addresses() -> None:
    begins = []
    for worker in range(4):
        names = Names(A, B, C, use="all", turn=worker)
        names.server.resolve()
        begins += names.firsts(1)
    assert begins == [A, B, C, A]


def test_an_address_that_failed_has_no_turn_for_a_while() -> None:
    names = Names(A, B, C, use="all")
    names.server.resolve()
    names.server.accepted(A)
    names.server.accepted(C)
    names.server.failed(B)
    assert names.firsts(4) == [A, C, A, C]
    assert names.server.order()[-1] == B, "it is the last resort"
    names.now_s += 10
    assert set(names.firsts(3)) == {A, B, C}


def test_only_addresses_of_a_family_are_tried() -> None:
    names = Names(A, B, C)
    names.server.resolve()
    names.server.accepted(A)
    assert names.server.order(socket.AF_INET) == [B, C]
    assert names.server.order(socket.AF_INET6) == [A]
