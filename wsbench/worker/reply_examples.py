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
        shown = self._without_secrets(received.data)
        if expected is None:
            self._add(ReplyExample(kind, None, excerpt(shown, _SHOWN), "no message awaited a reply"))
            return
        sent, at = self._without_secrets(expected.data), first_difference(expected.data, received.data)
        shown_at = first_difference(sent, shown)
        words = describe(expected._replace(data=sent), received._replace(data=shown))
        if shown_at is None and at is not None:
            words = "the difference is in a value that is hidden"
        before, after = (excerpt(each, _SHOWN, shown_at or 0) for each in (sent, shown))
        self._add(ReplyExample(kind, before, after, words, at))

    def keep_rejected(self, name: str, received: bytes, reason: str) -> None:
        """Keep a reply that the scenario rejected, and its reason, if it is the first of its name."""
        if self.lacks(REJECTED, name) and len(self._first) < _MOST:
            shown, why = (
                self._without_secrets(each) for each in (received, str(reason).encode(errors="backslashreplace"))
            )
            self._add(ReplyExample(REJECTED, None, excerpt(shown, _SHOWN), excerpt(why, _REASON), name=name))

    def _without_secrets(self, payload: bytes) -> bytes:
        """Hide secrets before anything is compared or cut: a part of one could not be recognised."""
        return self._hide(payload.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def _add(self, example: ReplyExample) -> None:
        self._first[example.kind, example.name] = example
