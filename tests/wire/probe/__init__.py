"""Tests of wsbench.wire.probe."""
