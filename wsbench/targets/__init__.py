"""Servers to measure: the echo target (asyncio), and starting and stopping a target as a process of its own."""
