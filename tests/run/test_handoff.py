"""The handoff reaches a process that inherits its descriptor, and no list of processes shows it."""

from __future__ import annotations

import os
import subprocess
import sys

from wsbench.run.handoff import VARIABLE, Handoff, StartedTarget
from wsbench.run.options import RunOptions

OPTIONS = RunOptions.from_values({"header": [("Authorization", "Bearer secret")]}, url="ws://127.0.0.1/echo")
HANDOFF = Handoff("results/.x.partial", ["wsbench", "run"], OPTIONS, StartedTarget("websockets", "1", [1, 2]), 7)


def test_what_was_handed_over_is_read_as_often_as_wanted() -> None:
    with HANDOFF.file() as descriptor:
        environment = {VARIABLE: str(descriptor)}
        assert Handoff.from_environment(environment) == Handoff.from_environment(environment) == HANDOFF
        assert "secret" not in str(environment)


def test_plain_locust_has_none() -> None:
    assert Handoff.from_environment({}) is None


def test_another_process_reads_it() -> None:
    program = "from wsbench.run.handoff import Handoff; print(Handoff.from_environment().options.connect.headers)"
    with HANDOFF.file() as descriptor:
        shown = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, VARIABLE: str(descriptor)},
            pass_fds=[descriptor],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert shown.stdout.strip() == "(('Authorization', 'Bearer secret'),)"
