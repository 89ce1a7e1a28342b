"""Locust's events, options, statistics and web pages, connected to the worker and the master."""
