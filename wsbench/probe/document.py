"""The result of a probe: the document of `wsbench probe --json`.

Its fields are a contract with scripts that read it: add fields, but never change their meaning.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from wsbench.probe.certificate import ServerCertificate

SCHEMA = 1
STEPS = ("dns", "tcp", "tls", "upgrade", "echo", "ping", "close")


class ProbeStep(msgspec.Struct, frozen=True):
    """A step, named as in `STEPS`; `ok` and `duration_ns` are None if it was not reached."""

    name: str
    ok: bool | None = None
    duration_ns: int | None = None


class Problem(msgspec.Struct, frozen=True):
    """The failure that stopped the probe; `kind` and `side` are as in run.json's `errors`."""

    kind: str
    side: str
    step: str
    what: str
    remedy: str


class ProbeFinding(msgspec.Struct, frozen=True):
    """A fault that did not stop the probe."""

    code: str
    evidence: str
    remedy: str


class Tcp(msgspec.Struct, frozen=True):
    """Both addresses of the connection, or None; `refused` are those that did not accept it, with the reason."""

    address: str | None
    local: str | None
    refused: list[str] = []


class Tls(msgspec.Struct, frozen=True):
    """The TLS session, without version, cipher and ALPN if it failed; `verified` is False without a check."""

    version: str | None
    cipher: str | None
    alpn: str | None
    verified: bool
    certificate: ServerCertificate | None


class Upgrade(msgspec.Struct, frozen=True):
    """The lines of the upgrade request and response. `status` is None if the response was not HTTP.

    Attributes:
        body: the start of the response's body, unless it was 101.
        extensions, subprotocol: granted by the server.
        faults: of the response's head, which some clients refuse.
    """

    request: list[str]
    answer: list[str]
    status: int | None
    body: str = ""
    extensions: str | None = None
    subprotocol: str | None = None
    faults: list[str] = []


class EchoResult(msgspec.Struct, frozen=True):
    """A message and its echo.

    Attributes:
        echoed: the message came back.
        identical: the echo has the same bytes and the same kind; a JSON message may come back re-serialised.
        difference: how the echo differs from the message, in words, if it is not identical.
        service_ns: from sent to arrived; `read_lag_ns` is from arrived to read. None without an echo.
        timestamps: the source of the time of arrival: "kernel" or "user".
        others: number of messages other than the echo; `first_other` is the start of the first one.
    """

    size: int
    kind: str
    echoed: bool = False
    identical: bool = False
    service_ns: int | None = None
    read_lag_ns: int | None = None
    timestamps: str | None = None
    others: int = 0
    first_other: str | None = None
    difference: str = ""


class Ping(msgspec.Struct, frozen=True):
    """A ping; `service_ns` is from ping sent to pong arrived, None without a pong."""

    service_ns: int | None
    timestamps: str | None


class Close(msgspec.Struct, frozen=True):
    """The closing handshake. `received_code` is None if the server did not answer.

    `tcp_ended`: the server ended the TCP connection, as RFC 6455, 7.1.1 requires.
    """

    sent_code: int
    received_code: int | None
    reason: str
    tcp_ended: bool


class Probe(msgspec.Struct, frozen=True):
    """The whole document. A section is None if its step had no result; `steps` includes those not reached; times in ns.

    Attributes:
        ok: no step failed; findings do not count.
        problem: None if `ok`.
        addresses: result of name resolution.
    """

    schema: int
    wsbench: str
    url: str
    started: datetime
    ok: bool = False
    problem: Problem | None = None
    findings: list[ProbeFinding] = []
    steps: list[ProbeStep] = []
    addresses: list[str] = []
    tcp: Tcp | None = None
    tls: Tls | None = None
    upgrade: Upgrade | None = None
    echo: EchoResult | None = None
    ping: Ping | None = None
    close: Close | None = None
