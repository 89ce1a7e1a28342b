"""A certificate in files, made for one target and deleted with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class CertificateFiles:
    """PEM files. `ca`: the CA to trust. `cert`: the server's certificate and its chain. `both`: cert and key."""

    ca: Path
    cert: Path
    key: Path
    both: Path


def issue(directory: Path) -> CertificateFiles:
    """Write a certificate for the loopback names to `directory`, which must be private to this user."""
    authority = trustme.CA(organization_name="wsbench, a throw-away CA")
    leaf = authority.issue_cert("localhost", "127.0.0.1", "::1")
    files = CertificateFiles(*(directory / name for name in ("ca.pem", "cert.pem", "key.pem", "both.pem")))
    authority.cert_pem.write_to_path(files.ca)
    _write_secret(files.key, leaf.private_key_pem.bytes())
    files.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    _write_secret(files.both, leaf.private_key_and_cert_chain_pem.bytes())
    return files


def _write_secret(path: Path, content: bytes) -> None:
    """Write a new file that is readable only by this user from the beginning."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
