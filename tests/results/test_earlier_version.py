"""Results that version 0.1.0 stored are still read: by the models, and by the commands for stored results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.process import run_cli

from wsbench.results import capacity_result, experiment_result, run_result
from wsbench.results.json_files import encode_json

STORED = Path(__file__).parent / "version_0_1_0"


def assert_contains(document: Any, old: Any, path: str = "$") -> None:
    """Assert that everything in `old` has the same name and value in `document`."""
    if isinstance(old, dict):
        for key, value in old.items():
            assert key in document, f"{path}.{key}"
            assert_contains(document[key], value, f"{path}.{key}")
    elif isinstance(old, list):
        assert len(document) == len(old), path
        for place, value in enumerate(old):
            assert_contains(document[place], value, f"{path}[{place}]")
    else:
        assert document == old, path


@pytest.mark.parametrize(
    ("model", "name"),
    [(run_result, "run/run.json"), (experiment_result, "experiment.json"), (capacity_result, "capacity.json")],
)
def test_a_document_is_read_and_keeps_every_field(model: Any, name: str) -> None:
    document = json.loads(encode_json(model.load(STORED / name)))
    assert_contains(document, json.loads((STORED / name).read_bytes()))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("report", "run", "--output", "-"), "<!doctype html>"),
        (("export", "run", "--format", "json"), '"id": "20261130T130110Z-old"'),
        (("export", "run", "--format", "csv"), "response_p50_ns"),
        (("export", "run", "--format", "openmetrics"), 'wsbench_latency_seconds_count{series="response"} 200'),
        (("export", "run", "--format", "hlog"), "#[Histogram log format version"),
        (("compare", "run", "run", "--anyway"), "200 messages"),
    ],
)
def test_a_run_is_reported_exported_and_compared(tmp_path: Path, command: tuple[str, ...], expected: str) -> None:
    shutil.copytree(STORED / "run", tmp_path / "run")
    ended = run_cli(*command, cwd=tmp_path)
    assert expected in ended.stdout, ended.stderr
