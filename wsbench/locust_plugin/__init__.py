"""Load on gevent and Locust. Only this package (and what it imports) lives in a monkey-patched process."""
