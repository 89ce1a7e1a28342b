"""Listening: one port for all workers, and sentences for what the system refuses."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from wsbench.errors import UsageError
from wsbench.targets.echo import listen_sockets


@pytest.mark.parametrize("workers", [1, 4])
def test_all_workers_have_the_same_port_and_nobody_else_gets_it(workers: int) -> None:
    bound = listen_sockets.listen("127.0.0.1", 0, workers)
    try:
        assert len(bound) == workers
        ports = {sock.getsockname()[1] for sock in bound}
        assert len(ports) == 1 and ports != {0}
        with pytest.raises(UsageError, match="in use"):
            listen_sockets.listen("127.0.0.1", ports.pop(), workers)
    finally:
        for sock in bound:
            sock.close()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "port 80 needs privileges that this user does not have\n  use a port above 1023"),
        (errno.EADDRINUSE, "port 80 of 127.0.0.1 is in use by another program"),
        (errno.EADDRNOTAVAIL, "host 127.0.0.1 is not an address of this machine"),
        (errno.ENOBUFS, "cannot listen on port 80 of 127.0.0.1: No buffer space available"),
    ],
)
def test_refusals_are_explained(monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(UsageError) as caught:
        listen_sockets.listen("127.0.0.1", 80, 1)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(("host", "in_url"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("name", "name")])
def test_hosts_in_urls(host: str, in_url: str) -> None:
    assert listen_sockets.url_host(host) == in_url


def test_what_only_this_machine_can_reach() -> None:
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))  # and never listens
        assert not listen_sockets.is_loopback(everywhere)
    (local,) = listen_sockets.listen("127.0.0.1", 0, 1)
    with local:
        assert listen_sockets.is_loopback(local)
