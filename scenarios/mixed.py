"""Users that differ: sizes and rates drawn from a file of weights, or a recorded session played again.

    wsbench run --scenario scenarios/mixed.py -u 50                                        # scenarios/mixed.json
    wsbench run --scenario scenarios/mixed.py --set weights=mine.json
    wsbench run --scenario scenarios/mixed.py --set session=scenarios/session.jsonl        # instead: play this

A file of weights has `sizes` (bytes of a message) and `rates` (messages a second of a user), each with how often it
is to come up beside the others. A session is a line of JSON a message: `at_s` after the session's begin, what to `send`
and, if there is a reply to be waited for, members that it has (null: whatever comes next) and the `name` it is measured
under. Replies do not hold the session up, and what leaves late is measured from when it should have left.
"""

import itertools
import json
import random
import time
from pathlib import Path

from locust import task

from wsbench import WebSocketUser

HERE = Path(__file__).parent


class Mixed(WebSocketUser):
    """One user of the mixture."""

    path = "/echo"
    settings = {"weights": str(HERE / "mixed.json"), "session": ""}

    def on_start(self) -> None:
        """Draw what kind of user this is; the same every time, for the same number."""
        self.dice = random.Random(self.number)
        self.numbers = itertools.count(1)

    @task
    def play(self) -> None:
        """Until the run is over."""
        if self.setting("session"):
            self.replay(Path(self.setting("session")))
        else:
            self.mix(json.loads(Path(self.setting("weights")).read_bytes()))

    def mix(self, weights: dict[str, dict[str, float]]) -> None:
        """A rate for good, and a size for each message."""
        sizes, rates = ([*map(float, weights[of])] for of in ("sizes", "rates"))
        of_sizes, of_rates = ([*weights[of].values()] for of in ("sizes", "rates"))
        for due_ns in self.ticks(self.dice.choices(rates, of_rates)[0]):
            size = int(self.dice.choices(sizes, of_sizes)[0])
            number = next(self.numbers)
            message = {"user": self.number, "n": number, "pad": "x" * max(0, size - 40)}
            self.ws.ask(message, {"user": self.number, "n": number}, name=f"{size}B", due_ns=due_ns)

    def replay(self, session: Path) -> None:
        """The session once; the task begins it again."""
        begin_ns = time.time_ns()
        for line in session.read_text().splitlines():
            step = json.loads(line)
            due_ns = begin_ns + int(step["at_s"] * 1e9)
            self.sleep_until(due_ns)
            if "reply" in step:
                self.ws.ask(step["send"], step["reply"], name=step.get("name", "request"), due_ns=due_ns)
            else:
                self.ws.send(step["send"], due_ns=due_ns)
        self.count("sessions")
