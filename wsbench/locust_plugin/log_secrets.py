"""Logs without the secrets of a run: on the terminal, in Locust's web UI and in locust.log."""

from __future__ import annotations

import logging

from wsbench.credentials import Secrets

_LOGGERS = ("", "locust", "locust.stats_logger")
"""The loggers to which Locust adds handlers."""


class HidingFormatter(logging.Formatter):
    """The records of another formatter without secrets."""

    def __init__(self, inner: logging.Formatter, secrets: Secrets) -> None:
        super().__init__()
        self.inner = inner
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return self._secrets.text(self.inner.format(record))


def hide_in_logs(secrets: Secrets) -> None:
    """Hide the secrets in what is logged from now on, in place of those of an earlier run."""
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            inner = handler.formatter or logging.Formatter()
            handler.setFormatter(HidingFormatter(getattr(inner, "inner", inner), secrets))
