"""Exclusive execution of tests that assert durations (`@pytest.mark.quiet`), over all processes that run tests.

A readers-writer lock between the processes of one checkout. Every test passes a second lock first, so that a quiet
test waits for the running tests only, and not for tests that start after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def slot(*, alone: bool, where: Path = Path(__file__).parent) -> Iterator[None]:
    """Hold the lock during the block: shared with other tests, or exclusively with `alone`.

    Args:
        where: directory to lock; its parent is the second lock. Both exist, so nothing has to be removed afterwards.
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
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing alone keeps the lock while a forked child has it open
        os.close(descriptor)
