"""Verifier of the echoes of one connection: the messages in flight, and the status of every reply.

A WebSocket keeps order, so replies are matched first in, first out. A reply that is not the expected next one may be a
later one (it has overtaken those before it, which are lost or still to come), an earlier one (late or duplicated), a
damaged one, or unexpected.

Reordering is counted as in RFC 4737: a message is reordered when one sent after it arrived before it. So a swapped
pair is one reordered message, and a message that never arrives is not reordered but lost.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from itertools import chain

from wsbench.measure.payloads import Messages
from wsbench.measure.reply_difference import Payload
from wsbench.measure.tally import Tally

_REMEMBERED = 100_000
"""Maximum of expired messages kept per connection: a server that stalls longer than the timeout answers all at once."""
_ALIKE = 0.75

Pending = tuple[bytes, int, int, int, Tally]
"""A message in flight; a bare tuple, because hot paths create one per message:

0. the bytes of the expected reply, as the connection compares them,
1. when it was due, 2. when it was sent (ns of CLOCK_REALTIME),
3. its number,
4. the tally of the interval in which it was due, where its reply or loss is counted.
"""


class ReplyStatus(Enum):
    """Status of a reply; the value is the name of its count."""

    RECEIVED = "received"
    REORDERED = "reordered"
    CORRUPTED = "corrupted"
    DUPLICATED = "duplicated"
    LATE = "late"
    UNEXPECTED = "unexpected"


class EchoVerifier:
    """The messages of one connection that await a reply.

    Attributes:
        pending: messages in flight, oldest first. Hot paths append and popleft directly.
        overtaken: messages, by number, that a later one's reply has overtaken.
        last_seq: number of the message sent last.
    """

    __slots__ = ("_expired", "_text", "last_seq", "messages", "overtaken", "pending")

    def __init__(self, messages: Messages, *, text: bool) -> None:
        self.messages = messages
        self.pending: deque[Pending] = deque()
        self.last_seq = 0
        self.overtaken: dict[int, Pending] = {}
        self._expired: dict[int, None] = {}
        self._text = text

    @property
    def outstanding(self) -> int:
        """Number of messages that await a reply."""
        return len(self.pending) + len(self.overtaken)

    def match(self, payload: bytes, text: bool) -> tuple[ReplyStatus, Pending | None]:
        """Return a reply's status, and the message that it answers, if any."""
        if text is not self._text:
            return self._damaged(payload)
        if self.pending and payload == self.pending[0][0]:
            return ReplyStatus.RECEIVED, self.pending.popleft()
        if not self.messages.numbered:
            return self._match_unnumbered(payload)
        seq = self.messages.identify(payload)
        if seq is None or not self.messages.same(payload, seq):
            return self._damaged(payload)
        if seq in self.overtaken:
            return ReplyStatus.REORDERED, self.overtaken.pop(seq)
        entry = self._take(seq)
        if entry is not None:
            return ReplyStatus.RECEIVED, entry
        if seq in self._expired:
            del self._expired[seq]
            return ReplyStatus.LATE, None
        return (ReplyStatus.DUPLICATED if 0 < seq <= self.last_seq else ReplyStatus.UNEXPECTED), None

    def awaited(self, answered: Pending | None) -> Payload | None:
        """Return the message to compare a wrong reply with: the answered one, or the oldest in flight; None if none."""
        entry = answered or next(chain(self.pending, self.overtaken.values()), None)
        return None if entry is None else Payload(self.messages.build(entry[3]), self._text)

    def expire(self, due_before_ns: int) -> list[Pending]:
        """Remove and return messages due before an instant. A later reply to one of them is late."""
        overdue = [seq for seq, entry in self.overtaken.items() if entry[1] < due_before_ns]
        expired = [self.overtaken.pop(seq) for seq in overdue]
        pending = self.pending
        while pending and pending[0][1] < due_before_ns:
            expired.append(pending.popleft())
        self._remember(expired)
        return expired

    def oldest_due_ns(self, default_ns: int) -> int:
        """Return when the oldest message was due; `default_ns` if none awaits a reply."""
        first = [self.pending[0][1]] if self.pending else []
        return min([*first, *(entry[1] for entry in self.overtaken.values())], default=default_ns)

    def abandon(self) -> list[Pending]:
        """Remove and return all messages. A reply that arrives while the connection closes is late."""
        waiting = [*self.overtaken.values(), *self.pending]
        self.overtaken.clear()
        self.pending.clear()
        self._remember(waiting)
        return waiting

    def reconnected(self) -> None:
        """Forget expired messages: a new connection cannot answer those of the last one."""
        self._expired.clear()

    def _remember(self, given_up: list[Pending]) -> None:
        for entry in given_up:
            self._expired[entry[3]] = None
        while len(self._expired) > _REMEMBERED:
            del self._expired[next(iter(self._expired))]

    def _match_unnumbered(self, payload: bytes) -> tuple[ReplyStatus, Pending | None]:
        if not self.messages.same(payload, 0):
            return self._damaged(payload)
        if self.pending:
            return ReplyStatus.RECEIVED, self.pending.popleft()
        if self._expired:
            del self._expired[next(iter(self._expired))]
            return ReplyStatus.LATE, None
        return (ReplyStatus.DUPLICATED if self.last_seq else ReplyStatus.UNEXPECTED), None

    def _take(self, seq: int) -> Pending | None:
        """Remove and return message `seq`; those before it become overtaken."""
        pending = self.pending
        if not pending or not pending[0][3] <= seq <= pending[-1][3]:
            return None
        while pending[0][3] < seq:
            overtaken = pending.popleft()
            self.overtaken[overtaken[3]] = overtaken
        return pending.popleft() if pending[0][3] == seq else None

    def _damaged(self, payload: bytes) -> tuple[ReplyStatus, Pending | None]:
        """Match a reply that equals no message to the most similar one, if any is similar."""
        waiting = [*self.overtaken, *(entry[3] for entry in self.pending)]
        scores = {seq: _likeness(payload, self.messages.build(seq)) for seq in waiting}
        seq = max(scores, key=scores.__getitem__, default=0)
        if scores.get(seq, 0.0) < _ALIKE:
            return ReplyStatus.UNEXPECTED, None
        return ReplyStatus.CORRUPTED, self.overtaken.pop(seq, None) or self._take(seq)


def _likeness(payload: bytes, expected: bytes) -> float:
    """Return the share of equal bytes at equal places, counted from either end.

    A truncation, a bit flip and an insertion all leave most bytes in place.
    """
    size = max(len(payload), len(expected))
    if not size:
        return 1.0
    # A truncated reply is still a reply: all of it is our message's beginning.
    if len(payload) >= 8 and expected.startswith(payload):
        return 1.0
    forward = [a == b for a, b in zip(payload, expected, strict=False)]
    backward = [a == b for a, b in zip(reversed(payload), reversed(expected), strict=False)]
    # Bytes before the first and after the last difference: neighbours' paddings are shifted by a byte, so an inserted
    # or missing byte would look like a neighbour if only equal places counted.
    framed = min((*forward, False).index(False) + (*backward, False).index(False), len(forward))
    return max(sum(forward), sum(backward), framed) / size
