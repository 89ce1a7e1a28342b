"""The workers as the master knows them: which reports have come, so that each counts once, and sums over them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from wsbench.credentials import DEFAULT_SECRETS, Secrets
from wsbench.errors import Side, WsbenchError
from wsbench.master.user_counts import UserCounts, describe_edit
from wsbench.measure.delta import IntervalDelta, errors_of, merge_counts
from wsbench.measure.findings import Evidence, WorkerFitness
from wsbench.measure.histogram import Buckets
from wsbench.measure.overlap import longest_overlap
from wsbench.measure.phases import Phase
from wsbench.results.run_result import (
    ConnectionCounts,
    ErrorCount,
    NegotiatedWith,
    OtherRequests,
    ReplyExample,
    WholeRun,
    Worker,
)
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Health, Report
from wsbench.units import NS_PER_S

SLIVER_NS = NS_PER_S // 10
"""A part of a second that is too short for a rate or for a CPU figure."""


class WorkerState:
    """A worker.

    Attributes:
        report: the latest report; before the first one, an empty report with number 0.
        received: replies in the measure phase.
        gaps: numbers of reports that were sent before the latest one and have not arrived.
        cpu_now: CPU during the last report taken, in percent of one core.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.report = Report(index, 0, [], ConnectionCounts(), [], Health())
        self.received = 0
        self.gaps: set[int] = set()
        self.cpu_now = 0.0
        self._measured = dict.fromkeys(("cpu_ns", "wall_ns", "polled_ns"), 0)
        self._cpu: dict[tuple[str, int], tuple[int, int]] = {}
        # Intervals of the measure phase that may still grow are kept apart: a day has too many to go through all of
        # them each time `cpu_max` is shown.
        self._open: set[tuple[str, int]] = set()
        self._max_of_closed = 0.0

    def knows(self, report: Report) -> bool:
        """Return whether the report was taken before."""
        return report.number <= self.report.number and report.number not in self.gaps

    @property
    def final(self) -> bool:
        """True when the last report and all before it have arrived."""
        return self.report.final and not self.gaps

    @property
    def connections_done(self) -> int:
        """Number of attempts to connect and of closed connections so far: it grows while the worker makes progress."""
        connections = self.report.connections
        return connections.attempts + sum(connections.close_codes.values())

    def take(self, report: Report) -> bool:
        """Record a report; return False for one that was taken before and must not be counted again."""
        if self.knows(report):
            return False
        if report.number > self.report.number:
            self.gaps.update(range(self.report.number + 1, report.number))
            self.report = report
        else:  # sent again: it was lost when the connection broke
            self.gaps.remove(report.number)
        cpu = wall = 0
        for delta in report.deltas:
            cpu, wall = cpu + delta.counts.get("cpu_ns", 0), wall + delta.counts.get("wall_ns", 0)
            self._add(delta)
        self.cpu_now = _percent(cpu, wall)
        self._close_intervals()
        return True

    def _add(self, delta: IntervalDelta) -> None:
        key, counts = (delta.phase, delta.start_ns), delta.counts
        cpu, wall = self._cpu.get(key, (0, 0))
        self._cpu[key] = (cpu + counts.get("cpu_ns", 0), wall + counts.get("wall_ns", 0))
        if delta.phase == Phase.MEASURE:
            self._open.add(key)
            self.received += counts.get("received", 0)
            for name in self._measured:
                self._measured[name] += counts.get(name, 0)

    def _close_intervals(self) -> None:
        """Close all open intervals but the latest, unless a missing report may belong to them."""
        if not self.gaps and len(self._open) > 1:
            latest = max(self._open)
            self._max_of_closed = max(self._max_of_closed, *map(self._percent_of, self._open - {latest}))
            self._open = {latest}

    def cpu_percent(self) -> dict[tuple[str, int], float]:
        """Return the CPU of each interval, by phase and start, in percent of one core."""
        return {key: 100 * cpu / wall for key, (cpu, wall) in self._cpu.items() if wall > 0}

    @property
    def cpu_mean(self) -> float:
        """CPU over the measure phase in percent of one core; intervals that were cut short count by their length."""
        return _percent(self._measured["cpu_ns"], self._measured["wall_ns"])

    @property
    def cpu_max(self) -> float:
        """CPU in the busiest interval of the measure phase, without slivers; `cpu_mean` if there are only slivers."""
        return round(max((self._max_of_closed, *map(self._percent_of, self._open))), 1) or self.cpu_mean

    @property
    def polling(self) -> float:
        """The part of `cpu_mean` that was spent polling until the next message was due."""
        return _percent(self._measured["polled_ns"], self._measured["wall_ns"])

    def result(self) -> Worker:
        """Return the worker's figures in the result."""
        return Worker(
            index=self.index,
            cpu_percent_mean=self.cpu_mean,
            cpu_percent_max=self.cpu_max,
            polling_percent=self.polling,
            rss_bytes=self.report.health.rss_bytes,
            messages=self.received,
            clock_offset_ns=self.report.health.clock_offset_ns,
        )

    def fitness(self) -> WorkerFitness:
        """Return what the worker reported about itself."""
        health = self.report.health
        return WorkerFitness(
            index=self.index,
            cpu_percent_mean=self.cpu_mean,
            polling_percent=self.polling,
            handshakes_queued_ns=health.handshakes_queued_ns,
            handshakes_queued_cpu_ns=health.handshakes_queued_cpu_ns,
            stall_max_ns=health.stall_max_ns,
            gc_pause_max_ns=health.gc_pause_max_ns,
            clock_steps=health.clock_steps,
            clock_step_max_ns=health.clock_step_max_ns,
            descriptors=health.descriptors,
            nofile=health.nofile,
            exact_timer=health.exact_timer,
            throttling=health.throttling,
            measured_ns=self._measured["wall_ns"],
        )

    def _percent_of(self, key: tuple[str, int]) -> float:
        cpu, wall = self._cpu[key]
        return 100 * cpu / wall if wall > SLIVER_NS else 0.0


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


class WorkerRegistry:
    """All workers of a run; iteration yields them by index. `users` are those that the run is to have."""

    def __init__(self, secrets: Secrets = DEFAULT_SECRETS, users: UserCounts | None = None) -> None:
        self.users = users or UserCounts()
        self._hide = secrets.text
        self._workers: dict[int, WorkerState] = {}
        self._own_errors: list[ErrorCount] = []
        self._failure = ""

    def __len__(self) -> int:
        return len(self._workers)

    def __iter__(self) -> Iterator[WorkerState]:
        return iter([self._workers[index] for index in sorted(self._workers)])

    def expect(self, index: int) -> WorkerState:
        """Return the state of a worker, which from now on takes part whether or not it has reported."""
        if index not in self._workers:
            self._workers[index] = WorkerState(index)
        return self._workers[index]

    def knows(self, report: Report) -> bool:
        """Return whether the report was taken before."""
        return self.expect(report.worker).knows(report)

    def take(self, report: Report) -> bool:
        """Record a report; return False for one that was taken before."""
        return self.expect(report.worker).take(report)

    def not_final(self) -> set[int]:
        """Return the workers that have not sent their last report."""
        return {index for index, worker in self._workers.items() if not worker.final}

    def connections(self) -> ConnectionCounts:
        """Return the connections of all workers."""
        counts = [worker.report.connections for worker in self]
        codes: dict[str, int] = {}
        peers: dict[str, int] = {}
        for each in counts:
            merge_counts(codes, each.close_codes)
            merge_counts(peers, each.peers)
        return ConnectionCounts(
            asked=sum(each.asked for each in counts),
            opened=sum(each.opened for each in counts),
            failed=sum(each.failed for each in counts),
            dropped=sum(each.dropped for each in counts),
            reconnected=sum(each.reconnected for each in counts),
            reconnects_failed=sum(each.reconnects_failed for each in counts),
            tls_resumed=sum(each.tls_resumed for each in counts),
            attempts=sum(each.attempts for each in counts),
            attempts_failed=sum(each.attempts_failed for each in counts),
            close_codes=dict(sorted(codes.items())),
            peers=dict(sorted(peers.items())),
        )

    def connections_wanted(self) -> ConnectionCounts:
        """Return the connections of all workers, and as asked at least one for each user, who may open several."""
        counts = self.connections()
        return msgspec.structs.replace(counts, asked=max(self.users.wanted, counts.asked))

    @property
    def failure(self) -> str:
        """Why a part of the run cannot go on; empty if all can."""
        return next((worker.report.failure for worker in self if worker.report.failure), self._failure)

    def fail(self, failure: WsbenchError) -> bool:
        """Record that the directing process cannot go on; return False if it has failed before."""
        if self._failure:
            return False
        self._failure = self._hide(failure.what)
        self.add_error(failure)
        return True

    def errors(self) -> list[ErrorCount]:
        """Return the errors of all workers and of the master, the most frequent first."""
        merged: dict[tuple[str, str], ErrorCount] = {}
        of_workers = (error for worker in self for error in worker.report.errors)
        for error in (*of_workers, *self._own_errors):
            known = merged.get((error.kind, error.side))
            if known is not None:
                count, of_messages = known.count + error.count, known.of_messages + error.of_messages
                error = msgspec.structs.replace(known, count=count, of_messages=of_messages)  # noqa: PLW2901
            merged[error.kind, error.side] = error
        return sorted(merged.values(), key=lambda error: (-error.count, error.kind))

    def examples(self) -> list[ReplyExample]:
        """Return the first example of each kind and name, by worker."""
        first: dict[tuple[str, str], ReplyExample] = {}
        for example in (example for worker in self for example in worker.report.examples):
            first.setdefault((example.kind, example.name), example)
        return [first[key] for key in sorted(first)]

    def outage_ns(self) -> int:
        """Return the longest time in which no worker had an open connection. Workers without users do not count."""
        reports = [worker.report for worker in self]
        return longest_overlap([each.outages for each in reports if each.connections.opened or each.outages])

    def whole_run(self, counts: Mapping[str, int], requests: OtherRequests) -> WholeRun:
        """Return what went wrong in the whole run so far; `counts` are those of all phases."""
        connections = self.connections()
        listed = sum(error.count - error.of_messages for error in self.errors())
        return WholeRun(
            attempts=connections.attempts,
            failed=connections.attempts_failed,
            due=counts["sent"] + counts["missed"],
            lost=counts["lost"],
            errors=errors_of({**counts, "errors_listed": listed}) + requests.failed,
        )

    def add_error(self, error: WsbenchError) -> None:
        """Add an error that no worker has counted."""
        what, remedy = self._hide(error.what), self._hide(error.remedy)
        self._own_errors.append(ErrorCount(error.kind, str(error.side), 1, what, remedy))

    def negotiated(self) -> NegotiatedWith:
        """Return what the server granted to the first connection."""
        return next((granted for worker in self if (granted := worker.report.negotiated)), NegotiatedWith())

    def echo_path(self) -> str | None:
        """Return "native" or "python", by what served the echo connections of all workers; else "mixed", or None."""
        paths = {path for worker in self if (path := worker.report.health.echo_path) is not None}
        return "mixed" if len(paths) > 1 else next(iter(paths), None)

    def bytes_per_connection(self) -> int | None:
        """Return the memory of the workers per connection, its user included: their growth during the ramp."""
        health = [worker.report.health for worker in self]
        opened = sum(each.ramp_connections for each in health)
        return max(0, sum(each.ramp_bytes for each in health) // opened) if opened else None

    def evidence(
        self, options: RunOptions, series: Mapping[str, Buckets], counts: Mapping[str, int], missing: list[int]
    ) -> Evidence:
        """Return the evidence for a verdict.

        `series` and `counts` are those of the measure phase; `missing` workers have not sent their last report.
        """
        connections, granted = self.connections_wanted(), self.negotiated()
        return Evidence(
            closed_loop=options.closed_loop,
            workers=[worker.fitness() for worker in self],
            series=series,
            counts=counts,
            users=connections.asked,
            opened=connections.opened,
            dropped=connections.dropped,
            reconnected=connections.reconnected,
            compression_asked=options.connect.compression,
            compression_granted=granted.compression,
            subprotocols_asked=options.connect.subprotocols,
            subprotocol_granted=granted.subprotocol,
            generator_errors=[error.example for error in self.errors() if error.side == Side.GENERATOR],
            missing_workers=missing,
            edits=[*map(describe_edit, self.users.edits)],
            shape=self.users.shape,
        )
