"""Programs on this machine, and their output."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache

from wsbench.errors import Side, TargetError

_RUN_TIMEOUT_S = 30.0


def find(name: str) -> str | None:
    """Return the path of a program: on PATH, or in Debian's directories for servers."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


@cache
def output_of(*command: str) -> str:
    """Return a program's standard output and error; raise TargetError when it does not exist, or fails."""
    try:
        program = find(command[0]) or command[0]
        result = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise TargetError(f"{' '.join(command)} failed: {exc}", side=Side.GENERATOR) from exc
    return result.stdout.strip()


def version_in(text: str) -> str:
    """Return the first version number in `text`, or all of `text` if there is none."""
    match = re.search(r"\d+\.\d+[\w.+~-]*", text)
    return match[0] if match else text
