"""The users of a run: edits of their number, and those that share the rate."""

from __future__ import annotations

import msgspec
from helpers.run_hosts import report

from wsbench.master.user_counts import UserCounts
from wsbench.measure.phases import PhasePlan
from wsbench.run.protocol import Report, Sharing


def of_worker(index: int, users: dict[str, int], *pacing: str) -> Report:
    return msgspec.structs.replace(report(1, worker=index), users=users, pacing=[*pacing])


def test_each_new_number_of_users_is_an_edit_unless_a_shape_sets_it() -> None:
    edited, shaped = UserCounts(3, {"Echo": 3}), UserCounts(3, {"Echo": 3}, "Stages")
    for counts in (edited, shaped):
        for expected in ({"Echo": 3}, {"Echo": 2, "Chat": 4}, {"Echo": 4, "Chat": 2}):
            counts.expect(expected, PhasePlan())
        assert counts.wanted == 6
    assert [(edit.before, edit.users, edit.phase, edit.after_ns) for edit in edited.edits] == [(3, 6, "ramp", None)]
    assert shaped.edits == []


def test_the_users_present_share_the_rate_after_the_ramp() -> None:
    counts = UserCounts(5, {"Echo": 3, "Idle": 2})
    assert counts.sharing == Sharing({"Echo": 3, "Idle": 2})
    reports = [of_worker(0, {"Echo": 1, "Idle": 2}, "Echo"), of_worker(1, {"Echo": 2})]
    ramping = Sharing({"Echo": 3, "Idle": 2}, ["Echo"])
    ramped = Sharing({"Echo": 3, "Idle": 2}, ["Echo"], {0: {"Echo": 1}, 1: {"Echo": 2}})
    news = [counts.news(reports, ramped=is_ramped) for is_ramped in (False, False, True, True)]
    assert news == [ramping, None, ramped, None]
    assert counts.sharing == ramped
