"""Programs of this machine, and what they say of themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache

from wsbench.errors import Side, TargetError

_ANSWER_TIMEOUT_S = 30.0


def find(name: str) -> str | None:
    """Path of a program: on PATH, or where Debian puts servers."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


@cache
def said(*command: str) -> str:
    """What a program answers, on either output.

    Raises:
        TargetError: there is no such program, or it fails.
    """
    try:
        program = find(command[0]) or command[0]
        answer = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as exc:
        raise TargetError(f"{' '.join(command)} gives no answer: {exc}", side=Side.GENERATOR) from exc
    return answer.stdout.strip()


def version_in(text: str) -> str:
    """The first thing in it that looks like a version; all of it when nothing does."""
    match = re.search(r"\d+\.\d+[\w.+~-]*", text)
    return match[0] if match else text
