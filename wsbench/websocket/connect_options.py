"""Options of a connection: its handshake, and how to reach the server."""

from __future__ import annotations

from dataclasses import dataclass

from wsbench.source_addresses import SourceRange
from wsbench.websocket.handshake import HandshakeOptions


@dataclass(frozen=True)
class ConnectOptions(HandshakeOptions):
    """Options of a connection. Immutable; one object for all connections of a run.

    Attributes:
        ca_file: a CA to trust besides the system's.
        insecure: do not check the server's certificate.
        connect_timeout_ns: for all steps from name resolution to the upgrade together.
        sources: addresses to connect from, in turn; none for the system's choice.
        resume_tls: later connections resume the TLS session of an earlier one.
    """

    ca_file: str | None = None
    insecure: bool = False
    connect_timeout_ns: int = 10_000_000_000
    sources: tuple[SourceRange, ...] = ()
    resume_tls: bool = False
