"""The cells of an experiment, and the order of their runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from wsbench.experiment import spec
from wsbench.experiment.order import missing_runs, plan_cells
from wsbench.experiment.spec import Spec
from wsbench.results import experiment_result
from wsbench.results.experiment_result import DONE, FAILED, Cell, Experiment


@pytest.fixture
def sample(tmp_path: Path) -> Spec:
    file = tmp_path / "sample.toml"
    file.write_text(
        """
        targets = ["websockets", "picows", "python-socketio", "nginx>picows"]
        transport = ["ws", "wss"]
        compression = ["off", "on"]
        load = [{ in_flight = 4 }, { rate = 1000 }, { rate = 1000, arrivals = "poisson" }]
        """
    )
    return spec.load(file)


def in_order(cells: list[Cell]) -> list[tuple[int, str]]:
    """(repetition, key) of all runs."""
    runs = sorted((run.order, run.repetition, cell.key) for cell in cells for run in cell.runs)
    assert [order for order, _, _ in runs] == list(range(len(runs)))
    return [(repetition, key) for _, repetition, key in runs]


def test_cells_and_holes(sample: Spec) -> None:
    cells = plan_cells(sample, repetitions=2, seed=1)
    assert len(cells) == 2 * 2 * 3 * 4
    assert len({cell.key for cell in cells}) == len(cells)
    assert [cell.key for cell in cells[:9:4]] == [
        "websockets ws off 128B 50c closed/4",
        "websockets ws off 128B 50c open/1000",
        "websockets ws off 128B 50c open/1000/poisson",
    ]
    holes = Counter((cell.target, cell.hole) for cell in cells if cell.hole is not None)
    assert holes == {
        ("picows", "picows has no compression"): 6,
        ("nginx>picows", "nginx>picows has no compression"): 6,
        ("python-socketio", "python-socketio speaks socket.io, which wsbench's own users do not"): 12,
    }
    assert all(len(cell.runs) == (0 if cell.hole else 2) for cell in cells)


def test_every_block_has_every_cell_once_in_an_order_of_its_own(sample: Spec) -> None:
    cells = plan_cells(sample, repetitions=4, seed=1)
    alive = [cell.key for cell in cells if cell.hole is None]
    order = in_order(cells)
    size = len(alive)
    blocks = [order[start : start + size] for start in range(0, len(order), size)]
    assert [{repetition for repetition, _ in block} for block in blocks] == [{0}, {1}, {2}, {3}]
    keys = [[key for _, key in block] for block in blocks]
    assert all(sorted(block) == sorted(alive) for block in keys)
    assert all(block != alive for block in keys)
    assert len({tuple(block) for block in keys}) == 4


def test_the_seed_decides_the_order(sample: Spec) -> None:
    first, again, other = (in_order(plan_cells(sample, repetitions=3, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_every_cell_comes_early_and_late_over_many_blocks(sample: Spec) -> None:
    """A cell that always ran first in its block would have all of the machine's drift on its side."""
    cells = plan_cells(sample, repetitions=200, seed=3)
    size = sum(cell.hole is None for cell in cells)
    for cell in cells:
        places = [run.order % size for run in cell.runs]
        if places:
            assert sum(places) / len(places) == pytest.approx((size - 1) / 2, rel=0.2)


def test_what_is_missing_is_what_is_not_done_in_the_order_of_the_plan(sample: Spec) -> None:
    cells = plan_cells(sample, repetitions=2, seed=9)
    wanted = [(cell.key, run.order) for cell in cells for run in cell.runs]
    for status, place in ((DONE, 0), (FAILED, 1)):
        cells[place] = replace(cells[place], runs=[replace(run, status=status) for run in cells[place].runs])
    experiment = Experiment(experiment_result.SCHEMA, "id", "name", False, "now", "0.1.0", 9, None, cells)
    missing = [experiment.cells[place] for place, _ in missing_runs(experiment)]
    orders = [experiment.cells[place].runs[number].order for place, number in missing_runs(experiment)]
    assert orders == sorted(orders)
    assert {cell.key for cell in missing} == {key for key, _ in wanted} - {cells[0].key}
