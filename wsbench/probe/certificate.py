"""A server's certificate: subject, issuer, dates and names."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes


class ServerCertificate(msgspec.Struct, frozen=True):
    """The server's own certificate, not its chain.

    Attributes:
        names: its host names and addresses (subjectAltName).
        sha256: fingerprint of its DER, in hexadecimal.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    names: list[str]
    sha256: str

    def faults(self, host: str, now: datetime) -> list[str]:
        """Return what is wrong with it apart from its signature; each text completes "the certificate ..."."""
        faults = []
        if now > self.not_after:
            faults.append(f"expired on {self.not_after:%Y-%m-%d}")
        if now < self.not_before:
            faults.append(f"is not valid before {self.not_before:%Y-%m-%d %H:%M} UTC")
        if not any(_matches(name, host) for name in self.names):
            names = ", ".join(self.names[:3]) + (", ..." if len(self.names) > 3 else "")
            faults.append(f"is not for the host name {host}, but for {names or 'no name at all'}")
        return faults


def read_certificate(der: bytes) -> ServerCertificate | None:
    """Decode a certificate; return None if it cannot be decoded."""
    try:
        decoded = x509.load_der_x509_certificate(der)
        return ServerCertificate(
            subject=decoded.subject.rfc4514_string(),
            issuer=decoded.issuer.rfc4514_string(),
            not_before=decoded.not_valid_before_utc,
            not_after=decoded.not_valid_after_utc,
            names=_names(decoded),
            sha256=decoded.fingerprint(hashes.SHA256()).hex(),
        )
    except ValueError:
        return None


def utc_now() -> datetime:
    """Return the current time, for `ServerCertificate.faults`."""
    return datetime.now(UTC)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _matches(name: str, host: str) -> bool:
    """Compare as RFC 6125 does: a wildcard is the whole leftmost label and stands for one label."""
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        pass
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return name == host
