"""Options in environment variables: WSBENCH_RATE=1000 is --rate 1000."""

from __future__ import annotations

import os

PREFIX = "WSBENCH_"


def tidy() -> None:
    """Remove empty variables of ours, which count as not given, and cut off line ends, which files end with."""
    for name, value in [*os.environ.items()]:
        if not name.startswith(PREFIX):
            continue
        if value.strip():
            os.environ[name] = value.rstrip("\r\n")
        else:
            del os.environ[name]


def lines_of(value: str) -> list[str]:
    """Return the values of a repeatable option: a line each, since headers have spaces in them."""
    return [line.rstrip("\r") for line in value.split("\n") if line.strip()]
