"""Options that have no effect together with others: a user who gives one expects something else.

An option from the environment is a default for many runs: it may have no effect on some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wsbench.errors import UsageError
from wsbench.websocket.server_url import parse_url


def _closed(values: Mapping[str, Any]) -> bool:
    """Return whether the run has no rate; a scenario may have one of its own, and `capacity` searches it."""
    return "rate" in values and values["rate"] is None and values["scenario"] is None


def _plain(values: Mapping[str, Any]) -> bool:
    """Return whether all connections are without TLS; a scenario may open others."""
    url: str | None = values["url"]
    secure = values["tls"] if url is None else url.lower().startswith("wss:")
    return not secure and values.get("scenario") is None


def _one_address(values: Mapping[str, Any]) -> bool:
    """Return whether the server has only one address; a scenario may connect to others."""
    url: str | None = values["url"]
    return (url is None or parse_url(url).is_address) and values.get("scenario") is None


_FOR_TLS = "it is for wss, and the server has ws"
_IDLE: dict[str, tuple[Callable[[Mapping[str, Any]], bool], str]] = {
    "in_flight": (lambda values: values.get("rate") is not None, "it is for a closed loop, and --rate opens it"),
    "arrivals": (_closed, "it is for an open loop, which needs --rate"),
    "payload_size": (lambda values: values["payload_file"] is not None, "the message is that of --payload-file"),
    "addresses": (_one_address, "it is for a name with several addresses"),
    "insecure": (_plain, _FOR_TLS),
    "ca": (_plain, _FOR_TLS),
    "tls_resume": (_plain, _FOR_TLS),
}


def refuse_idle_options(url: str | None, values: Mapping[str, Any], given: Callable[[str], bool]) -> None:
    """Raise UsageError if an option that the user has given for this run has no effect with the values of the others.

    Args:
        url: None for a target that wsbench starts.
        values: parsed values by option name, and those of --scenario and --tls.
        given: whether the user has given the option of this name for this run.
    """
    for name, (is_idle, reason) in _IDLE.items():
        if given(name) and is_idle({"url": url, "tls": False, **values}):
            raise UsageError(f"--{name.replace('_', '-')} has no effect: {reason}")
