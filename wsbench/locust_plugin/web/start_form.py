"""Checks of wsbench's options in Locust's start form, before a run is started."""

from __future__ import annotations

from typing import Any

from locust.env import Environment
from locust.runners import MasterRunner

from wsbench.errors import UsageError
from wsbench.run.option_table import OPTIONS
from wsbench.run.options import RunOptions


def check(form: Any, environment: Environment) -> str | None:
    """Return the first error of a posted form, or None.

    `form` is as werkzeug parses it; its values are read as Locust reads them, over the options of the command line.
    """
    parsed, runner = vars(environment.parsed_options), environment.runner
    workers = runner.worker_count if isinstance(runner, MasterRunner) else 1
    raw = {option.name: parsed.get(option.name) for option in OPTIONS}
    for option in OPTIONS:
        if option.name not in form:
            continue
        value = form[option.name]
        if option.parse is None:
            raw[option.name] = value == "true"
        elif option.repeatable:
            raw[option.name] = value.split(",") if "," in value else form.getlist(option.name)
        else:
            raw[option.name] = value
    users = form.get("user_count", "1")
    try:
        RunOptions.from_texts(
            raw,
            url=form.get("host") or environment.host or "",
            users=int(users) if users.isdecimal() else 1,  # Locust reports this error itself
            processes=workers or 1,
        )
    except UsageError as error:
        return str(error)
    return None
