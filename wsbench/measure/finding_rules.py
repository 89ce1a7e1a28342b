"""Rules that turn observations of the generator into findings, and their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wsbench.measure.cpu_rules import CPU_LIMIT_PERCENT, cpu_throttled, cpu_used
from wsbench.measure.findings import LATE, NOTE, READ_LATE, SATURATED, WORKER_LOST, Evidence, Finding, verdict_of
from wsbench.measure.histogram import PERCENTS, out_of_range, percentile, samples_needed
from wsbench.units import NS_PER_MS, NS_PER_S, format_count, format_duration

LAG_FLOOR_NS = 2 * NS_PER_MS
"""Lateness below this is normal on shared machines; above, it is compared with the response time."""
LAG_SHARE = 0.5
"""Lateness above this share of the response time at the same percentile invalidates the response time."""
STALL_LIMIT_NS = 50 * NS_PER_MS
GC_LIMIT_NS = 20 * NS_PER_MS
QUEUE_RATIO = 10
"""Replies that wait this many times longer for the generator than for the server queue in the generator."""
DESCRIPTOR_SHARE = 0.9
QUEUED_LIMIT_NS = 5 * NS_PER_S
"""A start of thousands of connections at once queues for a second or two."""
_EDITS_SHOWN = 5


def judge(evidence: Evidence) -> tuple[str, list[Finding]]:
    """Return the verdict and its findings, the most severe first."""
    return verdict_of(finding for rule in RULES for finding in rule(evidence))


def _sent_late(evidence: Evidence) -> Iterator[Finding]:
    series = evidence.series
    if not evidence.closed_loop and _asking(evidence.counts):
        lag, response = percentile(series.get("send_lag", {}), 99), percentile(series.get("response", {}), 99)
        if lag is not None and lag > LAG_FLOOR_NS and (response is None or lag > LAG_SHARE * response):
            yield Finding(
                "sent-late",
                f"1 % of the messages left {format_duration(lag)} or more after they were due "
                f"(response p99: {format_duration(response)})",
                "Lower --rate, use more --processes or a machine that is not shared; `service` is not affected.",
                LATE,
            )


def _unscheduled(evidence: Evidence) -> Iterator[Finding]:
    # A scenario that waits for scheduled instants never sends at the exact nanosecond every time.
    if not evidence.closed_loop and evidence.series.get("send_lag", {}).keys() == {0}:
        yield Finding(
            "unscheduled",
            "--rate was given, but the scenario sent no message at a scheduled instant: each was due when it was sent",
            "Loop over self.ticks() and pass `due_ns` on, or leave --rate out.",
        )


def _read_late(evidence: Evidence) -> Iterator[Finding]:
    series = evidence.series
    read, service = percentile(series.get("read_lag", {}), 50), percentile(series.get("service", {}), 50)
    if read is not None and service is not None and read > LAG_FLOOR_NS / 10 and read > QUEUE_RATIO * service:
        yield Finding(
            READ_LATE,
            f"half of the replies waited {format_duration(read)} or more in the socket until the generator read them "
            f"(the server took {format_duration(service)})",
            "They queue in the generator: use more --processes or fewer connections.",
            SATURATED if evidence.closed_loop else LATE,
        )


def _slow_ramp(evidence: Evidence) -> Iterator[Finding]:
    worker = max(evidence.workers, key=lambda worker: worker.handshakes_queued_ns, default=None)
    if worker is None or (queued_ns := worker.handshakes_queued_ns) <= QUEUED_LIMIT_NS:
        return
    cpu_percent = 100 * worker.handshakes_queued_cpu_ns / queued_ns
    shown = (
        f"handshakes queued for {format_duration(queued_ns)} of the ramp, in which worker {worker.index} used "
        f"{int(cpu_percent)} % of a core"
    )
    if cpu_percent >= CPU_LIMIT_PERCENT:
        limit = "the generator was too slow for --spawn-rate"
        remedy = "Use more --processes, or lower --spawn-rate. `connect` is too long by the time the generator took."
    else:
        limit = "the server answered them more slowly than --spawn-rate started them"
        remedy = "`connect` has their times. Lower --spawn-rate; a server on the same machine shares the CPU."
    yield Finding("slow-ramp", f"{shown}: {limit}", remedy)


def _interruptions(evidence: Evidence) -> Iterator[Finding]:
    for worker in evidence.workers:
        if worker.stall_max_ns > STALL_LIMIT_NS:
            yield Finding(
                "hub-stalled",
                f"worker {worker.index}'s event loop was blocked for {format_duration(worker.stall_max_ns)}",
                "Look for blocking code in the scenario, other load on the machine, or a CPU quota that is used up.",
                LATE if worker.stall_max_ns > 2 * STALL_LIMIT_NS else NOTE,
            )
        if worker.gc_pause_max_ns > GC_LIMIT_NS:
            yield Finding(
                "gc-pause",
                f"the garbage collector stopped worker {worker.index} for {format_duration(worker.gc_pause_max_ns)}",
                "The scenario keeps many objects: keep fewer, or use more --processes.",
            )
        if worker.clock_steps:
            yield Finding(
                "clock-stepped",
                f"the clock of worker {worker.index} stepped {worker.clock_steps} times, "
                f"by up to {format_duration(worker.clock_step_max_ns)}: latencies at these times are wrong",
                "Configure the time service to slew the clock, not to step it, while measuring.",
                LATE,
            )
        if worker.nofile and worker.descriptors > DESCRIPTOR_SHARE * worker.nofile:
            yield Finding(
                "descriptors",
                f"worker {worker.index} had {worker.descriptors} of {worker.nofile} file descriptors open",
                "Raise the limit (ulimit -n) or use more --processes.",
            )
    if not evidence.closed_loop and any(not worker.exact_timer for worker in evidence.workers):
        yield Finding(
            "coarse-timer",
            "this platform has no timerfd: messages leave up to a millisecond late",
            "Generate the load on Linux.",
        )


def _losses(evidence: Evidence) -> Iterator[Finding]:
    counts = evidence.counts
    if overdue := counts.get("overdue", 0):
        yield Finding(
            "overdue",
            f"{format_count(overdue)} messages were due, but the generator was too slow to send them",
            "Lower --rate, or use more --processes; they count as lost in `response`.",
            SATURATED,
        )
    if counts.get("missed", 0) > overdue:
        yield Finding(
            "missed",
            f"{format_count(counts['missed'] - overdue)} messages were due but never sent: their connection was closed "
            "or its socket full",
            "The target reads too slowly or drops connections; the messages count as lost in `response`.",
        )
    if counts.get("late"):
        yield Finding(
            "late-replies",
            f"{format_count(counts['late'])} replies arrived after --timeout; their messages are counted as lost",
            "Give a longer --timeout to include them in the distribution.",
        )
    if evidence.opened < evidence.users:
        shown = f"{evidence.opened} of {evidence.users} connections could be opened"
        yield Finding("fewer-connections", shown, "See `errors`.")
    if evidence.dropped:
        back = f", {evidence.reconnected} were reopened" if evidence.reconnected else ""
        shown = f"{evidence.dropped} connections were dropped{back}"
        yield Finding("dropped", shown, "See `errors` and `close_codes`.")
    unsettled = _asking(counts) - (counts.get("received", 0) - counts.get("pushed", 0)) - counts.get("lost", 0)
    for index in evidence.missing_workers:
        yield Finding(
            WORKER_LOST,
            f"worker {index} did not send its last report: its earlier reports are counted, "
            f"the outcome of {format_count(unsettled)} messages is unknown",
            "See locust.log; the figures lack the last messages of that worker.",
            LATE,
        )
    if evidence.master_lost:
        yield Finding(
            "master-lost",
            evidence.master_lost,
            "Do not add it to a result of the master, which may include a part of it; see the master's log.",
            LATE,
        )
    for what in evidence.generator_errors:
        yield Finding("generator-error", what, "wsbench or the scenario has a defect: see locust.log.", LATE)


def _users(evidence: Evidence) -> Iterator[Finding]:
    remedy = "The figures are those of several loads together: timeline.csv and the charts show each."
    if evidence.shape:
        set_by = f"the LoadTestShape {evidence.shape} set the number of users and the end of the run"
        yield Finding("load-shape", f"{set_by}: --users, --spawn-rate and --duration had no effect", remedy)
    elif evidence.edits:
        more = f", and {len(evidence.edits) - _EDITS_SHOWN} times more" if len(evidence.edits) > _EDITS_SHOWN else ""
        shown = ", ".join(evidence.edits[:_EDITS_SHOWN]) + more
        yield Finding("users-edited", f"the number of users was edited while the run was in progress: {shown}", remedy)


def _asking(counts: Mapping[str, int]) -> int:
    """Return the number of messages that expect a reply."""
    return counts.get("sent", 0) - counts.get("one_way", 0)


def _timestamps(evidence: Evidence) -> Iterator[Finding]:
    received, user = evidence.counts.get("received", 0), evidence.counts.get("user_stamped", 0)
    if received and user == received:
        yield Finding(
            "no-kernel-timestamps",
            "the kernel gave no receive timestamps: `service` and `response` include the wait until a reply was read",
            "Generate the load on Linux.",
        )
    for name, buckets in evidence.series.items():
        negative, over = out_of_range(buckets)
        if negative or over:
            yield Finding(
                "out-of-range",
                f"{negative} values of {name} were negative and {over} over an hour; they count as 0 and as 1 h",
                "A clock stepped, or a reply took longer than any histogram holds.",
            )


def _negotiation(evidence: Evidence) -> Iterator[Finding]:
    if evidence.opened and evidence.compression_asked != "off" and evidence.compression_granted is None:
        yield Finding(
            "compression-not-granted",
            f"compression was offered ({evidence.compression_asked}) and not granted: messages were not compressed",
            "Turn on permessage-deflate in the server (and in the proxy in front of it).",
        )
    if evidence.opened and evidence.subprotocols_asked and evidence.subprotocol_granted is None:
        yield Finding(
            "subprotocol-not-granted",
            f"the server granted none of the subprotocols {', '.join(evidence.subprotocols_asked)}",
            "Check the names that the server supports.",
        )


def _samples(evidence: Evidence) -> Iterator[Finding]:
    due = _asking(evidence.counts) + evidence.counts.get("missed", 0)
    if not due:
        if not any(evidence.series.values()):  # otherwise a scenario that measures no round trips
            yield Finding("no-samples", "no message was due in the measure phase", "Give a longer --duration.")
        return
    thin = [p for p in PERCENTS if due < samples_needed(1 - p / 100)]
    if thin:
        needs = ", ".join(f"p{p:g} needs {format_count(samples_needed(1 - p / 100))}" for p in thin)
        yield Finding(
            "few-samples",
            f"too few messages ({format_count(due)}): {needs}",
            "Give a longer --duration, or do not rely on these.",
        )


RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    cpu_used,
    cpu_throttled,
    _sent_late,
    _unscheduled,
    _read_late,
    _slow_ramp,
    _interruptions,
    _losses,
    _users,
    _timestamps,
    _negotiation,
    _samples,
)
"""All rules. A caller that must not block for long applies them one at a time, and then `verdict_of`."""
