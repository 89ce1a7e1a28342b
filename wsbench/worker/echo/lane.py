"""The lane: fast path of connections with one message in flight, for all connections of a process.

This is the most common load. With thousands of connections, no object of a connection is in a cache when its reply
arrives. So there are tables by descriptor instead of objects, and they hold only what cannot be rebuilt: the expected
reply is assembled when a reply arrives, from parts that all connections share.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from wsbench.measure.payloads import Messages, Step
from wsbench.measure.recorder import Recorder
from wsbench.measure.tally import REPLY_BATCH, Tally, pack_reply
from wsbench.measure.verifier import Pending
from wsbench.transport.shortway import Answer, ShortWay
from wsbench.websocket.frames import BINARY, MASKED, TEXT, apply_mask, frame_header, next_mask_key

if TYPE_CHECKING:
    from wsbench.worker.engine import Engine

_now = time.time_ns


class Lane:
    """Table of messages in flight, at most one per connection.

    Attributes:
        way: the fast path that reads the replies and sends the next messages.
    """

    def __init__(self, engine: Engine) -> None:
        options = engine.options
        opcode = BINARY if options.binary else TEXT
        self._plain = frame_header(opcode, options.payload_size)
        self._masked = frame_header(opcode, options.payload_size, MASKED)
        self._messages: list[Messages | None] = []
        self._heads: list[bytes] = []
        self._steps: list[Step | None] = []
        self._last_seqs = array("q")  # number of the last message in each chain of steps
        self._sent_ns = array("q")
        self._tallies: list[Tally | None] = []
        self.way = ShortWay(self._answering(engine.recorder, options.timeout_ns), engine.traffic)

    def widen(self, fd: int) -> None:
        """Make room for a connection."""
        missing = fd + 1 - len(self._steps)
        if missing > 0:
            self._messages += [None] * missing
            self._heads += [b""] * missing
            self._steps += [None] * missing
            self._last_seqs.extend([0] * missing)
            self._sent_ns.extend([0] * missing)
            self._tallies += [None] * missing

    def put(self, fd: int, messages: Messages, message: Pending) -> None:
        """Take over a connection, on which one of `messages` has been sent."""
        _, _, self._sent_ns[fd], seq, self._tallies[fd] = message
        self._messages[fd] = messages
        self._heads[fd], self._steps[fd], self._last_seqs[fd] = messages.stretch(seq)

    def take(self, fd: int) -> Pending:
        """Hand back a connection; return its message in flight."""
        messages, step, tally = self._messages[fd], self._steps[fd], self._tallies[fd]
        assert messages is not None and step is not None and tally is not None
        self._messages[fd] = self._steps[fd] = self._tallies[fd] = None
        seq, sent_ns = self._last_seqs[fd] - _left(step), self._sent_ns[fd]
        return self._plain + messages.build(seq), sent_ns, sent_ns, seq, tally

    def sent_ns(self, fd: int) -> int:
        """Return when a connection's message in flight was sent."""
        return self._sent_ns[fd]

    def _answering(self, recorder: Recorder, timeout_ns: int) -> Answer:
        """Return the function that counts a reply and returns the next frame.

        It changes nothing unless it can do both. Its state is passed as defaults, which lie side by side in memory.
        """

        def answer(
            fd: int,
            data: bytes,
            timespec: bytes,
            handled_ns: int,
            heads: list[bytes] = self._heads,
            steps: list[Step | None] = self._steps,
            last_seqs: array[int] = self._last_seqs,
            sent: array[int] = self._sent_ns,
            tallies: list[Tally] = self._tallies,  # type: ignore[assignment]  # where there is a step there is one
            messages: list[Messages] = self._messages,  # type: ignore[assignment]  # likewise
            plain: bytes = self._plain,
            masked: bytes = self._masked,
            recorder: Recorder = recorder,
            timeout_ns: int = timeout_ns,
            now: Callable[[], int] = _now,
        ) -> bytes | None:
            step = steps[fd]
            if step is None or not recorder.closed_loops_active:
                return None
            rest, following = step
            head, sent_ns = heads[fd], sent[fd]
            if data != plain + (head + rest) or handled_ns - sent_ns > timeout_ns:
                return None
            last_seq = 0
            if following is None:
                head, following, last_seq = messages[fd].stretch(last_seqs[fd] + 1)
            replies = tallies[fd].replies
            if len(replies) >= REPLY_BATCH:
                tallies[fd].flush_batch()
            reply = pack_reply(timespec, sent_ns, sent_ns, handled_ns)
            (key,) = next_mask_key()
            frame = masked + key + apply_mask(head + following[0], key)
            sent_ns = now()
            if sent_ns >= recorder.boundary_ns:
                return None
            replies.append(reply)
            tally = tallies[fd] = recorder.current
            tally.uncounted_sends += 1
            steps[fd], sent[fd] = following, sent_ns
            if last_seq:
                heads[fd], last_seqs[fd] = head, last_seq
            return frame

        return answer


def _left(step: Step) -> int:
    """Return the number of steps that follow `step`."""
    count, following = 0, step[1]
    while following is not None:
        count, following = count + 1, following[1]
    return count
