"""What went wrong in a scenario's own code, in words that lead to the place."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from gevent.exceptions import BlockingSwitchOutError

from wsbench.errors import WsbenchError

_OTHERS = (
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("purelib"),
    sysconfig.get_path("platlib"),
    str(Path(__file__).parents[1]),
)
"""Where code lies that is not a scenario's."""
_WAITED = "a callback must not wait, neither for a reply nor for a while"


def describe_scenario_error(error: Exception) -> str:
    """What happened, and the line of the scenario that it came from, if it came through one."""
    if isinstance(error, BlockingSwitchOutError):
        said = _WAITED
    elif isinstance(error, WsbenchError):
        said = error.what
    else:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    own = next((frame for frame in reversed(frames) if _is_own(frame.filename)), None)
    return said if own is None else f"{said} ({Path(own.filename).name}, line {own.lineno}, in {own.name})"


def _is_own(filename: str) -> bool:
    """Whether it is no library's; those that were compiled have relative names, of where they were built."""
    return Path(filename).is_absolute() and not filename.startswith(_OTHERS)
