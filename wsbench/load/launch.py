"""What `wsbench run` tells the Locust process that it starts, in one environment variable.

Under plain Locust there is none, and everything in it is found out or made up on the spot.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

VARIABLE = "WSBENCH_LAUNCH"


class TargetInfo(msgspec.Struct, frozen=True):
    """The target that wsbench started: its process (and that one's children) is measured along."""

    name: str
    version: str
    pid: int


class Launch(msgspec.Struct, frozen=True):
    """Where to write, what to record as the command, and the target.

    Attributes:
        staging: the result directory in the making.
        command: what the user typed.
    """

    staging: Path
    command: list[str]
    target: TargetInfo | None = None

    def environment(self) -> dict[str, str]:
        """The variable to set."""
        return {VARIABLE: msgspec.json.encode(self).decode()}


def received(environment: Mapping[str, str] | None = None) -> Launch | None:
    """What this process was told; None under plain Locust."""
    text = (os.environ if environment is None else environment).get(VARIABLE)
    return msgspec.json.decode(text.encode(), type=Launch) if text else None
