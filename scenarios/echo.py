"""Echo: every user holds one connection, sends JSON messages and verifies every reply.

    locust -f scenarios/echo.py --host ws://127.0.0.1:8765/echo

Copy it as a start for your own scenario. All options of `wsbench run` work here too:
see `locust -f scenarios/echo.py --help`.
"""

from wsbench import EchoUser


class Echo(EchoUser):
    """One connection that sends JSON messages and verifies every echo."""
