"""The locustfile of `wsbench run` without --scenario; the same as scenarios/echo.py."""

from wsbench.users.echo_user import EchoUser


class Echo(EchoUser):
    """One connection that sends JSON messages and verifies every echo."""
