"""A certificate in files, for servers that are handed theirs: made for one target, gone with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """PEM files. `ca`: whom to trust. `cert`: the server's, then its chain. `both`: cert and key in one file."""

    ca: Path
    cert: Path
    key: Path
    both: Path


def issue(directory: Path) -> Certificate:
    """Make one for this machine's loopback names in `directory`, which must be private to this user."""
    authority = trustme.CA(organization_name="wsbench, a throw-away CA")
    leaf = authority.issue_cert("localhost", "127.0.0.1", "::1")
    files = Certificate(*(directory / name for name in ("ca.pem", "cert.pem", "key.pem", "both.pem")))
    authority.cert_pem.write_to_path(files.ca)
    leaf.private_key_pem.write_to_path(files.key)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_and_cert_chain_pem.write_to_path(files.both)
    return files
