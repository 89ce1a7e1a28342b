"""Updates of Locust's own statistics (console, web UI, --csv, --html) from the reports that the master collects."""

from __future__ import annotations

import functools
import time

from locust.env import Environment
from locust.stats import RequestStats, StatsEntry, StatsError

from wsbench.errors import printable
from wsbench.locust_plugin.locust_precision import rounded
from wsbench.measure.delta import lost_of, merge_counts
from wsbench.measure.histogram import (
    COARSE_WIDTH,
    Buckets,
    extreme_keys,
    highest_value,
    lowest_value,
    merge_coarsely,
)
from wsbench.measure.series import AWAY, BUILT_IN, is_service_of
from wsbench.results.run_result import OtherRequests
from wsbench.run.protocol import SCENARIO_FAILED, Report, rejected_reply_name
from wsbench.units import NS_PER_MS
from wsbench.worker.engine import ECHO

METHOD = "WS"
CONNECT = "connect"


def fire_request(environment: Environment, latency_ns: int | None, size: int, problem: str | None, name: str) -> None:
    """Fire Locust's `request` event."""
    environment.events.request.fire(
        request_type=METHOD,
        name=name,
        response_time=None if latency_ns is None else latency_ns / NS_PER_MS,
        response_length=size,
        exception=problem,
        context={},
    )


def other_requests(stats: RequestStats) -> OtherRequests:
    """Return the requests of users that are not wsbench's."""
    others = [entry for (_, method), entry in stats.entries.items() if method != METHOD]
    errors = sorted((error for error in stats.errors.values() if error.method != METHOD), key=lambda e: -e.occurrences)
    example = f"{errors[0].method} {errors[0].name}: {errors[0].error}" if errors else ""
    count, failed = sum(entry.num_requests for entry in others), sum(entry.num_failures for entry in others)
    return OtherRequests(count, failed, printable(example))


class StatsFeed:
    """Adds workers' reports to Locust's statistics.

    Entries are echoes (response time), connections (time to open) and the series that a scenario named, each message
    once; losses and errors become Locust's failures.
    """

    def __init__(self, stats: RequestStats) -> None:
        self._stats = stats
        self._totals: dict[tuple[int, str], int] = {}
        self._corrupted: dict[int, int] = {}

    def take(self, report: Report, response: Buckets) -> None:
        """Add a report and its response times, in coarse buckets because Locust keeps two digits."""
        counts: dict[str, int] = {}
        connect: Buckets = {}
        for delta in report.deltas:
            merge_counts(counts, delta.counts)
            merge_coarsely(connect, delta.series.get("connect", {}))
        named = self._named(report)
        lost = max(0, counts.get("lost", 0) - sum(named.values()))
        if not named or lost:
            self._extend(ECHO, response, report, lost, series="response", size=counts.get("payload_received", 0))
        # Connections and errors are running totals of the worker.
        self._extend(CONNECT, connect, report, self._gained(report.worker, "", report.connections.failed))
        self._error(ECHO, "lost: no reply within --timeout", lost)
        self._errors(report)
        self._error(ECHO, "corrupted: the reply is not what was sent", self._echoes_corrupted(report, counts))

    def _errors(self, report: Report) -> None:
        """Add new errors, each under the name of the entry that it concerns."""
        for error in report.errors:
            count = self._gained(report.worker, f"{error.side} {error.kind}", error.count)
            name = rejected_reply_name(error.kind)
            if name is not None:
                self._extend(name, {}, report, 0, wrong=count)
            self._error(name or (SCENARIO_FAILED if error.kind == SCENARIO_FAILED else CONNECT), error.example, count)

    def _echoes_corrupted(self, report: Report, counts: dict[str, int]) -> int:
        """Return the number of new corrupted echoes, without replies that a scenario rejected: `_errors` adds those.

        Counts arrive a little later than errors, so the count may for a while be less than the rejected replies.
        """
        worker = report.worker
        self._corrupted[worker] = self._corrupted.get(worker, 0) + counts.get("corrupted", 0)
        rejected = sum(error.count for error in report.errors if rejected_reply_name(error.kind) is not None)
        total = max(self._corrupted[worker] - rejected, self._totals.get((worker, "corrupted"), 0))
        return self._gained(worker, "corrupted", total)

    def _named(self, report: Report) -> dict[str, int]:
        """Add the series that a scenario named; return how many values of each were lost."""
        series: dict[str, Buckets] = {}
        lost: dict[str, int] = {}
        for delta in report.deltas:
            for name, buckets in delta.series.items():
                if name not in BUILT_IN and not is_service_of(name, delta.series):
                    merge_coarsely(series.setdefault(name, {}), buckets)
            for name in set(delta.names_lost()) - {AWAY}:
                series.setdefault(name, {})
                lost[name] = lost.get(name, 0) + lost_of(name, delta.counts)
        for name, coarse in series.items():
            self._extend(name, coarse, report, lost.get(name, 0))
            self._error(name, "lost: nothing came in time", lost.get(name, 0))
        return {name: lost.get(name, 0) for name in series}

    def _gained(self, worker: int, what: str, total: int) -> int:
        gained = total - self._totals.get((worker, what), 0)
        self._totals[worker, what] = total
        return gained

    def _extend(
        self, name: str, coarse: Buckets, report: Report, lost: int, *, series: str = "", size: int = 0, wrong: int = 0
    ) -> None:
        """Extend an entry by values of a series, which has its name or is `series`.

        `lost` requests are in no bucket, `wrong` ones in one of this or an earlier report.
        """
        if not (coarse or lost or size or wrong):
            return
        now = time.time()
        entry = StatsEntry(self._stats, name, METHOD)
        for key, count in coarse.items():
            value_ms, shown_ms = _milliseconds(key)
            entry.response_times[shown_ms] += count
            entry.total_response_time += value_ms * count
        if coarse:  # edges of coarse buckets are up to 3 % away
            low, high = extreme_keys((delta.series.get(series or name, {}) for delta in report.deltas), coarse)
            entry.min_response_time = rounded(lowest_value(low) / NS_PER_MS, 3)
            entry.max_response_time = rounded(highest_value(high) / NS_PER_MS, 3)
        entry.num_requests = sum(coarse.values()) + lost
        entry.num_none_requests = lost
        entry.num_failures = failed = lost + wrong
        entry.total_content_length = size
        if entry.num_requests:
            entry.num_reqs_per_sec[int(now)] = entry.num_requests
            entry.last_request_timestamp = now
        if failed:
            entry.num_fail_per_sec[int(now)] = failed
        self._stats.entries[(name, METHOD)].extend(entry)
        self._stats.total.extend(entry)

    def _error(self, name: str, error: str, count: int) -> None:
        if not count:
            return
        key = StatsError.create_key(METHOD, name, error)
        known = self._stats.errors.setdefault(key, StatsError(METHOD, name, error))
        known.occurrences += count
        known.last_seen = time.time()
        known.first_seen = known.first_seen or known.last_seen


@functools.cache
def _milliseconds(key: int) -> tuple[float, float]:
    """Return the middle of a coarse bucket, exact and in Locust's precision. Cached, as a few hundred keys recur."""
    middle = (lowest_value(key) + highest_value(key + COARSE_WIDTH - 1)) / 2 / NS_PER_MS
    return middle, rounded(middle)
