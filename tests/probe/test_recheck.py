"""Second connections, which make the cause of a failure certain, to servers of both common kinds."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from helpers.misconfigured_nginx import RunningNginx, misconfigured_nginx

from wsbench.errors import WsbenchError
from wsbench.probe.prober import ProbeOptions, probe
from wsbench.websocket.connect_options import ConnectOptions

AUTHORITY = trustme.CA()


@contextmanager
def asyncio_server(*, asks: bool, version: ssl.TLSVersion) -> Iterator[str]:
    """Yield the URL of a server on Python's asyncio and ssl, which ends each connection after the TLS handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        AUTHORITY.configure_trust(context)
    loop, ports = asyncio.new_event_loop(), list[int]()
    started = threading.Event()

    async def serve() -> None:
        def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(end, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        try:
            await server.serve_forever()
        except asyncio.CancelledError:
            pass

    task = loop.create_task(serve())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,), daemon=True)
    thread.start()
    started.wait()
    try:
        yield f"wss://127.0.0.1:{ports[0]}/"
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def failure(url: str, ca_file: Path) -> WsbenchError:
    connect = ConnectOptions(url, ca_file=str(ca_file))
    _, error = probe(ProbeOptions(connect, b"x", False, bool, version="0", timeout_ns=10**9))
    assert error is not None
    return error


@pytest.fixture(scope="module")
def nginx() -> Iterator[RunningNginx]:
    with misconfigured_nginx() as running:
        yield running


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asked_for_a_certificate_and_hung_up(tmp_path: Path, version: ssl.TLSVersion) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    with asyncio_server(asks=True, version=version) as url:
        error = failure(url, tmp_path / "ca.pem")
    assert error.kind == "client-certificate"
    assert "asked for a client certificate, and then ended the connection" in error.what
    with asyncio_server(asks=False, version=version) as url:
        assert failure(url, tmp_path / "ca.pem").kind == "handshake-closed"


@pytest.mark.needs("nginx", "openssl")
def test_nginx_that_wants_a_client_certificate(nginx: RunningNginx) -> None:
    error = failure(nginx.url("/good", "client-certificate"), nginx.ca)
    assert error.kind == "client-certificate" and "No required SSL certificate was sent" in error.what
    error = failure(nginx.url("/forbidden", "optional-certificate"), nginx.ca)
    assert error.kind == "forbidden" and "or it requires the client certificate for which it asked" in error.what
    error = failure(nginx.url("/forbidden", "good"), nginx.ca)
    assert error.kind == "forbidden" and "client certificate" not in error.what
