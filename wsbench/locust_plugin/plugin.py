"""The registration of wsbench with Locust: its options, and a `Session` in every Locust process."""

from __future__ import annotations

import functools
from typing import Any

import configargparse
import gevent
from locust import argument_parser, events
from locust.argument_parser import raise_argument_type_error
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from wsbench.locust_plugin import locust_precision, user_classes
from wsbench.locust_plugin.directing_session import LocalSession, MasterSession
from wsbench.locust_plugin.session import Session
from wsbench.locust_plugin.web import blueprint
from wsbench.locust_plugin.worker_session import WorkerSession
from wsbench.run import environment_options
from wsbench.run.option_table import OPTIONS, Option
from wsbench.run.options import DEFAULT_SPAWN_RATE, DEFAULT_USERS
from wsbench.worker.engine import Engine

_registered = False
_POLL_S, _POLLS = 0.01, 3000
_OPTIONS_OF_RUN = {
    "--tls": "under Locust, use a wss URL: --host wss://…",
    "--target": "under Locust, start one (wsbench serve) and give its URL: --host ws://…",
    "--scenario": "under Locust, it is -f FILE",
}


def register() -> None:
    """Listen to Locust's events; only the first call has an effect."""
    global _registered
    if not _registered:
        _registered = True
        locust_precision.install()
        user_classes.install()
        environment_options.tidy()
        # On every order to spawn users, a worker calls this once per option, and each call builds a parser: that would
        # block the worker for 0.2 s of every second of the ramp, and on a busy machine delay its heartbeats.
        argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
        events.init_command_line_parser.add_listener(_add_options)
        events.init.add_listener(_init)


def is_registered() -> bool:
    """Return whether a locustfile has imported a user of wsbench."""
    return _registered


def engine_of(environment: Environment) -> Engine:
    """Return the engine of this process, for its users.

    A worker that joins as a run begins may have to spawn users before Locust has fired `init`, and so before there is a
    session that knows of the run: then this function waits. It raises a RuntimeError if no run begins.
    """
    polls = _POLLS if isinstance(environment.runner, WorkerRunner) else 1
    for _ in range(polls):
        session: Session | None = getattr(environment, "wsbench", None)
        engine = session.current_engine() if session is not None else None
        if engine is not None:
            return engine
        gevent.sleep(_POLL_S)
    raise RuntimeError("wsbench users can only run in a Locust process that runs a test")


# -- options -----------------------------------------------------------------------------------------------------------


def _add_options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("wsbench options", "Options of the WebSocket users of wsbench.")
    for option in OPTIONS:
        action = group.add_argument(*option.flags, **_argument(option))
        # Locust's parser accepts these as arguments; the groups that it makes do not.
        action.include_in_web_ui = option.web
        action.is_secret = action.is_required = action.is_multiple = False
    for flag, alternative in _OPTIONS_OF_RUN.items():
        refused = raise_argument_type_error(f"is an option of `wsbench run` alone: {alternative}")
        group.add_argument(flag, nargs="?", action=refused, help=configargparse.SUPPRESS, dest=f"no{flag}")
    parser.set_defaults(num_users=DEFAULT_USERS, spawn_rate=DEFAULT_SPAWN_RATE)


def _argument(option: Option) -> dict[str, Any]:
    # Values stay text, because the web form shows and changes them: the session parses them.
    common: dict[str, Any] = {"dest": option.name, "help": _Verbatim(option.help), "env_var": option.env}
    if option.parse is None:
        return {**common, "action": "store_true", "default": False}
    common |= {"metavar": option.metavar or None}
    if option.repeatable:
        common["help"] = _Verbatim(f"{option.help} Repeatable; on the web form, several with commas between them.")
        # Not an empty list: Locust's web form would treat it as a list of numbers.
        return {**common, "action": "append", "default": [""]}
    return {**common, "default": option.default, "choices": list(option.choices) or None}


class _Verbatim(str):
    """A help text that argparse does not format with %: the web form shows it unformatted."""

    __slots__ = ()

    def __mod__(self, _: object) -> str:
        return str(self)


def _init(environment: Environment, runner: Any, web_ui: Any = None, **_: Any) -> None:
    kinds = {WorkerRunner: WorkerSession, MasterRunner: MasterSession}
    session = next((kinds[kind] for kind in kinds if isinstance(runner, kind)), LocalSession)
    environment.wsbench = session(environment, runner)
    # libev starts timers from its cached time, which is older than all imports: --run-time would end early.
    gevent.get_hub().loop.update_now()
    if web_ui is not None:
        blueprint.install(web_ui, environment.wsbench)
