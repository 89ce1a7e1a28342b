"""Name resolution."""

from __future__ import annotations

import socket

import pytest

from wsbench.transport.resolver import look_up


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_address_is_its_own_and_only_address(host: str, family: int) -> None:
    (found,) = look_up(host, 80)
    assert (found[0], found[1], found[4][:2]) == (family, socket.SOCK_STREAM, (host, 80))


def test_no_address_comes_twice() -> None:
    found = look_up("localhost", 80)
    assert len(set(found)) == len(found) > 0


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises((OSError, UnicodeError)):
        look_up("a" * 64 + ".invalid", 80)  # no label may be that long: no name server is asked
