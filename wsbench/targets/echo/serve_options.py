"""What the echo target is asked to be, and what it says once it listens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wsbench.targets.echo.delays import Stall
from wsbench.units import NS_PER_S

MAX_WORKERS = 64  # every two workers share a socket pair (see mesh.py), so descriptors grow with the square


@dataclass(frozen=True)
class EchoOptions:
    """Options of `wsbench serve`.

    Attributes:
        host: name or address to listen on.
        port: TCP port; 0 takes a free one.
        workers: processes that share the port, 1 to `MAX_WORKERS`.
        tls: serve wss://; without `cert` and `key` under a certificate made for this run.
        cert, key: PEM files, both or neither.
        compression: "off", "on", or parameters of permessage-deflate (see `parse_compression`).
        delay_ns: every reply leaves this much after its message came.
        jitter_ns: up to this much more, uniformly distributed.
        stall: when no reply leaves at all.
        max_size: bytes of the largest message taken, and of the largest that /push sends.
        max_connections: WebSocket connections at one time, over all workers; None: as many as open files allow.
        max_buffered: bytes of memory for what clients have sent in part or left unread, over all workers.
        handshake_timeout_ns: in which a client has to be through TLS, and then its whole request to be here.
        write_timeout_ns: for which a client may leave unread what was sent to it.
        allow_origins: of which web pages may connect, beside the target's own; empty: of any.
        exit_with_parent: stop when standard input, a pipe that whoever started us holds open, ends.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    workers: int = 1
    tls: bool = False
    cert: Path | None = None
    key: Path | None = None
    compression: str = "off"
    delay_ns: int = 0
    jitter_ns: int = 0
    stall: Stall | None = None
    max_size: int = 1024 * 1024
    max_connections: int | None = None
    max_buffered: int = 1024 * 1024 * 1024
    handshake_timeout_ns: int = 10 * NS_PER_S
    write_timeout_ns: int = 30 * NS_PER_S
    allow_origins: tuple[str, ...] = ()
    exit_with_parent: bool = False


_ORIGIN = re.compile(
    r"https?://([a-z0-9._~-]+|\[[0-9a-f:.]+\])(:\d{1,5})?|[a-z][a-z0-9+.-]*-extension://[a-z0-9-]+|null"
)


def parse_origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454, 6.2): 'https://app.example', 'http://localhost:3000', 'null'.

    Raises:
        ValueError: a URL with a path, a bare host, a pattern.
    """
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} is not an origin: use scheme, host and port alone, for example https://app.example")
    return origin


@dataclass(frozen=True)
class Listening:
    """Where the target accepts connections.

    Attributes:
        url: of the echo path.
        ca_file: the authority behind a certificate of its own, PEM; None for ws:// and for a given certificate.
        loopback: whether only this machine can reach it.
    """

    url: str
    ca_file: Path | None
    loopback: bool
