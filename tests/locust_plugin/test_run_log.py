"""The log in a result directory."""

from __future__ import annotations

import logging
from pathlib import Path

import helpers.unpatched_locust  # noqa: F401 - imports Locust without its patches
import pytest

from wsbench.locust_plugin.directing_session import RunLog


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.getLogger("wsbench.tests.run_log")
    logger.setLevel(logging.INFO)
    return logger


def test_it_has_the_lines_between_attaching_and_detaching(tmp_path: Path, logger: logging.Logger) -> None:
    logger.info("before")
    log = RunLog(tmp_path)
    logger.info("during")
    log.detach()
    logger.info("after")
    [line] = (tmp_path / "locust.log").read_text().splitlines()
    assert line.endswith("INFO/wsbench.tests.run_log: during")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_the_lines_and_nothing_else(
    tmp_path: Path, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "locust.log").symlink_to("/dev/full")
    log = RunLog(tmp_path)
    logger.info("during")
    log.detach()
    assert "Traceback" not in capfd.readouterr().err
