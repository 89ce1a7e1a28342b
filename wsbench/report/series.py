"""Which series of a run are shown to people, in which order, and what they are called there."""

from __future__ import annotations

from wsbench.measure.recorder import CONNECT_SERIES, LATENCY_SERIES, SERIES
from wsbench.results import Run

LABELS = {"send_lag": "send lag", "read_lag": "read lag", "tcp": "TCP", "tls": "TLS"}


def label(name: str) -> str:
    """What a series is called."""
    return LABELS.get(name, name)


def of_messages(run: Run) -> list[str]:
    """Those of every message; in a closed loop without `send_lag`, which is zero there by definition."""
    hidden = "send_lag" if run.conditions.loop == "closed" else ""
    return [name for name in LATENCY_SERIES if name in run.latency and name != hidden]


def of_scenario(run: Run) -> list[str]:
    """Those that the scenario named."""
    return [name for name in run.latency if name not in SERIES]


def of_connections(run: Run) -> list[str]:
    """Those of opening connections that have anything in them."""
    return [name for name in CONNECT_SERIES if name in run.latency and run.latency[name].count]
