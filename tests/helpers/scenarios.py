"""Runs of the scenarios in scenarios/, as a user starts them, with the server's counts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from . import process, runs
from .process import Running
from .runs import Document, EchoTarget


@dataclass(frozen=True)
class Ran:
    """A finished run: its result, and the server's counts."""

    run: Document
    server: dict[str, int]

    def count(self, series: str) -> int:
        """Return the number of values of a series."""
        count: int = self.run["latency"][series]["count"]
        return count


def path_of(name: str) -> str:
    return str(runs.ROOT / "scenarios" / f"{name}.py")


def started(name: str, url: str, where: Path, *options: str) -> Running:
    """Start `wsbench run --scenario scenarios/NAME.py URL OPTIONS`."""
    return process.start_cli("run", "--scenario", path_of(name), url, "--warmup", "0s", *options, cwd=where)


def both_ways(name: str, target: EchoTarget, where: Path, *options: str) -> list[Ran]:
    """Run with `wsbench run` in two processes, and with plain Locust, without a path: the scenario has a default."""
    url = target.url.removesuffix("/echo")
    base = ("--warmup", "200ms", *options)
    commands = [
        ["wsbench", "run", "--scenario", path_of(name), url, "--processes", "2", *base],
        ["locust", "-f", path_of(name), "--host", url, "--headless", *base],
    ]
    return [_ran(command, target, where / command[0]) for command in commands]


def _ran(command: list[str], target: EchoTarget, where: Path) -> Ran:
    where.mkdir()
    before = target.stats()
    result = Running([sys.executable, "-m", *command], cwd=where).finish()
    assert result.returncode == 0, result.stderr
    process.no_leftovers(result, grace=5)
    after = target.stats()
    directory = runs.only(where / "results")
    run = runs.read(directory, echoed=False)
    assert run["complete"] and run["errors"] == []
    assert "Traceback" not in (directory / "locust.log").read_text()
    assert (directory / "report.html").stat().st_size > 10_000
    runs.assert_equals_stats(run, before, after)
    return Ran(run, {key: after[key] - before[key] for key in after if isinstance(after[key], int)})
