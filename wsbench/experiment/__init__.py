"""Experiments, comparisons, the search for a capacity, and load plans: arithmetic without processes or sockets."""
