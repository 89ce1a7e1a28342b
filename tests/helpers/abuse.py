"""Abusive clients: each kind of abuse, repeated, and its outcomes.

    cd tests && python -m helpers.abuse ws://127.0.0.1:8765/echo --seconds 60

prints a JSON document: for each kind the number of each outcome. Outcomes are an HTTP status ("408"), a close code
("close 1009"), "reset", "end" (of the stream, without an answer), "connected" (and left alone), or "unanswered".
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .conformance import RSV1, Frame
from .frames import BINARY, CLOSE, CONTINUATION, PING, TEXT
from .process import CliResult
from .raw_client import request

Manner = Callable[["Abuser"], Awaitable[str]]

_MIB = 1024 * 1024


def bomb(size: int) -> bytes:
    """Return a compressed message of `size` bytes, about `size` / 1000 on the wire."""
    compressor = zlib.compressobj(9, wbits=-15)
    data = b"".join(compressor.compress(bytes(_MIB)) for _ in range(size // _MIB))
    data += compressor.compress(bytes(size % _MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return Frame(BINARY, data.removesuffix(b"\x00\x00\xff\xff"), rsv=RSV1).wire(masked=True)


def outcome(received: bytes) -> str:
    """Return the outcome of one connection, from all bytes that the server has sent."""
    head, _, frames = received.partition(b"\r\n\r\n")
    status = head[9:12].decode("latin-1")
    if status != "101":
        return status or "end"
    at = 0
    while at + 2 <= len(frames):
        first, size = frames[at], frames[at + 1]
        at += 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(frames[at : at + width]), at + width
        if first & 0x0F == CLOSE:
            return f"close {int.from_bytes(frames[at : at + 2])}"
        at += size
    return "end"


class Abuser:
    """A connection of an abusive client."""

    def __init__(self, url: str, until: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._address = (parts.hostname, parts.port)
        self.path = parts.path
        self.until = until
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self.received = b""

    async def connect(self, *, buffer: int = 0) -> None:
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await self._loop.sock_connect(self._socket, self._address)

    async def open(self, *headers: str, path: str = "", buffer: int = 0) -> None:
        """Connect and complete the handshake; ConnectionError if it is refused."""
        await self.connect(buffer=buffer)
        await self.send(request(path or self.path, *headers))
        while b"\r\n\r\n" not in self.received:
            if not await self.read():
                raise ConnectionError("refused")
        if not self.received.startswith(b"HTTP/1.1 101"):
            raise ConnectionError("refused")

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)
        await asyncio.sleep(0)  # which a socket with room does not do

    async def read(self, limit: int = 65536) -> bytes:
        data = await self._loop.sock_recv(self._socket, limit)
        self.received += data
        return data

    async def end(self) -> str:
        """Read to the end of the stream; return the outcome."""
        try:
            while await self.read():
                pass
        except ConnectionError:
            return outcome(self.received) if outcome(self.received) != "end" else "reset"
        return outcome(self.received)

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(max(0, min(seconds, self.until - time.monotonic())))

    def hang_up(self) -> None:
        """Close with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._socket.close()


# -- the manners -----------------------------------------------------------------------------------------------------


async def says_nothing(abuser: Abuser) -> str:
    await abuser.connect()
    return await abuser.end()


async def a_byte_a_second(abuser: Abuser) -> str:
    """Send a handshake that would take minutes."""
    await abuser.connect()
    ending = asyncio.create_task(abuser.end())
    for byte in request(abuser.path, "X-Filler: " + "x" * 500):
        done, _ = await asyncio.wait([ending], timeout=1)
        if done:
            break
        with contextlib.suppress(ConnectionError):
            await abuser.send(bytes((byte,)))
    return await ending


_WRONG_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: x\r\n" + b"X-Filler: " + b"x" * 40_000 + b"\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n",
)


async def a_bad_handshake(abuser: Abuser) -> str:
    await abuser.connect()
    with contextlib.suppress(ConnectionError):
        await abuser.send(random.choice(_WRONG_REQUESTS))
    return await abuser.end()


_WRONG_FRAMES = (
    Frame(TEXT, b"not masked", mask=False),
    Frame(TEXT, b"rsv", rsv=0x20),
    Frame(3, b"reserved"),
    Frame(PING, b"x" * 126),
    Frame(PING, b"cut", fin=False),
    Frame(CONTINUATION, b"of nothing"),
    Frame(CLOSE, b"\x00"),
    Frame(TEXT, b"\xff\xfe no UTF-8"),
)


async def a_garbage_frame(abuser: Abuser) -> str:
    await abuser.open()
    await abuser.send(random.choice(_WRONG_FRAMES).wire(masked=True) + os.urandom(100))
    return await abuser.end()


async def a_huge_message(abuser: Abuser) -> str:
    """Announce a message of an exabyte."""
    await abuser.open()
    await abuser.send(Frame(BINARY, bytes(1000), stated=1 << 60).wire(masked=True))
    return await abuser.end()


async def endless_fragments(abuser: Abuser) -> str:
    """Send fragments of a message that is too large, also after the server has closed."""
    await abuser.open()
    await abuser.send(Frame(TEXT, b"x" * 8000, fin=False).wire(masked=True))
    more = Frame(CONTINUATION, b"x" * 8000, fin=False).wire(masked=True)
    with contextlib.suppress(ConnectionError):
        for _ in range(4000):
            await abuser.send(more)
    return await abuser.end()


_BOMB = bomb(64 * _MIB)


async def a_bomb(abuser: Abuser) -> str:
    """64 MiB in 64 KB."""
    await abuser.open("Sec-WebSocket-Extensions: permessage-deflate")
    with contextlib.suppress(ConnectionError):
        await abuser.send(_BOMB)
    return await abuser.end()


async def half_a_message(abuser: Abuser) -> str:
    """Send the larger part of a message and never the rest."""
    await abuser.open()
    with contextlib.suppress(ConnectionError):
        await abuser.send(Frame(BINARY, bytes(60_000), stated=65_000).wire(masked=True))
    ending = asyncio.create_task(abuser.end())
    await asyncio.wait([ending], timeout=max(0, min(5, abuser.until - time.monotonic())))
    if ending.done():
        return await ending
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)  # before its socket is closed under it
    return "connected"


_SOME = b"".join(Frame(opcode, b"x" * 20).wire(masked=True) for opcode in (TEXT, PING, BINARY)) * 500


async def never_reads(abuser: Abuser) -> str:
    """Send messages and pings as fast as possible, and do not read the replies."""
    await abuser.open(buffer=4096)
    with contextlib.suppress(ConnectionError):
        while True:
            await abuser.send(_SOME)
    return "reset"


async def reads_a_byte_a_second(abuser: Abuser) -> str:
    """Send messages and pings as fast as possible, and read one byte of the replies per second."""
    await abuser.open(buffer=4096)
    reading = asyncio.create_task(_sip(abuser))
    try:
        with contextlib.suppress(ConnectionError):
            while True:
                await abuser.send(_SOME)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    return "reset"


async def _sip(abuser: Abuser) -> None:
    while await abuser.read(1):
        await asyncio.sleep(1)


async def is_pushed_to(abuser: Abuser) -> str:
    """Request a high rate of pushed messages, and do not read them."""
    await abuser.open(path="/push?rate=1000&size=60000", buffer=4096)
    # a client that neither reads nor sends does not notice a reset: it sends a ping now and then
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(0.2)
            await abuser.send(Frame(PING).wire(masked=True))
    return "reset"


async def hangs_up(abuser: Abuser) -> str:
    """Reset the connection within a frame."""
    await abuser.open()
    await abuser.send(Frame(BINARY, b"x" * 500, stated=1000).wire(masked=True))
    abuser.hang_up()
    return "connected"


async def takes_a_place(abuser: Abuser) -> str:
    """Hold one of the permitted connections for some seconds."""
    await abuser.connect()
    await abuser.send(request(abuser.path))
    while b"\r\n\r\n" not in abuser.received and await abuser.read():
        pass
    if outcome(abuser.received) != "end":
        return await abuser.end()
    await abuser.rest(3)
    return "connected"


@dataclass(frozen=True)
class AbusePlan:
    """Frequency of one kind of abuse, and its documented outcomes.

    Attributes:
        at_once: number of simultaneous connections of this kind.
        pause_s: pause of each between two attempts.
        outcomes: documented outcomes; in addition each client may be refused for lack of capacity (`_ANYBODY`).
    """

    manner: Manner
    at_once: int
    pause_s: float
    outcomes: frozenset[str]


_ANYBODY = frozenset({"503", "close 1013"})

PLANS = (
    AbusePlan(says_nothing, 20, 0.0, frozenset({"408"})),
    AbusePlan(a_byte_a_second, 20, 0.0, frozenset({"408"})),
    AbusePlan(a_bad_handshake, 2, 0.2, frozenset({"400", "405", "426", "431"})),
    AbusePlan(a_garbage_frame, 2, 0.2, frozenset({"close 1002", "close 1007"})),
    AbusePlan(a_huge_message, 1, 0.2, frozenset({"close 1009"})),
    AbusePlan(endless_fragments, 1, 1.0, frozenset({"close 1009"})),
    AbusePlan(a_bomb, 1, 1.0, frozenset({"close 1009"})),
    AbusePlan(half_a_message, 20, 0.5, frozenset({"connected"})),
    AbusePlan(never_reads, 3, 0.5, frozenset({"reset"})),
    AbusePlan(reads_a_byte_a_second, 3, 0.5, frozenset({"reset"})),
    AbusePlan(is_pushed_to, 2, 0.5, frozenset({"reset"})),
    AbusePlan(hangs_up, 2, 0.2, frozenset({"connected"})),
    AbusePlan(takes_a_place, 30, 0.1, frozenset({"connected"})),
)


async def _again_and_again(url: str, plan: AbusePlan, until: float, tally: Counter[str]) -> None:
    while time.monotonic() < until:
        abuser = Abuser(url, until)
        try:
            came = await plan.manner(abuser)
        except ConnectionError:
            came = outcome(abuser.received) if abuser.received else "reset"
        finally:
            abuser._socket.close()
        tally[came] += 1
        await asyncio.sleep(plan.pause_s)


async def abuse(url: str, seconds: float, patience: float = 60) -> dict[str, Counter[str]]:
    """Run every kind of abuse for `seconds`; return the counts of outcomes by kind.

    Args:
        patience: seconds that the last clients have to end; those still open then are "unanswered".
    """
    until = time.monotonic() + seconds
    tallies: dict[str, Counter[str]] = {plan.manner.__name__: Counter() for plan in PLANS}
    tasks = {
        asyncio.create_task(_again_and_again(url, plan, until, tallies[plan.manner.__name__])): plan.manner.__name__
        for plan in PLANS
        for _ in range(plan.at_once)
    }
    _, pending = await asyncio.wait(tasks, timeout=seconds + patience)
    for task in pending:
        tallies[tasks[task]]["unanswered"] += 1
        task.cancel()
    for task in tasks:
        if task not in pending:
            task.result()
    await asyncio.gather(*pending, return_exceptions=True)
    return tallies


def tallies_of(ended: CliResult) -> dict[str, Counter[str]]:
    """Return the document that this module has printed as a program."""
    assert ended.returncode == 0, ended.stderr
    return {manner: Counter(came) for manner, came in ended.json().items()}


def undocumented(tallies: dict[str, Counter[str]]) -> list[str]:
    """Return a line for each outcome that is not documented."""
    return [
        f"{plan.manner.__name__}: {came} ({times} times)"
        for plan in PLANS
        for came, times in tallies[plan.manner.__name__].items()
        if came not in plan.outcomes | _ANYBODY
    ]


def main() -> None:
    """Abuse a server, and print the outcomes."""
    parser = argparse.ArgumentParser(description="Abuse a WebSocket server of your own.")
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(abuse(given.url, given.seconds))))


if __name__ == "__main__":
    main()
