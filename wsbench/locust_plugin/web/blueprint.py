"""The routes of the live page, under `/wsbench/`, and additions to Locust's own pages.

Texts from servers and users may be hostile: they are sent as JSON, the page inserts them as text, and its
Content-Security-Policy allows only the scripts of this package. Access needs the same login as Locust's pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import msgspec
from flask import Blueprint, Response, abort, jsonify, request
from locust.env import Environment

from wsbench.locust_plugin import locust_options
from wsbench.locust_plugin.web import snapshot
from wsbench.master.collector import YIELD_S

if TYPE_CHECKING:
    from wsbench.locust_plugin.session import Session

logger = logging.getLogger("wsbench")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = "sandbox allow-scripts allow-downloads allow-popups"
"""The scripts in a report may draw it, but they may not send requests to Locust."""
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_CHUNK_BYTES = 64 * 1024
_ROOT = '<div id="root"></div>'
_BAR = '<p id="wsbench"><a href="./wsbench/">WebSocket: live page, histograms and reports</a></p>'


def _in_package(name: str, path: str) -> Path:
    """Return the path of a package's file without importing the package: plotly takes a third of a second."""
    spec = find_spec(name)
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / path


_HERE = Path(__file__).parent
_FILES = {
    "live.js": (_HERE / "live.js", "text/javascript"),
    "live.css": (_HERE / "live.css", "text/css"),
    "locust.css": (_HERE / "locust.css", "text/css"),
    "page.css": (_in_package("wsbench.report.html", "templates/page.css"), "text/css"),
    "plotly.js": (_in_package("plotly", "package_data/plotly.min.js"), "text/javascript"),
}


def install(web_ui: Any, session: Session) -> None:
    """Add the routes to Locust's web UI, before it is started."""
    parsed = web_ui.environment.parsed_options
    base = (getattr(parsed, "web_base_path", None) or "").rstrip("/")
    web_ui.template_args.update(snapshot.TAB_ARGS)
    blueprint = Blueprint("wsbench", __name__, url_prefix=f"{base}/wsbench")
    views: dict[str, Callable[..., Response]] = {
        "/": _page,
        "/live": lambda: _live(session),
        "/<name>": _file,
        "/results/<run_id>/<name>": lambda run_id, name: _download(session, run_id, name),
    }
    for rule, view in views.items():
        blueprint.add_url_rule(rule, endpoint=rule.replace(".", "-"), view_func=web_ui.auth_required_if_enabled(view))
    web_ui.app.register_blueprint(blueprint)
    web_ui.app.before_request(lambda: _check_form(web_ui.environment))
    web_ui.app.after_request(lambda response: _extend(response, session))


# -- pages of wsbench --------------------------------------------------------------------------------------------------


def _page() -> Response:
    return _send(_HERE / "live.html", "text/html", {"Content-Security-Policy": _POLICY, **_NO_STORE})


def _live(session: Session) -> Response:
    run_id, since = request.args.get("run", ""), request.args.get("since", 0, type=int)
    document = snapshot.document(session.director, session.finished, run_id=run_id, since=since)
    return Response(msgspec.json.encode(document), mimetype="application/json", headers=_NO_STORE)


def _file(name: str) -> Response:
    if name not in _FILES:
        abort(404)
    path, kind = _FILES[name]
    return _send(path, kind, {"Cache-Control": "max-age=3600"})


def _download(session: Session, run_id: str, name: str) -> Response:
    directory = next((path for path in session.finished if path.name == run_id), None)
    if directory is None or name not in snapshot.files_of(directory):
        abort(404)
    kind = "text/html" if name == "report.html" else "application/octet-stream"
    response = _send(directory / name, kind, {"Content-Security-Policy": _REPORT_POLICY, **_NO_STORE})
    if name != "report.html":
        response.headers.set("Content-Disposition", "attachment", filename=f"{run_id}-{name}")
    return response


def _send(path: Path, kind: str, headers: dict[str, str]) -> Response:
    """Return a response that sends a file in chunks: megabytes at once would block an engine in this process."""
    size = str(path.stat().st_size)
    return Response(_chunks(path), mimetype=kind, headers={"Content-Length": size, **headers})


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
            gevent.sleep(YIELD_S)


# -- pages of Locust ---------------------------------------------------------------------------------------------------


def _check_form(environment: Environment) -> Response | None:
    problem = locust_options.form_error(request.form, environment) if request.endpoint == "locust.swarm" else None
    if problem is None:
        return None
    logger.error("%s", problem)  # Locust logs its own errors in the form, too
    return jsonify({"success": False, "message": problem})


def _extend(response: Response, session: Session) -> Response:
    if response.status_code != 200:
        return response
    if request.endpoint == "locust.index":
        page = response.get_data(as_text=True)
        style = '<link rel="stylesheet" href="./wsbench/locust.css"></head>'
        response.set_data(page.replace("</head>", style, 1).replace(_ROOT, _BAR + _ROOT, 1))
    elif request.endpoint == "locust.request_stats" and response.is_json:
        rows = snapshot.tab(session.director)
        response.set_data(msgspec.json.encode({**response.get_json(), "extended_stats": rows}))
    return response
