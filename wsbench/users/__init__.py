"""The Locust users that scenarios import: see `wsbench.__init__` for the public names."""
