"""The echo scenario, with the calls of every function counted between two SIGUSR1; run by benchmarks/probes.py.

cProfile counts the calls. Its times are not used: they exaggerate the cost of short functions.
"""

from __future__ import annotations

import cProfile
import json
import os
import signal
from pathlib import Path
from types import CodeType

import gevent

from wsbench import EchoUser

_profile = cProfile.Profile()
_results = Path(os.environ["BENCHMARKS_CALLS"])
_signals = 0


class Echo(EchoUser):
    """User that sends JSON messages and verifies every echo."""


def _name(code: CodeType | str) -> str:
    if isinstance(code, str):  # a function in C
        return code
    return f"{code.co_qualname} ({'/'.join(Path(code.co_filename).parts[-2:])})"


def _toggle() -> None:
    global _signals
    _signals += 1
    if _signals == 1:
        _profile.enable()
        return
    _profile.disable()
    calls = {_name(entry.code): entry.callcount for entry in _profile.getstats()}
    part = _results.with_suffix(".part")
    part.write_text(json.dumps(calls))
    part.replace(_results)


def _on_signal() -> None:
    # In the hub's greenlet, which does the work: a profiler sees only the greenlet that enabled it.
    gevent.get_hub().loop.run_callback(_toggle)


gevent.signal_handler(signal.SIGUSR1, _on_signal)
