"""wss://, with certificates made for the run and with given ones."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from helpers.tls_client import connected

from wsbench.errors import UsageError
from wsbench.targets.echo.serve_options import EchoOptions
from wsbench.targets.echo.server_tls import context_for, load_certificate, make_certificate
from wsbench.targets.embedded import EmbeddedTarget


@pytest.mark.parametrize("workers", [1, 2])
def test_the_own_certificate_is_good_for_every_local_name(
    start_target: Callable[..., EmbeddedTarget], workers: int
) -> None:
    target = start_target(tls=True, workers=workers)
    assert target.url.startswith("wss://127.0.0.1:")
    context = ssl.create_default_context(cafile=target.ca_file)
    for name in ("127.0.0.1", "localhost", "::1"):
        with connected(target.url, ssl=context, server_hostname=name) as client:
            client.send("secret")
            assert client.recv() == "secret"
    with connected(target.url, ssl=context, compression=None, max_size=None) as client:
        client.send(b"\x00" * 3_000_000)
        assert client.recv() == b"\x00" * 3_000_000
    assert target.stats()["messages_in"] == 4


def test_a_client_that_does_not_trust_it_fails_and_harms_nobody(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(tls=True)
    with pytest.raises(ssl.SSLCertVerificationError), connected(target.url, ssl=ssl.create_default_context()):
        pass
    with connected(target.url, ssl=ssl.create_default_context(cafile=target.ca_file)) as client:
        client.send("still there")
        assert client.recv() == "still there"
    target.stop()
    # nothing on standard error: a client's fault is not worth a traceback
    assert target.stderr_tail == ""


def test_the_ca_file_is_private_and_goes_with_the_target(start_target: Callable[..., EmbeddedTarget]) -> None:
    target = start_target(tls=True, workers=2)
    assert target.ca_file is not None
    directory = target.ca_file.parent
    assert directory.stat().st_mode & 0o777 == 0o700
    assert list(directory.iterdir()) == [target.ca_file]
    assert b"PRIVATE KEY" not in target.ca_file.read_bytes()
    target.stop()
    assert not directory.exists()


@pytest.fixture
def pem(tmp_path: Path) -> dict[str, Path]:
    """Files: a certificate with its key, and another's key."""
    authority = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "other", "ca", "encrypted", "nonsense")}
    mine, other = authority.issue_cert("127.0.0.1"), authority.issue_cert("127.0.0.1")
    mine.cert_chain_pems[0].write_to_path(files["cert"])
    mine.private_key_pem.write_to_path(files["key"])
    other.private_key_pem.write_to_path(files["other"])
    authority.cert_pem.write_to_path(files["ca"])
    files["encrypted"].write_text(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
    )
    files["nonsense"].write_text("nothing\n")
    return files


def test_a_given_certificate_is_served(pem: dict[str, Path]) -> None:
    arguments = ["serve", "--port", "0", "--tls", "--cert", str(pem["cert"]), "--key", str(pem["key"])]
    with subprocess.Popen([sys.executable, "-m", "wsbench", *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on wss://127.0.0.1:") and line.endswith("/echo\n")
            context = ssl.create_default_context(cafile=pem["ca"])
            with connected(line.split()[-1], ssl=context) as client:
                client.send("hello")
                assert client.recv() == "hello"
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("cert", None, "--cert is given without --key"),
        (None, "key", "--key is given without --cert"),
        ("cert", "other", "does not belong to the certificate"),
        ("nonsense", "key", "are not a certificate and a private key"),
        ("cert", "nonsense", "are not a certificate and a private key"),
        ("cert", "missing", "cannot be read: No such file"),
        ("cert", "encrypted", "the private key is encrypted"),
    ],
)
def test_certificates_that_cannot_be_used(pem: dict[str, Path], cert: str | None, key: str | None, said: str) -> None:
    pem["missing"] = Path("/nonexistent/key.pem")
    with pytest.raises(UsageError) as caught:
        load_certificate(pem[cert] if cert else None, pem[key] if key else None)
    assert said in str(caught.value)


def test_a_certificate_without_tls_is_a_mistake(pem: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="no effect without --tls"):
        context_for(EchoOptions(cert=pem["cert"], key=pem["key"]), ExitStack())


def test_the_own_certificate_names_the_host(tmp_path: Path) -> None:
    _, ca_file = make_certificate("bench.example", tmp_path)
    assert ca_file.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    with pytest.raises(UsageError, match="no certificate can be made"):
        make_certificate("not a host", tmp_path)
