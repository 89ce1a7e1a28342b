"""A hundred random command lines of `wsbench run`; `make fuzz ARGS=command-lines` runs others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from .command_lines import command_lines, problems, servers

COUNT, PARTS, SEED = 100, 5, 15


@pytest.fixture(scope="module")
def urls() -> Iterator[Mapping[str, str]]:
    with servers() as running:
        yield running


@pytest.mark.parametrize("part", range(PARTS))
def test_every_command_line_ends_in_time_with_a_documented_exit_code(urls: Mapping[str, str], part: int) -> None:
    lines = command_lines(COUNT, SEED)
    assert len(lines) == COUNT
    if found := problems(lines[part::PARTS], urls):
        pytest.fail("\n\n".join(found))
