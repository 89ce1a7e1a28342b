"""A run in the browser: a tab in Locust's web UI and the live page."""
