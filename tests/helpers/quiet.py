"""Tests that assert durations run alone, however many processes run tests: `@pytest.mark.quiet`.

A lock of readers and writers between the processes of one checkout. Whoever wants in passes a turnstile first, so that
a quiet test waits for the tests that are under way, and never for those that come after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def room(*, alone: bool, where: Path = Path(__file__).parent) -> Iterator[None]:
    """Waits until no other process is in here with `alone`; or, with `alone`, none at all.

    Args:
        where: what is locked, with the directory above as the turnstile: both are there, and need no tidying up.
    """
    entered = contextlib.ExitStack()
    with _locked(where.parent, fcntl.LOCK_EX):
        entered.enter_context(_locked(where, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
    with entered:
        yield


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing would not do while a forked child has it open
        os.close(descriptor)
