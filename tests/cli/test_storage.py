"""Results that cannot be stored: said before the run where that can be known, and printed when it cannot."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import process, runs
from helpers.process import Running, scaled

pytestmark = [pytest.mark.needs("netns"), pytest.mark.timeout(scaled(120))]

LOAD = ("--rate", "200", "-u", "5", "-d", "3s", "--warmup", "0s")
LOCUST = (sys.executable, "-m", "locust", "-f", str(runs.SCENARIO), "--headless")
SPAWNED = "All users spawned|Spawning is complete"
WSBENCH = (sys.executable, "-m", "wsbench", "run")


@contextlib.contextmanager
def on_a_disk(where: Path, options: str, *command: str, then: str = "true") -> Iterator[tuple[Running, Path]]:
    """A command whose results/ is a disk of its own, and where that can be seen from here, until it has ended.

    Args:
        then: a command for the shell, after it.
    """
    (where / "results").mkdir(parents=True)
    mount = f'mount -t tmpfs -o {options} none results && "$@"; code=$?; {then}; exit $code'
    running = Running(["unshare", "--mount", "sh", "-c", mount, "sh", *command], cwd=where)
    try:
        yield running, Path(f"/proc/{running.pid}/root{where}/results")
    finally:
        running.stop()


def fill(directory: Path) -> None:
    """Leave no room there."""
    with (directory / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def empty(directory: Path) -> None:
    """Remove everything there."""
    for each in directory.iterdir():
        shutil.rmtree(each)


def is_measuring(disk: Path) -> bool:
    """Whether the run has begun: its log tells, also of one that prints nothing."""
    return any(re.search(SPAWNED, log.read_text()) for log in disk.glob(".*/locust.log"))


@pytest.mark.parametrize(
    ("options", "said"),
    [("size=4m", "4.19 MB free there, and a result takes 8.00 MB"), ("ro", "Read-only file system")],
    ids=["full", "read-only"],
)
def test_a_disk_on_which_nothing_fits_is_said_before_the_run(tmp_path: Path, options: str, said: str) -> None:
    with on_a_disk(tmp_path, options, *WSBENCH, *LOAD, "--quiet") as (running, _):
        runs.assert_error(running.finish(60), 2, f"--results results: {said}")


def test_a_disk_that_fills_up_in_the_run_costs_no_figure(tmp_path: Path) -> None:
    """Alone and with workers, as JSON and as a summary; all at once, on a disk each."""
    forms = {
        "json": (*WSBENCH, *LOAD, "--json"),
        "workers": (*WSBENCH, *LOAD, "--json", "--processes", "2"),
        "quiet": (*WSBENCH, *LOAD, "--quiet"),
        "gone": (*WSBENCH, *LOAD),
    }
    with contextlib.ExitStack() as stack:
        started = {
            name: stack.enter_context(on_a_disk(tmp_path / name, "size=12m", *command))
            for name, command in forms.items()
        }
        waiting = dict(started)

        def all_spoilt() -> bool:
            for name, (running, disk) in list(waiting.items()):
                if running.process.poll() is not None or is_measuring(disk):
                    del waiting[name]
                    (empty if name == "gone" else fill)(disk)
            return not waiting

        process.eventually(all_spoilt, 60)
        ended = {name: running.finish(60) for name, (running, _) in started.items()}
    for name, result in ended.items():
        why = "No such file or directory" if name == "gone" else "No space left on device"
        *_, error, remedy = result.stderr.splitlines()
        assert result.returncode == 3, name
        assert error == f"wsbench: error: the result could not be stored in {tmp_path / name / 'results'}: {why}"
        assert remedy.startswith("  Only the printed summary is left."), name
        assert "Traceback" not in result.stderr
    for name in ("json", "workers"):
        run = ended[name].json()
        assert run["complete"] is True and run["messages"]["received"] == run["messages"]["sent"] > 300
    for name in ("quiet", "gone"):
        assert "600 sent, 600 received, 0 lost" in ended[name].stdout
        assert "result: not stored" in ended[name].stdout


def test_under_locust_the_summary_and_the_error_are_printed_too(tmp_path: Path) -> None:
    with runs.echo_target() as target:
        command = (*LOCUST, *LOAD, "--host", target.url)
        with on_a_disk(tmp_path, "size=12m", *command) as (running, disk):
            running.wait_for(SPAWNED, 60)
            fill(disk)
            result = running.finish(60)
    assert result.returncode == 3
    said = result.stdout + result.stderr
    assert "600 sent, 600 received, 0 lost" in said and "result: not stored" in said
    assert "wsbench: error: the result could not be stored in" in result.stderr
    assert "Traceback" not in said and "Logging error" not in said


def test_a_report_that_does_not_fit_does_not_cost_the_result(tmp_path: Path) -> None:
    with on_a_disk(tmp_path, "size=12m", *WSBENCH, *LOAD, then="ls results/2*") as (running, disk):
        running.wait_for("^measure", 60)
        (disk / "filler").write_bytes(bytes(9_000_000))  # of 12.6: what is left does not hold plotly's 5
        result = running.finish(60)
    assert result.returncode == 0, result.stderr
    left = result.stdout.splitlines()
    assert {"run.json", "latency.hlog", "timeline.csv"} <= set(left) and "report.html" not in left
