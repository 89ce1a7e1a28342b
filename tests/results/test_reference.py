"""docs/reference.md names the commands, fields of run.json, findings and columns of timeline.csv that there are."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from wsbench.cli.main import COMMANDS
from wsbench.measure import cpu_rules, finding_rules
from wsbench.measure.findings import READ_LATE, WORKER_LOST
from wsbench.report.timeline import COLUMNS
from wsbench.results.run_result import Run

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
FIELDS, TIMELINE, FINDINGS = (
    REFERENCE.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    for heading in ("run.json", "timeline.csv", "Findings")
)


def _members(model: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each field that holds structs, and the names of their members."""
    for field in msgspec.structs.fields(model):
        for kind in (field.type, *get_args(field.type)):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                path = prefix + field.encode_name
                yield path, [member.encode_name for member in msgspec.structs.fields(kind)]
                yield from _members(kind, f"{path}.")


MEMBERS = dict(_members(Run))


def _row(field: str) -> tuple[list[str], list[str]]:
    """Return the names in the first and in the second cell of a field's row."""
    row = re.search(rf"^\| (`{re.escape(field)}`[^|]*) \| (.*) \|$", FIELDS, re.MULTILINE)
    assert row is not None, f"no row for {field}"
    first, second = (re.findall(r"`([\w.]+)`", cell) for cell in row.groups())
    return first, second


@pytest.mark.parametrize("field", sorted(MEMBERS.keys() - {"messages_all_phases"}))
def test_the_members_of_a_field_are_those_of_the_model(field: str) -> None:
    assert _row(field)[1] == MEMBERS[field]


def test_the_fields_of_a_run_all_have_a_row() -> None:
    names = _row("run.json")[1]
    for line in re.findall(r"^\| (`[^|]*) \|", FIELDS, re.MULTILINE):
        names += re.findall(r"`(\w+)`", line)
    assert set(names) == {field.encode_name for field in msgspec.structs.fields(Run)}


def test_the_columns_of_the_timeline_all_have_a_row() -> None:
    first_cells = re.findall(r"^\| (`[^|]*) \|", TIMELINE, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(first_cells))) == sorted(COLUMNS)


def test_every_command_has_a_row() -> None:
    assert set(re.findall(r"^\| `wsbench (\w+)", REFERENCE, re.MULTILINE)) == set(COMMANDS)


def test_every_finding_has_a_row() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", FINDINGS.partition("\n#")[0], re.MULTILINE)
    named = [code for row in rows for code in re.findall(r"`([\w-]+)`", row)]
    rules = inspect.getsource(finding_rules) + inspect.getsource(cpu_rules)
    codes = re.findall(r"Finding\(\s*\"([\w-]+)\"", rules)
    assert sorted(named) == sorted({*codes, READ_LATE, WORKER_LOST})
