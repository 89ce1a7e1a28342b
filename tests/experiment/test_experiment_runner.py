"""Making an experiment's runs: the order, what is stored when, failures, interruptions, resuming.

The executor is a fake: order and bookkeeping are pure logic. Real runs are those of tests/cli/test_matrix.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wsbench.errors import TargetError, UsageError
from wsbench.experiment import spec
from wsbench.experiment.experiment_runner import RunOutcome, RunStart, run_experiment
from wsbench.experiment.experiment_store import ExperimentStore
from wsbench.experiment.order import missing_runs, plan_cells
from wsbench.results import experiment_result
from wsbench.results.experiment_result import DONE, FAILED, PENDING, Cell, CellRun, Experiment

TEXT = """
targets = ["websockets", "picows"]
transport = ["ws", "wss"]
compression = ["off", "on"]
"""
CELLS = 6  # and two holes
EXPECTED_NS = 1000


class Fake:
    """Executor that records each request, and the experiment stored at that time."""

    def __init__(
        self, store: ExperimentStore, does: Callable[[int, Cell], RunOutcome | None] = lambda *_: None
    ) -> None:
        self.store = store
        self.asked: list[tuple[int, str]] = []
        self.stored: list[Experiment] = []
        self._does = does

    def __call__(self, cell: Cell, repetition: int) -> RunOutcome:
        self.asked.append((repetition, cell.key))
        self.stored.append(experiment_result.load(self.store.path))
        return self._does(len(self.asked), cell) or self.outcome()

    def outcome(self, **more: object) -> RunOutcome:
        return RunOutcome(self.store.runs / f"run-{len(self.asked)}", **more)  # type: ignore[arg-type]


class Heard:
    def __init__(self) -> None:
        self.steps: list[RunStart] = []
        self.failures: list[tuple[str, str]] = []

    def run_started(self, step: RunStart) -> None:
        self.steps.append(step)

    def run_failed(self, cell: Cell, reason: str) -> None:
        self.failures.append((cell.key, reason))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ExperimentStore]:
    with ExperimentStore.create(tmp_path / "results", "sample", TEXT.encode()) as made:
        yield made


def fresh(store: ExperimentStore, *, repetitions: int = 3, seed: int = 4) -> Experiment:
    cells = plan_cells(spec.load(store.toml), repetitions=repetitions, seed=seed)
    return Experiment(experiment_result.SCHEMA, store.id, "sample", False, "now", "0.1.0", seed, "websockets", cells)


def run(
    store: ExperimentStore, experiment: Experiment, execute: Fake, **more: object
) -> tuple[Experiment, bool, Heard]:
    heard = Heard()
    ended, interrupted = run_experiment(store, experiment, execute, heard, expected_run_ns=EXPECTED_NS, **more)  # type: ignore[arg-type]
    assert experiment_result.load(store.path) == ended
    return ended, interrupted, heard


def planned(experiment: Experiment) -> list[tuple[int, str]]:
    runs = sorted((run.order, run.repetition, cell.key) for cell in experiment.cells for run in cell.runs)
    return [(repetition, key) for _, repetition, key in runs]


def runs_of(experiment: Experiment) -> list[CellRun]:
    return [run for cell in experiment.cells for run in cell.runs]


def test_runs_are_made_in_the_order_of_the_plan(store: ExperimentStore) -> None:
    execute, experiment = Fake(store), fresh(store)
    ended, interrupted, heard = run(store, experiment, execute)
    assert execute.asked == planned(experiment)
    assert len(execute.asked) == 3 * CELLS
    assert [repetition for repetition, _ in execute.asked] == [0] * CELLS + [1] * CELLS + [2] * CELLS
    assert (ended.complete, interrupted) == (True, False)
    assert all(each.status == DONE for each in runs_of(ended))
    assert [(step.repetition, step.cell.key) for step in heard.steps] == execute.asked
    assert [(step.number, step.total) for step in heard.steps] == [(n, 3 * CELLS) for n in range(1, 3 * CELLS + 1)]


def test_each_run_is_stored_as_it_ends(store: ExperimentStore) -> None:
    execute = Fake(store)
    run(store, fresh(store), execute)
    for number, stored in enumerate(execute.stored):
        done = sorted(each.run or "" for each in runs_of(stored) if each.status == DONE)
        assert done == sorted(f"runs/run-{earlier}" for earlier in range(1, number + 1))
        assert not stored.complete


def test_the_time_left_is_that_of_the_runs_so_far(store: ExperimentStore) -> None:
    now = iter(range(0, 10_000_000, 50))  # each look at the clock is 50 ns after the last
    _, _, heard = run(store, fresh(store, repetitions=1), Fake(store), clock_ns=lambda: next(now))
    assert [step.left_ns for step in heard.steps] == [CELLS * EXPECTED_NS, 250, 200, 150, 100, 50]


def test_a_failure_is_recorded_and_the_rest_goes_on(store: ExperimentStore) -> None:
    def picows_cannot(number: int, cell: Cell) -> None:
        if cell.target == "picows":
            raise TargetError("picows cannot be started", remedy="Install it:\n  pip install picows")

    execute, experiment = Fake(store, picows_cannot), fresh(store, repetitions=2)
    ended, interrupted, heard = run(store, experiment, execute)
    assert execute.asked == planned(experiment)
    assert (ended.complete, interrupted) == (True, False)
    reason = "picows cannot be started; Install it:; pip install picows"
    for cell in ended.cells:
        for each in cell.runs:
            wanted = (FAILED, reason) if cell.target == "picows" else (DONE, None)
            assert (each.status, each.reason) == wanted
    assert [why for _, why in heard.failures] == [reason] * 4


def test_a_run_that_does_not_count_keeps_its_result_for_who_wants_to_know(store: ExperimentStore) -> None:
    execute = Fake(store, lambda number, _: execute.outcome(failure="it died") if number == 2 else None)
    ended, _, _ = run(store, fresh(store, repetitions=1), execute)
    (failed,) = [each for each in runs_of(ended) if each.status == FAILED]
    assert (failed.order, failed.run, failed.reason) == (1, "runs/run-2", "it died")


def press(number: int, cell: Cell) -> RunOutcome | None:
    if number == 4:
        raise KeyboardInterrupt
    return None


def test_an_interruption_leaves_the_rest_pending_and_going_on_makes_just_that(store: ExperimentStore) -> None:
    execute, experiment = Fake(store, press), fresh(store)
    broken_off, interrupted, _ = run(store, experiment, execute)
    assert (interrupted, broken_off.complete) == (True, False)
    assert [each.status for each in sorted(runs_of(broken_off), key=lambda each: each.order)] == (
        [DONE] * 3 + [PENDING] * (3 * CELLS - 3)
    )
    again = Fake(store)
    ended, interrupted, heard = run(store, experiment_result.load(store.path), again)
    assert (interrupted, ended.complete) == (False, True)
    assert execute.asked[:3] + again.asked == planned(experiment)
    assert (heard.steps[0].number, heard.steps[0].total) == (4, 3 * CELLS)
    assert {cell.key for cell in ended.cells} == {cell.key for cell in experiment.cells}


def test_a_run_that_was_interrupted_is_made_again(store: ExperimentStore) -> None:
    execute = Fake(store, lambda number, _: execute.outcome(interrupted=True) if number == 2 else None)
    broken_off, interrupted, _ = run(store, fresh(store), execute)
    assert interrupted
    (half,) = [each for each in runs_of(broken_off) if each.order == 1]
    assert (half.status, half.run, half.reason) == (PENDING, "runs/run-2", "interrupted")
    again = Fake(store)
    ended, _, _ = run(store, broken_off, again)
    assert again.asked[0] == execute.asked[1]
    (whole,) = [each for each in runs_of(ended) if each.order == 1]
    assert (whole.status, whole.reason) == (DONE, None)


def test_going_on_tries_again_what_failed(store: ExperimentStore) -> None:
    def second_fails(number: int, cell: Cell) -> None:
        if number == 2:
            raise TargetError("no")

    execute = Fake(store, second_fails)
    first, _, _ = run(store, fresh(store), execute)
    assert len(missing_runs(first)) == 1
    again = Fake(store)
    ended, _, _ = run(store, first, again)
    assert again.asked == [execute.asked[1]]
    assert missing_runs(ended) == []


def test_a_crash_of_our_own_leaves_what_was_done(store: ExperimentStore) -> None:
    def breaks(number: int, cell: Cell) -> None:
        if number == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(store, fresh(store), Fake(store, breaks))
    assert [each.status for each in runs_of(experiment_result.load(store.path))].count(DONE) == 2


def test_an_experiment_is_one_process_at_a_time(store: ExperimentStore) -> None:
    with pytest.raises(UsageError, match="another wsbench matrix is running in it"):
        ExperimentStore(store.path)


def test_two_experiments_of_one_second_have_two_ids(tmp_path: Path) -> None:
    stores = [ExperimentStore.create(tmp_path, "same", b"") for _ in range(3)]
    assert len({each.id for each in stores}) == 3
    assert all(each.toml.read_bytes() == b"" and each.runs.is_dir() for each in stores)
    for each in stores:
        with each:
            pass


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--results"):
        ExperimentStore.create(tmp_path / "file", "name", b"")
