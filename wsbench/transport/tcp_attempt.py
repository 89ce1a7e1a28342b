"""One attempt to open a TCP connection to a server: to the first of its addresses that accepts."""

from __future__ import annotations

import socket
import sys
from typing import Any

from gevent import socket as green

from wsbench.errors import ConnectError
from wsbench.source_addresses import IP_BIND_ADDRESS_NO_PORT
from wsbench.transport import timestamps
from wsbench.transport.address_race import HEAD_START_S, first_to_accept
from wsbench.transport.resolver import Address
from wsbench.transport.server_addresses import ServerAddresses
from wsbench.websocket.connect_errors import address_family_mismatch, is_local, tcp_error, timed_out
from wsbench.websocket.connect_options import ConnectOptions


class TcpAttempt:
    """An attempt to open a TCP connection from the address `source`, or from the system's choice.

    Attributes:
        peers: the server's addresses, the one that accepted with 1 and the others with 0.
    """

    def __init__(self, options: ConnectOptions, server: ServerAddresses, source: str | None) -> None:
        self._options = options
        self._server = server
        self._source = source
        self._tried: dict[Address, OSError | None] = {}
        self.peers: dict[str, int] = {}

    @property
    def refused(self) -> list[tuple[str, OSError]]:
        """Addresses that did not accept the connection, and why."""
        return [(address[4][0], error) for address, error in self._tried.items() if error is not None]

    def open(self) -> Any:
        """Return gevent's socket, connected; raise ConnectError if no address accepts."""
        addresses = self._server.order(self._family)
        if not addresses:
            assert self._source is not None
            raise address_family_mismatch(self._options, self._source)
        while untried := [each for each in addresses if each not in self._tried]:
            # An address that answers has no rival: a queue of handshakes must not move connections to another one.
            alone = 1 if self._server.answers(untried[0]) else 0
            for some in (untried[:alone], untried[alone:]):
                if (accepted := first_to_accept(some, self._connect, self._failed)) is not None:
                    return self._accepted(*accepted)
            self._server.resolve()  # what was remembered may be out of date
            addresses = self._server.order(self._family)
        raise tcp_error(self._options, self.refused)

    def give_up(self) -> ConnectError:
        """Record at a timeout that the addresses still being tried did not answer; return the error."""
        silent = [address for address, error in self._tried.items() if error is None]
        for address in silent:
            self._failed(address, TimeoutError("no answer"))
        if silent:
            return timed_out(self._options, "tcp", 0, self.refused)
        return tcp_error(self._options, self.refused)  # the name was being looked up again

    @property
    def _family(self) -> int | None:
        if self._source is None:
            return None
        return socket.AF_INET6 if ":" in self._source else socket.AF_INET

    def _accepted(self, address: Address, connected: Any) -> Any:
        self._server.accepted(address)
        for other in list(self._tried):
            if other == address:
                break
            if self._tried[other] is None:
                self._failed(other, TimeoutError(f"no answer within {HEAD_START_S:g} s"))
        self.peers = {**dict.fromkeys((each[4][0] for each in self._server.known), 0), address[4][0]: 1}
        return connected

    def _failed(self, address: Address, error: OSError) -> None:
        if is_local(error) and self._server.answers(address):
            raise tcp_error(self._options, [(address[4][0], error)])
        self._tried[address] = error
        self._server.failed(address)

    def _connect(self, address: Address) -> Any:
        """Return a socket that is connected to an address."""
        self._tried[address] = None
        family, kind, proto, _, name = address
        connecting = green.socket(family, kind, proto)
        try:
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Before the first packet, so that every read has a timestamp.
            timestamps.enable(connecting)
            if self._source is not None:
                if sys.platform == "linux":
                    connecting.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connecting.bind((self._source, 0))
            connecting.connect(name)
        except BaseException:
            connecting.close()
            raise
        return connecting
