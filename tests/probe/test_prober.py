"""Probes of servers that do one remarkable thing after a proper handshake."""

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
from wsbench.probe.prober import ProbeOptions, probe
from wsbench.websocket.connect_options import ConnectOptions

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
    """Probe a peer that answers the handshake and then runs `serve`; return also the results after each step."""
    peer, told = Peer(tls=tls), list[Probe]()

    def run() -> None:
        peer.accept()
        serve(peer)

    serving = gevent.spawn(run)
    options = ProbeOptions(
        ConnectOptions(peer.url, connect_timeout_ns=int(timeout_s * 1e9), **options),
        PAYLOAD,
        False,
        same,
        version="0",
        timeout_ns=int(timeout_s * 1e9),
    )
    try:
        result, error = probe(options, told.append)
        serving.get(timeout=20)
    finally:
        serving.kill()
        peer.stop()
    return result, error, told


def answering(peer: Peer, **replaced: Callable[[frames.Incoming], bytes | None]) -> None:
    """Echo, pong and close properly, or as `replaced`; a reply of None sends nothing."""
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


def codes(result: Probe) -> list[str]:
    return [finding.code for finding in result.findings]


def test_a_server_as_it_should_be() -> None:
    result, error, told = probed(answering)
    assert error is None and result.ok and result.problem is None and result.findings == []
    assert [each.name for each in result.steps] == ["dns", "tcp", "upgrade", "echo", "ping", "close"]
    assert result.echo is not None and (result.echo.echoed, result.echo.identical, result.echo.others) == (
        True,
        True,
        0,
    )
    assert result.close is not None and result.close.tcp_ended
    # each step was reported as soon as it was taken
    assert [sum(step.ok is not None for step in each.steps) for each in told] == [1, 2, 3, 4, 5, 6]


def test_other_messages_are_distinguished_from_the_echo() -> None:
    def greet(peer: Peer) -> None:
        peer.message(b"welcome\n")
        answering(peer, echo=lambda message: encode(TEXT, b"typing") + encode(TEXT, message.payload))

    result, error, _ = probed(greet)
    assert error is None and result.ok
    assert result.echo is not None
    assert (result.echo.echoed, result.echo.identical) == (True, True)
    assert (result.echo.others, result.echo.first_other) == (2, "welcome\\n")


def test_fragments_and_pings_in_between() -> None:
    pongs: list[bytes] = []

    def in_pieces(peer: Peer) -> None:
        message = peer.receive().payload
        peer.send(encode(TEXT, message[:5], fin=False) + encode(PING, b"alive?"))
        came = peer.receive()
        pongs.append(came.payload)
        peer.send(encode(CONTINUATION, message[5:]))
        answering(peer)

    result, error, _ = probed(in_pieces)
    assert error is None and pongs == [b"alive?"]
    assert result.echo is not None and result.echo.identical


@pytest.mark.parametrize(
    ("reply", "difference"),
    [
        (encode(TEXT, b'{"seq":1,"id":1}'), "the same members in another order"),
        (encode(BINARY, PAYLOAD), "a binary message instead of a text"),
    ],
    ids=["json", "binary"],
)
def test_an_echo_in_another_form(reply: bytes, difference: str) -> None:
    result, error, _ = probed(lambda peer: answering(peer, echo=lambda _: reply))
    assert error is None and result.ok
    assert result.echo is not None and (result.echo.echoed, result.echo.identical) == (True, False)
    assert codes(result) == ["echo-changed"] and difference in result.findings[0].evidence


def test_no_pong() -> None:
    result, error, _ = probed(
        lambda peer: answering(peer, pong=lambda _: encode(PONG, b"of another")), timeout_s=SHORT_S
    )
    assert error is None and result.ok and codes(result) == ["no-pong"]
    assert result.ping is not None and result.ping.service_ns is None


def test_a_close_with_another_code() -> None:
    def other(peer: Peer) -> None:
        answering(peer, close=lambda _: encode_close(1001, "going"))

    result, error, _ = probed(other, timeout_s=SHORT_S)
    assert error is None and result.close is not None
    assert (result.close.sent_code, result.close.received_code, result.close.reason) == (1000, 1001, "going")
    assert codes(result) == ["close-code", "tcp-left-open"]  # this peer waits for us to end TCP


def test_a_close_without_an_answer() -> None:
    result, error, _ = probed(lambda peer: answering(peer, close=lambda _: None), timeout_s=SHORT_S)
    assert error is None and result.close is not None and result.close.received_code is None
    assert codes(result) == ["close-unanswered"]
    assert "did not answer it within 300ms" in result.findings[0].evidence

    def hang_up(peer: Peer) -> None:
        while (came := peer.receive()).opcode != CLOSE:
            peer.send(encode(PONG if came.opcode == PING else TEXT, came.payload))
        peer.close()

    result, error, _ = probed(hang_up)
    assert error is None and "ended the connection instead" in result.findings[0].evidence


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
    result, error, _ = probed(lambda peer: answering(peer, echo=lambda _: reply))
    assert isinstance(error, ConnectionLost)
    assert error.exit_code == 3
    assert result.problem is not None and not result.ok
    assert (result.problem.kind, result.problem.side, result.problem.step) == (kind, "target", "echo")
    assert said in result.problem.what == error.what and remedy in result.problem.remedy
    assert [step.ok for step in result.steps] == [True, True, True, False, None, None]


def test_a_reset_at_our_message() -> None:
    def reset(peer: Peer) -> None:
        peer.receive()
        peer.reset()

    result, error, _ = probed(reset)
    assert error is not None and result.problem is not None
    assert (result.problem.kind, result.problem.what) == ("reset", "the connection broke: Connection reset by peer")


def server_context(*names: str, **validity: Any) -> green_ssl.SSLContext:
    context = green_ssl.SSLContext(green_ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(*names, **validity).configure_cert(context)
    return context


def test_a_certificate_that_expires_soon() -> None:
    soon = datetime.now(UTC) + timedelta(days=5)
    tls = server_context("127.0.0.1", not_before=soon - timedelta(days=85), not_after=soon)
    result, error, _ = probed(answering, tls=tls, insecure=True)
    assert error is None and result.ok and result.echo is not None and result.echo.identical
    assert result.tls is not None and not result.tls.verified and result.tls.certificate is not None
    assert result.tls.certificate.not_after == soon.replace(microsecond=0)
    assert codes(result) == ["certificate-expires"]


def test_an_unchecked_certificate_that_others_will_refuse() -> None:
    result, error, _ = probed(answering, tls=server_context("a.example"), insecure=True)
    assert error is None and codes(result) == ["certificate"]
    assert "it is not for the host name 127.0.0.1, but for a.example" in result.findings[0].evidence
