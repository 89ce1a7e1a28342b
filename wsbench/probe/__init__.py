"""Probe of a server: one connection, step by step, with a diagnosis of what fails. See `prober.probe`."""
