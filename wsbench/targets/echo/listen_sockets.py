"""Listening sockets: one a worker, all on one port."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import cast

from wsbench.errors import UsageError

BACKLOG = 4096
UNSENT_BYTES = 128 * 1024
"""Of each connection, in the kernel. What a client has not even room for is better held back: as much of its messages
stays unanswered, and unread. By default the kernel would take megabytes for a client that reads nothing."""

_Address = tuple[str | int, ...]


def listen(host: str, port: int, workers: int) -> list[socket.socket]:
    """Listening sockets, one for each worker, on the first address of `host` (IPv4 before IPv6).

    Several share the port by SO_REUSEPORT, and the kernel spreads connections over them. All listen before a worker
    starts: port 0 is resolved once, nobody can take the port in between, and who connects early waits a little.

    Raises:
        UsageError: no such host, not this machine's, the port is taken or reserved.
    """
    family, address = _resolve(host, port)
    sockets: list[socket.socket] = []
    try:
        if workers > 1 and port:
            # SO_REUSEPORT would let us share a port with another target of the same user: ask without it first
            _bind_one(family, address, shared=False).close()
        for _ in range(workers):
            sockets.append(_bind_one(family, address, shared=workers > 1))
            address = sockets[0].getsockname()
        for sock in sockets:
            sock.listen(BACKLOG)
    except OSError as exc:
        for bound in sockets:
            bound.close()
        raise _explained(exc, host, port) from exc
    return sockets


def is_loopback(sock: socket.socket) -> bool:
    """Whether only this machine can reach what listens here."""
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback


def url_host(host: str) -> str:
    """The host as a URL has it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _resolve(host: str, port: int) -> tuple[int, _Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"host {host!r} is not known: {getattr(exc, 'strerror', None) or exc}") from exc
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, cast("_Address", address)


def _bind_one(family: int, address: _Address, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # connections of an earlier run that linger in TIME_WAIT do not count as somebody using the port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)  # accepted sockets inherit it
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _explained(exc: OSError, host: str, port: int) -> UsageError:
    if exc.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} of {host} is in use by another program", remedy="stop it, or take a free port: --port 0"
        )
    if exc.errno in (errno.EACCES, errno.EPERM):
        return UsageError(f"port {port} needs privileges that this user has not", remedy="use a port above 1023")
    if exc.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"host {host} is no address of this machine", remedy="use --host 127.0.0.1")
    return UsageError(f"cannot listen on port {port} of {host}: {exc.strerror or os.strerror(exc.errno or 0)}")
