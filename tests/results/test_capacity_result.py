"""capacity.json: kept strictly, and the curve that its steps make."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.sample_capacity import CAPACITY, MS, STEPS, write
from msgspec.structs import replace

from wsbench.errors import ResultError
from wsbench.experiment.knee import of_steps
from wsbench.results import capacity_result
from wsbench.results.capacity_result import GENERATOR, HELD, TARGET, curve, standing


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
def test_a_damaged_one_is_refused(damage: Callable[[Any], object], said: str) -> None:
    document = json.loads(capacity_result.encode(CAPACITY))
    damage(document)
    with pytest.raises(ResultError) as error:
        capacity_result.decode(json.dumps(document).encode(), "capacity.json")
    assert said in str(error.value)


def test_the_curve_has_a_point_a_load() -> None:
    points = {point.load: point for point in curve(STEPS)}
    assert list(points) == [100, 200, 400, 476, 497, 519, 566, 800]
    assert (points[497].outcome, points[497].steps, points[497].p99_ns) == (HELD, 3, 8 * MS)
    assert (points[519].outcome, points[519].p99_ns, points[519].p99_9_ns) == (TARGET, 40 * MS, 80 * MS)
    assert points[800].p99_ns == 900 * MS  # what has no value is more than any
    assert curve([replace(STEPS[0], due=0, run=None)]) == []


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([HELD], HELD),
        ([HELD, TARGET, HELD], HELD),
        ([TARGET, HELD], TARGET),
        ([GENERATOR, GENERATOR], GENERATOR),
        ([GENERATOR, TARGET], TARGET),
        ([GENERATOR, HELD, GENERATOR], GENERATOR),
    ],
)
def test_what_several_runs_amount_to(outcomes: list[str], expected: str) -> None:
    assert standing(outcomes) == expected


def test_the_knee_is_of_p99_where_the_generator_was_well() -> None:
    assert of_steps(CAPACITY) == CAPACITY.knee
    # without a value in any run, the time allowed for a reply stands for it
    lost = replace(CAPACITY, steps=[each if each.load < 800 else replace(each, p99_ns=None) for each in STEPS])
    assert of_steps(lost) == CAPACITY.knee
    gone = [each if each.outcome == HELD else replace(each, outcome=GENERATOR) for each in STEPS]
    assert of_steps(replace(CAPACITY, steps=gone)) != CAPACITY.knee
