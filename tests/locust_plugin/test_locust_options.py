"""The options of a run as Locust has them, and the checks before it starts."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest
from helpers.unpatched_locust import Environment, User
from werkzeug.datastructures import MultiDict

from wsbench.errors import UsageError
from wsbench.locust_plugin import locust_options
from wsbench.run.handoff import VARIABLE, Handoff
from wsbench.run.option_table import OPTIONS

URL = "ws://127.0.0.1:9001/"


class Echo(User):
    """A user class without declarations of its own."""

    _holds_connections = True


class Fast(Echo):
    rate = 20.0


class Chatty(Echo):
    settings = {"room": "lobby", "members": 3}  # noqa: RUF012 - as scenarios write it
    rate = 5.0


def environment_of(
    *user_classes: type[User], host: str | None = URL, file: str = "chat room.py", **texts: object
) -> Environment:
    parsed = {option.name: option.default for option in OPTIONS}
    locust = {"headless": True, "num_users": 2, "processes": None}
    environment = Environment(user_classes=list(user_classes), host=host, locustfile=file)
    environment.parsed_options = Namespace(**{**parsed, **locust, **texts})
    return environment


def test_options_are_those_of_the_command_line() -> None:
    options = locust_options.options_of(environment_of(Echo, rate="50", duration="3s"), 7, 2)
    assert (options.rate, options.duration_ns, options.users, options.processes) == (50.0, 3 * 10**9, 7, 2)
    assert options.connect.url == URL
    assert options.name == "chat-room", "the scenario's name, fit for a directory"


def test_a_scenario_has_its_own_rate_unless_the_command_line_has_one() -> None:
    assert locust_options.options_of(environment_of(Fast, Chatty), 1, 1).rate == 25.0
    assert locust_options.options_of(environment_of(Fast, rate="1"), 1, 1).rate == 1.0
    assert locust_options.options_of(environment_of(Echo), 1, 1).rate is None


@pytest.mark.parametrize(
    ("file", "name"), [("scenarios/chat.py", "chat"), ("locustfile.py", "echo"), ("", "echo"), ("a.b.py", "a.b")]
)
def test_a_scenario_is_named_after_its_file(file: str, name: str) -> None:
    assert locust_options.scenario_of(environment_of(Echo, file=file)) == name


def test_settings_are_the_declared_ones_with_the_values_of_the_command_line() -> None:
    environment = environment_of(Chatty, set=["members=9"])
    options = locust_options.options_of(environment, 1, 1)
    assert locust_options.settings_of(environment, options) == {"room": "lobby", "members": "9"}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (environment_of(Echo, host=None), "no URL to measure"),
        (environment_of(Echo, rate="fast"), "--rate: 'fast'"),
        (environment_of(Chatty, set=["rooms=2"]), "--set rooms"),
        (environment_of(Echo, fail_if=["delivery.p99 > 5ms"]), "delivery"),
        (environment_of(Echo, rate="10", in_flight="4"), "--in-flight has no effect"),
        (environment_of(Fast, in_flight="4"), "--in-flight has no effect"),
        (environment_of(Echo, arrivals="poisson"), "--arrivals has no effect"),
        (environment_of(Echo, insecure=True), "--insecure has no effect"),
    ],
)
def test_errors_are_found_before_a_run_starts(environment: Environment, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        locust_options.check(environment, None)


def test_a_scenario_may_have_gates_on_series_of_its_own() -> None:
    locust_options.check(environment_of(Chatty, fail_if=["delivery.p99 > 5ms"]), None)


def test_an_option_may_have_no_effect_where_nobody_gave_it_for_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    locust_options.check(environment_of(Echo, rate="10"), None)
    locust_options.check(environment_of(Chatty, arrivals="poisson", insecure=True), None)
    monkeypatch.setenv("WSBENCH_ARRIVALS", "poisson")
    locust_options.check(environment_of(Echo, arrivals="poisson"), None)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"rate": "10", "in_flight": "4"}, "--in-flight has no effect"),
        ({"rate": "", "arrivals": "poisson"}, "--arrivals has no effect"),
        ({"rate": "10", "arrivals": "poisson", "in_flight": "1"}, None),
    ],
)
def test_the_start_form_refuses_a_change_without_effect(form: dict[str, str], message: str | None) -> None:
    error = locust_options.form_error(MultiDict(form), environment_of(Echo, headless=False))
    assert (error is None) if message is None else (error is not None and message in error)


def test_the_start_form_takes_fields_that_are_empty_or_back_at_their_defaults() -> None:
    before = environment_of(Echo, headless=False, ca=None, insecure=True, in_flight="4")
    form = MultiDict({"rate": "10", "ca": "", "insecure": "false", "in_flight": "1"})
    assert locust_options.form_error(form, before) is None


def test_a_payload_that_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="pipe is a pipe"):
        locust_options.check(environment_of(Echo, payload_file=str(tmp_path / "pipe")), None)


def test_with_the_web_ui_the_url_may_come_later() -> None:
    locust_options.check(environment_of(Echo, host=None, headless=False), None)


@pytest.mark.parametrize("rate", ["10", 0, -1, float("nan"), float("inf"), [5], True])
def test_a_scenarios_rate_that_is_no_rate_is_refused(rate: object) -> None:
    wrong = type("Wrong", (Echo,), {"rate": rate})
    with pytest.raises(UsageError, match="`rate` of Wrong is"):
        locust_options.options_of(environment_of(wrong), 1, 1)


@pytest.mark.parametrize("settings", [["size"], "size", {"size": None}, {"size": [1]}])
def test_settings_that_are_declared_without_usable_defaults_are_refused(settings: object) -> None:
    environment = environment_of(type("Wrong", (Echo,), {"settings": settings}))
    options = locust_options.options_of(environment, 1, 1)
    with pytest.raises(UsageError, match="setting"):
        locust_options.settings_of(environment, options)


class Placed(Echo):
    host = "wss://b.test/"


def test_a_proxy_that_is_not_used_is_said_by_the_first_that_knows_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("http_proxy", "http://p:3128")
    monkeypatch.setenv("https_proxy", "http://q:3128")

    def said(environment: Environment) -> list[str]:
        notices = locust_options.notices_of(environment, locust_options.options_of(environment, 1, 1))
        return [notice for notice in notices if "proxy" in notice]

    plain, placed = environment_of(Echo, host="ws://a.test/"), environment_of(Placed, host=None)
    assert said(plain) == ["http_proxy (http://p:3128) is not used: wsbench connects to a.test:80 directly"]
    of_scenario = ["https_proxy (http://q:3128) is not used: wsbench connects to b.test:443 directly"]
    assert said(placed) == of_scenario
    assert said(environment_of(Echo)) == [], "no proxy is for this machine"
    with Handoff(str(tmp_path), ["wsbench", "run"]).file() as descriptor:
        monkeypatch.setenv(VARIABLE, str(descriptor))
        assert (said(plain), said(placed)) == ([], of_scenario), "the launcher knew the URL of its command line"
