"""Listening sockets, one for each worker, all on one port."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import cast

from wsbench.errors import UsageError

BACKLOG = 4096
UNSENT_BYTES = 128 * 1024
"""Maximum of unsent bytes of a connection in the kernel. By default the kernel buffers megabytes for a client that
does not read; with less, the target notices early and stops reading from that client."""

_Address = tuple[str | int, ...]


def listen(host: str, port: int, workers: int) -> list[socket.socket]:
    """Return listening sockets, one for each worker, on the first address of `host` (IPv4 before IPv6).

    Several share the port by SO_REUSEPORT, and the kernel distributes connections over them. All listen before a
    worker starts: port 0 is resolved once, no other program can take the port, and early clients wait in the backlog.

    Raises:
        UsageError: the host is unknown or not this machine's, or the port is in use or privileged.
    """
    family, address = _resolve(host, port)
    sockets: list[socket.socket] = []
    try:
        if workers > 1 and port:
            # SO_REUSEPORT would share the port with another target of the same user: try without it first
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
    """Return whether only this machine can reach the socket."""
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback


def url_host(host: str) -> str:
    """Return the host in URL syntax: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _resolve(host: str, port: int) -> tuple[int, _Address]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"host {host!r} is unknown: {getattr(exc, 'strerror', None) or exc}") from exc
    family, _, _, _, address = min(addresses, key=lambda entry: entry[0] != socket.AF_INET)
    return family, cast("_Address", address)


def _bind_one(family: int, address: _Address, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # the port is usable although connections of an earlier run are in TIME_WAIT
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
        return UsageError(f"port {port} needs privileges that this user does not have", remedy="use a port above 1023")
    if exc.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"host {host} is not an address of this machine", remedy="use --host 127.0.0.1")
    return UsageError(f"cannot listen on port {port} of {host}: {exc.strerror or os.strerror(exc.errno or 0)}")
