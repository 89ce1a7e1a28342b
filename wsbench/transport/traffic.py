"""Byte counter of the sockets of one process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Traffic:
    """Bytes through the sockets (frames, TLS and all), summed over the connections that share it."""

    received: int = 0
    sent: int = 0
