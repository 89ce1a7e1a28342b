"""Options of `wsbench serve`, and where it listens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wsbench.targets.echo.delays import Stall
from wsbench.units import NS_PER_S

MAX_WORKERS = 64  # every two workers share a socket pair (worker_links.py), so descriptors grow with the square


@dataclass(frozen=True)
class EchoOptions:
    """Options of `wsbench serve`.

    Attributes:
        host: name or address to listen on.
        port: TCP port; 0: any free one.
        workers: processes that share the port, 1 to `MAX_WORKERS`.
        tls: serve wss://; without `cert` and `key`, with a certificate made for this run.
        cert, key: PEM files, both or neither.
        compression: "off", "on", or parameters of permessage-deflate (see `parse_compression`).
        delay_ns: delay of every reply.
        jitter_ns: maximum of the random delay added to it, uniformly distributed.
        stall: periods in which no reply leaves.
        max_size: maximum size of a message, received or sent by /push, in bytes.
        max_connections: WebSocket connections at one time, over all workers; None: as many as open files allow.
        max_buffered: bytes of memory for incomplete messages and unread replies, over all workers.
        handshake_timeout_ns: time limit of the TLS handshake, and again of the arrival of the request.
        write_timeout_ns: time limit for a client that leaves replies unread.
        allow_origins: origins of web pages that may connect, besides the target's own; empty: any.
        exit_with_parent: stop when standard input ends, a pipe that the parent process holds open.
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
    """Parse an origin as browsers send it (RFC 6454, 6.2): 'https://app.example', 'http://localhost:3000', 'null'.

    Raises:
        ValueError: a URL with a path, a host without a scheme, or a pattern.
    """
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} is not an origin: use only scheme, host and port, for example https://app.example")
    return origin


@dataclass(frozen=True)
class Listening:
    """The address at which the target accepts connections.

    Attributes:
        url: URL of the echo path.
        ca_file: PEM file of the CA of a certificate made for this run, else None.
        loopback: whether only this machine can reach the target.
    """

    url: str
    ca_file: Path | None
    loopback: bool
