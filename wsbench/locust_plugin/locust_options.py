"""The options, scenario name and settings of a run, from Locust's environment and its start form."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsFloat

from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from wsbench import machine
from wsbench.errors import UsageError
from wsbench.locust_plugin import user_classes
from wsbench.run import gates, settings
from wsbench.run.handoff import Handoff
from wsbench.run.idle_options import refuse_idle_options
from wsbench.run.option_table import BY_NAME, OPTIONS, name_from
from wsbench.run.options import RunOptions
from wsbench.run.unused_proxy import unused_proxy


def options_of(environment: Environment, users: int, processes: int, url: str | None = None) -> RunOptions:
    """Return the options of a run that begins now, with the scenario's defaults for the rate and the name.

    They are the launcher's, if it handed over any; else those of Locust's command line and start form. `users` includes
    those that hold no connection, which do not count.

    Raises:
        UsageError: an option has no valid value.
    """
    handoff = Handoff.from_environment()
    connecting = sum(user_classes.connecting(environment, users).values())
    if users and not connecting:
        raise UsageError(
            f"not one of {users} users holds a connection",
            remedy="Give more --users, or change weight and fixed_count of the classes.",
        )
    users, own_url = connecting, user_classes.own_url(environment)
    if handoff is not None and handoff.options is not None:
        options = replace(handoff.options, users=users, processes=processes)
        if own_url is not None:
            options = replace(options, connect=replace(options.connect, url=own_url))
    else:
        texts, url = vars(environment.parsed_options), url or environment.host or own_url or ""
        options = RunOptions.from_texts(texts, url=url, users=users, processes=processes)
    rates = [_rate(user) for user in environment.user_classes if getattr(user, "rate", None) is not None]
    if options.rate is None and rates:
        options = replace(options, rate=sum(rates))
    if environment.shape_class is not None:  # it ends the run
        options = replace(options, duration_ns=None)
    return replace(options, name=options.name or name_from(scenario_of(environment)))


def _rate(user: Any) -> float:
    rate = user.rate
    if isinstance(rate, bool | str) or not isinstance(rate, SupportsFloat) or not 0 < float(rate) < math.inf:
        raise UsageError(f"`rate` of {user.__name__} is {rate!r}: it must be a number of messages a second")
    return float(rate)


def scenario_of(environment: Environment) -> str:
    """Return the name of the scenario: that of its file, or "echo" for a file that is only named locustfile.py."""
    return Path(environment.locustfile or "echo").stem.replace("locustfile", "echo")


def notices_of(environment: Environment, options: RunOptions) -> list[str]:
    """Return what is not as the user may expect it of the run that was asked for, a line each."""
    notices = []
    if environment.shape_class is not None:
        sets = f"the LoadTestShape {type(environment.shape_class).__name__} sets the number of users and ends the run"
        notices.append(f"{sets}: --users, --spawn-rate and --duration have no effect")
    if user_classes.own_url(environment) is not None:
        notices.append(f"the scenario's own host: {options.connect.shown_url}")
    launched = Handoff.from_environment() is not None
    if not launched or user_classes.own_url(environment) is not None:  # else the launcher has said it
        notices += filter(None, [unused_proxy(options.connect)])
    return notices


def is_custom(environment: Environment) -> bool:
    """Return whether the scenario has users that choose their own messages; echo users send those of the options."""
    return any(hasattr(user, "settings") for user in environment.user_classes)


def settings_of(environment: Environment, options: RunOptions) -> dict[str, str]:
    """Return the scenario's settings in effect; raise a UsageError for one that it does not declare."""
    declared = (getattr(user, "settings", {}) for user in environment.user_classes)
    return settings.effective(declared, options.settings)


def check(environment: Environment, runner: object) -> None:
    """Raise a UsageError if an option is wrong or this machine allows too few file descriptors for a run."""
    parsed = environment.parsed_options
    if isinstance(runner, WorkerRunner) or parsed is None:
        return
    url = environment.host or user_classes.own_url(environment)
    if not url and parsed.headless and Handoff.from_environment() is None:
        raise UsageError(
            "no URL to measure",
            remedy="Give --host ws://…, or use `wsbench run`, which can start an echo target of its own.",
        )
    users, processes = parsed.num_users or 1, parsed.processes or 1
    options = options_of(environment, users, processes, url=url or "ws://localhost")
    _check_scenario(environment, options)
    if url and Handoff.from_environment() is None:
        _refuse_idle(environment, options, vars(parsed), lambda name: _given(name, vars(parsed)[name]))
    if isinstance(runner, LocalRunner) or parsed.processes:
        machine.check_descriptors(users, processes)


def _check_scenario(environment: Environment, options: RunOptions) -> None:
    """Raise a UsageError for a setting, series or counter that the scenario does not have."""
    settings_of(environment, options)
    if not is_custom(environment):
        gates.check_known(options.gates)  # echo users have no series or counters of their own


def _given(name: str, text: Any) -> bool:
    """Return whether the command line has the option: its text is neither the default nor from the environment."""
    return _asks(name, text) and BY_NAME[name].env not in os.environ


def _asks(name: str, text: Any) -> bool:
    """Return whether the text differs from the option's default; a form posts "" for an option without one."""
    return text not in (None, False, "", BY_NAME[name].default)


def _refuse_idle(
    environment: Environment, options: RunOptions, texts: Mapping[str, Any], given: Callable[[str], bool]
) -> None:
    values = {
        "rate": options.rate,
        "payload_file": texts["payload_file"] or None,
        "scenario": environment.locustfile if is_custom(environment) else None,
    }
    refuse_idle_options(options.connect.url, values, given)


def form_error(form: Any, environment: Environment) -> str | None:
    """Return the first error of a posted start form, or None.

    `form` is as werkzeug parses it; its values are read as Locust reads them, over the options of the command line.
    """
    texts, runner = dict(vars(environment.parsed_options)), environment.runner
    for option in OPTIONS:
        value = form.get(option.name)
        if value is not None and option.repeatable:
            texts[option.name] = value.split(",") if "," in value else form.getlist(option.name)
        elif value is not None:
            texts[option.name] = value == "true" if option.parse is None else value
    users = form.get("user_count", "1")
    try:
        options = RunOptions.from_texts(
            texts,
            url=form.get("host") or environment.host or user_classes.own_url(environment) or "",
            users=int(users) if users.isdecimal() else 1,  # Locust reports this error itself
            processes=(runner.worker_count if isinstance(runner, MasterRunner) else 1) or 1,
        )
        _check_scenario(environment, options)
        shown = vars(environment.parsed_options)
        _refuse_idle(environment, options, texts, lambda name: _asks(name, texts[name]) and texts[name] != shown[name])
    except UsageError as error:
        return str(error)
    return None
