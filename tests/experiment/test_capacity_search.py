"""The search for a capacity, against servers that are functions: its answer, its steps, and its end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsbench.experiment.capacity_search import (
    MOST_STEPS,
    NextLoad,
    Search,
    SearchEnd,
    best_so_far,
    decide,
    majority_outcome,
    step_ns,
)
from wsbench.results.capacity_result import BOUND, GENERATOR, HELD, TARGET, Bounds, CapacityStep
from wsbench.units import NS_PER_S

Server = Callable[[float], str]
S = NS_PER_S
WIDE = Bounds(100.0, 10.0, 1e6)


def step(load: float, outcome: str) -> CapacityStep:
    return CapacityStep(load, rate=load, connections=1, outcome=outcome)


def search(server: Server, bounds: Bounds = WIDE, tolerance: float = 0.05, *, whole: bool = False) -> SearchEnd:
    return searched(server, bounds, tolerance, whole=whole)[0]


def searched(
    server: Server, bounds: Bounds = WIDE, tolerance: float = 0.05, *, whole: bool = False
) -> tuple[SearchEnd, list[CapacityStep]]:
    wanted = Search(bounds, tolerance, whole)
    seen: list[CapacityStep] = []
    while isinstance(following := decide(wanted, seen), NextLoad):
        assert bounds.least <= following.load <= bounds.most
        assert not whole or following.load == int(following.load)
        seen.append(step(following.load, server(following.load)))
        assert len(seen) <= MOST_STEPS
    return following, seen


def limit(at: float, *, generator: float = 1e12) -> Server:
    """Holds up to and including `at`; above `generator`, it is that which fails."""
    return lambda load: HELD if load <= min(at, generator) else GENERATOR if load > generator else TARGET


def test_up_in_and_repeated_where_it_matters() -> None:
    found, seen = searched(limit(500.0))
    assert [(each.load, each.outcome) for each in seen] == [
        (100, HELD),
        (200, HELD),
        (400, HELD),
        (800, TARGET),  # measured again before it is believed
        (800, TARGET),
        (566, TARGET),
        (566, TARGET),
        (476, HELD),
        (519, TARGET),
        (519, TARGET),
        (497, HELD),  # the answer: measured again
        (497, HELD),
    ]
    assert found == SearchEnd(497, TARGET, 519)


@pytest.mark.parametrize(
    ("server", "bounds", "expected"),
    [
        # down, when the first does not hold
        (limit(30.0), WIDE, (29.7, TARGET)),
        (limit(5.0), WIDE, (None, TARGET)),
        (limit(1e9), Bounds(100.0, 10.0, 300.0), (300.0, BOUND)),
        (limit(1e9), Bounds(100.0, 10.0, 100.0), (100.0, BOUND)),
        # whoever fails at the lower load is the limit
        (limit(1e9, generator=1000.0), WIDE, (995.0, GENERATOR)),
        (limit(700.0, generator=1000.0), WIDE, (673.0, TARGET)),
        (limit(0.0, generator=1.0), WIDE, (None, GENERATOR)),
    ],
)
def test_what_is_found(server: Server, bounds: Bounds, expected: tuple[float | None, str]) -> None:
    found = search(server, bounds)
    assert (found.load, found.limited_by) == expected
    assert (found.failed_at is None) == (found.limited_by == BOUND)


def test_connections_are_whole_and_found_exactly_when_they_are_few() -> None:
    for at in range(1, 60):
        found = search(limit(float(at)), Bounds(10.0, 1.0, 50.0), whole=True)
        assert found.load is not None
        if at >= 50:
            assert found == SearchEnd(50.0, BOUND, None)
        else:
            assert found.failed_at is not None
            assert found.load <= at < found.failed_at <= max(found.load + 1, found.load * 1.05)


def test_one_bad_run_is_not_believed() -> None:
    """The first run of every load fails, the second and the third do not."""
    counts: dict[float, int] = {}

    def server(load: float) -> str:
        counts[load] = counts.get(load, 0) + 1
        return TARGET if load > 500 or counts[load] == 1 else HELD

    found = search(server)
    assert found.load is not None
    assert 475 <= found.load <= 500


def test_two_runs_that_differ_ask_for_a_third() -> None:
    seen = [step(100, HELD), step(200, TARGET), step(200, HELD)]
    wanted = Search(WIDE, 0.05)
    assert decide(wanted, seen) == NextLoad(200, held=100, failed=None)
    assert decide(wanted, [*seen, step(200, HELD)]) == NextLoad(400, held=200, failed=None)
    assert decide(wanted, [*seen, step(200, GENERATOR)]) == NextLoad(141, held=100, failed=200)


def test_an_answer_that_fails_when_it_is_repeated_is_none() -> None:
    """400 held once, and never again: the search goes on below it."""
    runs = iter([HELD])

    def server(load: float) -> str:
        return next(runs, TARGET) if load == 400 else limit(350.0)(load)

    found, seen = searched(server)
    assert [each.outcome for each in seen if each.load == 400] == [HELD, TARGET, TARGET]
    assert found.load is not None
    assert 333 <= found.load <= 350 < (found.failed_at or 0) <= 400


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [([GENERATOR, TARGET], TARGET), ([GENERATOR, GENERATOR], GENERATOR), ([HELD, GENERATOR, GENERATOR], GENERATOR)],
)
def test_a_target_that_failed_while_the_generator_was_well_is_the_limit(outcomes: list[str], expected: str) -> None:
    runs = iter(outcomes)
    found = search(lambda load: HELD if load <= 100 else next(runs, TARGET), Bounds(100.0, 10.0, 105.0))
    assert found == SearchEnd(100.0, expected, 105.0)


def test_runs_that_never_agree_end_the_search() -> None:
    coin = random.Random(1)
    for _ in range(50):
        found, seen = searched(lambda _: coin.choice([HELD, TARGET]), tolerance=0.01)
        assert len(seen) <= MOST_STEPS
        assert found.settled or len(seen) == MOST_STEPS


@given(
    at=st.floats(12.0, 9e5),
    start=st.floats(10.0, 1e6),
    tolerance=st.floats(0.01, 0.5),
    whole=st.booleans(),
    generator=st.one_of(st.just(1e12), st.floats(12.0, 9e5)),
)
@settings(max_examples=300, deadline=None)
def test_a_server_with_a_limit_is_found_within_the_tolerance(
    at: float, start: float, tolerance: float, whole: bool, generator: float
) -> None:
    bounds = Bounds(float(round(start)) if whole else start, 10.0, 1e6)
    found, seen = searched(limit(at, generator=generator), bounds, tolerance, whole=whole)
    edge = min(at, generator)
    assert found.load is not None
    assert found.load <= edge < (found.failed_at or 0)
    assert found.failed_at is not None
    assert found.failed_at <= max(found.load * (1 + tolerance) + 1e-9, found.load + 1 if whole else 0)
    assert found.limited_by == limit(at, generator=generator)(found.failed_at)
    assert found.settled
    assert len(seen) <= 60


@given(at=st.floats(50.0, 5e5), noise=st.floats(0.001, 0.05), seed=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_one_that_is_noisy_near_its_edge_is_found_within_noise_and_tolerance(
    at: float, noise: float, seed: int
) -> None:
    """Each run has a limit of its own, normally distributed around the server's."""
    source = random.Random(seed)
    found = search(lambda load: HELD if load <= at * source.gauss(1.0, noise) else TARGET)
    assert found.load is not None
    assert at * (1 - 0.05 - 4 * noise) <= found.load <= at * (1 + 4 * noise)


def test_the_answer_of_a_search_that_was_broken_off() -> None:
    assert best_so_far([]) is None
    assert best_so_far([step(100, TARGET)]) is None
    assert best_so_far([step(100, HELD), step(200, HELD), step(400, TARGET)]) == 200
    assert best_so_far([step(100, HELD), step(400, HELD), step(400, TARGET)]) == 100
    assert best_so_far([step(100, HELD), step(400, TARGET), step(400, HELD), step(400, HELD)]) == 400


@pytest.mark.parametrize(
    ("samples", "rate", "expected_ns"),
    [
        (1000, 1000.0, 3 * S),
        (1000, 100.0, 10 * S),
        (10_000, 1000.0, 10 * S),
        (10_000, 100.0, 30 * S),
        (1000, 300.0, 3_334_000_000),
        (1, 1e9, 3 * S),
    ],
)
def test_a_step_is_as_long_as_its_percentile_wants(samples: int, rate: float, expected_ns: int) -> None:
    assert step_ns(samples, rate, shortest_ns=3 * S, longest_ns=30 * S) == expected_ns


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
    assert majority_outcome(outcomes) == expected
