"""The report of an experiment: its tables, and plots that compare the targets.

The plots label the sets of conditions A, B, C ...: their full text has no room there.
"""

from __future__ import annotations

import string
from itertools import groupby

from wsbench.report.html import tables
from wsbench.report.html.experiment_plots import Curves, Group, efficiency_plot, percentile_plots, ratio_plots
from wsbench.report.html.page import render
from wsbench.report.text import overview_text
from wsbench.results.experiment_result import Experiment
from wsbench.results.overview_result import FIGURES, Overview
from wsbench.results.run_result import Run


def report(experiment: Experiment, overview: Overview, curves: Curves, example: Run | None) -> bytes:
    """Return the page. `example` is any of the runs: it has the machine on which all of them ran."""
    groups = [
        Group(_letter(number), conditions, sorted(rows, key=lambda row: row.target != overview.baseline))
        for number, (conditions, rows) in enumerate(groupby(overview.rows, lambda row: row.conditions))
    ]
    targets = list(dict.fromkeys(row.target for group in groups for row in group.rows))
    styles = {target: number for number, target in enumerate(targets)}
    percentiles = list(percentile_plots(groups, curves, styles))
    ratios = ratio_plots(overview, groups, styles)
    efficiency = efficiency_plot(groups, styles)
    return render(
        "experiment.html",
        [*percentiles, *ratios, *efficiency],
        title=experiment.name,
        version=experiment.wsbench,
        experiment=experiment,
        overview=overview,
        example=example,
        groups=groups,
        targets=targets,
        runs=sum(row.done for row in overview.rows),
        asked=sum(row.asked for row in overview.rows),
        ratios=ratios,
        percentiles=percentiles,
        efficiency=efficiency,
        figures=FIGURES,
        overview_text=overview_text,
        tables=tables,
    )


def _letter(number: int) -> str:
    """Return the label of a set of conditions: A .. Z, AA, AB ..."""
    rest, place = divmod(number, 26)
    return (_letter(rest - 1) if rest else "") + string.ascii_uppercase[place]
