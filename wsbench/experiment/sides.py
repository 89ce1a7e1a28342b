"""The two sides of `wsbench compare`, and the pairing of their runs.

A side is a run, an experiment, or one target of an experiment (`EXPERIMENT:TARGET`). Two runs are one pair. Experiments
are paired cell by cell: by target and conditions, or by conditions alone if each side has one target and they differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from wsbench.credentials import DEFAULT_SECRETS
from wsbench.errors import UsageError
from wsbench.results import experiment_result, run_result
from wsbench.results.experiment_result import DONE, EXPERIMENT_FILE, FAILED, Cell, Experiment
from wsbench.results.json_files import exists
from wsbench.results.run_result import Run

ONLY_BASE, ONLY_NEW = "only BASE has it", "only NEW has it"


@dataclass(frozen=True)
class SideSource:
    """One side. `argument` is the argument, `directory` that of the experiment or run."""

    argument: str
    directory: Path
    content: Run | Experiment
    target: str | None = None

    @property
    def cells(self) -> list[Cell]:
        """The experiment's cells: of the target requested, or all."""
        assert isinstance(self.content, Experiment)
        return [cell for cell in self.content.cells if self.target in (None, cell.target)]

    @property
    def targets(self) -> list[str]:
        """Names of the targets, in order of first appearance; the URL for a run's target without a name."""
        if isinstance(self.content, Run):
            return [self.content.target.name or DEFAULT_SECRETS.url(self.content.conditions.url)]
        return list(dict.fromkeys(cell.target for cell in self.cells))


@dataclass(frozen=True)
class MatchedRuns:
    """Runs of both sides under the same conditions; `reason` if a side has none, `missing` if it should have."""

    key: str
    base: list[Run] = field(default_factory=list)
    new: list[Run] = field(default_factory=list)
    reason: str = ""
    missing: bool = False
    notes: list[str] = field(default_factory=list)


def read_side(argument: str) -> SideSource:
    """Read a side from its argument; raise ResultError if it is no result, UsageError if it has no such target."""
    path, target = Path(argument), None
    if not exists(path):
        head, colon, tail = argument.rpartition(":")
        if colon and exists(Path(head)):
            path, target = Path(head), tail
    is_experiment = path.name == EXPERIMENT_FILE or exists(path / EXPERIMENT_FILE)
    content = experiment_result.load(path) if is_experiment else run_result.load(path)
    side = SideSource(argument, path if path.is_dir() else path.parent, content)
    if target is None:
        return side
    if not is_experiment:
        raise UsageError(f"{argument}: a run has one target", remedy="Only an experiment's targets can be chosen.")
    if target not in side.targets:
        remedy = f"It has {', '.join(side.targets)}."
        raise UsageError(f"{argument}: the experiment has no target {target!r}", remedy=remedy)
    return replace(side, target=target)


def load_runs(cell: Cell, directory: Path) -> list[Run]:
    """Read the finished runs of a cell of the experiment in `directory`; raise ResultError if one cannot be read."""
    return [run_result.load(directory / run.run) for run in cell.runs if run.status == DONE and run.run]


def match_sides(base: SideSource, new: SideSource) -> list[MatchedRuns]:
    """Return the pairs, in BASE's order; raise ResultError if a run cannot be read, UsageError if nothing pairs."""
    if isinstance(base.content, Run) and isinstance(new.content, Run):
        return [MatchedRuns(base.content.name, [base.content], [new.content])]
    if isinstance(base.content, Run) or isinstance(new.content, Run):
        what = f"{base.argument} and {new.argument}: a run cannot be compared with an experiment"
        raise UsageError(what, remedy="An experiment's runs are in its directory runs/.")
    by_target = bool(set(base.targets) & set(new.targets))
    if not by_target and (len(base.targets) != 1 or len(new.targets) != 1):
        what = f"BASE has the targets {', '.join(base.targets)}, NEW has {', '.join(new.targets)}"
        raise UsageError(what, remedy="Choose one target per side: EXPERIMENT:TARGET.")
    left, right = [
        {(cell.target if by_target else "", *cell.conditions): cell for cell in side.cells} for side in (base, new)
    ]
    if not left.keys() & right.keys():
        raise UsageError(f"no cell of {base.argument} has the conditions of a cell of {new.argument}")
    return [
        *(_matched(base, cell, new, right.get(conditions)) for conditions, cell in left.items()),
        *(MatchedRuns(cell.key, reason=ONLY_NEW) for conditions, cell in right.items() if conditions not in left),
    ]


def _matched(base: SideSource, cell: Cell, new: SideSource, other: Cell | None) -> MatchedRuns:
    if other is None:
        return MatchedRuns(cell.key, reason=ONLY_BASE)
    key = cell.key if cell.target == other.target else f"{cell.key} → {other.target}"
    if cell.hole or other.hole:
        return MatchedRuns(key, reason=cell.hole or other.hole or "")
    left, right = load_runs(cell, base.directory), load_runs(other, new.directory)
    notes = [*_failed("BASE", cell, key), *_failed("NEW", other, key)]
    if left and right:
        return MatchedRuns(key, left, right, notes=notes)
    sides = [side for side, runs in (("BASE", left), ("NEW", right)) if not runs]
    reason = f"{' and '.join(sides)} {'has' if len(sides) == 1 else 'have'} no run of it"
    return MatchedRuns(key, reason=reason, missing=True, notes=notes)


def _failed(side: str, cell: Cell, key: str) -> Iterable[str]:
    failed = [run for run in cell.runs if run.status == FAILED]
    if failed:
        yield f"{key}: {len(failed)} of {len(cell.runs)} runs of {side} failed ({failed[0].reason})"
