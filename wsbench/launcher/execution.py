"""Execution of one run: the request, Locust's command line, and the result."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin

import wsbench
from wsbench.launcher.local_target import DEFAULT_TARGET
from wsbench.launcher.locust_process import FinishedRun, free_port, run_locust
from wsbench.launcher.web_port import WEB_HOST
from wsbench.results.directory import Staging
from wsbench.run.handoff import Handoff, Progress, StartedTarget
from wsbench.run.options import DEFAULT_SPAWN_RATE, RunOptions
from wsbench.targets.running import RunningTarget
from wsbench.units import NS_PER_S

RAMP_S = 10
"""Without --spawn-rate, all connections are opened within this time."""
_SAVING_S = 15.0
"""After the drain, the time for workers that outlive their master to save what they measured."""


@dataclass(frozen=True)
class RunRequest:
    """A run to execute.

    Attributes:
        spawn_rate: connections opened a second; None for a rate that opens all within `RAMP_S`.
        run_time_s: length of the whole run, None for the sum of its phases.
        scenario: a locustfile, None for ours.
        target: the target that wsbench started, None for a server of the user.
        form: with Locust's web UI: the options as on a command line, which its start form shows and changes.
    """

    options: RunOptions
    spawn_rate: float | None = None
    run_time_s: int | None = None
    scenario: Path | None = None
    target: StartedTarget | None = None
    form: Sequence[str] | None = None

    def against(self, running: RunningTarget) -> RunRequest:
        """Return the same run against a target that wsbench started."""
        url = running.url
        if self.scenario is not None and running.name == DEFAULT_TARGET:
            url = urljoin(url, "/")  # the scenario decides on the path; / echoes as well
        ca_file = None if running.ca_file is None else str(running.ca_file)
        # A target without processes is a server that the user started.
        target = StartedTarget(running.name, running.version, running.pids) if running.children else None
        return replace(self, options=self.options.against(url, ca_file), target=target)


def execute(request: RunRequest, *, on_progress: Callable[[Progress], None] = lambda _: None) -> FinishedRun:
    """Run Locust; raise WsbenchError if nothing could be measured."""
    options = request.options
    staging = Staging.create(options.results, options.name)
    handoff = Handoff(
        staging=str(staging.path.absolute()),
        command=options.secrets.command(["wsbench", *sys.argv[1:]]),
        options=None if request.form is not None else options,
        target=request.target,
        secrets=options.secrets,
    )
    try:
        return run_locust(
            _arguments(request),
            staging=staging,
            handoff=handoff,
            on_progress=on_progress,
            patience_s=min(options.drain_ns, options.timeout_ns) / NS_PER_S + _SAVING_S,
        )
    finally:
        staging.discard()


def _may_have_its_own_host(request: RunRequest) -> bool:
    """Return whether the user named no server: then a host of a scenario's class comes before the default target."""
    by_default = request.target is not None and request.target.name == DEFAULT_TARGET
    return by_default and request.scenario is not None and request.form is None


def _arguments(request: RunRequest) -> list[str]:
    """Return Locust's command line."""
    options = request.options
    locustfile = request.scenario or Path(wsbench.__file__).parent / "users" / "locustfile.py"
    spawn_rate = request.spawn_rate or max(DEFAULT_SPAWN_RATE, options.users / RAMP_S)
    arguments = ["-f", str(locustfile), "--users", str(options.users)]
    if not _may_have_its_own_host(request):
        arguments += ["--host", options.connect.url]
    arguments += ["--spawn-rate", f"{spawn_rate:g}", "--only-summary"]
    if request.form is None:
        arguments += ["--headless"]
    else:
        # Locust listens on every interface by default: only its user may choose that.
        arguments += ["--autostart", "--web-host", WEB_HOST, *request.form]
        if options.connect.ca_file is not None:
            arguments.append(f"--ca={options.connect.ca_file}")
    if request.run_time_s is not None:
        arguments += ["--run-time", f"{request.run_time_s}s"]
    if options.processes > 1:
        port = str(free_port())
        arguments += ["--processes", str(options.processes), "--master-port", port]
        arguments += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    return arguments
