"""Examples of wrong replies: the first of each kind that one process received."""

from __future__ import annotations

import msgspec

from wsbench.errors import excerpt
from wsbench.measure.reply_difference import Payload, compare
from wsbench.results.run_result import ReplyExample
from wsbench.websocket.credentials import hide_in_target

REJECTED = "rejected"
"""Kind of a reply that a scenario's check found wrong."""
_SHOWN = 160
"""Maximum number of bytes of a payload in an example."""
_REASON = 200
_MOST = 10
"""Maximum number of examples: a scenario may have any number of names."""


class ReplyExamples:
    """The first reply of each kind; of those that a scenario rejected, the first of each name."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], ReplyExample] = {}

    @property
    def first(self) -> list[ReplyExample]:
        """All examples so far."""
        return list(self._first.values())

    def lacks(self, kind: str, name: str = "") -> bool:
        """Return whether a reply of this kind would be the first. Called for every wrong reply."""
        return (kind, name) not in self._first

    def keep(self, kind: str, expected: Payload | None, received: Payload) -> None:
        """Keep a reply, with its difference from the expected message, if one was expected."""
        words, at = compare(expected, received)
        sent = None if expected is None else excerpt(expected.data, _SHOWN, at or 0)
        self._keep(ReplyExample(kind, sent, excerpt(received.data, _SHOWN, at or 0), words, at))

    def keep_rejected(self, name: str, received: bytes, reason: str) -> None:
        """Keep a reply that the scenario rejected, and its reason, if it is the first of its name."""
        if self.lacks(REJECTED, name) and len(self._first) < _MOST:
            why = excerpt(reason.encode(errors="backslashreplace"), _REASON)
            self._keep(ReplyExample(REJECTED, None, excerpt(received, _SHOWN), why, name=name))

    def _keep(self, example: ReplyExample) -> None:
        texts = {name: getattr(example, name) for name in ("expected", "received", "difference")}
        shown = {name: text and hide_in_target(text) for name, text in texts.items()}
        self._first[example.kind, example.name] = msgspec.structs.replace(example, **shown)
