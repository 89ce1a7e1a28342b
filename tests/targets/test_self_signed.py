"""The certificate files that foreign servers are handed."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from wsbench.targets.self_signed import issue


def test_keys_are_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = issue(tmp_path)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in (files.key, files.both)} == {0o600}
    assert b"PRIVATE KEY" not in files.ca.read_bytes() + files.cert.read_bytes()


def test_the_files_belong_together(tmp_path: Path) -> None:
    files = issue(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    context.load_cert_chain(files.both)
    ssl.create_default_context(cafile=files.ca)
