"""Source addresses: their notation, their distribution, and connections from them."""

from __future__ import annotations

import itertools
import socket
import sys

import pytest

from wsbench.errors import ConnectError, UsageError
from wsbench.source_addresses import check_sources, for_loopback, parse_sources, round_robin
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.transport.connect import Connector
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.tls import client_context


@pytest.mark.parametrize(
    ("text", "first", "last", "size"),
    [
        ("10.0.0.5", "10.0.0.5", "10.0.0.5", 1),
        ("10.0.0.250 - 10.0.1.2", "10.0.0.250", "10.0.1.2", 9),
        ("127.0.0.0/8", "127.0.0.1", "127.255.255.254", 2**24 - 2),
        ("127.0.0.7/30", "127.0.0.5", "127.0.0.6", 2),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1", 2),
        ("10.0.0.1/32", "10.0.0.1", "10.0.0.1", 1),
        ("::1", "::1", "::1", 1),
        ("fd00::/8", "fd00::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", sys.maxsize),
    ],
)
def test_addresses_ranges_and_networks(text: str, first: str, last: str, size: int) -> None:
    source = parse_sources(text)
    assert (str(source.first), str(source.last), len(source)) == (first, last, size)
    assert source[0] == first
    if size < sys.maxsize:
        assert source[size - 1] == last
    with pytest.raises(IndexError):
        source[size]


@pytest.mark.parametrize(
    "text", ["", "-", "eth0", "10.0.0.256", "10.0.0.9-10.0.0.5", "10.0.0.1-::1", "10.0.0.0/33", "1-2"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no address, range or network"):
        parse_sources(text)


def test_workers_share_addresses_out_without_a_word() -> None:
    ranges = [parse_sources("10.0.0.1-10.0.0.3"), parse_sources("10.1.0.1")]
    whole = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1"]
    workers = [list(itertools.islice(round_robin(ranges, start=worker, step=3), 4)) for worker in range(3)]
    assert [workers[i % 3][i // 3] for i in range(12)] == whole * 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, only 127.0.0.1 exists without setup")
def test_loopback_gets_as_many_as_it_needs() -> None:
    for host in ("127.0.0.1", "localhost", "127.9.9.9"):
        assert for_loopback(host, 250, ports=1000) == ()
        (needed,) = for_loopback(host, 251, ports=1000)
        assert (needed[0], len(needed)) == ("127.0.0.1", 2)
        (needed,) = for_loopback(host, 2501, ports=1000)
        assert len(needed) == 11
    for host in ("::1", "10.0.0.1", "example.org"):
        assert for_loopback(host, 10**6) == ()


def test_an_address_of_another_machine_is_refused_before_anything_is_opened() -> None:
    check_sources([parse_sources("127.0.0.0/8"), parse_sources("127.0.0.1")])
    with pytest.raises(UsageError, match=r"--source-ip 192\.0\.2\.1: this machine has no such address"):
        check_sources([parse_sources("127.0.0.1"), parse_sources("192.0.2.1-192.0.2.9")])


def resumed(connector: Connector) -> bool:
    connection = connector.connect()
    connection.socket.close()
    assert connection.tls is not None
    return connection.tls.resumed


def connector(target: EmbeddedTarget, sources: tuple[str, ...] = (), **others: bool) -> Connector:
    options = ConnectOptions(target.url, **others)
    context = client_context(ca_file=str(target.ca_file), insecure=False)
    return Connector(options, context=context, traffic=Traffic(), sources=iter(sources) if sources else None)


def test_connections_come_from_the_addresses_in_turn(tls_target: EmbeddedTarget) -> None:
    addresses = ("127.0.0.3", "127.0.0.1", "127.4.5.6")
    from_there = connector(tls_target, addresses)
    seen = []
    for _ in addresses:
        connection = from_there.connect()
        seen.append(connection.socket.getsockname()[0])
        connection.socket.close()
    assert tuple(seen) == addresses


def test_a_source_address_of_another_family_is_an_error(tls_target: EmbeddedTarget) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with pytest.raises(ConnectError, match="one is IPv4, the other IPv6") as caught:
        connector(tls_target, ("::1",)).connect()
    assert caught.value.kind == "source-ip"


def test_a_tls_session_is_resumed_if_the_option_is_set(tls_target: EmbeddedTarget) -> None:
    resuming = connector(tls_target, resume_tls=True)
    assert [resumed(resuming) for _ in range(3)] == [False, True, True]
    not_resuming = connector(tls_target)
    assert [resumed(not_resuming) for _ in range(2)] == [False, False]
