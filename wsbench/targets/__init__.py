"""Servers to measure: the echo target (asyncio), and starting and stopping each target as a process."""
