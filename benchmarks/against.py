"""Generator CPU per message of the working tree, as a ratio to that of another commit.

    PYTHONPATH=tests python -m benchmarks.against --base 2c5fe40        from the root, or `make against BASE=2c5fe40`

Each side is installed into a virtual environment in a temporary directory: base from `git archive`, head from the
working tree. Dependencies that the current environment satisfies are used from there. A round measures each case as
one pair: a run per side against the same server, base first in odd rounds, head first in even rounds. The ratio
head/base is the geometric mean over the pairs, with Student's 95 % interval for the mean of the log-ratios. The open
loop's CPU excludes polling, which is waiting for the next due message.

Exit code 1: the upper end of an interval is above the limit, a case has fewer than two pairs, or a pair failed
repeatedly, which ends its case. Use a quiet machine.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import process
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.special import stdtrit

from benchmarks.bench import (
    GENERATOR_CORE,
    disturbance,
    machine_line,
    pinned,
    serving,
    stop_on_signals,
    used_by_others,
)

ROOT = Path(__file__).resolve().parent.parent
ATTEMPTS = 3
"""A pair with a failed run is measured at most this often."""
INSTALL_TIMEOUT_S = 600.0
RUN_TIMEOUT_S = 120.0
"""Added to the measure phase: start, ramp, warm-up and drain."""
FAULTS = ("lost", "corrupted", "duplicated", "reordered", "unexpected", "missed")


class RunFailed(Exception):
    """A process of one side failed; the first line says which, the rest is its standard error."""


@dataclass(frozen=True)
class Case:
    """Load of a pair: options of `wsbench run`, and the echo server."""

    options: Sequence[str]
    server: Sequence[str] = ("benchmarks.c_server",)

    def cost_us(self, run: Any) -> float:
        """Return the generator's CPU per message (µs), without polling."""
        generator = run["generator"]
        polling_us = generator["polling_us_per_message"] if "--rate" in self.options else 0.0
        return float(generator["cpu_us_per_message"] - polling_us)


_HUNDRED = ("-u", "100", "-r", "1000")
CASES = {
    "single": Case(_HUNDRED),
    "window": Case((*_HUNDRED, "--in-flight", "32")),
    "open": Case((*_HUNDRED, "--rate", "20000")),
    "wss": Case((*_HUNDRED, "--insecure"), ("benchmarks.picows_server", "--tls")),
    "many": Case(("-u", "10000", "-r", "2500")),
}


@dataclass(frozen=True)
class Side:
    """One of the two versions, in a virtual environment of its own."""

    name: str
    environment: Path

    def install(self, source: Path) -> None:
        """Install wsbench from `source`, and print the path that `import wsbench` finds.

        Raises:
            RunFailed: pip failed, or wsbench is imported from outside the environment.
        """
        venv.create(self.environment, symlinks=True)
        # Python ignores .pth files in a directory named by a .pth file: an editable wsbench there is not imported.
        packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(self.environment)}))
        (packages / "current_environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._python("-m", "pip", "install", "-q", str(source), timeout=INSTALL_TIMEOUT_S)
        imported = self._python("-c", "import wsbench; print(wsbench.__file__)", timeout=INSTALL_TIMEOUT_S).stdout
        if not Path(imported).is_relative_to(self.environment):
            raise RunFailed(f"{self.name}: wsbench is imported from {imported}")
        print(f"{self.name}: {imported.strip()}", flush=True)

    def run(self, url: str, case: Case, seconds: float) -> Any:
        """Return run.json of one run on the generator's core.

        Raises:
            RunFailed: the run failed, or its run.json has no positive cost.
        """
        options = (*case.options, "-d", f"{seconds:g}s", "--warmup", "1s", "--json", "--quiet")
        with pinned(GENERATOR_CORE):
            run = self._python("-m", "wsbench", "run", url, *options, timeout=seconds + RUN_TIMEOUT_S).json()
        try:
            cost_us = case.cost_us(run)
        except (KeyError, TypeError):
            raise RunFailed(f"{self.name}: no CPU per message in run.json\n{run['generator']}") from None
        if cost_us <= 0:  # polling is wall-clock time
            raise RunFailed(f"{self.name}: polling exceeds CPU; other programs used the generator's core")
        return run

    def _python(self, *arguments: str, timeout: float) -> process.CliResult:
        with tempfile.TemporaryDirectory(dir=self.environment) as directory:
            command = (str(self.environment / "bin" / "python"), *arguments)
            # Our PYTHONPATH may name the working tree, which both sides would import then.
            running = process.Running(command, env={"PYTHONPATH": ""}, cwd=directory)
            try:
                result = running.finish(timeout)
            except AssertionError as error:
                raise RunFailed(f"{self.name}: {error}") from None
            except BaseException:
                running.stop()
                raise
        if result.returncode:
            raise RunFailed(f"{self.name}: exit code {result.returncode}\n{result.stderr.strip()}")
        return result


def faults_of(run: Any) -> str:
    """List faulty messages and connections of a run, and an open loop that was late; empty without any."""
    connections, messages = run["connections"], run["messages"]
    found = [f"{messages[name]:,} messages {name}" for name in FAULTS if messages[name]]
    if missing := connections["asked"] - connections["opened"]:
        found.append(f"{missing:,} connections not opened")
    if connections["dropped"]:
        found.append(f"{connections['dropped']:,} connections dropped")
    if run["conditions"]["rate"] and run["generator"]["verdict"] != "ok":  # a closed loop is saturated by design
        found.append(f"verdict {run['generator']['verdict']}")
    return ", ".join(found)


class Comparison:
    """Costs of base and head (µs per message) in every complete pair, by case.

    Attributes:
        notes: failed runs, and runs with faulty messages or connections.
        failed: cases with a pair that failed `ATTEMPTS` times.
        others: largest share of a core that other programs used between pairs.
    """

    def __init__(self, sides: Sequence[Side], names: Sequence[str], seconds: float) -> None:
        self._sides, self._seconds = sides, seconds
        self.costs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        self.notes: list[str] = []
        self.failed: set[str] = set()
        self.others = 0.0

    def measure_round(self, number: int) -> None:
        """Measure a pair of each case that has not failed."""
        order = self._sides if number % 2 else self._sides[::-1]
        for name in [name for name in self.costs if name not in self.failed]:
            self.others = max(self.others, used_by_others())
            if not self._measured(name, f"round {number}, {name}", order):
                self.failed.add(name)

    def _measured(self, name: str, label: str, order: Sequence[Side]) -> bool:
        """Add a pair to the costs, after as many attempts as it takes; return whether one succeeded."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                base, head = self._pair(label, CASES[name], order)
            except (RunFailed, AssertionError) as error:  # AssertionError: the server did not start
                report(f"{label}, attempt {attempt}: {error}")
                self.notes.append(f"{label}, attempt {attempt} failed: {str(error).splitlines()[0]}")
            else:
                report(f"{label}: base {base:.2f} µs, head {head:.2f} µs, ratio {head / base:.3f}")
                self.costs[name].append((base, head))
                return True
        return False

    def _pair(self, label: str, case: Case, order: Sequence[Side]) -> tuple[float, float]:
        costs = {}
        with serving(*case.server) as (_, url):
            for side in order:
                run = side.run(url, case, self._seconds)
                costs[side.name] = case.cost_us(run)
                if faults := faults_of(run):
                    self.notes.append(f"{label}, {side.name}: {faults}")
        return costs["base"], costs["head"]


def report(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)


def ratio(costs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the geometric mean of head/base and the ends of its 95 % interval; `costs` has two pairs or more."""
    logs = [math.log(head / base) for base, head in costs]
    mean, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    half_width = float(stdtrit(len(logs) - 1, 0.975)) * error
    return math.exp(mean), math.exp(mean - half_width), math.exp(mean + half_width)


def show(comparison: Comparison, limit: float) -> bool:
    """Print the table and the notes; return whether every case is within the limit."""
    table = Table("case", box=box.SIMPLE, title="CPU per message (µs, median) and head/base (geometric mean)")
    for heading in ("base", "head", "head/base", "95 % interval", "pairs", f"at most {limit:g}"):
        table.add_column(heading, justify="right")
    passed = []
    for name, costs in comparison.costs.items():
        cells = [f"{statistics.median(side):.2f}" for side in zip(*costs, strict=True)] or ["–", "–"]
        mean, low, high = ratio(costs) if len(costs) > 1 else (math.nan, math.nan, math.inf)
        passed.append(high <= limit and name not in comparison.failed)
        cells += [f"{mean:.3f}", f"{low:.3f} to {high:.3f}"] if len(costs) > 1 else ["–", "–"]
        table.add_row(name, *cells, str(len(costs)), "yes" if passed[-1] else "no")
    Console().print(table)
    print("\n".join(comparison.notes or ["No run failed; no message was lost or corrupted."]))
    print(disturbance(comparison.others))
    return all(passed)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.against", description="CPU per message against another commit.")
    parser.add_argument("--base", required=True, metavar="COMMIT", help="commit to compare the working tree with")
    parser.add_argument("--pairs", type=int, default=10, metavar="N", help="of runs per case (default 10, at least 2)")
    parser.add_argument("--seconds", type=float, default=4.0, metavar="S", help="measure phase of a run (default 4)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--limit", type=float, default=1.05, metavar="R", help="highest ratio allowed (default 1.05)")
    return parser.parse_args()


def git(*arguments: str) -> str:
    """Return the output of a git command."""
    return subprocess.run(
        ("git", "-C", str(ROOT), *arguments), check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def main() -> int:
    """Measure both sides and return the exit code."""
    options = parse_arguments()
    stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="wsbench-against-") as temporary:
        directory = Path(temporary)
        base = git("rev-parse", "--short", "--verify", f"{options.base}^{{commit}}")
        print(f"{machine_line()}\nbase {base}, head {git('describe', '--always', '--dirty', '--abbrev=7')}")
        git("archive", "--output", str(directory / "base.tar.gz"), base)
        sides = [Side("base", directory / "base"), Side("head", directory / "head")]
        for side, source in zip(sides, (directory / "base.tar.gz", ROOT), strict=True):
            side.install(source)
        comparison = Comparison(sides, options.only, options.seconds)
        for number in range(1, options.pairs + 1):
            comparison.measure_round(number)
    return 0 if show(comparison, options.limit) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RunFailed, subprocess.CalledProcessError) as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit("interrupted")
