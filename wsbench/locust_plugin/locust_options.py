"""The options, scenario name and settings of a run, from Locust's environment."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from locust.env import Environment
from locust.runners import LocalRunner, WorkerRunner

from wsbench import machine
from wsbench.errors import UsageError
from wsbench.run import gates, settings
from wsbench.run.handoff import Handoff
from wsbench.run.options import RunOptions


def options_of(environment: Environment, users: int, processes: int, url: str | None = None) -> RunOptions:
    """Return the options of a run that begins now, with the scenario's defaults for the rate and the name.

    They are the launcher's, if it handed over any; else those of Locust's command line and start form.

    Raises:
        UsageError: an option has no valid value.
    """
    handoff = Handoff.from_environment()
    if handoff is not None and handoff.options is not None:
        options = replace(handoff.options, users=users, processes=processes)
    else:
        texts = vars(environment.parsed_options)
        options = RunOptions.from_texts(texts, url=url or environment.host or "", users=users, processes=processes)
    rates = [rate for user in environment.user_classes if (rate := getattr(user, "rate", None)) is not None]
    if options.rate is None and rates:
        options = replace(options, rate=float(sum(rates)))
    return replace(options, name=options.name or re.sub(r"[^\w.+-]+", "-", scenario_of(environment)))


def scenario_of(environment: Environment) -> str:
    """Return the name of the scenario: that of its file, or "echo" for a file that is only named locustfile.py."""
    return Path(environment.locustfile or "echo").stem.replace("locustfile", "echo")


def settings_of(environment: Environment, options: RunOptions) -> dict[str, str]:
    """Return the scenario's settings in effect.

    Raises:
        UsageError: the scenario does not declare a setting.
    """
    declared = (getattr(user, "settings", {}) for user in environment.user_classes)
    return settings.effective(declared, options.settings)


def check(environment: Environment, runner: object) -> None:
    """Check all that can be known before a run starts.

    Raises:
        UsageError: an option is wrong, or this machine allows too few file descriptors.
    """
    parsed = environment.parsed_options
    if isinstance(runner, WorkerRunner) or parsed is None:
        return
    if not environment.host and parsed.headless:
        raise UsageError(
            "no URL to measure",
            remedy="Give --host ws://…, or use `wsbench run`, which can start an echo target of its own.",
        )
    users, processes = parsed.num_users or 1, parsed.processes or 1
    options = options_of(environment, users, processes, url=environment.host or "ws://localhost")
    settings_of(environment, options)
    if not any(hasattr(user, "settings") for user in environment.user_classes):
        gates.check_known(options.gates)  # echo users have no series or counters of their own
    if isinstance(runner, LocalRunner) or parsed.processes:
        machine.check_descriptors(users, processes)
