"""Locust in the process of the tests, without the monkey-patching that importing it does."""

from __future__ import annotations

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
from locust import User
from locust.env import Environment
from locust.stats import RequestStats

del os.environ["LOCUST_SKIP_MONKEY_PATCH"]  # the processes that tests start are patched

__all__ = ["Environment", "RequestStats", "User"]
