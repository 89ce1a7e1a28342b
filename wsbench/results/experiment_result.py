"""experiment.json: what an experiment leaves, beside the results of its runs (immutable, versioned).

    results/<experiment id>/
      experiment.json     written anew after every run
      experiment.toml     the file as given
      runs/<run id>/      an ordinary result directory for every run. One that was interrupted, or
                          failed, stays when it is made again: experiment.json says which are the experiment's

A cell is one combination of target and conditions; it has a run for every repetition, and the run is the unit of its
statistics. A cell that cannot exist (a target without TLS, say) is a hole: it has no runs, and says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from wsbench.results.run_result import decode_as, read

SCHEMA = 1
EXPERIMENT_FILE = "experiment.json"
TOML_FILE = "experiment.toml"
RUNS = "runs"

DONE, FAILED, PENDING = "done", "failed", "pending"


class Load(msgspec.Struct, frozen=True, omit_defaults=True):
    """`in_flight` messages a connection in a closed loop; `rate` (messages a second) and `arrivals` in an open one."""

    loop: str
    in_flight: int | None = None
    rate: float | None = None
    arrivals: str | None = None

    def __post_init__(self) -> None:
        """An open loop has a rate, a closed one a window.

        Raises:
            ValueError: it has not.
        """
        if self.loop not in ("open", "closed") or (self.rate if self.loop == "open" else self.in_flight) is None:
            raise ValueError(f"{self.loop!r} is no loop, or lacks its rate or in_flight")


class CellRun(msgspec.Struct, frozen=True):
    """One repetition of a cell.

    Attributes:
        order: its place among all runs of the experiment.
        status: "done", "failed" or "pending".
        run: its result's directory, relative to the experiment's; None while there is none.
        reason: why it failed.
    """

    repetition: int
    order: int
    status: str = PENDING
    run: Annotated[str, msgspec.Meta(pattern=rf"\A{RUNS}/[^/\0]{{1,255}}\Z")] | None = None
    reason: str | None = None


class Cell(msgspec.Struct, frozen=True):
    """One combination of target and conditions. `hole` says why it has no runs, if it can have none."""

    key: str
    target: str
    transport: str
    compression: str
    payload_size: int
    connections: int
    load: Load
    runs: list[CellRun] = []
    hole: str | None = None


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


def encode(experiment: Experiment) -> bytes:
    """experiment.json, indented for people, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(experiment), indent=2) + b"\n"


def decode(text: bytes, where: str) -> Experiment:
    """An experiment from its JSON.

    Raises:
        ResultError: not JSON, of another schema, or not what the schema says; `where` names it.
    """
    return decode_as(Experiment, text, where, what="experiment", schema=SCHEMA)


def load(path: Path) -> Experiment:
    """The experiment in a directory (or in its experiment.json).

    Raises:
        ResultError: there is none, or it cannot be read.
    """
    return decode(*read(path, EXPERIMENT_FILE, what="experiment"))
