"""The report of an experiment: its tables, and plots that compare the targets.

The plots label the sets of conditions A, B, C ...: their full text has no room there.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from wsbench.measure.histogram import Buckets
from wsbench.report.html import tables
from wsbench.report.html.experiment_plots import Group, efficiency_plot, percentile_plots, ratio_plots
from wsbench.report.html.page import render
from wsbench.report.text import overview_text
from wsbench.results.overview_result import FIGURES, Overview
from wsbench.results.run_result import Run


@dataclass(frozen=True)
class ExperimentReport:
    """The input of an experiment's report.

    Attributes:
        curves: by a cell's key, `response` over all its runs, and the number of lost messages.
        example: any of the runs: it has the machine on which all of them ran.
    """

    id: str
    name: str
    started: str
    complete: bool
    seed: int
    wsbench: str
    overview: Overview
    curves: Mapping[str, tuple[Buckets, int]]
    example: Run | None


def report(experiment: ExperimentReport) -> bytes:
    """Return the page."""
    overview = experiment.overview
    groups = _groups(overview)
    targets = list(dict.fromkeys(row.target for group in groups for row in group.rows))
    styles = {target: number for number, target in enumerate(targets)}
    curves = percentile_plots(groups, experiment.curves, styles)
    ratios = ratio_plots(overview, groups, styles)
    efficiency = efficiency_plot(groups, styles)
    return render(
        "experiment.html",
        [*curves, *ratios, *efficiency],
        title=experiment.name,
        version=experiment.wsbench,
        experiment=experiment,
        groups=groups,
        targets=targets,
        runs=sum(row.done for row in overview.rows),
        asked=sum(row.asked for row in overview.rows),
        ratios=ratios,
        curves=curves,
        efficiency=efficiency,
        figures=FIGURES,
        overview_text=overview_text,
        tables=tables,
    )


def _groups(overview: Overview) -> list[Group]:
    groups = []
    for number, (conditions, rows) in enumerate(groupby(overview.rows, lambda row: row.conditions)):
        ordered = sorted(rows, key=lambda row: row.target != overview.baseline)
        groups.append(Group(_letter(number), conditions, ordered))
    return groups


def _letter(number: int) -> str:
    """Return the label of a set of conditions: A .. Z, AA, AB ..."""
    rest, place = divmod(number, 26)
    return (_letter(rest - 1) if rest else "") + string.ascii_uppercase[place]
