"""Echo users whose number a LoadTestShape sets; it ends the run."""

from __future__ import annotations

from locust import LoadTestShape

from wsbench import EchoUser


class Echo(EchoUser):
    """One connection."""


class Stages(LoadTestShape):
    """Two users, then six, for three seconds in all."""

    def tick(self) -> tuple[int, float] | None:
        seconds = self.get_run_time()
        return None if seconds > 3 else (2 if seconds < 1.5 else 6, 100.0)
