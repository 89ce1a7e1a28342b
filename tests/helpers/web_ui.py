"""Locust's web UI, used as a browser would."""

from __future__ import annotations

import contextlib
import json
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsbench.launcher.locust_process import free_port

from . import runs
from .process import Running, no_leftovers, scaled
from .runs import Document, EchoTarget


@contextlib.contextmanager
def web_ui(
    where: Path, *options: str, scenario: Path = runs.SCENARIO, base: str = "", processes: int = 1
) -> Iterator[WebUi]:
    """Run Locust's web UI with results in `where`; at the end, assert that nothing is left and no traceback came."""
    port = free_port()
    options = ("--web-host", "127.0.0.1", "--web-port", str(port), "--host", "ws://127.0.0.1:1/", *options)
    if processes > 1:
        master = str(free_port())
        options += ("--processes", str(processes), "--master-port", master)
        options += ("--master-bind-host", "127.0.0.1", "--master-bind-port", master)
    program = runs.locust(*options, cwd=where, scenario=scenario)
    try:
        ui = WebUi(program, port, where / "results", base)
        ui.wait_until(ui.is_up, "the web UI")
        if processes > 1:
            # A run that begins before is one of fewer workers, joined by the others in the middle of it.
            ui.wait_until(lambda: json.loads(ui.get("/stats/requests"))["worker_count"] == processes, "all workers")
        yield ui
        assert program.process.poll() is None, program.told()
        program.signal(signal.SIGINT)
        result = program.finish(30)
        assert "Traceback" not in result.stderr, result.stderr
        assert not [path for path in runs.directories(where / "results") if path.name.startswith(".")]
        no_leftovers(result)
    finally:
        program.stop()


@dataclass
class WebUi:
    """A process with Locust's web UI.

    Attributes:
        results: the directory its results go to.
        base: what its paths begin with.
    """

    program: Running
    port: int
    results: Path
    base: str = ""

    def get(self, path: str) -> str:
        return self._open(path, None)

    def post(self, path: str, **form: object) -> Any:
        return json.loads(self._open(path, urllib.parse.urlencode(form).encode()))

    def _open(self, path: str, body: bytes | None) -> str:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://127.0.0.1:{self.port}{self.base}{path}", body, timeout=scaled(20)) as answer:
            text: str = answer.read().decode()
            return text

    def is_up(self) -> bool:
        try:
            return "<html" in self.get("/")
        except urllib.error.URLError:
            return False

    def finished(self) -> set[Path]:
        return {path for path in runs.directories(self.results) if not path.name.startswith(".")}

    def state(self) -> str:
        state: str = json.loads(self.get("/stats/requests"))["state"]
        return state

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + scaled(30)
        while not condition():
            assert self.program.process.poll() is None, self.program.told()
            assert time.monotonic() < deadline, f"{what}: not within 30 s\n{self.program.told()}"
            time.sleep(0.05)

    def live(self, since: int = 0, run: str = "") -> Any:
        """Return the data of the live page."""
        return json.loads(self.get(f"/wsbench/live?since={since}&run={run}"))

    def run(self, target: EchoTarget, *, stop_after_s: float | None = None, **form: object) -> Document:
        """Start a run by the form, let it end (or stop it); return its result."""
        before, known = target.stats(), self.finished()
        form = {"user_count": 4, "spawn_rate": 100, "host": target.url, "warmup": "100ms", **form}
        assert self.post("/swarm", **form)["success"] is True
        if stop_after_s is not None:
            self.wait_until(lambda: target.stats()["messages_in"] > before["messages_in"], "the first message")
            time.sleep(stop_after_s)
            assert self.post("/stop")["success"] is True
        self.wait_until(lambda: self.finished() > known, "a result")
        self.wait_until(lambda: self.state() in ("stopped", "ready"), "the end of the run")
        [directory] = self.finished() - known
        run = runs.read(directory)
        runs.assert_equals_stats(run, before, target.stats())
        return run
