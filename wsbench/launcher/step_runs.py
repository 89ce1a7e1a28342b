"""The runs of a search for a capacity, each like one of `wsbench run`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from wsbench.cli.progress import ProgressLine
from wsbench.cli.run import PLACEHOLDER, execute, forget_environment, reach, start_target
from wsbench.errors import UsageError, WsbenchError
from wsbench.experiment.capacity_search import step_ns
from wsbench.experiment.judge_step import judge_step, keeps_to_rate
from wsbench.launcher.cell_runs import death, with_its_end
from wsbench.launcher.locust_process import FinishedRun, Interrupted, ignore_interruptions
from wsbench.results.capacity_result import GENERATOR, TARGET, CapacityStep
from wsbench.results.experiment_result import RUNS
from wsbench.results.run_result import Run
from wsbench.run.gates import Condition
from wsbench.run.handoff import StartedTarget
from wsbench.run.options import RunOptions


@dataclass(frozen=True)
class StepSpec:
    """What the steps have in common.

    Attributes:
        url: None for a target of our own, which every step starts afresh.
        given: the options of `wsbench run`, as text.
        per_connection: messages a second on each connection, when these are searched; None when the rate is.
    """

    url: str | None
    given: dict[str, Any]
    objectives: Sequence[Condition]
    per_connection: float | None
    shortest_ns: int
    longest_ns: int

    @property
    def tls(self) -> bool:
        """Whether the connections have TLS."""
        return bool(self.given["tls"]) if self.url is None else self.url.lower().startswith("wss:")

    def options(self, load: float) -> dict[str, Any]:
        """The options of a step, but for where its result goes."""
        rate = load if self.per_connection is None else load * self.per_connection
        users = self.given["users"] if self.per_connection is None else round(load)
        what = "rate" if self.per_connection is None else "connections"
        samples = max(objective.samples for objective in self.objectives)
        measure_ns = step_ns(samples, rate, shortest_ns=self.shortest_ns, longest_ns=self.longest_ns)
        return {
            **self.given,
            "rate": f"{rate:.9g}",
            "users": users,
            "duration": f"{measure_ns}ns",
            "name": f"{what}-{load:.9g}",
        }

    def checked(self, load: float) -> RunOptions:
        """The same, checked.

        Raises:
            UsageError: they do not go together.
        """
        given = self.options(load)
        url = self.url or PLACEHOLDER
        return RunOptions.from_mapping(given, url=url, users=given["users"], processes=given["processes"])


class Steps:
    """Makes steps, one a call.

    Args:
        directory: the capacity's; results of runs go into it.
        line: shows where a run stands.
    """

    def __init__(self, plan: StepSpec, directory: Path, line: ProgressLine) -> None:
        self._plan = plan
        self._runs = directory / RUNS
        self._line = line
        self._rest_s = 0.0
        forget_environment()

    def __call__(self, load: float) -> CapacityStep:
        """The step at a load.

        Raises:
            WsbenchError: nothing could be measured.
            KeyboardInterrupt: the user wants no more.
        """
        if self._plan.url is None:
            return self._on_our_own(load)
        if self._rest_s >= 1:
            self._line.say(f"  waits {self._rest_s:.0f} s for the target to work off what it left unanswered")
        time.sleep(self._rest_s)
        ended = self._ended(load, {"url": self._plan.url}, None)
        self._rest_s = rest_s(ended.run, longest_s=self._plan.longest_ns / 1e9)
        return self._assessed(load, ended)

    def _on_our_own(self, load: float) -> CapacityStep:
        """A fresh target, so that none is measured that the step before has left busy or broken."""
        with start_target(self._plan.checked(load), self._plan.given) as running:
            where, target = reach(running, self._plan.given["scenario"])
            try:
                ended = self._ended(load, where, target)
            except WsbenchError as error:
                if running.running:
                    raise
                return self._died(load, str(with_its_end(error, running)))
            step = self._assessed(load, ended)
            return step if running.running else self._died(load, death(running), step)

    def _ended(self, load: float, where: dict[str, str], target: StartedTarget | None) -> FinishedRun:
        given = {**self._plan.options(load), "results": str(self._runs)}
        options = RunOptions.from_mapping(given, url=where["url"], users=given["users"], processes=given["processes"])
        try:
            ended = execute(options, given, where, target, on_progress=self._line.update)
        except Interrupted:
            ignore_interruptions()
            raise KeyboardInterrupt from None
        if ended.interrupted:
            ignore_interruptions()
            raise KeyboardInterrupt
        if ended.path is None:
            raise ended.not_stored or WsbenchError("the result was not stored")
        return ended

    def _assessed(self, load: float, ended: FinishedRun) -> CapacityStep:
        plan, run = self._plan, ended.run
        own_users = plan.given["scenario"] is not None
        if own_users and plan.per_connection is None and run.generator.verdict == "ok" and not keeps_to_rate(run):
            raise UsageError(
                f"{plan.given['scenario']}: its users do not send at a --rate",
                remedy="Derive them from EchoUser, or search how many of them: --connections.",
            )
        assert ended.path is not None
        where = f"{RUNS}/{ended.path.name}"
        step = judge_step(
            run, plan.objectives, load=load, where=where, on_schedule=not own_users or not plan.per_connection
        )
        if ended.run.complete:
            return step
        return replace(step, outcome=GENERATOR, why="the run ended before its time")

    def _died(self, load: float, how: str, step: CapacityStep | None = None) -> CapacityStep:
        why = "; ".join(filter(None, (line.strip() for line in how.splitlines())))
        if step is None:
            given = self._plan.options(load)
            return CapacityStep(load, float(given["rate"]), given["users"], TARGET, why)
        return replace(step, outcome=TARGET, why=why)


def rest_s(run: Run, *, longest_s: float) -> float:
    """How long a target may yet be busy with what it left unanswered, at the pace at which it answered, in seconds.

    Nobody waits for these replies any more; but a server that answers in turn has the next run's behind them.
    """
    unanswered = run.messages_all_phases.lost
    if not unanswered:
        return 0.0
    pace_per_s = run.throughput.received_per_s
    return min(longest_s, unanswered / pace_per_s) if pace_per_s else longest_s
