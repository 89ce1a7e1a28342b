"""A single Locust process: its engine runs the users, and its director takes the engine's reports."""

from __future__ import annotations

from wsbench.locust_plugin import locust_options
from wsbench.locust_plugin.directing_session import DirectingSession
from wsbench.locust_plugin.stats_feed import request_event
from wsbench.run.protocol import PhaseUpdate
from wsbench.worker.engine import Engine


class LocalSession(DirectingSession):
    """Directs runs of the engine in the same process."""

    beside_engine = True

    def start(self) -> None:
        options = locust_options.options_of(self._environment, self._runner.target_user_count, 1)
        collector = self._direct(options).collector
        collector.registry.expect(0)
        on_request = request_event(self._environment)
        self.engine = Engine(options, worker=0, send=collector.receive, on_request=on_request)

    def broadcast(self, update: PhaseUpdate) -> None:
        assert self.engine is not None
        self.engine.apply_plan(update)

    def missing_workers(self) -> set[int]:
        return set()
