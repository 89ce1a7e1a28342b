"""docs/reference.md names the commands and the fields of run.json that there are, in its tables."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from wsbench.cli.main import COMMANDS
from wsbench.results import run_result

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
FIELDS = REFERENCE.partition("### run.json")[2]
STRUCTS = {
    "conditions": run_result.Conditions,
    "negotiated": run_result.NegotiatedWith,
    "target": run_result.Target,
    "environment": run_result.Environment,
    "connections": run_result.Connections,
    "messages": run_result.Messages,
    "bytes": run_result.Bytes,
    "throughput": run_result.Throughput,
    "latency": run_result.Latency,
    "timestamps": run_result.Timestamps,
    "errors": run_result.ErrorCount,
    "generator": run_result.Generator,
    "generator.findings": run_result.Finding,
    "generator.workers": run_result.Worker,
    "gates": run_result.Gate,
}


def _row(field: str) -> tuple[list[str], list[str]]:
    """Return the names in the first and in the second cell of a field's row."""
    row = re.search(rf"^\| (`{re.escape(field)}`[^|]*) \| (.*) \|$", FIELDS, re.MULTILINE)
    assert row is not None, f"no row for {field}"
    first, second = (re.findall(r"`([\w.]+)`", cell) for cell in row.groups())
    return first, second


@pytest.mark.parametrize("field", STRUCTS)
def test_the_members_of_a_field_are_those_of_the_model(field: str) -> None:
    assert _row(field)[1] == [member.encode_name for member in msgspec.structs.fields(STRUCTS[field])]


def test_the_fields_of_a_run_all_have_a_row() -> None:
    names = _row("run.json")[1]
    for line in re.findall(r"^\| (`[^|]*) \|", FIELDS, re.MULTILINE):
        names += re.findall(r"`(\w+)`", line)
    assert set(names) == {field.encode_name for field in msgspec.structs.fields(run_result.Run)}


def test_every_command_has_a_row() -> None:
    assert set(re.findall(r"^\| `wsbench (\w+)", REFERENCE, re.MULTILINE)) == set(COMMANDS)
