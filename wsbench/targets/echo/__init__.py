"""The echo target: a server on `websockets`' asyncio server, to hold other servers against and to try clients on.

`supervisor.serve` runs it in the foreground; `wsbench.targets.embedded.TargetProcess` starts it as a process of its
own, and imports next to nothing of it: so nothing is imported here.
"""
