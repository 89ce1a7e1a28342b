"""Rendering of report.html from a template and its plots.

Text from outside (servers, command lines, file names) stays text: the templates escape it, plots are data, and the
page's policy allows only the scripts that have its nonce.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wsbench.report.html.plots import Plot

_TEMPLATES = "templates"
_CODE = re.compile(r"`([^`]*)`")


def render(template: str, plots: Sequence[Plot], **values: Any) -> bytes:
    """Render a template, with the plots that the page's script draws."""
    environment = Environment(
        loader=PackageLoader("wsbench.report.html", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", str(Markup.escape(text))))
    nonce = secrets.token_urlsafe(18)
    page = environment.get_template(template).render(
        **values,
        nonce=nonce,
        policy=_policy(nonce),
        style=_asset("page.css"),
        library=_plotly() if plots else "",
        script=_asset("page.js"),
        plots=Markup(_json([figure.spec() for figure in plots])),
    )
    return page.encode("utf-8", "replace")


def _asset(name: str) -> Markup:
    return Markup((resources.files("wsbench.report.html") / _TEMPLATES / name).read_text("utf-8"))


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415  # slow: import it only when a report is made

    return Markup(get_plotlyjs())


def _policy(nonce: str) -> str:
    """Return the page's Content-Security-Policy: no network, and no script without the nonce.

    A hash of plotly would work too, but cost a browser 0.3 s each time it opens the page.
    """
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    """Encode as JSON that cannot end a script element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
