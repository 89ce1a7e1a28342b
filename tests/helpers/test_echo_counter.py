"""The counts of the benchmarks' server: equal to what a client sent."""

from __future__ import annotations

import ssl

import pytest

from helpers import echo_counter, process
from helpers.tls_client import connected


def insecure() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.needs("picows")
@pytest.mark.parametrize("options", [(), ("--tls",), ("--batch",)], ids=" ".join)
def test_a_server_reports_echoes_and_open_connections(options: tuple[str, ...]) -> None:
    server, url = process.start_server("benchmarks.picows_server", *options)
    try:
        assert echo_counter.read(server) == (0, 0)
        with connected(url, ssl=insecure() if "--tls" in options else None, compression=None) as client:
            for number in range(3):
                client.send(str(number))
                assert client.recv() == str(number)
            assert echo_counter.read(server) == (3, 1)
        process.eventually(lambda: echo_counter.read(server) == (3, 0))
    finally:
        server.stop()
