"""One connection of the faulty echo server: reads messages, and answers them with the chosen faults.

One task reads and another sends replies in order, so that a delayed reply does not delay reading.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import frames
from .faults import Choice, Counts, Faults
from .frames import FrameParser, Incoming, ProtocolViolation

HOLD_S = 0.2  # time that a reply to be reordered waits for the next one
SEGMENT_PAUSE_S = 0.0005
CLOSE_TIMEOUT_S = 5


@dataclass(frozen=True)
class Reply:
    """A reply to send, with the faults that apply to it (names as in faults.HELP)."""

    number: int
    opcode: int
    payload: bytes
    arrived_s: float
    served_s: float
    applied: frozenset[str]


class Connection:
    """An open WebSocket connection; `run` returns when it ends.

    Args:
        number: number of the connection in the server, from 1; seeds its random choices.
        counts: the server's counts, shared by all connections.
        stall_left_s: returns the seconds until the present stall ends, or 0 outside a stall.
        served_s: returns when a message that arrived at an instant is served; called once for each, in order.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        faults: Faults,
        number: int,
        counts: Counts,
        stall_left_s: Callable[[], float],
        served_s: Callable[[float], float],
    ) -> None:
        self._faults, self._counts, self._stall_left_s = faults, counts, stall_left_s
        self._served_s = served_s
        self._choice = Choice(faults, number)
        self._reader, self._writer = reader, writer
        self._queue: asyncio.Queue[Reply | Incoming] = asyncio.Queue()  # an Incoming is the client's close
        self._write_lock = asyncio.Lock()  # a pong must not land inside a reply that is being split
        self._messages = 0
        self._answered = 0  # messages that have been replied to or dropped

    async def run(self) -> None:
        sender = asyncio.create_task(self._send_replies())
        sender.add_done_callback(self._check_sender)
        try:
            if self._faults.greet:
                self._counts.greetings += 1
                await self._write(frames.encode(frames.TEXT, self._faults.greet.encode()))
            if await self._read():
                await sender
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._counts.unanswered += self._messages - self._answered

    def _check_sender(self, sender: asyncio.Task[None]) -> None:
        error = None if sender.cancelled() else sender.exception()
        if error is not None and not isinstance(error, ConnectionError):  # a bug in this file
            traceback.print_exception(error)
            self._writer.close()

    # reading

    async def _read(self) -> bool:
        """Return True after the client's close frame, False after a protocol error; ConnectionError without either."""
        parser = FrameParser()
        while data := await self._reader.read(1 << 16):
            arrived_s = time.monotonic()
            try:
                for incoming in parser.feed(data):
                    if incoming.opcode == frames.CLOSE:
                        self._queue.put_nowait(incoming)
                        return True
                    await self._take(incoming, arrived_s)
            except ProtocolViolation as violation:
                self._counts.protocol_errors += 1
                await self._write(frames.encode_close(violation.code, str(violation)))
                return False
        raise ConnectionResetError("end of file without a close frame")

    async def _take(self, incoming: Incoming, arrived_s: float) -> None:
        if incoming.opcode == frames.PING:
            self._counts.pings_in += 1
            await self._write(frames.encode(frames.PONG, incoming.payload))
        elif incoming.opcode == frames.PONG:
            self._counts.pongs_in += 1
        else:
            self._counts.messages_in += 1
            self._messages += 1
            self._queue.put_nowait(self._reply(incoming, self._messages, arrived_s))

    def _reply(self, incoming: Incoming, number: int, arrived_s: float) -> Reply:
        applied, payload = self._choice.of(number, incoming.payload)
        return Reply(number, incoming.opcode, payload, arrived_s, self._served_s(arrived_s), applied)

    # sending

    async def _send_replies(self) -> None:
        held: Reply | None = None
        while True:
            reply = await self._next(HOLD_S if held else None)
            if isinstance(reply, Incoming):
                await self._send_all(held)
                await self._write(frames.encode(frames.CLOSE, reply.payload))
                return
            if reply is not None and "drop" in reply.applied:
                self._counts.dropped += 1
                self._answered += 1
            elif reply is not None and held is None and "reorder" in reply.applied:
                held = reply
            else:
                self._counts.reordered += reply is not None and held is not None
                await self._send_all(reply, held)
                held = None
            if reply is not None and await self._ends_after(reply, held):
                return

    async def _next(self, timeout_s: float | None) -> Reply | Incoming | None:
        """Return the next entry of the queue, or None after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    async def _send_all(self, *replies: Reply | None) -> None:
        for reply in replies:
            if reply is not None:
                await self._send(reply)

    async def _send(self, reply: Reply) -> None:
        if "delay" in reply.applied:
            await asyncio.sleep(reply.arrived_s + self._faults.delay_ms / 1000 - time.monotonic())
        if self._faults.service_ms:
            await asyncio.sleep(reply.served_s - time.monotonic())
        if (left_s := self._stall_left_s()) > 0:
            self._counts.stalled += 1
            await asyncio.sleep(left_s)
        # Counted before the write, with no await in between: a client that has the reply must find it counted.
        self._answered += 1
        self._counts.count_reply(reply.applied)
        data = _framed(reply)
        for copy in range(2 if "duplicate" in reply.applied else 1):
            self._counts.replies_sent += 1
            self._counts.duplicated += copy
            self._counts.pings_sent += "fragment" in reply.applied
            await self._write(data, in_segments="split" in reply.applied)

    async def _write(self, data: bytes, *, in_segments: bool = False) -> None:
        async with self._write_lock:
            if self._writer.is_closing():
                raise ConnectionResetError("the connection is gone")
            if in_segments:
                for segment in _segments(data):
                    self._writer.write(segment)
                    await self._writer.drain()
                    await asyncio.sleep(SEGMENT_PAUSE_S)
            else:
                self._writer.write(data)
                await self._writer.drain()

    async def _ends_after(self, reply: Reply, held: Reply | None) -> bool:
        """Close or reset the connection if the options request that after this message; return whether."""
        if reply.number == self._faults.rst_after:
            await self._send_all(held)
            self._counts.reset += 1
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._writer.transport.abort()
            return True
        if reply.number == self._faults.close_after:
            await self._send_all(held)
            self._counts.closed += 1
            reason = f"asked to close after {reply.number} messages"
            await self._write(frames.encode_close(1011, reason))
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._writer.close)
            return True
        return False


def _framed(reply: Reply) -> bytes:
    if "fragment" not in reply.applied:
        return frames.encode(reply.opcode, reply.payload)
    third = len(reply.payload) // 3
    return b"".join(
        (
            frames.encode(reply.opcode, reply.payload[:third], fin=False),
            frames.encode(frames.PING, b"between"),
            frames.encode(frames.CONTINUATION, reply.payload[third : 2 * third], fin=False),
            frames.encode(frames.CONTINUATION, reply.payload[2 * third :]),
        )
    )


def _segments(data: bytes) -> Iterator[bytes]:
    """Yield the first 16 bytes (header, start of the payload) one by one, then the rest in eight pieces."""
    for at in range(min(16, len(data))):
        yield data[at : at + 1]
    size = max(1, math.ceil((len(data) - 16) / 8))
    for at in range(16, len(data), size):
        yield data[at : at + size]
