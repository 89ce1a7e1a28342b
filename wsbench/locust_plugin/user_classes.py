"""The classes of users of a locustfile: which hold connections, and how many users of each a run has."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from locust import User
from locust.dispatch import UsersDispatcher
from locust.env import Environment
from locust.runners import WorkerNode

HOLDS_CONNECTIONS = "_holds_connections"
"""Attribute of the classes whose users hold connections."""


def holds_connections(user_class: type[User]) -> bool:
    """Return whether users of this class hold connections: they are wsbench's."""
    return getattr(user_class, HOLDS_CONNECTIONS, False)


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
