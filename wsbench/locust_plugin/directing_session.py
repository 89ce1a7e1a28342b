"""A Locust process that directs runs: what a single process and a master have in common."""

from __future__ import annotations

import sys
from abc import abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import gevent
from locust.env import Environment

from wsbench.errors import ExitCode
from wsbench.locust_plugin import locust_options
from wsbench.locust_plugin.run_log import RunLog
from wsbench.locust_plugin.stats_feed import StatsFeed
from wsbench.master.director import Director
from wsbench.master.result_writer import WrittenResult, print_summary
from wsbench.master.run_host import RunHost
from wsbench.measure.histogram import Buckets
from wsbench.results.directory import Staging
from wsbench.run.handoff import Handoff
from wsbench.run.options import RunOptions
from wsbench.run.protocol import Report, RunDescription
from wsbench.worker.engine import Engine


class DirectingSession(RunHost):
    """The host of a director: a session of a process that directs runs.

    Attributes:
        director: directs the present or the latest run; None before the first one.
        engine: runs the users of a single process; None in a master, and before the first run.
        finished: the result directories of this process, the latest last.
    """

    beside_engine: ClassVar[bool]

    def __init__(self, environment: Environment, runner: Any) -> None:
        self.director: Director | None = None
        self.engine: Engine | None = None
        self.finished: list[Path] = []
        self._environment = environment
        self._runner = runner
        self._stats: StatsFeed | None = None
        self._log: RunLog | None = None

    @abstractmethod
    def start(self) -> None:
        """Begin a run.

        Raises:
            UsageError: an option is wrong.
        """

    def _direct(self, options: RunOptions) -> Director:
        handoff = Handoff.from_environment()
        if handoff is None or not Path(handoff.staging).is_dir():  # the web UI can start one run after another
            staging = Staging.create(options.results, options.name)
            command = handoff.command if handoff else ["locust", *sys.argv[1:]]
            handoff = Handoff(str(staging.path), command, target=handoff.target if handoff else None)
            self._log = RunLog(staging.path)
        staging = Staging(Path(handoff.staging))
        # With --request-events Locust counts requests itself.
        self._stats = None if options.request_events else StatsFeed(self._environment.stats)
        self.director = Director(
            RunDescription(
                options=options,
                scenario=locust_options.scenario_of(self._environment),
                run_id=staging.run_id,
                started=datetime.now(UTC),
                command=handoff.command,
                settings=locust_options.settings_of(self._environment, options),
            ),
            staging=staging,
            handoff=handoff,
            host=self,
            beside_engine=self.beside_engine,
        )
        return self.director

    # -- `RunHost` -------------------------------------------------------------------------------------------------

    def show(self, report: Report, response: Buckets) -> None:
        if self._stats is not None:
            self._stats.take(report, response)

    def finalize_counters(self, counters: dict[str, int]) -> None:
        for user in self._environment.user_classes:
            if hasattr(user, "finalize_counters"):
                user.finalize_counters(counters)

    def run_ended(self, code: ExitCode) -> None:
        if self._log is not None:
            self._log.detach()
            self._log = None
        if code is not ExitCode.OK:
            self._environment.process_exit_code = int(code)
        if self.director is not None:
            self._show_result(self.director.result, quiet=self.director.described.options.quiet)
        # In a new greenlet: quitting may kill the present one.
        gevent.spawn(self._runner.quit if self._environment.parsed_options.headless else self._runner.stop)

    def _show_result(self, result: WrittenResult, *, quiet: bool) -> None:
        if result.directory is not None:
            self.finished.append(result.directory)
        if Handoff.from_environment() is not None:
            return  # the launcher prints it
        if result.run is not None and (result.directory is None or not quiet):
            print_summary(result.run, result.directory)
        if result.failure is not None:
            print(f"wsbench: error: {result.failure}", file=sys.stderr)
