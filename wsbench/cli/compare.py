"""`wsbench compare`: whether NEW is slower than BASE by more than chance and more than a margin."""

from __future__ import annotations

import math
from pathlib import Path

import click

from wsbench.cli.params import Parsed, ci_options, option, write_for_ci
from wsbench.errors import WsbenchError
from wsbench.experiment.comparison import compare
from wsbench.experiment.statistics import MARGINS
from wsbench.report import junit as junit_report
from wsbench.report import markdown
from wsbench.report.text import comparison_text
from wsbench.results.json_files import encode_json
from wsbench.run import exit_codes
from wsbench.units import parse_share


def _margin(text: str) -> tuple[str, float]:
    metric, equals, value = text.partition("=")
    metric = metric.strip()
    if not equals or metric not in MARGINS:
        raise ValueError(f"{text!r} is not a margin: use for example p99=10%, of {', '.join(MARGINS)}")
    if not value.strip().endswith("%"):
        raise ValueError(f"{text!r}: {value!r} is not a percentage, as in {metric}=10%")
    try:
        return metric, parse_share(value)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error


def _confidence(text: str) -> float:
    """Parse a level as a fraction or as a percentage."""
    try:
        share = parse_share(text) if text.strip().endswith("%") else float(text)
    except ValueError:
        share = math.nan
    if not 0.5 <= share < 1:  # true for NaN as well
        raise ValueError(f"{text!r} is not a level of confidence: use for example 0.95 or 99%")
    return share


def _compare(
    base: str,
    new: str,
    *,
    anyway: bool,
    confidence: float,
    margin: tuple[tuple[str, float], ...],
    json: bool,
    summary: Path | None,
    junit: Path | None,
) -> int:
    margins = {**MARGINS, **dict(margin)}
    try:
        comparison = compare(base, new, margins=margins, confidence=confidence, anyway=anyway)
    except WsbenchError as error:
        write_for_ci(
            summary=summary,
            markdown=markdown.refusal("compare: not compared", error),
            junit=junit,
            xml=junit_report.encode_refusal(base, new, error),
        )
        raise
    click.echo(encode_json(comparison) if json else comparison_text.render(comparison), nl=False)
    write_for_ci(
        summary=summary,
        markdown=markdown.comparison_summary(comparison),
        junit=junit,
        xml=junit_report.encode_comparison(comparison),
    )
    return exit_codes.of_comparison(comparison)


_DEFAULTS = ", ".join(f"{metric}={share:.0%}" for metric, share in MARGINS.items())

command = click.Command(
    "compare",
    callback=_compare,
    params=[
        click.Argument(["base"], metavar="BASE"),
        click.Argument(["new"], metavar="NEW"),
        option("--anyway", "Compare results of different conditions; the output names the differences."),
        option(
            "--confidence LEVEL",
            "Confidence level of the intervals, and of the whole comparison against a false alarm.",
            Parsed("level", _confidence),
            "0.95",
        ),
        option(
            "--margin METRIC=PERCENT",
            f"Relative difference that does not matter; repeatable (default: {_DEFAULTS}).",
            Parsed("margin", _margin),
            multiple=True,
        ),
        option("--json", "Print one JSON document on standard output."),
        *ci_options(),
    ],
    help="Compare two results: directories of runs or of experiments, or EXPERIMENT:TARGET for one target of an "
    "experiment. Exits with 1 if NEW is slower, and with 5 if the results do not decide it.",
)
