"""A scenario whose callback is so slow that the warm-up ends during it, once for every user."""

from __future__ import annotations

import time

from wsbench import Message, WebSocketUser
from wsbench.measure.phases import Phase


class SlowCallback(WebSocketUser):
    """User that records two values for each pushed message."""

    path = "/push?rate=20"
    spun = False

    def on_message(self, message: Message) -> None:
        self.record("first", 1)
        current = self._engine.recorder.current
        if current.interval.phase == Phase.WARMUP and not self.spun:
            self.spun = True
            while time.time_ns() < current.interval.end_ns:
                pass
        self.record("second", 1)
