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
    """Options of `wsbench serve`, whose help describes them. `max_size` and `max_buffered` are in bytes.

    `compression` is "off", "on", or parameters of permessage-deflate (see `parse_compression`). `allow_origins` is
    empty for any origin. With `exit_with_parent`, standard input is a pipe that the parent process holds open.
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
    """Parse an origin as browsers send it (RFC 6454, 6.2), such as 'https://a.example' or 'null'; else ValueError."""
    origin = text.strip().lower()
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{text!r} is not an origin: use only scheme, host and port, for example https://app.example")
    return origin


@dataclass(frozen=True)
class Listening:
    """Address of a ready target: `url` is the echo path's; `loopback`: only this machine can reach it."""

    url: str
    ca_file: Path | None
    loopback: bool
