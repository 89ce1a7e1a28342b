"""Echo: every user holds one connection, sends JSON messages and verifies every reply.

    locust -f scenarios/echo.py --host ws://127.0.0.1:8765/echo

Copy it as a start for your own scenario. The load options of
`wsbench run` work here too, such as --rate and --in-flight: `wsbench run --help` lists them.
"""

from wsbench import EchoUser


class Echo(EchoUser):
    """One connection that sends JSON messages and verifies every echo."""
