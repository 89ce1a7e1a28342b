"""`wsbench serve` for clients that others wrote: websocat, and the one that comes with websockets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from helpers import components, runs
from helpers.process import scaled
from helpers.runs import EchoTarget


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target("--compression", "on") as target:
        yield target


def websocat(url: str, *options: str, said: bytes, **environment: str) -> bytes:
    """Return websocat's output for this input; it ends after one reply."""
    program = components.tool("websocat")
    assert program is not None
    ended = subprocess.run(
        [program, "--one-message", *options, url],
        input=said,
        capture_output=True,
        timeout=scaled(30),
        env={**os.environ, **environment},
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    return ended.stdout


@pytest.mark.needs("websocat")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--text"], "grüße\n".encode()),
        (["--binary"], b"\x00\x01\xfe\xff"),
        (["--binary"], bytes(range(256)) * 8),
        (["--text", "--protocol", "chat"], b"with a subprotocol\n"),
    ],
    ids=["text", "binary", "longer", "subprotocol"],
)
def test_websocat_hears_its_own_words(target: EchoTarget, options: list[str], said: bytes) -> None:
    before = target.stats()
    assert websocat(target.url, *options, said=said) == said
    after = target.stats()
    assert after["messages_in"] - before["messages_in"] == after["messages_out"] - before["messages_out"] == 1
    heard = len(said.rstrip(b"\n")) if "--text" in options else len(said)
    assert after["bytes_in"] - before["bytes_in"] in (heard, len(said))


@pytest.mark.needs("websocat")
def test_websocat_with_tls() -> None:
    with runs.echo_target("--tls") as target:
        assert target.ca is not None
        assert websocat(target.url, "--text", said=b"in secret\n", SSL_CERT_FILE=target.ca) == b"in secret\n"


def test_the_client_of_websockets(target: EchoTarget) -> None:
    """A dialogue, over compression, which that client offers."""
    before = target.stats()
    with subprocess.Popen(
        [sys.executable, "-m", "websockets", target.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as client:
        assert client.stdin is not None and client.stdout is not None
        try:
            for line in (b"one", b"two words", "grüße".encode()):
                client.stdin.write(line + b"\n")
                client.stdin.flush()
                while b"< " + line not in (heard := client.stdout.readline()):
                    assert heard, "it ended"
            out, err = client.communicate(timeout=scaled(30))
        finally:
            client.kill()
    assert (client.returncode, err) == (0, b"")
    assert b"Connection closed: 1000" in out
    after = target.stats()
    assert after["messages_in"] - before["messages_in"] == 3
    assert after["connections_open"] == 0
