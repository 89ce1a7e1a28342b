"""capacity.json: stored, and read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.sample_capacity import CAPACITY, MS, write

from wsbench.errors import ResultError
from wsbench.results import capacity_result
from wsbench.results.json_files import encode_json


def test_what_is_stored_is_read_back(tmp_path: Path) -> None:
    where = write(tmp_path)
    assert capacity_result.load(where) == capacity_result.load(where / "capacity.json") == CAPACITY
    document = json.loads((where / "capacity.json").read_bytes())
    assert (document["schema"], document["limited_by"], document["answer"]["load"]) == (1, "target", 497.0)
    assert document["steps"][0]["p99.9_ns"] == 4 * MS


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda document: document.update(schema=2), "newer wsbench"),
        (lambda document: document.pop("bounds"), "not a whole capacity"),
        (lambda document: document["steps"][0].update(load="many"), "not a whole capacity"),
    ],
)
def test_a_damaged_one_is_refused(tmp_path: Path, damage: Callable[[Any], object], said: str) -> None:
    document = json.loads(encode_json(CAPACITY))
    damage(document)
    (tmp_path / "capacity.json").write_text(json.dumps(document))
    with pytest.raises(ResultError) as error:
        capacity_result.load(tmp_path)
    assert said in str(error.value)
