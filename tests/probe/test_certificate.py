"""Decoding a certificate, and its faults apart from its signature."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from wsbench.probe.certificate import ServerCertificate, read_certificate

FROM, UNTIL = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 4, 1, tzinfo=UTC)
AMID = FROM + timedelta(days=30)


def issued(*names: str) -> ServerCertificate:
    leaf = trustme.CA(organization_name="A CA").issue_cert(
        *names, organization_name="An owner", not_before=FROM, not_after=UNTIL
    )
    read = read_certificate(ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()))
    assert read is not None
    return read


def test_what_is_in_it() -> None:
    read = issued("a.example", "*.b.example", "127.0.0.1", "::1")
    assert "O=An owner" in read.subject and "O=A CA" in read.issuer
    assert (read.not_before, read.not_after) == (FROM, UNTIL)
    assert read.names == ["a.example", "*.b.example", "127.0.0.1", "::1"]
    assert len(bytes.fromhex(read.sha256)) == 32


@pytest.mark.parametrize("der", [b"", b"no certificate"])
def test_what_cannot_be_read(der: bytes) -> None:
    assert read_certificate(der) is None


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("a.example", True),
        ("A.Example.", True),
        ("x.b.example", True),
        ("x.y.b.example", False),
        ("b.example", False),
        ("xa.example", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
    ],
)
def test_the_names_it_is_for(host: str, right: bool) -> None:
    faults = issued("a.example", "*.b.example", "127.0.0.1", "::1").faults(host, AMID)
    assert (faults == []) == right
    assert right or faults[0].startswith(f"is not for the host name {host}, but for a.example, *.b.example, 127.0.0.1")


def test_its_dates() -> None:
    read = issued("a.example")
    assert read.faults("a.example", FROM) == read.faults("a.example", UNTIL) == []
    assert read.faults("a.example", UNTIL + timedelta(seconds=1)) == ["expired on 2030-04-01"]
    assert read.faults("a.example", FROM - timedelta(seconds=1)) == ["is not valid before 2030-01-01 00:00 UTC"]
    assert len(read.faults("b.example", UNTIL + timedelta(days=1))) == 2
