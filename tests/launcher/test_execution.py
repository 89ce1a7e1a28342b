"""A run as the launcher asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsbench.errors import UsageError
from wsbench.launcher.execution import RunRequest
from wsbench.launcher.local_target import DEFAULT_TARGET, PLACEHOLDER_URL, check_target
from wsbench.run.options import RunOptions
from wsbench.targets.embedded import EmbeddedTarget

REQUEST = RunRequest(RunOptions.from_values({"rate": 10.0}, url=PLACEHOLDER_URL))


def test_a_request_against_a_target_that_was_started() -> None:
    with EmbeddedTarget.start(tls=True) as running:
        request = REQUEST.against(running)
        connect = request.options.connect
        assert (connect.url, connect.ca_file) == (running.url, str(running.ca_file))
        assert request.options.rate == 10.0
        assert request.target is not None and request.target.pids == running.pids


@pytest.mark.parametrize(
    ("url", "name", "tls", "scenario", "problem"),
    [
        ("ws://h/", DEFAULT_TARGET, False, None, None),
        (None, DEFAULT_TARGET, True, None, None),
        ("ws://h/", DEFAULT_TARGET, True, None, "--tls and --target are for"),
        ("ws://h/", "picows", False, None, "--tls and --target are for"),
        (None, "no-such", False, None, "no-such"),
    ],
)
def test_options_about_the_target(
    url: str | None, name: str, tls: bool, scenario: Path | None, problem: str | None
) -> None:
    if problem is None:
        check_target(url, name, tls=tls, scenario=scenario)
        return
    with pytest.raises(UsageError, match=problem):
        check_target(url, name, tls=tls, scenario=scenario)
