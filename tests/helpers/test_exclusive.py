"""The order in which tests share the slot or wait for it. Every thread opens the locks itself, as processes do."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from .exclusive import slot
from .process import scaled


class Visitor(threading.Thread):
    """Enters, notes that it is in, and leaves when it is told to."""

    def __init__(self, where: Path, entered: list[str], name: str, *, alone: bool) -> None:
        super().__init__(name=name, daemon=True)
        self._where, self._entered, self._alone = where, entered, alone
        self.inside, self.leave = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with slot(alone=self._alone, where=self._where):
            self._entered.append(self.name)
            self.inside.set()
            self.leave.wait()

    def is_in(self) -> bool:
        return self.inside.wait(scaled(20))


@pytest.fixture
def where(tmp_path: Path) -> Path:
    (tmp_path / "slot").mkdir()
    return tmp_path / "slot"


def until_someone_waits(turnstile: Path) -> None:
    deadline = time.monotonic() + scaled(20)
    while time.monotonic() < deadline:
        descriptor = os.open(turnstile, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        finally:
            os.close(descriptor)
        time.sleep(0.01)
    pytest.fail("nobody waits in the turnstile")


def test_many_may_be_in_together(where: Path) -> None:
    entered: list[str] = []
    visitors = [Visitor(where, entered, name, alone=False) for name in ("one", "two", "three")]
    assert all(visitor.is_in() for visitor in visitors)
    for visitor in visitors:
        visitor.leave.set()
        visitor.join()


def test_a_quiet_one_waits_for_those_inside_and_others_wait_for_it(where: Path) -> None:
    entered: list[str] = []
    first = Visitor(where, entered, "first", alone=False)
    assert first.is_in()
    exclusive = Visitor(where, entered, "exclusive", alone=True)
    until_someone_waits(where.parent)
    second = Visitor(where, entered, "second", alone=False)
    assert entered == ["first"]
    first.leave.set()
    assert exclusive.is_in()
    assert not second.inside.wait(0.2)
    exclusive.leave.set()
    assert second.is_in()
    assert entered == ["first", "exclusive", "second"]
    second.leave.set()
    for visitor in (first, exclusive, second):
        visitor.join()
