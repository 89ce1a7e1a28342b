"""A probe of servers that do, after a proper handshake, one thing that is worth saying."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import pytest
import trustme
from gevent import ssl as green_ssl
from helpers import frames
from helpers.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode, encode_close
from helpers.peer import Peer

from wsbench.errors import ConnectionLost, WsbenchError
from wsbench.probe.document import Probe
from wsbench.probe.prober import Asked, probe
from wsbench.websocket.handshake import ConnectOptions

PAYLOAD = b'{"id": 1, "seq": 1}'
SHORT_S = 0.3


def same(payload: bytes) -> bool:
    try:
        return bool(json.loads(payload) == json.loads(PAYLOAD))
    except ValueError:
        return False


def probed(
    serve: Callable[[Peer], None], *, timeout_s: float = 20, tls: green_ssl.SSLContext | None = None, **options: Any
) -> tuple[Probe, WsbenchError | None, list[Probe]]:
    """A probe of a peer that answers the handshake and then does what `serve` says; and what was told on the way."""
    peer, told = Peer(tls=tls), list[Probe]()

    def run() -> None:
        peer.accept()
        serve(peer)

    serving = gevent.spawn(run)
    asked = Asked(
        ConnectOptions(peer.url, timeout_ns=int(timeout_s * 1e9), **options), PAYLOAD, False, same, version="0"
    )
    try:
        found, error = probe(asked, told.append)
        serving.get(timeout=20)
    finally:
        serving.kill()
        peer.stop()
    return found, error, told


def answering(peer: Peer, **replaced: Callable[[frames.Incoming], bytes | None]) -> None:
    """Echo, pong, close, each as it should be unless `replaced`; a reply of None is none."""
    replies: dict[int, Callable[[frames.Incoming], bytes | None]] = {
        TEXT: replaced.get("echo", lambda message: encode(TEXT, message.payload)),
        PING: replaced.get("pong", lambda ping: encode(PONG, ping.payload)),
        CLOSE: replaced.get("close", lambda close: encode(CLOSE, close.payload)),
    }
    while True:
        try:
            came = peer.receive()
        except EOFError:
            return
        if came.opcode in replies and (reply := replies[came.opcode](came)) is not None:
            peer.send(reply)
        if came.opcode == CLOSE and not replaced.get("close"):
            peer.close()
            return


def codes(found: Probe) -> list[str]:
    return [finding.code for finding in found.findings]


def test_a_server_as_it_should_be() -> None:
    found, error, told = probed(answering)
    assert error is None and found.ok and found.problem is None and found.findings == []
    assert [each.name for each in found.steps] == ["dns", "tcp", "upgrade", "echo", "ping", "close"]
    assert found.echo is not None and (found.echo.echoed, found.echo.identical, found.echo.others) == (True, True, 0)
    assert found.close is not None and found.close.tcp_ended
    # each step was told as soon as it was taken
    assert [sum(step.ok is not None for step in each.steps) for each in told] == [1, 2, 3, 4, 5, 6]


def test_other_messages_are_told_from_the_echo() -> None:
    def greet(peer: Peer) -> None:
        peer.message(b"welcome\n")
        answering(peer, echo=lambda message: encode(TEXT, b"typing") + encode(TEXT, message.payload))

    found, error, _ = probed(greet)
    assert error is None and found.ok
    assert found.echo is not None
    assert (found.echo.echoed, found.echo.identical) == (True, True)
    assert (found.echo.others, found.echo.first_other) == (2, "welcome·")


def test_fragments_and_pings_in_between() -> None:
    pongs: list[bytes] = []

    def in_pieces(peer: Peer) -> None:
        message = peer.receive().payload
        peer.send(encode(TEXT, message[:5], fin=False) + encode(PING, b"alive?"))
        came = peer.receive()
        pongs.append(came.payload)
        peer.send(encode(CONTINUATION, message[5:]))
        answering(peer)

    found, error, _ = probed(in_pieces)
    assert error is None and pongs == [b"alive?"]
    assert found.echo is not None and found.echo.identical


@pytest.mark.parametrize("reply", [encode(TEXT, b'{"seq":1,"id":1}'), encode(BINARY, PAYLOAD)], ids=["json", "binary"])
def test_an_echo_in_another_form(reply: bytes) -> None:
    found, error, _ = probed(lambda peer: answering(peer, echo=lambda _: reply))
    assert error is None and found.ok
    assert found.echo is not None and (found.echo.echoed, found.echo.identical) == (True, False)
    assert codes(found) == ["echo-changed"]


def test_no_pong() -> None:
    found, error, _ = probed(
        lambda peer: answering(peer, pong=lambda _: encode(PONG, b"of another")), timeout_s=SHORT_S
    )
    assert error is None and found.ok and codes(found) == ["no-pong"]
    assert found.ping is not None and found.ping.service_ns is None


def test_a_close_with_another_code() -> None:
    def other(peer: Peer) -> None:
        answering(peer, close=lambda _: encode_close(1001, "going"))

    found, error, _ = probed(other, timeout_s=SHORT_S)
    assert error is None and found.close is not None
    assert (found.close.sent_code, found.close.received_code, found.close.reason) == (1000, 1001, "going")
    assert codes(found) == ["close-code", "tcp-left-open"]  # this peer waits for us to end TCP


def test_a_close_without_an_answer() -> None:
    found, error, _ = probed(lambda peer: answering(peer, close=lambda _: None), timeout_s=SHORT_S)
    assert error is None and found.close is not None and found.close.received_code is None
    assert codes(found) == ["close-unanswered"]
    assert "did not answer it within 300ms" in found.findings[0].evidence

    def hang_up(peer: Peer) -> None:
        while (came := peer.receive()).opcode != CLOSE:
            peer.send(encode(PONG if came.opcode == PING else TEXT, came.payload))
        peer.close()

    found, error, _ = probed(hang_up)
    assert error is None and "ended the connection instead" in found.findings[0].evidence


@pytest.mark.parametrize(
    ("reply", "kind", "said", "remedy"),
    [
        (encode_close(1008, "log in"), "closed", "after our message with 1008 (policy violation) log in", "--header"),
        (encode_close(4401, "who\x1b?"), "closed", "4401 (private use) who·?", "application's own"),
        (encode_close(1011), "closed", "1011", "its log"),
        (b"\x83\x00", "protocol-error", "broke the protocol", ""),
    ],
)
def test_a_server_that_ends_it_at_our_message(reply: bytes, kind: str, said: str, remedy: str) -> None:
    found, error, _ = probed(lambda peer: answering(peer, echo=lambda _: reply))
    assert isinstance(error, ConnectionLost)
    assert error.exit_code == 3
    assert found.problem is not None and not found.ok
    assert (found.problem.kind, found.problem.side, found.problem.step) == (kind, "target", "echo")
    assert said in found.problem.what == error.what and remedy in found.problem.remedy
    assert [step.ok for step in found.steps] == [True, True, True, False, None, None]


def test_a_reset_at_our_message() -> None:
    def reset(peer: Peer) -> None:
        peer.receive()
        peer.reset()

    found, error, _ = probed(reset)
    assert error is not None and found.problem is not None
    assert (found.problem.kind, found.problem.what) == ("reset", "the connection broke: Connection reset by peer")


def server_context(*names: str, **validity: Any) -> green_ssl.SSLContext:
    context = green_ssl.SSLContext(green_ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(*names, **validity).configure_cert(context)
    return context


def test_a_certificate_that_expires_soon() -> None:
    soon = datetime.now(UTC) + timedelta(days=5)
    tls = server_context("127.0.0.1", not_before=soon - timedelta(days=85), not_after=soon)
    found, error, _ = probed(answering, tls=tls, insecure=True)
    assert error is None and found.ok and found.echo is not None and found.echo.identical
    assert found.tls is not None and not found.tls.verified and found.tls.certificate is not None
    assert found.tls.certificate.not_after == soon.replace(microsecond=0)
    assert codes(found) == ["certificate-expires"]


def test_an_unchecked_certificate_that_others_will_refuse() -> None:
    found, error, _ = probed(answering, tls=server_context("a.example"), insecure=True)
    assert error is None and codes(found) == ["certificate"]
    assert "it is not for the host name 127.0.0.1, but for a.example" in found.findings[0].evidence
