"""Checks of wsbench's options in Locust's start form, before a run is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsbench.errors import UsageError
from wsbench.run.options import OPTIONS, RunOptions


def check(form: Any, parsed: Mapping[str, Any], *, host: str, processes: int) -> str | None:
    """Return the first error of a posted form, or None.

    Args:
        form: the form, as werkzeug parses it; its values are read as Locust reads them.
        parsed: the options in effect where the form has none.
    """
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
            url=form.get("host") or host,
            users=int(users) if users.isdecimal() else 1,  # Locust reports this error itself
            processes=processes,
        )
    except UsageError as error:
        return str(error)
    return None
