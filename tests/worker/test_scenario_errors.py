"""What is said of a scenario's own faults."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from gevent.exceptions import BlockingSwitchOutError

from wsbench.errors import UsageError
from wsbench.worker.scenario_errors import describe_scenario_error


def raised(source: str, tmp_path: Path) -> Exception:
    """What a file of a scenario's raises in its function `task`."""
    path = tmp_path / "own.py"
    namespace = {"orjson": orjson, "BlockingSwitchOutError": BlockingSwitchOutError, "UsageError": UsageError}
    exec(compile(f"def task():\n    {source}\n", path, "exec"), namespace)
    with pytest.raises(Exception) as caught:
        namespace["task"]()
    return caught.value


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{}['result']", "KeyError: 'result'"),
        ("assert False", "AssertionError"),
        ("from json import loads; loads('x')", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ("raise UsageError('never', remedy='Do it.')", "never"),
        ("raise BlockingSwitchOutError('?')", "a callback must not wait, neither for a reply nor for a while"),
    ],
)
def test_the_line_of_the_scenario_not_that_of_a_library(source: str, said: str, tmp_path: Path) -> None:
    assert describe_scenario_error(raised(source, tmp_path)) == f"{said} (own.py, line 2, in task)"


def test_what_came_through_no_line_of_a_scenario() -> None:
    assert describe_scenario_error(ValueError("so")) == "ValueError: so"
