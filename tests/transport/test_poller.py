"""The poller runs the callbacks of readable sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import gevent
import pytest
from helpers.peer import until
from helpers.process import scaled

from wsbench.transport.poller import READ, EpollPoller, HubPoller, Poller, Readable

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
def test_bytes_from_before_and_after_add_are_reported_until_removed(kind: type[Poller], ends: MakeEnds) -> None:
    ours, theirs = ends()
    reported: list[bytes] = []
    watching = kind()
    theirs.send(b"before")
    watching.add(ours.fileno(), lambda *_: reported.append(ours.recv(100)))
    until(lambda: reported == [b"before"])
    theirs.send(b"after")
    until(lambda: reported == [b"before", b"after"])
    watching.remove(ours.fileno())
    watching.remove(ours.fileno())
    theirs.send(b"too late")
    gevent.sleep(0.02)
    assert reported == [b"before", b"after"]


@pytest.mark.parametrize("kind", [EpollPoller, HubPoller])
def test_a_replaced_callback_gets_later_reports(kind: type[Poller], ends: MakeEnds) -> None:
    ours, theirs = ends()
    reported: list[tuple[str, bytes]] = []
    watching = kind()
    watching.add(ours.fileno(), lambda *_: reported.append(("first", ours.recv(100))))
    theirs.send(b"one")
    until(lambda: reported)
    watching.set_callback(ours.fileno(), lambda *_: reported.append(("second", ours.recv(100))))
    theirs.send(b"two")
    until(lambda: len(reported) == 2)
    assert reported == [("first", b"one"), ("second", b"two")]
    watching.remove(ours.fileno())


def test_bytes_left_over_are_reported_again_only_after_rearm(ends: MakeEnds) -> None:
    ours, theirs = ends()
    reported: list[int] = []
    watching = EpollPoller()
    watching.add(ours.fileno(), lambda _, events: reported.append(events))
    theirs.send(b"left lying")
    until(lambda: reported)
    gevent.sleep(0.02)
    assert reported == [READ]
    watching.rearm(ours.fileno())
    until(lambda: len(reported) == 2)
    ours.recv(100)
    watching.rearm(ours.fileno())
    gevent.sleep(0.02)
    assert len(reported) == 2
    theirs.close()
    until(lambda: len(reported) == 3)
    assert reported[2] != READ, "the end of a stream is not just data"
    watching.remove(ours.fileno())


def test_a_server_reads_instead_of_the_callbacks_and_gets_them(ends: MakeEnds) -> None:
    ours, theirs = ends()
    limits: list[int] = []
    reported: list[int] = []
    watching = EpollPoller()
    watching.add(ours.fileno(), lambda fd, _: reported.append(fd))

    def serve(epoll_fd: int, events: int, limit: int, callbacks: list[Readable]) -> bool:
        limits.append(limit)
        callbacks[ours.fileno()](ours.fileno(), READ)
        return bool(ours.recv(100))

    watching.serve(serve)
    theirs.send(b"here")
    until(lambda: reported)
    assert limits[0] == 64
    assert reported == [ours.fileno()]
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


def test_all_of_many_ready_sockets_are_reported_and_other_callbacks_run_between(ends: MakeEnds) -> None:
    count = 300
    reported: set[int] = set()
    seen: list[int] = []
    watching = EpollPoller()
    loop = gevent.get_hub().loop

    def others() -> None:
        seen.append(len(reported))
        if len(reported) < count:
            loop.run_callback(others)

    pairs = [ends() for _ in range(count)]
    for ours, theirs in pairs:
        theirs.send(b"ready")
        watching.add(ours.fileno(), lambda fd, _: reported.add(fd))
    loop.run_callback(others)
    until(lambda: len(reported) == count)
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
