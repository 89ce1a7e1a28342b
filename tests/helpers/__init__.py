"""Servers and process helpers for the tests; none of it knows wsbench's own wire code.

Every server is a module that prints `listening on ws://127.0.0.1:PORT/...` once it is ready:

    cd tests && python -m helpers.truth --drop 100 --delay-ms 20
"""
