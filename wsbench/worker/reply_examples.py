"""Examples of wrong replies: the first of each kind that one process received."""

from __future__ import annotations

from collections.abc import Callable

from wsbench.errors import excerpt
from wsbench.measure.reply_difference import Payload, describe, first_difference
from wsbench.results.run_result import ReplyExample

REJECTED = "rejected"
"""Kind of a reply that a scenario's check found wrong."""
_SHOWN = 160
"""Maximum number of bytes of a payload in an example."""
_REASON = 200
_NEAR = 2048
"""Number of bytes on either side of a difference that are searched for secrets: nothing farther away is shown."""
_MOST = 10
"""Maximum number of examples: a scenario may have any number of names."""


class ReplyExamples:
    """The first reply of each kind; of those that a scenario rejected, the first of each name."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        """`hide` returns a text without secrets."""
        self._hide = hide
        self._first: dict[tuple[str, str], ReplyExample] = {}

    @property
    def first(self) -> list[ReplyExample]:
        """All examples so far."""
        return list(self._first.values())

    def lacks(self, kind: str, name: str = "") -> bool:
        """Return whether a reply of this kind would be the first. Called for every wrong reply."""
        return (kind, name) not in self._first

    def keep(self, kind: str, expected: Payload | None, received: Payload) -> None:
        """Keep a reply, with its difference from the expected message; None if no message awaited a reply."""
        if expected is None:
            shown = excerpt(self._without_secrets(received.data), _SHOWN)
            self._add(ReplyExample(kind, None, shown, "no message awaited a reply"))
            return
        at = first_difference(expected.data, received.data)
        one, other = (each._replace(data=self._without_secrets(each.data, at or 0)) for each in (expected, received))
        shown_at = first_difference(one.data, other.data)
        words = self._hide(describe(one, other))
        if shown_at is None and at is not None:
            words = "the difference is in a value that is hidden"
        before, after = (excerpt(each.data, _SHOWN, shown_at or 0) for each in (one, other))
        self._add(ReplyExample(kind, before, after, words, at))

    def keep_rejected(self, name: str, received: bytes, reason: str) -> None:
        """Keep a reply that the scenario rejected, and its reason, if it is the first of its name."""
        if self.lacks(REJECTED, name) and len(self._first) < _MOST:
            shown = excerpt(self._without_secrets(received), _SHOWN)
            why = excerpt(self._without_secrets(str(reason).encode(errors="backslashreplace")), _REASON)
            self._add(ReplyExample(REJECTED, None, shown, why, name=name))

    def _without_secrets(self, payload: bytes, at: int = 0) -> bytes:
        """Hide secrets around an offset, before anything is cut: a part of one could not be recognised."""
        start, end = max(0, at - _NEAR), at + _NEAR
        text = self._hide(payload[start:end].decode(errors="surrogateescape"))
        return payload[:start] + text.encode(errors="surrogateescape") + payload[end:]

    def _add(self, example: ReplyExample) -> None:
        self._first[example.kind, example.name] = example
