"""Experiments: many runs, in an order that is fair, and what their figures say about each other."""
