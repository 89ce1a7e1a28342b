"""A generator with half a core, as in many CI containers: the server has the machine, the generator its quota."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import runs
from helpers.cpu_cgroup import cpu_quota
from helpers.process import CliResult, Running

pytestmark = [pytest.mark.needs("cpu-quota"), pytest.mark.quiet]
CODE = "cpu-throttled"


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with runs.echo_target() as started:
        yield started.url


def with_half_a_core(cwd: Path, *arguments: str) -> CliResult:
    with cpu_quota(0.5) as inside:
        command = [*inside, sys.executable, "-m", "wsbench", "run", *arguments, "--json"]
        return Running(command, cwd=cwd).finish(120)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_closed_loop_out_of_cpu_names_its_quota(processes: int, target: str, tmp_path: Path) -> None:
    options = ["-u", "20", "-d", "2s", "--warmup", "500ms", "--processes", str(processes), "--strict"]
    result = with_half_a_core(tmp_path, target, *options)
    run = result.json()
    assert run["environment"]["cpu_quota"] == 0.5
    cpu = sum(worker["cpu_percent_mean"] for worker in run["generator"]["workers"])
    if cpu < 45:
        pytest.skip(f"other programs left the generator {cpu:.0f} % of a core")
    assert (result.returncode, run["generator"]["verdict"]) == (4, "saturated")
    (finding,) = [each for each in run["generator"]["findings"] if each["code"] == CODE]
    assert finding["severity"] == "saturated"
    assert "quota (0.5 cores)" in finding["evidence"]
    throttled, periods = map(int, re.findall(r"(\d+) of (\d+) periods", finding["evidence"])[0])
    # Two seconds have twenty periods of 100 ms, whatever the number of workers in the cgroup.
    assert 10 <= throttled <= periods <= 25


def test_a_quota_that_is_enough_is_no_finding(target: str, tmp_path: Path) -> None:
    # Python starts at the quota's limit: that is over before the measure phase, and no figure holds it.
    result = with_half_a_core(tmp_path, target, "-u", "2", "--rate", "20", "-d", "2s", "--warmup", "1s")
    run = result.json()
    assert run["environment"]["cpu_quota"] == 0.5
    assert CODE not in [finding["code"] for finding in run["generator"]["findings"]]
