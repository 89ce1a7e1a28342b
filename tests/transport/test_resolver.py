"""Names that are resolved once a process."""

from __future__ import annotations

import pytest

from wsbench.errors import ConnectError, Side
from wsbench.transport.resolver import Resolver


def test_a_name_is_resolved_once() -> None:
    resolver = Resolver()
    first = resolver.addresses("127.0.0.1", 80)
    assert first[0][4] == ("127.0.0.1", 80)
    assert resolver.addresses("127.0.0.1", 80) is first
    assert resolver.addresses("127.0.0.1", 81) is not first


def test_a_failure_is_not_kept() -> None:
    resolver = Resolver()
    for _ in range(2):
        with pytest.raises(ConnectError) as caught:
            resolver.addresses("a" * 64 + ".invalid", 80)  # no label may be that long: no name server is asked
        assert (caught.value.kind, caught.value.step, caught.value.side) == ("unknown-host", "dns", Side.NETWORK)
