"""Findings from evidence that no server in these tests can give."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wsbench.probe import diagnosis
from wsbench.probe.document import SCHEMA, Probe, Tcp
from wsbench.websocket.connect_options import ConnectOptions


def test_a_refused_address_before_an_accepting_one_is_a_finding() -> None:
    tcp = Tcp("127.0.0.1:80", "127.0.0.1:50000", ["::1: Connection refused"])
    result = Probe(SCHEMA, "0", "ws://localhost/", datetime.now(UTC), tcp=tcp)
    (finding,) = diagnosis.findings_of(result, "tcp", ConnectOptions("ws://localhost/"), 1)
    assert finding.code == "address-refused"
    assert "localhost" in finding.evidence and "::1: Connection refused" in finding.evidence
    assert not list(diagnosis.findings_of(result, "dns", ConnectOptions("ws://localhost/"), 1))


@pytest.mark.parametrize(("code", "remedy"), [(1006, "log"), (1009, "shorter"), (4000, "application"), (1005, "log")])
def test_every_close_code_has_a_remedy(code: int, remedy: str) -> None:
    assert remedy in diagnosis.close_remedy(code)
