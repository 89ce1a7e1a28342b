"""What the echo target is asked to be, and what it says once it listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsbench.targets.echo.lateness import Stall

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
    exit_with_parent: bool = False


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
