"""From a result to report.html.

Everything in it but wsbench's own words came from elsewhere (servers, command lines, file names) and stays text: the
templates escape, figures are data, and the page's policy allows no script but those with a number drawn for the page.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wsbench.report import hlog, series_labels
from wsbench.report.html import figures, history, tables
from wsbench.report.html.plots import Figure
from wsbench.report.text.summary import describe_conditions
from wsbench.results.run_result import Run

OVER_TIME = "response"
"""The series that is drawn over time."""
_TEMPLATES = "templates"
_CODE = re.compile(r"`([^`]*)`")


def of_run(run: Run, lines: Iterable[hlog.StoredLine], timeline: bytes) -> bytes:
    """The report of a run, from what lies in its directory: `lines` are latency.hlog's, `timeline` is timeline.csv.

    Raises:
        ResultError: `timeline` is none.
    """
    over_time = history.timeline(timeline, "timeline.csv")
    found = history.latencies(lines, over_time, OVER_TIME)
    heat = history.heat_map(found.columns, over_time)
    main = figures.of_run(run, found.series, heat, over_time)
    connecting = figures.connecting(run, found.series)
    return render(
        "run.html",
        [*main, *([connecting] if connecting else [])],
        title=run.name,
        version=run.wsbench,
        run=run,
        description=describe_conditions(run),
        meaning=tables.VERDICTS.get(run.generator.verdict, ""),
        tables=tables,
        main=main,
        connecting=connecting,
        latency_series=series_labels.message_series(run),
        scenario_series=series_labels.scenario_series(run),
        connect_series=series_labels.connect_series(run),
        label=series_labels.label,
    )


def render(template: str, plots: Sequence[Figure], **values: Any) -> bytes:
    """A page from its template, with the figures that its script draws."""
    nonce = secrets.token_urlsafe(18)
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            nonce=nonce,
            policy=_policy(nonce),
            style=Markup(_asset("page.css")),
            library=Markup(_plotly() if plots else ""),
            script=Markup(_asset("page.js")),
            plots=Markup(_json([figure.plot() for figure in plots])),
        )
        .encode("utf-8", "replace")
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("wsbench.report.html", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", str(Markup.escape(text))))
    return environment


def _asset(name: str) -> str:
    return (resources.files("wsbench.report.html") / _TEMPLATES / name).read_text("utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  # not before a run's end: it takes a while

    library: str = get_plotlyjs()
    return library


def _policy(nonce: str) -> str:
    """The page's Content-Security-Policy: nothing from a network, and no script without the number.

    A hash of plotly would do as well, and cost a browser 0.3 s of every time it opens the page.
    """
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    """JSON that ends no script element, whatever it holds."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
