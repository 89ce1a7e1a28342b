"""Locust's statistics, updated from workers' reports."""

from __future__ import annotations

import pytest
from helpers.run_hosts import MS, delta, report
from helpers.unpatched_locust import Environment, RequestStats

from wsbench.locust_plugin.stats_feed import METHOD, StatsFeed, fire_request
from wsbench.measure.delta import LOST
from wsbench.measure.histogram import Buckets, merge_coarsely, record
from wsbench.measure.series import AWAY
from wsbench.results.run_result import ErrorCount
from wsbench.run.protocol import Report, rejected_reply_kind
from wsbench.worker.engine import ECHO


class Fed:
    """Statistics and the feed that updates them."""

    def __init__(self) -> None:
        self.stats = RequestStats()
        self._feed = StatsFeed(self.stats)

    def take(self, report: Report) -> None:
        response: Buckets = {}
        for each in report.deltas:
            merge_coarsely(response, each.series.get("response", {}))
        self._feed.take(report, response)

    def errors(self) -> dict[tuple[str, str], int]:
        return {(error.name, error.error.split(":")[0]): error.occurrences for error in self.stats.errors.values()}


def test_echoes_are_requests_with_their_response_times() -> None:
    fed = Fed()
    fed.take(report(1, delta("measure", 0, 0.25, 0.25, 8.0, payload_received=300)))
    entry = fed.stats.entries[ECHO, METHOD]
    assert (entry.num_requests, entry.num_failures, entry.total_content_length) == (3, 0, 300)
    assert entry.min_response_time == pytest.approx(0.25, rel=0.01)
    assert entry.max_response_time == pytest.approx(8.0, rel=0.01)
    assert entry.total_response_time == pytest.approx(8.5, rel=0.03)
    assert fed.stats.total.num_requests == 3


def test_lost_messages_are_failures_without_a_response_time() -> None:
    fed = Fed()
    fed.take(report(1, delta("measure", 0, 1.0, lost=2)))
    entry = fed.stats.entries[ECHO, METHOD]
    assert (entry.num_requests, entry.num_failures, entry.num_none_requests) == (3, 2, 2)
    assert fed.errors() == {(ECHO, "lost"): 2}


def test_the_time_that_a_connection_was_away_is_no_request() -> None:
    fed = Fed()
    echoes = report(1, delta("measure", 0, 0.25, 0.25))
    echoes.deltas[0].series[AWAY] = {8 * 10**9: 1}
    echoes.deltas[0].counts[LOST + AWAY] = 3
    fed.take(echoes)
    assert [name for name, _ in fed.stats.entries] == [ECHO]
    assert (fed.stats.total.num_requests, fed.stats.total.num_failures) == (2, 0)


def test_running_totals_count_once() -> None:
    fed = Fed()
    for number in (1, 2, 3):
        failed = report(number, failed=4)
        failed.errors.append(ErrorCount("refused", "target", 4, "refused: nothing listens"))
        fed.take(failed)
    assert fed.stats.entries["connect", METHOD].num_failures == 4
    assert fed.errors() == {("connect", "refused"): 4}


def test_a_rejected_reply_is_a_failure_of_its_own_name_and_not_of_the_echo() -> None:
    fed = Fed()
    rejected = report(1, delta("measure", 0, 1.0, corrupted=3))
    rejected.errors.append(ErrorCount(rejected_reply_kind("login"), "target", 2, "rejected: no token"))
    fed.take(rejected)
    assert fed.errors() == {("login", "rejected"): 2, (ECHO, "corrupted"): 1}
    assert fed.stats.entries["login", METHOD].num_failures == 2


def test_a_series_of_the_scenario_is_an_entry_of_its_name() -> None:
    fed = Fed()
    named = delta("measure", 0, **{"lost:delivery": 1, "lost": 1})
    named.series["delivery"] = {}
    record(named.series["delivery"], 3 * MS)
    fed.take(report(1, named))
    entry = fed.stats.entries["delivery", METHOD]
    assert (entry.num_requests, entry.num_failures) == (2, 1)
    assert (ECHO, METHOD) not in fed.stats.entries, "the scenario sends no echoes"


def test_a_message_of_an_open_loop_is_one_request() -> None:
    fed = Fed()
    paced = delta("measure", 0, 1.0)
    paced.series |= {"order": dict(paced.series["response"]), "order.service": dict(paced.series["service"])}
    paced.series["self.service"] = {MS: 1}  # a name that the scenario chose
    fed.take(report(1, paced))
    assert sorted(name for name, _ in fed.stats.entries) == ["order", "self.service"]
    assert fed.stats.total.num_requests == 2


def test_a_request_event_is_in_milliseconds() -> None:
    environment, fired = Environment(), []
    environment.events.request.add_listener(lambda **event: fired.append(event))
    fire_request(environment, 1_500_000, 10, None, "chat")
    fire_request(environment, None, 0, "lost", "chat")
    assert [(event["name"], event["response_time"], event["exception"]) for event in fired] == [
        ("chat", 1.5, None),
        ("chat", None, "lost"),
    ]
