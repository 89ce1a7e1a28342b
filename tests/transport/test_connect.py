"""Opening a connection to servers that answer properly, wrongly, slowly or not at all."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from helpers.peer import Pair, Peer, granting, over_tls

from wsbench.errors import ConnectError, HandshakeError, Side
from wsbench.targets.embedded import EmbeddedTarget
from wsbench.transport.connect import Connector
from wsbench.transport.connect_attempt import HandshakeResult
from wsbench.transport.traffic import Traffic
from wsbench.websocket.connect_options import ConnectOptions
from wsbench.websocket.tls import client_context

MakePair = Callable[..., Pair]


def attempt(url: str, *, timeout_s: float = 20, ca_file: Path | None = None, **others: Any) -> HandshakeResult:
    options = ConnectOptions(url, connect_timeout_ns=int(timeout_s * 1e9), **others)
    context = None
    if options.uri.secure:
        context = client_context(ca_file=str(ca_file) if ca_file else None, insecure=options.insecure)
    return Connector(options, context=context, traffic=Traffic()).connect()


def failure(url: str, **options: Any) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        attempt(url, **options).socket.close()
    assert caught.value.exit_code == 3
    return caught.value


# -- what can go wrong with the upgrade ------------------------------------------------------------------------------

ANSWERED = {
    # path                     kind             status
    "/200": ("no-upgrade", 200),
    "/302": ("redirected", 302),
    "/redirect": ("redirected", 302),
    "/401": ("unauthorized", 401),
    "/403": ("forbidden", 403),
    "/404": ("not-found", 404),
    "/426": ("version", 426),
    "/503": ("unavailable", 503),
    "/no-upgrade": ("no-upgrade", 400),
    "/101-no-upgrade": ("no-upgrade", 101),
    "/wrong-accept": ("wrong-accept", 101),
    "/unrequested-extension": ("negotiation", 101),
    "/unrequested-subprotocol": ("negotiation", 101),
    "/endless-headers": ("handshake-cut", 101),
    "/garbage": ("not-http", None),
    "/close": ("handshake-closed", None),
}


@pytest.mark.parametrize(("path", "kind", "status"), [(path, *rest) for path, rest in ANSWERED.items()])
def test_a_wrong_answer_is_called_by_its_name(bad_server: str, path: str, kind: str, status: int | None) -> None:
    error = failure(bad_server + path)
    assert isinstance(error, HandshakeError)
    assert (error.kind, error.status, error.step, error.side) == (kind, status, "upgrade", Side.TARGET)
    assert error.remedy


def test_http_1_0_has_no_upgrade(bad_server: str) -> None:
    assert failure(bad_server + "/http10").kind == "http-1.0"


def test_a_little_of_a_refusals_body_is_waited_for() -> None:
    peer = Peer()

    def serve() -> None:
        peer.accept(lambda _: b"HTTP/1.1 404 Not Found\r\n\r\n")
        gevent.sleep(0.02)
        peer.send(b"no such room: try /chat")  # and then nothing more

    serving = gevent.spawn(serve)
    try:
        error = failure(peer.url)
    finally:
        serving.kill()
        peer.stop()
    assert isinstance(error, HandshakeError)
    assert error.body == b"no such room: try /chat"
    assert "no such room: try /chat" in error.what


def test_a_refusal_is_reported_even_if_its_body_comes_after_the_timeout() -> None:
    peer = Peer()
    serving = gevent.spawn(peer.accept, lambda _: b"HTTP/1.1 404 Not Found\r\n\r\nno such")
    try:
        error = failure(peer.url, timeout_s=0.2)
    finally:
        serving.kill()
        peer.stop()
    assert (error.kind, "no such" in error.what) == ("not-found", True)


def test_a_reset_instead_of_an_answer(bad_server: str) -> None:
    error = failure(bad_server + "/rst")
    assert (error.kind, error.step) == ("handshake-reset", "upgrade")
    assert "Connection reset by peer" in error.what


@pytest.mark.parametrize(("path", "text"), [("/silent", "never answered"), ("/slow", "but not all of it")])
def test_an_answer_that_does_not_come_in_time(bad_server: str, path: str, text: str) -> None:
    error = failure(bad_server + path, timeout_s=1)
    assert (error.kind, error.step, error.side) == ("handshake-timeout", "upgrade", Side.TARGET)
    assert text in error.what
    assert "within 1s" in error.what


def test_the_same_server_when_it_answers_properly(bad_server: str) -> None:
    handshake = attempt(bad_server + "/ok")
    assert handshake.negotiated.compression is None
    assert handshake.early == b""
    handshake.socket.close()


def test_a_failed_attempt_leaves_nothing_open(bad_server: str) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    failure(bad_server + "/404")
    before = descriptors()
    for path in ("/404", "/garbage", "/rst", "/close", "/wrong-accept"):
        failure(bad_server + path)
    failure(bad_server + "/silent", timeout_s=0.2)
    failure(bad_server.replace("ws://", "wss://") + "/silent", timeout_s=0.2)
    assert descriptors() == before


def test_a_timeout_of_the_callers_is_the_callers(bad_server: str) -> None:
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.2) as mine:
        attempt(bad_server + "/silent")
    assert caught.value is mine


# -- name and TCP ----------------------------------------------------------------------------------------------------


def test_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = failure(f"ws://127.0.0.1:{taken.getsockname()[1]}/")
    assert (error.kind, error.step, error.side) == ("refused", "tcp", Side.TARGET)
    assert "nothing listens on 127.0.0.1:" in error.what


def test_an_unknown_host() -> None:
    error = failure(f"ws://{'a' * 64}.invalid/")  # no label may be that long: no name server gets a query
    assert (error.kind, error.step, error.side) == ("unknown-host", "dns", Side.NETWORK)


# -- TLS -------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_is_not_trusted(tls_target: EmbeddedTarget) -> None:
    error = failure(tls_target.url)
    assert (error.kind, error.step, error.side) == ("certificate", "tls", Side.TARGET)
    assert "--ca FILE" in error.remedy and "--insecure" in error.remedy


@pytest.mark.parametrize("how", ["ca", "insecure"])
def test_tls_with_the_ca_or_without_any_check(tls_target: EmbeddedTarget, how: str) -> None:
    trust: dict[str, Any] = {"ca_file": tls_target.ca_file} if how == "ca" else {"insecure": True}
    handshake = attempt(tls_target.url, **trust)
    assert handshake.negotiated.tls_version in ("TLSv1.2", "TLSv1.3")
    assert handshake.negotiated.tls_cipher
    handshake.socket.close()


def test_wss_to_a_port_without_tls(deflating_target: EmbeddedTarget) -> None:
    error = failure(deflating_target.url.replace("ws://", "wss://"))
    assert error.step == "tls"
    assert error.kind in ("no-tls", "tls")  # a server may answer in HTTP, or just close
    assert "ws:// instead of wss://" in error.remedy


def test_ws_to_a_port_with_tls(tls_target: EmbeddedTarget) -> None:
    error = failure(tls_target.url.replace("wss://", "ws://"))
    assert error.step == "upgrade"
    assert "wss://" in error.remedy


def test_a_tls_handshake_that_does_not_go_on(bad_server: str) -> None:
    error = failure(bad_server.replace("ws://", "wss://") + "/ok", timeout_s=0.5)
    assert (error.kind, error.step) == ("tls-timeout", "tls")


# -- what is negotiated ----------------------------------------------------------------------------------------------


def test_negotiated_is_what_the_server_said(pair: MakePair) -> None:
    granted = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10"
    both = pair(
        answer=granting(f"Sec-WebSocket-Extensions: {granted}", "Sec-WebSocket-Protocol: v2"),
        compression="on",
        subprotocols=("chat", "v2"),
    )
    assert (both.handshake.negotiated.compression, both.handshake.negotiated.subprotocol) == (granted, "v2")
    assert (both.handshake.negotiated.tls_version, both.handshake.negotiated.tls_cipher) == (None, None)
    assert not both.connection.plain


def test_what_was_not_granted_was_not_negotiated(pair: MakePair) -> None:
    both = pair(compression="on", subprotocols=("chat",))
    assert (both.handshake.negotiated.compression, both.handshake.negotiated.subprotocol) == (None, None)
    assert both.connection.plain


def test_the_server_receives_the_requested_options(pair: MakePair) -> None:
    both = pair(headers=(("X-Token", "abc"), ("Host", "other.test")), origin="https://a.test", subprotocols=("chat",))
    assert both.peer.request is not None
    headers = both.peer.request.headers
    assert (headers["x-token"], headers["host"], headers["origin"]) == ("abc", "other.test", "https://a.test")
    assert headers["sec-websocket-protocol"] == "chat"


@pytest.mark.parametrize("security", [{}, over_tls()], ids=["ws", "wss"])
def test_every_step_took_its_time_and_none_is_counted_twice(pair: MakePair, security: dict[str, Any]) -> None:
    before = time.monotonic_ns()
    times_ns = pair(**security).handshake.times_ns
    elapsed = time.monotonic_ns() - before
    assert list(times_ns) == ["dns", "tcp", *(["tls"] if security else []), "upgrade"]
    assert min(times_ns.values()) > 0
    assert sum(times_ns.values()) <= elapsed
