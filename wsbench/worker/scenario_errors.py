"""Descriptions of exceptions from a scenario's code, with the line that raised them."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from gevent.exceptions import BlockingSwitchOutError

from wsbench.errors import WsbenchError

_LIBRARIES = (
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("purelib"),
    sysconfig.get_path("platlib"),
    str(Path(__file__).parents[1]),
)
"""Directories of code that is not a scenario's."""


def describe_scenario_error(error: Exception) -> str:
    """Return what failed, with the innermost line of the scenario that was involved, if any."""
    if isinstance(error, BlockingSwitchOutError):
        text = "a callback must not wait, neither for a reply nor for a while"
    elif isinstance(error, WsbenchError):
        text = error.what
    else:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame for frame in reversed(frames) if _is_scenario(frame.filename)), None)
    return text if line is None else f"{text} ({Path(line.filename).name}, line {line.lineno}, in {line.name})"


def _is_scenario(filename: str) -> bool:
    """Return whether a file is no library's; compiled libraries have relative names, from where they were built."""
    return Path(filename).is_absolute() and not filename.startswith(_LIBRARIES)
