"""experiment.json: the cells of an experiment and the state of their runs (immutable, versioned).

    results/<experiment id>/
      experiment.json     replaced after every run
      experiment.toml     a copy of the experiment file
      runs/<run id>/      an ordinary result directory for every run. The directory of an interrupted or failed run
                          stays when the run is repeated; experiment.json names the ones that count

A cell is one combination of target and conditions. It has one run per repetition; the run is the unit of the
statistics. A cell that cannot be measured (for example TLS with a target that has none) is a hole: it has no runs, and
states the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from wsbench.results.json_files import load_document

SCHEMA = 1
EXPERIMENT_FILE = "experiment.json"
TOML_FILE = "experiment.toml"
RUNS = "runs"

DONE, FAILED, PENDING = "done", "failed", "pending"


class Load(msgspec.Struct, frozen=True, omit_defaults=True):
    """A closed loop with `in_flight` messages per connection, or an open one with a `rate` in messages a second."""

    loop: str
    in_flight: int | None = None
    rate: float | None = None
    arrivals: str | None = None

    def __post_init__(self) -> None:
        """Check that an open loop has a rate, and a closed one messages in flight."""
        if self.loop not in ("open", "closed") or (self.rate if self.loop == "open" else self.in_flight) is None:
            raise ValueError(f"{self.loop!r} is not a loop, or lacks its rate or in_flight")


class CellRun(msgspec.Struct, frozen=True):
    """One repetition of a cell.

    Attributes:
        order: the run's place among all runs of the experiment.
        status: "done", "failed" or "pending".
        run: the result's directory, relative to the experiment's; None while there is none.
        reason: why the run failed.
    """

    repetition: int
    order: int
    status: str = PENDING
    run: Annotated[str, msgspec.Meta(pattern=rf"\A{RUNS}/[^/\0]{{1,255}}\Z")] | None = None
    reason: str | None = None


class Cell(msgspec.Struct, frozen=True):
    """One combination of target and conditions. `hole` is the reason why it can have no runs, if any."""

    key: str
    target: str
    transport: str
    compression: str
    payload_size: int
    connections: int
    load: Load
    runs: list[CellRun] = []
    hole: str | None = None

    @property
    def conditions(self) -> tuple[str, str, int, int, Load]:
        """All conditions but the target."""
        return self.transport, self.compression, self.payload_size, self.connections, self.load


class Experiment(msgspec.Struct, frozen=True):
    """experiment.json."""

    schema: int
    id: str
    name: str
    complete: bool
    started: str
    wsbench: str
    seed: int
    baseline: str | None
    cells: list[Cell]


def load(path: Path) -> Experiment:
    """Read experiment.json (the file, or a directory with it); raise ResultError if it cannot be read."""
    return load_document(Experiment, path, EXPERIMENT_FILE, what="experiment", schema=SCHEMA)
