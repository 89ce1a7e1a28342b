"""What a probe found, step by step: the document of `wsbench probe --json`.

Field by field it is a contract with those who script against it: add to it, never repurpose.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from wsbench.probe.certificate import ServerCertificate

SCHEMA = 1
STEPS = ("dns", "tcp", "tls", "upgrade", "echo", "ping", "close")


class ProbeStep(msgspec.Struct, frozen=True):
    """One step.

    Attributes:
        name: one of `STEPS`.
        ok: whether it went well; None when it was not reached.
        duration_ns: how long it took, or until it failed; None when it was not reached.
    """

    name: str
    ok: bool | None = None
    duration_ns: int | None = None


class Problem(msgspec.Struct, frozen=True):
    """What kept the probe from its end.

    Attributes:
        kind: short and stable, as in run.json's `errors`.
        side: "target", "generator" or "network".
        step: the one that failed.
    """

    kind: str
    side: str
    step: str
    what: str
    remedy: str


class ProbeFinding(msgspec.Struct, frozen=True):
    """Something worth knowing that kept the probe from nothing."""

    code: str
    evidence: str
    remedy: str


class Tcp(msgspec.Struct, frozen=True):
    """Both ends, None when no address took the connection.

    Attributes:
        refused: addresses of the same name that did not take it, with the reason.
    """

    address: str | None
    local: str | None
    refused: list[str] = []


class Tls(msgspec.Struct, frozen=True):
    """`version`, `cipher` and `alpn` are None when the handshake failed.

    Attributes:
        verified: the certificate passed the check; False as well when none was made.
    """

    version: str | None
    cipher: str | None
    alpn: str | None
    verified: bool
    certificate: ServerCertificate | None


class Upgrade(msgspec.Struct, frozen=True):
    """The handshake as it went over the wire, a line an entry. `status` is None when the answer was no HTTP.

    Attributes:
        body: the start of what came behind the answer's head, when it was not 101.
        extensions, subprotocol: what was granted.
    """

    request: list[str]
    answer: list[str]
    status: int | None
    body: str = ""
    extensions: str | None = None
    subprotocol: str | None = None


class EchoResult(msgspec.Struct, frozen=True):
    """A message and what came back.

    Attributes:
        echoed: it came back.
        identical: with the same bytes and as the same kind of message; a JSON message may come back re-serialised.
        service_ns: from sent to arrived; `read_lag_ns` from arrived to read. None when it did not come back.
        timestamps: whose time of arrival: "kernel" or "user".
        others: messages that came and were not the echo; `first_other` is how the first one begins.
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


class Ping(msgspec.Struct, frozen=True):
    """`service_ns` from the ping sent to the pong arrived; None when none came."""

    service_ns: int | None
    timestamps: str | None


class Close(msgspec.Struct, frozen=True):
    """The closing handshake. `received_code` is None when the server did not answer it.

    Attributes:
        tcp_ended: the server ended the TCP connection, as it should (RFC 6455, 7.1.1).
    """

    sent_code: int
    received_code: int | None
    reason: str
    tcp_ended: bool


class Probe(msgspec.Struct, frozen=True):
    """All of it. A section is None when its step brought nothing; times in ns. `steps` has those that were not reached.

    Attributes:
        ok: the server was reached, opened, and closed as it should; findings do not count.
        problem: None when `ok`.
        addresses: what the name resolved to.
    """

    schema: int
    wsbench: str
    url: str
    started: datetime
    ok: bool
    problem: Problem | None
    findings: list[ProbeFinding]
    steps: list[ProbeStep]
    addresses: list[str]
    tcp: Tcp | None
    tls: Tls | None
    upgrade: Upgrade | None
    echo: EchoResult | None
    ping: Ping | None
    close: Close | None
