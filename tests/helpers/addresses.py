"""Addresses on loopback that share a port: some accept, some refuse, some are silent."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from types import TracebackType

from gevent import socket as green

from wsbench.transport.resolver import Address


class Addresses:
    """A context manager whose methods return addresses of one port."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._number = 0
        self.port = 0
        self.listeners: dict[Address, socket.socket] = {}

    def __enter__(self) -> Addresses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def accepting(self) -> Address:
        """Return the address of a server that accepts connections, and does nothing with them."""
        address, listener = self._bound()
        listener.listen()
        self.listeners[address] = listener
        return address

    def refusing(self) -> Address:
        """Return an address where nothing listens."""
        return self._bound()[0]

    def silent(self) -> Address:
        """Return an address with a full listen queue: the kernel drops further attempts to connect."""
        address, listener = self._bound()
        listener.listen(0)
        for _ in range(3):
            client = self._stack.enter_context(green.socket())
            client.setblocking(False)
            client.connect_ex(address[4])
        return address

    def stop(self, address: Address) -> None:
        """Let an accepting address refuse from now on."""
        self.listeners.pop(address).close()

    def _bound(self) -> tuple[Address, socket.socket]:
        self._number += 1
        name = f"127.0.0.{self._number}"
        bound = self._stack.enter_context(green.socket())
        bound.bind((name, self.port))
        self.port = bound.getsockname()[1]
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, self.port)), bound


def named(text: str) -> Address:
    """Return an address of its text, at port 80."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    place = (text, 80, 0, 0) if ":" in text else (text, 80)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place
