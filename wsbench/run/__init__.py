"""The specification of a run: options, gates, settings, and what its processes exchange. No sockets, no frameworks."""
