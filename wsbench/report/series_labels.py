"""The series of a run that reports show, in their order, and the labels of the series."""

from __future__ import annotations

from wsbench.measure.series import AWAY, BUILT_IN, CONNECT_SERIES, LATENCY_SERIES
from wsbench.results.run_result import Run

_LABELS = {"send_lag": "send lag", "read_lag": "read lag", "tcp": "TCP", "tls": "TLS"}


def label(run: Run, name: str) -> str:
    """Return the label of a series."""
    return "response = service" if name == "response" and response_is_service(run) else _LABELS.get(name, name)


def response_is_service(run: Run) -> bool:
    """Return whether the two are the same, as in a closed loop, in which a message is due when it is sent."""
    return run.latency["response"] == run.latency["service"]


def message_series(run: Run) -> list[str]:
    """Return the series that every message has. A closed loop's `send_lag` is zero by definition, and left out.

    So is `service` if it is the same as `response`.
    A scenario with custom series may have no round trips: the series that are empty then are left out too.
    """
    hidden = ["send_lag"] if run.conditions.loop == "closed" else []
    hidden += ["service"] if response_is_service(run) else []
    if scenario_series(run):
        hidden += [name for name in LATENCY_SERIES if not (run.latency[name].count or run.latency[name].lost)]
    return [name for name in LATENCY_SERIES if name in run.latency and name not in hidden]


def scenario_series(run: Run) -> list[str]:
    """Return the custom series of the scenario."""
    return [name for name in run.latency if name not in BUILT_IN]


def has_own_scenario(run: Run) -> bool:
    """Return whether the run has a custom scenario, which chooses its own messages."""
    return bool(run.conditions.settings or run.counters or scenario_series(run))


def headline_series(run: Run) -> str:
    """Return the most important series of the run."""
    custom = scenario_series(run)
    return custom[0] if custom and "response" not in message_series(run) else "response"


def connect_series(run: Run) -> list[str]:
    """Return the series of opening connections that are not empty."""
    return [name for name in (*CONNECT_SERIES, AWAY) if name in run.latency and run.latency[name].count]
