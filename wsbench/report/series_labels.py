"""Which series of a run are shown to people, in which order, and what they are called there."""

from __future__ import annotations

from wsbench.measure.series import CONNECT_SERIES, LATENCY_SERIES, SERIES
from wsbench.results.run_result import Run

LABELS = {"send_lag": "send lag", "read_lag": "read lag", "tcp": "TCP", "tls": "TLS"}


def label(name: str) -> str:
    """What a series is called."""
    return LABELS.get(name, name)


def message_series(run: Run) -> list[str]:
    """Those of every message; in a closed loop without `send_lag`, which is zero there by definition.

    A scenario that has series of its own may have no round trips: without those that are empty for that.
    """
    hidden = ["send_lag"] if run.conditions.loop == "closed" else []
    if scenario_series(run):
        hidden += [name for name in LATENCY_SERIES if not (run.latency[name].count or run.latency[name].lost)]
    return [name for name in LATENCY_SERIES if name in run.latency and name not in hidden]


def scenario_series(run: Run) -> list[str]:
    """Those that the scenario named."""
    return [name for name in run.latency if name not in SERIES]


def has_own_scenario(run: Run) -> bool:
    """Whether the users are of a scenario's own, which sends what it likes."""
    return bool(run.conditions.settings or run.counters or scenario_series(run))


def headline_series(run: Run) -> str:
    """The series that one looks at first."""
    own = scenario_series(run)
    return own[0] if own and "response" not in message_series(run) else "response"


def connect_series(run: Run) -> list[str]:
    """Those of opening connections that have anything in them."""
    return [name for name in CONNECT_SERIES if name in run.latency and run.latency[name].count]
