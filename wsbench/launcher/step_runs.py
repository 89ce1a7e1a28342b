"""The runs of a search for a capacity, each like one of `wsbench run`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.capacity_search import step_ns
from wsbench.experiment.judge_step import judge_step, keeps_to_rate
from wsbench.launcher.execution import RunRequest, execute
from wsbench.launcher.interruptions import Interrupted, ignore_interruptions
from wsbench.launcher.local_target import death_of, explain_by_death, start_target
from wsbench.launcher.locust_process import FinishedRun
from wsbench.launcher.progress_display import ProgressLine
from wsbench.results.capacity_result import GENERATOR, TARGET, CapacityStep
from wsbench.results.experiment_result import RUNS
from wsbench.results.run_result import Run
from wsbench.run.gates import Condition


@dataclass(frozen=True)
class StepSpec:
    """The common part of all steps.

    Attributes:
        request: the run of every step, but for its load, length and name.
        target: the target that every step starts afresh; None for a server at the URL of the options.
        tls: whether the connections have TLS.
        default_objectives: whether the objectives are wsbench's own, because the user gave none.
        per_connection: messages a second on each connection, when these are searched; None when the rate is.
    """

    request: RunRequest
    target: str | None
    tls: bool
    objectives: Sequence[Condition]
    default_objectives: bool
    per_connection: float | None
    shortest_ns: int
    longest_ns: int

    def at(self, load: float) -> RunRequest:
        """Return the run of the step at a load; raise UsageError if its options do not go together."""
        connections = self.per_connection is not None
        rate = load if self.per_connection is None else load * self.per_connection
        samples = max(objective.samples for objective in self.objectives)
        options = replace(
            self.request.options,
            rate=float(f"{rate:.9g}"),
            users=round(load) if connections else self.request.options.users,
            duration_ns=step_ns(samples, rate, shortest_ns=self.shortest_ns, longest_ns=self.longest_ns),
            name=f"{'connections' if connections else 'rate'}-{load:.9g}",
            gates=tuple(objective.opposite for objective in self.objectives),
        )
        return replace(self.request, options=options)


class Steps:
    """Makes steps, one a call. The results of their runs go into the capacity's `directory`."""

    def __init__(self, spec: StepSpec, directory: Path, display: ProgressLine) -> None:
        self._spec = spec
        self._runs = directory / RUNS
        self._display = display
        self._rest_s = 0.0

    def __call__(self, load: float) -> CapacityStep:
        """Make the step at a load; raise KeyboardInterrupt if the user pressed Ctrl-C."""
        request = self._spec.at(load)
        request = replace(request, options=replace(request.options, results=self._runs))
        if self._spec.target is not None:
            return self._on_fresh_target(load, request, self._spec.target)
        if self._rest_s >= 1:
            self._display.say(f"  waits {self._rest_s:.0f} s for the target to work off what it left unanswered")
        time.sleep(self._rest_s)
        finished = self._execute(request)
        self._rest_s = rest_s(finished.run, longest_s=self._spec.longest_ns / 1e9)
        return self._assess(load, finished)

    def _on_fresh_target(self, load: float, request: RunRequest, target: str) -> CapacityStep:
        """Make the step on a target that no step before can have left busy or broken."""
        with start_target(target, tls=self._spec.tls, compression=request.options.connect.compression) as running:
            try:
                finished = self._execute(request.against(running))
            except WsbenchError as error:
                if running.running:
                    raise
                why = _one_line(str(explain_by_death(error, running)))
                return CapacityStep(load, request.options.rate or 0.0, request.options.users, TARGET, why)
            step = self._assess(load, finished)
            if running.running:
                return step
            return msgspec.structs.replace(step, outcome=TARGET, why=_one_line(death_of(running)))

    def _execute(self, request: RunRequest) -> FinishedRun:
        try:
            finished = execute(request, on_progress=self._display.update)
        except Interrupted:
            ignore_interruptions()
            raise KeyboardInterrupt from None
        if finished.interrupted:
            ignore_interruptions()
            raise KeyboardInterrupt
        if finished.path is None:
            raise finished.not_stored or WsbenchError("the result was not stored")
        return finished

    def _assess(self, load: float, finished: FinishedRun) -> CapacityStep:
        spec, run, scenario = self._spec, finished.run, self._spec.request.scenario
        rate_searched = scenario is not None and spec.per_connection is None
        if rate_searched and run.generator.verdict == "ok" and not keeps_to_rate(run):
            raise UsageError(
                f"{scenario}: its users do not send at a --rate",
                remedy="Derive them from EchoUser, or search how many of them: --connections.",
            )
        assert finished.path is not None
        where = f"{RUNS}/{finished.path.name}"
        on_schedule = scenario is None or not spec.per_connection
        step = judge_step(run, spec.objectives, load=load, where=where, on_schedule=on_schedule)
        if run.complete:
            return step
        return msgspec.structs.replace(step, outcome=GENERATOR, why="the run ended before its time")


def _one_line(text: str) -> str:
    return "; ".join(filter(None, (line.strip() for line in text.splitlines())))


def rest_s(run: Run, *, longest_s: float) -> float:
    """Return how long a target may need to answer the messages that it left unanswered, at its pace in the run, in s.

    These replies are of no use any more, but a server that answers in order sends them before the next run's.
    """
    unanswered = run.messages_all_phases.lost
    if not unanswered:
        return 0.0
    pace_per_s = run.throughput.received_per_s
    return min(longest_s, unanswered / pace_per_s) if pace_per_s else longest_s
