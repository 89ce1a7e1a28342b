"""wsbench against other load generators, in one run: `make peers`."""
