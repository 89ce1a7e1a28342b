"""Descriptions of exceptions from a scenario."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from gevent.exceptions import BlockingSwitchOutError

from wsbench.errors import UsageError
from wsbench.worker.error_counter import describe_scenario_error


def raised(source: str, tmp_path: Path) -> Exception:
    """Return the exception that a scenario file raises in its function `task`."""
    path = tmp_path / "scenario.py"
    namespace = {"orjson": orjson, "BlockingSwitchOutError": BlockingSwitchOutError, "UsageError": UsageError}
    exec(compile(f"def task():\n    {source}\n", path, "exec"), namespace)
    with pytest.raises(Exception) as caught:
        namespace["task"]()
    return caught.value


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{}['result']", "KeyError: 'result'"),
        ("assert False", "AssertionError"),
        ("from json import loads; loads('x')", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ("raise UsageError('never', remedy='Do it.')", "never"),
        ("raise BlockingSwitchOutError('?')", "a callback must not wait, neither for a reply nor for a while"),
    ],
)
def test_the_line_is_the_scenarios_and_not_a_librarys(source: str, text: str, tmp_path: Path) -> None:
    assert describe_scenario_error(raised(source, tmp_path)) == f"{text} (scenario.py, line 2, in task)"


def test_an_error_outside_the_scenario_names_no_line() -> None:
    assert describe_scenario_error(ValueError("so")) == "ValueError: so"
