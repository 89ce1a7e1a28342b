"""A run in the browser: a tab in Locust's web UI, and a page of our own beside it."""
