"""The outcome of a run for its user, from its figures: passed, failed, or not measured.

The generator's verdict on itself is another matter: `measure.finding_rules`. docs/outcome.md lists what ends how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wsbench.measure.findings import WORKER_LOST
from wsbench.measure.series import BUILT_IN
from wsbench.results.run_result import (
    ConnectionCounts,
    ErrorCount,
    Gate,
    MessageCounts,
    OtherRequests,
    Outcome,
    Reason,
    Run,
    WholeRun,
)
from wsbench.run.protocol import rejected_reply_name
from wsbench.units import format_count, format_counted, format_seconds

PASSED, FAILED, NOT_MEASURED = "passed", "failed", "not-measured"
GATE_FAILED, NOT_TRUSTED = "gate-failed", "not-trusted"
WORKERS_LOST, PART_FAILED = "workers-lost", "part-failed"
_DROPS = (
    "closed", "closed-abruptly", "reset", "tls", "protocol-error", "flood", "namespace-ended", "socketio-version"
)  # fmt: skip
"""Kinds of errors of connections that the server ended."""
_OTHERS = ("scenario", "no-reply", "no-pong", "protocol-on-top", "disconnected", "close-unanswered", "internal")
"""Kinds of errors that are in no other count."""


def judge(run: Run, *, strict: bool, cut_short: Reason | None = None) -> Outcome:
    """Return the outcome of a run, its gates checked.

    `strict` requires a verdict of ok; `cut_short` is what ended the run before its time.
    """
    troubles = [*trouble(run.whole_run, run.messages_all_phases, run.connections, run.errors, run.other_requests)]
    lost = (finding for finding in run.generator.findings if finding.code == WORKER_LOST)
    troubles += [Reason(WORKER_LOST, 1, finding.evidence) for finding in lost]
    if cut_short is not None:
        return Outcome(NOT_MEASURED, [cut_short, *troubles])
    if nothing := [*_nothing_right(run)]:
        return Outcome(NOT_MEASURED, [*nothing, *troubles])
    if failures := [*_failures(run, strict=strict)]:
        return Outcome(FAILED, [*failures, *troubles])
    return Outcome(PASSED, troubles)


def due(counts: MessageCounts) -> int:
    """Return how many messages should have got a reply."""
    return counts.sent - counts.one_way + counts.missed


def nothing_measured(run: Run) -> str:
    """Return why a run has measured nothing; empty if it has measured something."""
    return run.outcome.reasons[0].evidence if run.outcome.result == NOT_MEASURED else ""


def right(counts: MessageCounts) -> int:
    """Return how many replies were right."""
    return counts.received - counts.pushed - counts.corrupted


def describe_failure(gate: Gate) -> str:
    """Return what a failed gate allowed, and what the figure was."""
    return f"{gate.stated}: was {gate.value}"


def _failures(run: Run, *, strict: bool) -> Iterator[Reason]:
    for gate in run.gates:
        if gate.failed:
            yield Reason(GATE_FAILED, 1, describe_failure(gate))
    if strict and run.generator.verdict != "ok":
        yield Reason(NOT_TRUSTED, 1, f"--strict: the generator was {run.generator.verdict}")


# -- nothing was measured ----------------------------------------------------------------------------------------------


def _nothing_right(run: Run) -> Iterator[Reason]:
    """Yield why a run has measured nothing, if so."""
    requests = run.other_requests
    if requests.count and requests.failed == requests.count:
        evidence = f"not one of {format_count(requests.count)} requests of other users succeeded: {requests.example}"
        yield Reason("requests-failed", requests.failed, evidence)
    if run.messages_all_phases.sent == run.messages_all_phases.one_way and _has_values(run):
        return  # messages that expect no reply; some may have been missed
    for counts, where in ((run.messages_all_phases, ""), (run.messages, " of the measure phase")):
        if due(counts) > 0 and right(counts) <= 0:
            yield _no_right_reply(run, counts, where)
            return
    if due(run.messages) == 0 and not requests.count and not _has_values(run):
        yield _nothing_due(run)


def _has_values(run: Run) -> bool:
    """Return whether a run without requests has measured something: its scenario's values, or what the server sent."""
    custom = any(latency.count for name, latency in run.latency.items() if name not in BUILT_IN)
    return custom or any(run.counters.values()) or (run.messages_all_phases.pushed > 0 and not run.errors)


def _no_right_reply(run: Run, counts: MessageCounts, where: str) -> Reason:
    messages = f"{format_count(due(counts))} messages{where}"
    wrong = counts.corrupted + counts.unexpected
    if rejected := _worst(run, lambda error: rejected_reply_name(error.kind) is not None):
        return Reason("refused", rejected.count, f"the scenario rejected every reply: {rejected.example}")
    if wrong:
        evidence = f"the server does not echo: not one of {format_count(wrong)} replies to {messages} was right"
        example = next((example for example in run.examples if not example.name), None)
        if example is not None:
            evidence += f"; the first: {example.difference}"
        return Reason("answers-otherwise", wrong, evidence)
    if closed := _closes_everything(run):
        return Reason("closes-at-once", run.connections.dropped, f"not one of {messages} was answered: {closed}")
    if counts.sent == counts.one_way:
        worst = f": {run.errors[0].example}" if run.errors else _blame(run)
        return Reason("never-sent", counts.missed, f"not one of {messages} could be sent{worst}")
    evidence = f"not one of {messages} was answered in time (--timeout {format_seconds(run.conditions.timeout_ns)})"
    if late := run.messages_all_phases.late:
        evidence += f"; {format_counted(late, 'reply', 'replies')} came later"
    return Reason("never-answers", counts.lost, evidence + _blame(run))


def _blame(run: Run) -> str:
    """Return a warning that the server may not be to blame; empty if the generator kept up."""
    verdict = run.generator.verdict
    return "" if verdict == "ok" else f"; the generator was {verdict}: the fault may be its own"


def _nothing_due(run: Run) -> Reason:
    before = due(run.messages_all_phases)
    where = " in the measure phase" if before else ""
    if closed := _closes_everything(run):
        return Reason("closes-at-once", run.connections.dropped, f"no message was sent{where}: {closed}")
    if run.errors:
        worst = run.errors[0]
        return Reason("never-sent", worst.count, f"no message was sent{where}: {worst.example}")
    why = (
        f"{format_counted(before, 'message')} before it, {format_count(run.messages_all_phases.lost)} of them lost"
        if before
        else "the run was too short for its rate, or its scenario sent none"
    )
    return Reason("nothing-due", 0, f"no message was due{where}: {why}")


def _closes_everything(run: Run) -> str:
    """Return how the server ended most of the connections that it had accepted; empty if it did not."""
    connections = run.connections
    accepted = connections.opened + connections.reconnected
    worst = _worst(run, lambda error: error.kind in _DROPS)
    most = connections.dropped > 0 and 2 * connections.dropped >= accepted
    return worst.example if worst is not None and most else ""


# -- trouble -----------------------------------------------------------------------------------------------------------


def trouble(
    whole: WholeRun,
    counts: MessageCounts,
    connections: ConnectionCounts,
    errors: Iterable[ErrorCount],
    requests: OtherRequests,
) -> Iterator[Reason]:
    """Yield what went wrong so far in the whole run."""
    if whole.failed:
        tried = f"{format_count(whole.failed)} of {format_count(whole.attempts)} attempts to connect failed"
        yield Reason("connect-failed", whole.failed, tried)
    if connections.dropped:
        yield Reason("dropped", connections.dropped, f"{format_counted(connections.dropped, 'connection')} dropped")
    for code in ("lost", "missed"):
        if count := getattr(counts, code):
            yield Reason(code, count, f"{format_count(count)} of {format_counted(whole.due, 'message')} {code}")
    replies = {
        "corrupted": (counts.corrupted - counts.rejected, "corrupted"),
        "rejected": (counts.rejected, "failed by the scenario"),
        **{code: (getattr(counts, code), code) for code in ("unexpected", "duplicated", "reordered")},
    }
    for code, (count, what) in replies.items():
        if count:
            yield Reason(code, count, f"{format_counted(count, 'reply', 'replies')} {what}")
    if requests.failed:
        evidence = (
            f"{format_count(requests.failed)} of {format_counted(requests.count, 'request')} of other users failed"
        )
        yield Reason("requests-failed", requests.failed, evidence)
    for error in errors:
        if error.kind in _OTHERS and error.count > error.of_messages:
            count = error.count - error.of_messages
            yield Reason(error.kind, count, f"{format_count(count)} × {error.example}")


def _worst(run: Run, concerns: Callable[[ErrorCount], bool]) -> ErrorCount | None:
    return next((error for error in run.errors if concerns(error)), None)
