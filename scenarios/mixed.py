"""Different users: message sizes and rates drawn from a file of weights, or a recorded session replayed.

    wsbench run --scenario scenarios/mixed.py -u 50                                        # scenarios/mixed.json
    wsbench run --scenario scenarios/mixed.py --set weights=mine.json
    wsbench run --scenario scenarios/mixed.py --set session=scenarios/session.jsonl        # replay this instead

A file of weights has `sizes` (bytes of a message) and `rates` (messages a second of a user), each with its weight.
A session file has one line of JSON a message: `at_s`, seconds after the session's start; `send`, the message; and, if
a reply is expected, `reply`, members that it has (null: the next message), and `name`, the series of the round trip.
The session does not wait for replies, and a late message is measured from when it was due.
"""

import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

from locust import task

from wsbench import WebSocketUser

HERE = Path(__file__).parent


class Mixed(WebSocketUser):
    """One user of the mix."""

    path = "/echo"
    settings = {"weights": str(HERE / "mixed.json"), "session": ""}

    def on_start(self) -> None:
        """Seed the random choices with the user's number, so that runs repeat them."""
        self.dice = random.Random(self.number)
        self.numbers = itertools.count(1)

    @task
    def play(self) -> None:
        """Replay the session, or send the mix, until the run ends."""
        if self.setting("session"):
            self.replay(Path(self.setting("session")))
        else:
            self.mix(json.loads(Path(self.setting("weights")).read_bytes()))

    def mix(self, weights: dict[str, dict[str, float]]) -> None:
        """Choose one rate for this user, and a size for each message."""
        sizes, rates = ([*map(float, weights[of])] for of in ("sizes", "rates"))
        of_sizes, of_rates = ([*weights[of].values()] for of in ("sizes", "rates"))
        for due_ns in self.ticks(self.dice.choices(rates, of_rates)[0]):
            size = int(self.dice.choices(sizes, of_sizes)[0])
            number = next(self.numbers)
            message = {"user": self.number, "n": number, "pad": "x" * max(0, size - 40)}
            self.ws.send_request(message, {"user": self.number, "n": number}, name=f"{size}B", due_ns=due_ns)

    @staticmethod
    def steps(session: Path) -> list[dict[str, Any]]:
        """Return the steps of a session: bytes, because texts have more line ends, and JSON is UTF-8 everywhere."""
        return [json.loads(line) for line in session.read_bytes().split(b"\n") if line.strip()]

    def replay(self, session: Path) -> None:
        """Replay the session once; Locust then starts the task again."""
        begin_ns = time.time_ns()
        for step in self.steps(session):
            due_ns = begin_ns + int(step["at_s"] * 1e9)
            self.sleep_until(due_ns)
            if "reply" in step:
                self.ws.send_request(step["send"], step["reply"], name=step.get("name", "request"), due_ns=due_ns)
            else:
                self.ws.send(step["send"], due_ns=due_ns)
        self.count("sessions")
