"""What the paths do with a connection: echo (at once or late), broadcast, push.

A behaviour is a coroutine function that starts a connection and returns when it is closed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from websockets.frames import Opcode
from websockets.protocol import OPEN

from wsbench.targets.echo.delays import Lateness
from wsbench.targets.echo.echo_connection import TargetConnection
from wsbench.targets.echo.worker_links import Mesh
from wsbench.units import NS_PER_MS, NS_PER_S, parse_rate, parse_size

Behaviour = Callable[[TargetConnection], Awaitable[None]]

MAX_UNREAD_BYTES = 64 * 1024 * 1024
_WAITING_BYTES = 200  # of objects around a reply that waits
_REPLIES_KEPT = 1000
_REPLY_BYTES = 64 * 1024


async def echo(connection: TargetConnection) -> None:
    """Answer every message with itself, at once."""
    connection.start(connection.reply, stops_reading=True)
    await connection.wait_closed()


def late_echo(lateness: Lateness) -> Behaviour:
    """Answer every message with itself, when `lateness` says."""

    async def behaviour(connection: TargetConnection) -> None:
        connection.start(LateReplies(connection, lateness).add, stops_reading=True)
        await connection.wait_closed()

    return behaviour


class LateReplies:
    """Replies of one connection that wait for their time, in the order of their messages.

    Each is due on its own: ten messages that come together are answered together, one delay later. Only a reply
    that jitter would put before its predecessor waits for that one. Event loops tell time in milliseconds: a reply
    may be up to one later than due, never earlier. Pongs and close frames are the protocol's and are not held.
    What waits is kept in memory, so a delay costs what clients send in that time, up to the worker's limit.
    """

    def __init__(self, connection: TargetConnection, lateness: Lateness) -> None:
        self._connection = connection
        self._lateness = lateness
        self._waiting: deque[tuple[int, Opcode, bytes]] = deque()

    def add(self, opcode: Opcode, payload: bytes) -> None:
        """Reply with this message when it is due."""
        self._waiting.append((self._lateness.due_ns(time.monotonic_ns()), opcode, payload))
        self._connection.keep(len(payload) + _WAITING_BYTES)
        if len(self._waiting) == 1:
            self._release()

    def _release(self) -> None:
        waiting, now_ns, released = self._waiting, time.monotonic_ns(), 0
        while waiting and waiting[0][0] <= now_ns:
            _, opcode, payload = waiting.popleft()
            self._connection.reply(opcode, payload)
            released += len(payload) + _WAITING_BYTES
        self._connection.flush()
        self._connection.keep(-released)
        if waiting and self._connection.protocol.state is OPEN:
            # rounded up: a timer that fires early would have to be set again
            wait_ms = -(-(waiting[0][0] - now_ns) // NS_PER_MS)
            self._connection.loop.call_later(wait_ms / 1000, self._release)


class Broadcast:
    """Whoever is connected to /broadcast hears what each of them says, the speaker included, on whichever worker.

    What one speaker says arrives everywhere in its order; what two say at once may arrive in either order. A
    listener that leaves 64 MiB unread is disconnected: there is nobody to slow down for its sake. Speakers are, when
    another worker does not keep up with what they say.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._mesh.on_full = self._slow_down
        self._listeners: set[TargetConnection] = set()

    async def __call__(self, connection: TargetConnection) -> None:
        self._listeners.add(connection)
        try:
            connection.start(self._publish)
            if self._mesh.full:
                connection.hold_back(True)
            await connection.wait_closed()
        finally:
            self._listeners.discard(connection)

    def deliver(self, opcode: Opcode, payload: bytes) -> None:
        """Send to the listeners of this worker."""
        for listener in self._listeners:
            listener.reply(opcode, payload)
            listener.flush()
            if listener.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                listener.cut_for_memory()

    def _slow_down(self) -> None:
        for listener in self._listeners:
            listener.hold_back(self._mesh.full)

    def _publish(self, opcode: Opcode, payload: bytes) -> None:
        self._mesh.send(opcode, payload)
        self.deliver(opcode, payload)


@dataclass(frozen=True)
class Push:
    """Send `rate` text messages a second of `size` bytes each, on its own.

    Where the size allows, a message is JSON: its number (`seq`, from 0), when it was sent (`sent_ns`, CLOCK_REALTIME)
    and padding; shorter ones are digits of the number alone. A client that does not keep up misses messages' slots,
    not messages: numbers have no gaps.

    A client may reply to a message with a JSON object that repeats its `seq`. How long that took, from our send to the
    reply's arrival here, stands in a later message as `rtt_ns`, once for each reply, if the size leaves room for it.
    """

    rate: float = 1.0
    size: int = 128

    MAX_RATE = 100_000.0
    MAX_SIZE = 16 * 1024 * 1024

    @classmethod
    def from_query(cls, query: str, max_size: int = MAX_SIZE) -> Push:
        """Of 'rate=10/s&size=1k'.

        Raises:
            ValueError: an unknown name, or a value out of bounds.
        """
        given = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := given.keys() - {"rate", "size"}:
            raise ValueError(f"no such parameter: {', '.join(sorted(unknown))}; use /push?rate=10&size=128")
        most = min(cls.MAX_SIZE, max_size)
        push = cls(parse_rate(given.get("rate", "1")), parse_size(given.get("size", "128")))
        if push.rate > cls.MAX_RATE or not 0 < push.size <= most:
            raise ValueError(f"rate may be up to {cls.MAX_RATE:.0f} a second, size from 1 to {most} bytes")
        return push

    def message(self, seq: int, rtt_ns: int | None = None) -> bytes:
        """Message number `seq`: `size` bytes of UTF-8; with a round trip in it, if there is one and it fits."""
        fields = {"seq": seq, "sent_ns": time.time_ns()} | ({} if rtt_ns is None else {"rtt_ns": rtt_ns})
        head = json.dumps({**fields, "pad": ""}, separators=(",", ":")).encode()
        if len(head) > self.size:
            return self.message(seq) if rtt_ns is not None else str(seq).encode()[-self.size :].zfill(self.size)
        return head[:-2] + b"x" * (self.size - len(head)) + head[-2:]

    async def __call__(self, connection: TargetConnection) -> None:
        replies = PushReplies()
        connection.start(replies.take)
        interval_ns = NS_PER_S / self.rate
        start_ns, slots, seq = time.monotonic_ns(), 0, 0
        while connection.protocol.state is OPEN:
            late_ns = time.monotonic_ns() - start_ns - slots * interval_ns
            if late_ns < 0:
                # whole milliseconds, as event loops count: at high rates several messages leave together
                wait_ms = -(late_ns // NS_PER_MS)
                await asyncio.wait([connection.connection_lost_waiter], timeout=wait_ms / 1000)
                continue
            if late_ns > NS_PER_S:
                slots += int(late_ns / interval_ns)  # after a second without reading: no burst to catch up
            connection.reply(Opcode.TEXT, self.message(seq, replies.pushing(seq)))
            connection.flush()
            slots, seq = slots + 1, seq + 1
            try:
                await connection.drain()
            except OSError:  # the connection broke while its peer did not read
                break
            if seq % 64 == 0:
                await asyncio.sleep(0)  # drain() does not yield while the peer keeps up
        await connection.wait_closed()


class PushReplies:
    """The replies to pushed messages of one connection, and how long each was under way."""

    def __init__(self) -> None:
        self._sent_ns: dict[int, int] = {}
        self._round_trips: deque[int] = deque(maxlen=_REPLIES_KEPT)

    def pushing(self, seq: int) -> int | None:
        """A message leaves now; the oldest round trip of which nobody was told, for it to tell."""
        self._sent_ns[seq] = time.monotonic_ns()
        self._sent_ns.pop(seq - _REPLIES_KEPT, None)
        return self._round_trips.popleft() if self._round_trips else None

    def take(self, opcode: Opcode, payload: bytes) -> None:  # noqa: ARG002 - as `on_message` is called
        """A message came; one that answers nothing means nothing."""
        if len(payload) > _REPLY_BYTES:  # reading it would keep all others waiting
            return
        try:
            seq = json.loads(payload)["seq"]
            sent_ns = self._sent_ns.pop(seq, None)
        except (ValueError, TypeError, LookupError, RecursionError):
            return
        if sent_ns is not None:
            self._round_trips.append(time.monotonic_ns() - sent_ns)
