"""Which callbacks run for readable sockets, and how often."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import gevent
import pytest
from helpers.peer import until
from helpers.process import scaled

from wsbench.transport.poller import READ, EpollPoller, HubPoller, Poller

Ends = tuple[socket.socket, socket.socket]
MakeEnds = Callable[[], Ends]


@pytest.fixture
def ends() -> Iterator[MakeEnds]:
    """Make two ends of a stream: bytes written into the second can be read from the first."""
    made: list[Ends] = []

    def make() -> Ends:
        made.append(socket.socketpair())
        return made[-1]

    yield make
    for both in made:
        for end in both:
            end.close()


@pytest.mark.parametrize("kind", [EpollPoller, HubPoller])
def test_told_of_what_comes_and_of_what_was_there_before_until_removed(kind: type[Poller], ends: MakeEnds) -> None:
    ours, theirs = ends()
    told: list[bytes] = []
    watching = kind()
    theirs.send(b"before")
    watching.add(ours.fileno(), lambda *_: told.append(ours.recv(100)))
    until(lambda: told == [b"before"])
    theirs.send(b"after")
    until(lambda: told == [b"before", b"after"])
    watching.remove(ours.fileno())
    watching.remove(ours.fileno())
    theirs.send(b"too late")
    gevent.sleep(0.02)
    assert told == [b"before", b"after"]


@pytest.mark.parametrize("kind", [EpollPoller, HubPoller])
def test_somebody_else_may_be_told_from_now_on(kind: type[Poller], ends: MakeEnds) -> None:
    ours, theirs = ends()
    told: list[tuple[str, bytes]] = []
    watching = kind()
    watching.add(ours.fileno(), lambda *_: told.append(("first", ours.recv(100))))
    theirs.send(b"one")
    until(lambda: told)
    watching.set_callback(ours.fileno(), lambda *_: told.append(("second", ours.recv(100))))
    theirs.send(b"two")
    until(lambda: len(told) == 2)
    assert told == [("first", b"one"), ("second", b"two")]
    watching.remove(ours.fileno())


def test_what_is_left_is_told_again_only_when_asked_for(ends: MakeEnds) -> None:
    ours, theirs = ends()
    told: list[int] = []
    watching = EpollPoller()
    watching.add(ours.fileno(), lambda _, events: told.append(events))
    theirs.send(b"left lying")
    until(lambda: told)
    gevent.sleep(0.02)
    assert told == [READ]
    watching.rearm(ours.fileno())
    until(lambda: len(told) == 2)
    ours.recv(100)
    watching.rearm(ours.fileno())
    gevent.sleep(0.02)
    assert len(told) == 2
    theirs.close()
    until(lambda: len(told) == 3)
    assert told[2] != READ, "the end of a stream is not just data"
    watching.remove(ours.fileno())


def test_one_removed_by_another_of_the_same_batch_is_not_called(ends: MakeEnds) -> None:
    pairs = [ends(), ends()]
    called: list[int] = []
    watching = EpollPoller()

    def first_one_only(fd: int, _: int) -> None:
        called.append(fd)
        for ours, _theirs in pairs:
            watching.remove(ours.fileno())

    for ours, theirs in pairs:
        watching.add(ours.fileno(), first_one_only)
        theirs.send(b"at once")
    until(lambda: called)
    gevent.sleep(0.02)
    assert len(called) == 1


def test_however_many_are_ready_all_are_told_and_others_get_their_turn(ends: MakeEnds) -> None:
    count = 300
    told: set[int] = set()
    seen: list[int] = []
    watching = EpollPoller()
    loop = gevent.get_hub().loop

    def others() -> None:
        seen.append(len(told))
        if len(told) < count:
            loop.run_callback(others)

    pairs = [ends() for _ in range(count)]
    for ours, theirs in pairs:
        theirs.send(b"ready")
        watching.add(ours.fileno(), lambda fd, _: told.add(fd))
    loop.run_callback(others)
    until(lambda: len(told) == count)
    assert any(0 < number < count for number in seen), "nobody else was called before all sockets were read"
    for ours, _ in pairs:
        watching.remove(ours.fileno())


_FORKS = """
import os
from wsbench.transport.poller import hub_poller
ours = hub_poller()
assert hub_poller() is ours
if not (child := os.fork()):
    os._exit(0 if hub_poller() is not ours else 1)
assert os.waitpid(child, 0)[1] == 0
assert hub_poller() is ours
"""


def test_a_hub_has_one_and_a_forked_process_another() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKS], check=True, timeout=scaled(60))
