"""What a server's certificate says: whose it is, who vouches for it, until when, and for which names."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes


class ServerCertificate(msgspec.Struct, frozen=True):
    """The server's own certificate, not its chain.

    Attributes:
        names: the host names and addresses it is for (subjectAltName).
        sha256: fingerprint of its DER, in hexadecimal.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: list[str]
    sha256: str

    def faults(self, host: str, now: datetime) -> list[str]:
        """What is wrong with it by itself, whoever signed it; each completes "the certificate ..."."""
        faults = []
        if now > self.not_after:
            faults.append(f"has expired on {self.not_after:%Y-%m-%d}")
        if now < self.not_before:
            faults.append(f"is not valid before {self.not_before:%Y-%m-%d %H:%M} UTC")
        if not any(_matches(name, host) for name in self.names):
            names = ", ".join(self.names[:3]) + (", ..." if len(self.names) > 3 else "")
            faults.append(f"is not for the host name {host}, but for {names or 'no name at all'}")
        return faults


def read_certificate(der: bytes) -> ServerCertificate | None:
    """What is in it; None when it cannot be read."""
    try:
        read = x509.load_der_x509_certificate(der)
        return ServerCertificate(
            subject=read.subject.rfc4514_string(),
            issuer=read.issuer.rfc4514_string(),
            not_before=read.not_valid_before_utc,
            not_after=read.not_valid_after_utc,
            names=_names(read),
            sha256=read.fingerprint(hashes.SHA256()).hex(),
        )
    except ValueError:
        return None


def utc_now() -> datetime:
    """For `ServerCertificate.faults`."""
    return datetime.now(UTC)


def _names(read: x509.Certificate) -> list[str]:
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _matches(name: str, host: str) -> bool:
    """As RFC 6125 has it: a wildcard is the whole of the leftmost label, and stands for one label."""
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        pass
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return name == host
