"""The handlers of the WebSocket paths: echo (immediate or delayed), broadcast, push.

A handler is a coroutine function that starts a connection and returns when it is closed.
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

from wsbench.targets.echo.delays import ReplyDelay
from wsbench.targets.echo.echo_connection import EchoConnection
from wsbench.targets.echo.worker_links import WorkerLinks
from wsbench.units import NS_PER_MS, NS_PER_S, parse_rate, parse_size

Handler = Callable[[EchoConnection], Awaitable[None]]

MAX_UNREAD_BYTES = 64 * 1024 * 1024
_WAITING_BYTES = 200  # memory of the objects around a queued reply
_REPLIES_KEPT = 1000
_REPLY_BYTES = 64 * 1024


async def echo(connection: EchoConnection) -> None:
    """Answer every message with itself, immediately."""
    connection.start(connection.reply, pause_on_unread=True)
    await connection.wait_closed()


def delayed_echo(reply_delay: ReplyDelay) -> Handler:
    """Return a handler that answers every message with itself, delayed by `reply_delay`."""

    async def handler(connection: EchoConnection) -> None:
        connection.start(DelayedReplies(connection, reply_delay).add, pause_on_unread=True)
        await connection.wait_closed()

    return handler


class DelayedReplies:
    """Queued replies of one connection, in the order of their messages.

    Each reply has its own due time: ten messages that arrive together are answered together, one delay later. A
    reply leaves no earlier than its predecessor, even if jitter makes it due earlier. Event loops have timers in
    milliseconds: a reply leaves up to 1 ms after its due time, never before it. Pongs and close frames are not
    delayed. The queue is in memory, so a delay costs what clients send in that time, up to the worker's limit.
    """

    def __init__(self, connection: EchoConnection, reply_delay: ReplyDelay) -> None:
        self._connection = connection
        self._reply_delay = reply_delay
        self._waiting: deque[tuple[int, Opcode, bytes]] = deque()

    def add(self, opcode: Opcode, payload: bytes) -> None:
        """Queue a reply."""
        self._waiting.append((self._reply_delay.due_ns(time.monotonic_ns()), opcode, payload))
        self._connection.add_queued(len(payload) + _WAITING_BYTES)
        if len(self._waiting) == 1:
            self._release()

    def _release(self) -> None:
        waiting, now_ns, released = self._waiting, time.monotonic_ns(), 0
        while waiting and waiting[0][0] <= now_ns:
            _, opcode, payload = waiting.popleft()
            self._connection.reply(opcode, payload)
            released += len(payload) + _WAITING_BYTES
        self._connection.flush()
        self._connection.add_queued(-released)
        if waiting and self._connection.protocol.state is OPEN:
            # rounded up: a timer that fires early would have to be started again
            wait_ms = -(-(waiting[0][0] - now_ns) // NS_PER_MS)
            self._connection.loop.call_later(wait_ms / 1000, self._release)


class Broadcast:
    """Sends each message on /broadcast to all connections on /broadcast, the sender included, on all workers.

    Messages of one sender arrive everywhere in their order; the order among senders may differ between receivers. A
    receiver that leaves 64 MiB unread is disconnected: one slow receiver must not slow down the senders. Senders are
    slowed down when another worker does not keep up.
    """

    def __init__(self, links: WorkerLinks) -> None:
        self._links = links
        self._links.on_full = self._slow_down
        self._listeners: set[EchoConnection] = set()

    async def __call__(self, connection: EchoConnection) -> None:
        self._listeners.add(connection)
        try:
            connection.start(self._publish)
            if self._links.full:
                connection.pause_input(True)
            await connection.wait_closed()
        finally:
            self._listeners.discard(connection)

    def deliver(self, opcode: Opcode, payload: bytes) -> None:
        """Send to the connections of this worker."""
        for listener in self._listeners:
            listener.reply(opcode, payload)
            listener.flush()
            if listener.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                listener.reset_over_memory()

    def _slow_down(self) -> None:
        for listener in self._listeners:
            listener.pause_input(self._links.full)

    def _publish(self, opcode: Opcode, payload: bytes) -> None:
        self._links.send(opcode, payload)
        self.deliver(opcode, payload)


@dataclass(frozen=True)
class Push:
    """Sends `rate` text messages per second of `size` bytes each.

    A message is JSON if the size allows: its number (`seq`, from 0), its send time (`sent_ns`, CLOCK_REALTIME) and
    padding; a shorter one has only the digits of the number. For a client that does not keep up, time slots are
    skipped, not messages: numbers have no gaps.

    A client may reply to a message with a JSON object that repeats its `seq`. The time from the send to the reply's
    arrival is reported once, as `rtt_ns` in a later message, if the size leaves room for it.
    """

    rate: float = 1.0
    size: int = 128

    MAX_RATE = 100_000.0
    MAX_SIZE = 16 * 1024 * 1024

    @classmethod
    def from_query(cls, query: str, max_size: int = MAX_SIZE) -> Push:
        """Parse a query such as 'rate=10/s&size=1k'; raise ValueError for an unknown name or a value out of range."""
        options = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := options.keys() - {"rate", "size"}:
            raise ValueError(f"no such parameter: {', '.join(sorted(unknown))}; use /push?rate=10&size=128")
        limit = min(cls.MAX_SIZE, max_size)
        push = cls(parse_rate(options.get("rate", "1")), parse_size(options.get("size", "128")))
        if push.rate > cls.MAX_RATE or not 0 < push.size <= limit:
            raise ValueError(f"rate must be at most {cls.MAX_RATE:.0f} per second, size from 1 to {limit} bytes")
        return push

    def message(self, seq: int, rtt_ns: int | None = None) -> bytes:
        """Return message number `seq`, `size` bytes of UTF-8, with `rtt_ns` if it is not None and fits."""
        fields = {"seq": seq, "sent_ns": time.time_ns()} | ({} if rtt_ns is None else {"rtt_ns": rtt_ns})
        head = json.dumps({**fields, "pad": ""}, separators=(",", ":")).encode()
        if len(head) > self.size:
            return self.message(seq) if rtt_ns is not None else str(seq).encode()[-self.size :].zfill(self.size)
        return head[:-2] + b"x" * (self.size - len(head)) + head[-2:]

    async def __call__(self, connection: EchoConnection) -> None:
        replies = PushReplies()
        connection.start(replies.on_message)
        interval_ns = NS_PER_S / self.rate
        start_ns, slots, seq = time.monotonic_ns(), 0, 0
        while connection.protocol.state is OPEN:
            late_ns = time.monotonic_ns() - start_ns - slots * interval_ns
            if late_ns < 0:
                # whole milliseconds, as event loops' timers have: at high rates several messages leave together
                wait_ms = -(late_ns // NS_PER_MS)
                await asyncio.wait([connection.connection_lost_waiter], timeout=wait_ms / 1000)
                continue
            if late_ns > NS_PER_S:
                slots += int(late_ns / interval_ns)  # more than a second late: skip slots, do not catch up in a burst
            connection.reply(Opcode.TEXT, self.message(seq, replies.on_push(seq)))
            connection.flush()
            slots, seq = slots + 1, seq + 1
            try:
                await connection.drain()
            except OSError:  # the connection broke while the client left data unread
                break
            if seq % 64 == 0:
                await asyncio.sleep(0)  # drain() does not yield while the client keeps up
        await connection.wait_closed()


class PushReplies:
    """Round trips of the pushed messages of one connection that its client replied to."""

    def __init__(self) -> None:
        self._sent_ns: dict[int, int] = {}
        self._round_trips: deque[int] = deque(maxlen=_REPLIES_KEPT)

    def on_push(self, seq: int) -> int | None:
        """Record the send time of message `seq`; return the oldest round trip (ns) that is not yet reported."""
        self._sent_ns[seq] = time.monotonic_ns()
        self._sent_ns.pop(seq - _REPLIES_KEPT, None)
        return self._round_trips.popleft() if self._round_trips else None

    def on_message(self, opcode: Opcode, payload: bytes) -> None:  # noqa: ARG002 - the signature of `OnMessage`
        """Match a message with the pushed message that it replies to; ignore any other."""
        if len(payload) > _REPLY_BYTES:  # parsing it would delay all other connections
            return
        try:
            seq = json.loads(payload)["seq"]
            sent_ns = self._sent_ns.pop(seq, None)
        except (ValueError, TypeError, LookupError, RecursionError):
            return
        if sent_ns is not None:
            self._round_trips.append(time.monotonic_ns() - sent_ns)
