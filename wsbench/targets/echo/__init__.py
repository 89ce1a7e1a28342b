"""The echo target, on `websockets`' asyncio server: the baseline for other servers, and a server to test clients with.

`supervisor.serve` runs it in the foreground. `wsbench.targets.embedded` starts it as a process and must not load its
dependencies, so this module imports nothing.
"""
