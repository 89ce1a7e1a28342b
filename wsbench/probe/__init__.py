"""A probe: one connection, looked at step by step, and what is wrong put into words. See `prober.probe`."""
