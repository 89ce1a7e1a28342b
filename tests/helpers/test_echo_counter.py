"""The counts of the benchmarks' servers: equal to what a client sent."""

from __future__ import annotations

import ssl

import pytest

from helpers import echo_counter, process
from helpers.tls_client import connected


def insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


PICOWS = pytest.mark.needs("picows")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("benchmarks.picows_server",), marks=PICOWS),
        pytest.param(("benchmarks.picows_server", "--tls"), marks=PICOWS),
        pytest.param(("benchmarks.c_server",), marks=pytest.mark.needs("cc")),
    ],
    ids=" ".join,
)
def test_a_server_reports_echoes_and_open_connections(command: tuple[str, ...]) -> None:
    server, url = process.start_server(*command)
    try:
        assert echo_counter.read(server) == (0, 0)
        with connected(url, ssl=insecure() if "--tls" in command else None, compression=None) as client:
            for number in range(3):
                client.send(str(number))
                assert client.recv() == str(number)
            assert echo_counter.read(server) == (3, 1)
        process.eventually(lambda: echo_counter.read(server) == (3, 0))
    finally:
        server.stop()
