"""Source addresses of connections, for more connections than one address has ports.

Two addresses and two ports identify a connection. So one source address can have as many connections to one server
port as there are ephemeral ports (28,232 by Linux's default). All of 127.0.0.0/8 belongs to this machine without setup.
"""

from __future__ import annotations

import functools
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
"""The share of an address's ports that we plan to use: the kernel searches longer for a free port as they fill up (a
quarter of the ramp's CPU at 15,000 connections), and other programs need ports too."""
IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: bind to an address only; connect() chooses the port, which destinations can then share."""


@dataclass(frozen=True)
class SourceRange:
    """Sequence of the addresses from `first` to `last`, both included; of one family, IPv4 or IPv6."""

    first: str
    last: str

    def __len__(self) -> int:
        return _count(self.first, self.last)

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return _address(self.first, index)


# To parse addresses takes longer than to make the socket that is bound to one.


@functools.lru_cache(maxsize=64)
def _count(first: str, last: str) -> int:
    return min(int(ip_address(last)) - int(ip_address(first)) + 1, sys.maxsize)


@functools.lru_cache(maxsize=1024)
def _address(first: str, offset: int) -> str:
    return str(ip_address(first) + offset)


def parse_sources(text: str) -> SourceRange:
    """Parse `10.0.0.5`, `10.0.0.5-10.0.0.9` or `127.0.0.0/8`, without a network's first and last address.

    Raise ValueError if the text is none of these.
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
    """Raise UsageError if this machine does not have the first or the last address of a range."""
    for source in sources:
        for address in dict.fromkeys((source[0], source[len(source) - 1])):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.bind((address, 0))
            except OSError as error:
                raise UsageError(
                    f"--source-ip {address}: this machine has no such address ({error.strerror or error})",
                    remedy="Give addresses of its interfaces; on loopback, any of 127.0.0.0/8.",
                ) from error


def round_robin(sources: Sequence[SourceRange], *, start: int, step: int) -> Iterator[str]:
    """Yield the addresses of all ranges in turn, without end: every `step`-th, from the `start`-th."""
    total = sum(map(len, sources))
    for number in itertools.count(start, step):
        index = number % total
        for source in sources:
            if index < len(source):
                yield source[index]
                break
            index -= len(source)


def for_loopback(host: str, connections: int, *, ports: int | None = None) -> tuple[SourceRange, ...]:
    """Return enough addresses for `connections` to a server on this machine; none if one address is enough.

    `ports` are those of one address; None for this machine's ephemeral ports.
    """
    if sys.platform != "linux" or ":" in host or not is_loopback(host):
        return ()
    needed = -(-connections // int((ports or ephemeral_ports()) * _PORTS_USED))
    first = ip_address("127.0.0.1")
    return (SourceRange(str(first), str(first + needed - 1)),) if needed > 1 else ()


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost` or a loopback address: ::1, or one in 127.0.0.0/8."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ephemeral_ports() -> int:
    """Return how many ports one source address has towards one server port."""
    try:
        low, high = map(int, _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return _DEFAULT_PORTS
    return max(1, high - low + 1)
