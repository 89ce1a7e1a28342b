"""Tests of wsbench.targets; a package, so that its conftest is not mistaken for the one above."""
