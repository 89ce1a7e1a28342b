"""The classes of users of a locustfile: which hold connections, to which host, and how many users of each a run has."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, HttpUser, TaskSet, User
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import WorkerNode

_OF_RUN = "_host_of_run"
"""Attribute of the classes whose host was made of the run's URL."""
_locusts_execute_next_task = TaskSet.execute_next_task


def holds_connections(user_class: type[User]) -> bool:
    """Return whether users of this class hold connections: they are wsbench's."""
    return getattr(user_class, "_holds_connections", False)


def install() -> None:
    """Change two things in Locust.

    It would give users that speak HTTP the WebSocket URL that its --host is. And it would begin tasks while a run
    drains: what they count before their message is refused would be counted for nothing.
    """
    TaskSet.execute_next_task = _execute_next_task
    type(User).__setattr__ = _set_attribute  # type: ignore[assignment]


def _execute_next_task(task_set: TaskSet) -> None:
    user = task_set.user
    if holds_connections(type(user)):
        engine = user.environment.wsbench.engine
        if engine is not None and not engine.recorder.sending:
            user.idle()
    _locusts_execute_next_task(task_set)


def _set_attribute(user_class: Any, name: str, value: object) -> None:
    """Set an attribute of a class; in place of a WebSocket URL, an HTTP user has its own host or the origin."""
    speaks_http = issubclass(user_class, HttpUser | FastHttpUser)
    if name == "host" and speaks_http and isinstance(value, str) and value.startswith(("ws://", "wss://")):
        if user_class.host is not None and _OF_RUN not in vars(user_class):
            return
        type.__setattr__(user_class, _OF_RUN, True)
        value = f"http{value[2:].partition(':')[0]}://{urlsplit(value).netloc}"
    type.__setattr__(user_class, name, value)


def host_others(environment: Environment, url: str) -> None:
    """Let users that speak HTTP and have no host use the server of the run, whose URL is not Locust's --host."""
    for each in environment.user_classes:
        if issubclass(each, HttpUser | FastHttpUser):
            each.host = url


def own_url(environment: Environment) -> str | None:
    """Return the host of the first class that holds connections and has one of its own; None where --host is given."""
    hosts = (each.host for each in environment.user_classes if holds_connections(each) and each.host)
    return None if environment.host else next(hosts, None)


def connecting(environment: Environment, count: int) -> dict[str, int]:
    """Return how many of `count` users hold connections, by class."""
    numbers = _distribute(tuple(environment.user_classes), environment.dispatcher_class, count)
    return {each.__name__: numbers[each.__name__] for each in environment.user_classes if holds_connections(each)}


@functools.lru_cache(maxsize=1)
def _distribute(user_classes: Sequence[type[User]], kind: type[UsersDispatcher], count: int) -> dict[str, int]:
    """Return how Locust distributes users over classes, by their weights and fixed counts."""
    dispatcher = kind(worker_nodes=[WorkerNode("all")], user_classes=list(user_classes))
    dispatcher.new_dispatch(count, max(1.0, float(count)))  # in one step, and so at once
    numbers: dict[str, int] = {}
    for users in dispatcher:
        numbers = users["all"]
    return numbers
