"""The live page over HTTP: its updates during a run, its downloads and its access rules."""

from __future__ import annotations

import itertools
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import runs
from helpers.process import scaled
from helpers.runs import Document, EchoTarget
from helpers.web_ui import WebUi, web_ui

from wsbench.launcher.locust_process import free_port

SERIES = {"response", "service", "send_lag", "read_lag"}


@pytest.fixture(scope="module")
def target() -> Iterator[EchoTarget]:
    with runs.echo_target() as target:
        yield target


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    with web_ui(tmp_path_factory.mktemp("page")) as ui:
        yield ui


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUi]:
    with web_ui(tmp_path_factory.mktemp("workers"), processes=2) as ui:
        yield ui


def ask(ui: WebUi, path: str) -> tuple[HTTPResponse, bytes]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"http://127.0.0.1:{ui.port}/wsbench/{path}", timeout=scaled(20)) as answer:
        return answer, answer.read()


def start(ui: WebUi, target: EchoTarget, **form: object) -> None:
    if ui.live()["state"] == "running":  # a run that a failed test has left
        stop(ui)
    form = {"user_count": 4, "spawn_rate": 100, "host": target.url, "warmup": "200ms", "duration": "", **form}
    assert ui.post("/swarm", **form)["success"] is True


def stop(ui: WebUi) -> Path:
    """Stop the run and return its result directory."""
    known = ui.finished()
    assert ui.post("/stop")["success"] is True
    ui.wait_until(lambda: ui.finished() > known, "a result")
    ui.wait_until(lambda: ui.live()["state"] != "running", "the end of the run")
    [directory] = ui.finished() - known
    return directory


def measured(ui: WebUi, seconds: int) -> Document:
    """Wait until this many seconds were measured, and return the update for the page."""

    def points() -> list[Document]:
        return [point for point in ui.live().get("points", []) if point["phase"] == "measure"]

    ui.wait_until(lambda: len(points()) >= seconds, f"{seconds} s of measuring")
    document: Document = ui.live()
    return document


# -- during a run ------------------------------------------------------------------------------------------------------


def test_before_the_first_run(tmp_path: Path) -> None:
    with web_ui(tmp_path) as ui:
        assert ui.live() == {"state": "waiting", "results": []}


@pytest.mark.parametrize("which", ["ui", "two_workers"])
def test_an_open_loop_during_the_run(which: str, request: pytest.FixtureRequest, target: EchoTarget) -> None:
    ui: WebUi = request.getfixturevalue(which)
    start(ui, target, rate="200")
    update = measured(ui, 2)
    assert (update["state"], update["phase"], update["phase_shown"]) == ("running", "measure", "measure")
    assert update["left_ns"] is None and update["closed_loop"] is False
    connections = update["connections"]
    assert (connections["asked"], connections["open"], connections["opened"], connections["dropped"]) == (4, 4, 4, 0)
    assert set(update["series"]) == SERIES
    for series in update["series"].values():
        x, y = series["curve"]
        assert len(x) == len(y) and x == sorted(x) and y == sorted(y) and x[0] == 1
    assert len(update["workers"]) == (2 if which == "two_workers" else 1)
    assert all(worker["cpu_percent"] > 0 for worker in update["workers"])
    assert update["verdict"]["verdict"] in ("ok", "late", "saturated") and update["verdict"]["final"] is False
    assert "few-samples" in [finding["code"] for finding in update["verdict"]["findings"]]
    directory = stop(ui)
    run, over = runs.read(directory), ui.live()
    assert over["state"] == "done" and over["run"]["id"] == directory.name
    assert over["verdict"]["final"] is True and over["verdict"]["verdict"] == run["generator"]["verdict"]
    # coarse during the run, exact after it
    for name in SERIES:
        for figure in ("count", "lost", "p50_ns", "p99.9_ns", "max_ns"):
            assert over["series"][name][figure] == run["latency"][name][figure], (name, figure)
    assert over["messages"] == run["messages"] and over["connections"]["close_codes"] == {"1000": 4}
    assert over["throughput"] == run["throughput"]
    whole = next(point for point in over["points"] if point["phase"] == "measure")
    assert 150 <= whole["sent_per_s"] <= 250 and whole["connections"] == 4
    assert whole["response"][0] <= whole["response"][2] <= whole["response"][3]


def test_coarse_figures_are_within_their_buckets_of_the_exact_ones(ui: WebUi, target: EchoTarget) -> None:
    start(ui, target, rate="", in_flight="2")
    assert measured(ui, 1)["closed_loop"] is True
    directory = stop(ui)
    update = ui.live()
    assert update["series"]["response"] == update["series"]["service"]
    exact = runs.log_by_tag(directory / "latency.hlog")["service"]
    reciprocals, values = update["series"]["service"]["curve"]
    real = [exact.get_value_at_percentile(100 * (1 - 1 / reciprocal)) for reciprocal in reciprocals]
    # A curve runs from minimum to maximum; the ranks next to these may be far from both.
    real[0], real[-1] = exact.get_min_value(), exact.get_max_value()
    for reciprocal, value, exactly in zip(reciprocals, values, real, strict=True):
        assert 0.96 * exactly <= value <= 1.04 * exactly, reciprocal


def test_an_update_contains_new_seconds_only(ui: WebUi, target: EchoTarget) -> None:
    start(ui, target, rate="100")
    update = measured(ui, 3)
    run = update["run"]["id"]
    [again] = [ui.live(since=update["version"], run=run)]
    assert len(again["points"]) < len(update["points"])
    assert len(ui.live(since=update["version"], run="another")["points"]) >= len(update["points"])
    stop(ui)


def test_the_tab_in_locusts_statistics(ui: WebUi, target: EchoTarget) -> None:
    start(ui, target, rate="100")
    measured(ui, 2)  # less than half a second gives no verdict
    [table] = json.loads(ui.get("/stats/requests"))["extended_stats"]
    rows = {row["what"]: row["value"] for row in table["data"]}
    assert table["key"] == "websocket" and rows["connections"].startswith("4 open of 4 asked")
    assert re.fullmatch(r"p50 .+s, p90 .+s, p99 .+s, max .+s", rows["response"])
    assert rows["verdict"].endswith(" so far") and rows["CPU of worker 0"].endswith(" %)")
    stop(ui)


def test_a_run_that_could_not_be_measured_says_why(ui: WebUi) -> None:
    known = ui.live().get("run", {}).get("id")
    ui.post("/swarm", user_count=2, spawn_rate=10, host=f"ws://127.0.0.1:{free_port()}/", rate="", duration="1s")
    ui.wait_until(lambda: ui.live()["run"]["id"] != known and ui.live()["state"] == "failed", "the failure")
    assert "nothing listens on" in ui.live()["failure"]


# -- the form ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", "fast", "--rate: 'fast'"),
        ("payload_size", "3", "at least"),
        ("compression", "zip", "--compression"),
        ("duration", "0", "longer than zero"),
        ("fail_if", "p99 > 5ms,nonsense", "--fail-if"),
        ("fail_if", 'p99 > 5ms,measure."GET /api".p95 > 5ms', "'GET /api' is no figure of this run"),
        ("fail_if", '"GET /api".p95 > 5', "'5' has no unit"),
        ("set", "rooms=2", "--set rooms: the scenario has no such setting"),
        ("header", "no colon", "--header"),
        ("host", "http://127.0.0.1/", "http"),
    ],
)
def test_errors_are_shown_on_the_form(ui: WebUi, target: EchoTarget, name: str, value: str, message: str) -> None:
    before, known = target.stats(), runs.directories(ui.results)
    form = {"user_count": 2, "spawn_rate": 10, "host": target.url, "rate": "", "duration": "1s", name: value}
    answer = ui.post("/swarm", **form)
    assert answer["success"] is False and message in answer["message"]
    assert ui.live().get("state") != "running"
    assert runs.directories(ui.results) == known
    assert target.stats()["connections_opened"] == before["connections_opened"]


def test_repeatable_options_and_switches_reach_the_run(ui: WebUi, target: EchoTarget) -> None:
    run = ui.run(
        target,
        rate="100",
        duration="400ms",
        fail_if='lost / sent > 1%,"response".p12.5 > 1h',
        binary="true",
        header="X-One: 1",
    )
    assert [gate["expression"] for gate in run["gates"]] == ["lost / sent > 1%", "response.p12.5 > 1h"]
    assert run["conditions"]["binary"] is True
    assert ui.run(target, rate="100", duration="400ms", fail_if="", binary="false", header="")["gates"] == []


def test_the_form_shows_help_as_it_is_written(ui: WebUi) -> None:
    page = ui.get("/")
    assert "0.1%" in page and "0.1%%" not in page
    assert 'href="./wsbench/"' in page and 'id="root"' in page


# -- files -------------------------------------------------------------------------------------------------------------


def test_downloads(ui: WebUi, target: EchoTarget) -> None:
    run = ui.run(target, rate="100", duration="400ms")
    newest = ui.live()["results"][0]
    assert newest["id"] == run["id"]
    assert {"latency.hlog", "response.hgrm", "run.json", "timeline.csv", "locust.log"} <= set(newest["files"])
    for name in newest["files"]:
        answer, body = ask(ui, f"results/{run['id']}/{name}")
        assert body == (ui.results / run["id"] / name).read_bytes()
        if name == "report.html":
            assert answer.headers["Content-Security-Policy"].startswith("sandbox ")
        else:
            assert answer.headers["Content-Disposition"] == f"attachment; filename={run['id']}-{name}"


@pytest.mark.parametrize(
    "path",
    ["results/nothing/run.json", "results/{id}/nothing", "results/{id}/..%2F..%2Fsecret", "results/../secret", "x"],
)
def test_nothing_else_can_be_downloaded(ui: WebUi, target: EchoTarget, path: str) -> None:
    (ui.results.parent / "secret").write_text("secret")
    if not ui.live()["results"]:
        ui.run(target, rate="100", duration="400ms")
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(ui, path.format(id=ui.live()["results"][0]["id"]))
    assert caught.value.code == 404
    caught.value.close()


def test_the_page_allows_no_script_but_its_own(ui: WebUi) -> None:
    answer, body = ask(ui, "")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["script-src"] == policy["connect-src"] == "'self'"
    page = body.decode()
    assert "<script>" not in page and not re.search(r"\son\w+=", page)
    for name in re.findall(r'(?:src|href)="([\w.]+)"', page):
        assert ask(ui, name)[0].status == 200, name
    script = ask(ui, "live.js")[1]
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_the_page_needs_the_login_that_locust_needs(tmp_path: Path) -> None:
    scenario = tmp_path / "login.py"
    scenario.write_text(
        "from locust import events\nfrom wsbench import EchoUser\n\n\nclass Echo(EchoUser):\n    pass\n\n\n"
        "@events.init.add_listener\ndef login(environment, **_):\n"
        "    environment.web_ui.app.secret_key = 'x'\n"
        "    environment.web_ui.login_manager.user_loader(lambda _: None)\n"
    )
    with web_ui(tmp_path, "--web-login", scenario=scenario) as ui:
        for path in ("", "live", "live.js", "results/a/run.json"):
            answer, body = ask(ui, path)
            assert urlsplit(answer.url).path == "/login", path
            assert b"wsbench" not in body


def test_it_moves_with_locusts_base_path(tmp_path: Path, target: EchoTarget) -> None:
    with web_ui(tmp_path, "--web-base-path", "/load", base="/load") as ui:
        assert ui.live()["state"] == "waiting"
        assert 'href="./wsbench/"' in ui.get("/")


def test_rates_of_a_run_are_sums_over_its_workers(two_workers: WebUi, target: EchoTarget) -> None:
    start(two_workers, target, rate="400")
    measured(two_workers, 3)
    directory = stop(two_workers)  # its last reports add late messages to earlier seconds
    complete = [point for point in two_workers.live()["points"] if point["phase"] == "measure"][:-1]
    rows = [row for row in runs.timeline(directory / "timeline.csv") if row["phase"] == "measure"]
    for point, row in itertools.islice(zip(complete, rows, strict=False), 2):
        # a second begins when the worker notices it: on a busy machine a little late
        assert abs(point["sent_per_s"] - int(row["sent"])) <= 0.25 * int(row["sent"])


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_no_secret_is_on_the_live_page_in_the_log_or_in_the_result(target: EchoTarget, tmp_path: Path) -> None:
    secrets = ("pa55-w0rd", "qu3ry-t0ken", "h3ader-key")
    url = target.url.replace("ws://", f"ws://me:{secrets[0]}@") + f"?token={secrets[1]}"
    with web_ui(tmp_path, "--header", f"X-Api-Key: {secrets[2]}") as ui:
        assert ui.run(target, host=url, duration="500ms")["conditions"]["url"].endswith("/echo?token=***")
        pages = [ui.get(path) for path in ("/wsbench/live?since=0&run=", "/logs", "/stats/requests")]
        [directory] = ui.finished()
        program = ui.program.told().partition("--- stdout")[2]
    files = [path.read_bytes().decode(errors="replace") for path in directory.iterdir()]
    assert not [secret for secret in secrets for text in (program, *pages, *files) if secret in text]
