"""Where connections come from: source addresses, for more connections than one address has ports.

A connection is told apart by its two addresses and ports, so that one source address has as many connections to one
server port as the system has ephemeral ports (28,232 by Linux's default). On loopback every address of 127.0.0.0/8 is
this machine's, without being set up.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from wsbench.errors import UsageError

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_PORTS = 28_232
_PORTS_USED = 0.25
"""The share of an address's ports that is used before the next address is: the fuller it gets, the longer the kernel
searches for a free one (a quarter of the ramp's CPU at 15,000), and others need some as well."""
IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: bind to an address, and leave the port to connect(), which may share it between destinations."""


@dataclass(frozen=True)
class SourceRange:
    """Addresses from `first` to `last`, both included; of one family, IPv4 or IPv6."""

    first: str
    last: str

    def __len__(self) -> int:
        return min(int(ip_address(self.last)) - int(ip_address(self.first)) + 1, sys.maxsize)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return str(ip_address(self.first) + index)


def parse_sources(text: str) -> SourceRange:
    """`10.0.0.5`, `10.0.0.5-10.0.0.9` or `127.0.0.0/8`; of a network, without its first and last address.

    Raises:
        ValueError: none of these.
    """
    try:
        if "/" in text:
            network = ipaddress.ip_network(text.strip(), strict=False)
            edge = 1 if network.num_addresses > 2 else 0
            return SourceRange(str(network[edge]), str(network[-1 - edge]))
        first, _, last = text.partition("-")
        low, high = ip_address(first.strip()), ip_address((last or first).strip())
        valid = type(low) is type(high) and int(low) <= int(high)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{text!r} is no address, range or network: use 10.0.0.5, 10.0.0.5-10.0.0.9 or 127.0.0.0/8")
    return SourceRange(str(low), str(high))


def check_sources(sources: Sequence[SourceRange]) -> None:
    """Whether this machine has these addresses, as far as the ends of each range tell.

    Raises:
        UsageError: it has not.
    """
    for source in sources:
        for address in dict.fromkeys((source[0], source[len(source) - 1])):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.bind((address, 0))
            except OSError as error:
                raise UsageError(
                    f"--source-ip {address}: this machine has no such address ({error.strerror or error})",
                    remedy="Give addresses of its interfaces; on loopback all of 127.0.0.0/8 will do.",
                ) from error


def round_robin(sources: Sequence[SourceRange], *, start: int, step: int) -> Iterator[str]:
    """Addresses in turn over all ranges, every `step`-th from the `start`-th, without end."""
    total = sum(map(len, sources))
    for number in itertools.count(start, step):
        index = number % total
        for source in sources:
            if index < len(source):
                yield source[index]
                break
            index -= len(source)


def for_loopback(host: str, connections: int) -> tuple[SourceRange, ...]:
    """Addresses enough for so many connections to a server on this machine; none where one is enough."""
    if sys.platform != "linux" or not is_loopback(host):
        return ()
    needed = -(-connections // int(ephemeral_ports() * _PORTS_USED))
    first = ip_address("127.0.0.1")
    return (SourceRange(str(first), str(first + needed - 1)),) if needed > 1 else ()


def is_loopback(host: str) -> bool:
    """Whether a host is `localhost` or one of 127.0.0.0/8."""
    try:
        return ip_address(host) in ipaddress.ip_network("127.0.0.0/8")
    except ValueError:
        return host == "localhost"


def ephemeral_ports() -> int:
    """Ports of one source address towards one server port."""
    try:
        low, high = map(int, _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return _DEFAULT_PORTS
    return max(1, high - low + 1)
