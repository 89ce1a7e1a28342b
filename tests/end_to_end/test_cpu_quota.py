"""A generator with half a core, as in many CI containers: the server has the machine, the generator its quota.

The server is a fast one: a closed loop against it takes the generator's whole core, if it may have one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.cpu_cgroup import cpu_cgroup
from helpers.process import CliResult, Running

pytestmark = [pytest.mark.needs("cpu-quota", "picows"), pytest.mark.quiet]
CODE = "cpu-throttled"


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with cpu_cgroup() as inside:
        server = Running([*inside, sys.executable, "-m", "wsbench.targets.servers.picows", "--port", "0"])
        try:
            yield server.wait_for(r"^listening on (ws\S+)")[1]
        finally:
            server.stop()


def with_half_a_core(cwd: Path, *arguments: str) -> CliResult:
    with cpu_cgroup(0.5) as inside:
        command = [*inside, sys.executable, "-m", "wsbench", "run", *arguments, "--json"]
        return Running(command, cwd=cwd).finish(120)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_closed_loop_out_of_cpu_names_its_quota(processes: int, target: str, tmp_path: Path) -> None:
    options = ["-u", "20", "-d", "2s", "--warmup", "500ms", "--processes", str(processes), "--strict"]
    result = with_half_a_core(tmp_path, target, *options)
    run = result.json()
    assert run["environment"]["cpu_quota"] == 0.5
    cpu = sum(worker["cpu_percent_mean"] for worker in run["generator"]["workers"])
    assert cpu < 55, "the quota did not hold"
    if cpu < 45:
        pytest.skip(f"other programs left the generator {cpu:.0f} % of a core")
    assert (result.returncode, run["generator"]["verdict"]) == (4, "saturated")
    (finding,) = [each for each in run["generator"]["findings"] if each["code"] == CODE]
    assert finding["severity"] == "saturated"
    assert "quota (0.5 cores)" in finding["evidence"]
    throttled, periods = map(int, re.findall(r"(\d+) of (\d+) periods", finding["evidence"])[0])
    # Two seconds have twenty periods of 100 ms, whatever the number of workers in the cgroup.
    assert 10 <= throttled <= periods <= 25, finding["evidence"]


def test_a_quota_that_is_enough_is_no_finding(target: str, tmp_path: Path) -> None:
    # Python starts at the quota's limit: that is over before the measure phase, and no figure holds it.
    result = with_half_a_core(tmp_path, target, "-u", "2", "--rate", "20", "-d", "2s", "--warmup", "1s")
    run = result.json()
    assert run["environment"]["cpu_quota"] == 0.5
    assert CODE not in [finding["code"] for finding in run["generator"]["findings"]]
