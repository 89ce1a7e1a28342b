"""The users of a run as the master knows them: their number, every edit of it, and those that share the rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from wsbench.measure.phases import Phase, PhasePlan
from wsbench.results.run_result import UsersEdit
from wsbench.run.protocol import Report, Sharing
from wsbench.units import format_duration, format_utc


class UserCounts:
    """The users that hold connections.

    Attributes:
        wanted: their number, as asked for last.
        edits: the changes of it that somebody made while the run was in progress.
        shape: the class that sets it over time; then there are no edits.
        sharing: those that share the rate.
    """

    def __init__(self, wanted: int = 0, expected: Mapping[str, int] | None = None, shape: str = "") -> None:
        """`expected` is their number by class."""
        self.wanted = wanted
        self.edits: list[UsersEdit] = []
        self.shape = shape
        self._expected = dict(expected or {})
        self.sharing = Sharing(self._expected)

    def expect(self, expected: Mapping[str, int], plan: PhasePlan) -> None:
        """Take the numbers by class that are asked for now."""
        before, self._expected = self.wanted, dict(expected)
        self.wanted = sum(expected.values())
        if self.wanted == before or self.shape:
            return
        now_ns = time.time_ns()
        phase = plan.phase_at(now_ns)
        begin_ns = {Phase.WARMUP: plan.warmup_ns, Phase.MEASURE: plan.measure_ns}.get(phase)
        self.edits.append(
            UsersEdit(
                at=format_utc(datetime.now(UTC)),
                phase=phase,
                after_ns=None if begin_ns is None else now_ns - begin_ns,
                before=before,
                users=self.wanted,
            )
        )

    def news(self, reports: Iterable[Report], *, ramped: bool) -> Sharing | None:
        """Return the users that share the rate, from the latest reports of the workers; None if nothing has changed."""
        latest = list(reports)
        pacing = sorted({kind for report in latest for kind in report.pacing})
        present = {report.worker: {k: n for k, n in report.users.items() if k in pacing} for report in latest}
        sharing = Sharing(self._expected, pacing, present if ramped else {})
        if sharing == self.sharing:
            return None
        self.sharing = sharing
        return sharing


def describe_edit(edit: UsersEdit) -> str:
    """Return an edit in a few words."""
    when = edit.phase if edit.after_ns is None else f"{edit.phase}, after {format_duration(edit.after_ns)}"
    return f"{edit.before} to {edit.users} ({when})"
