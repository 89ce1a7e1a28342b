"""Servers and process helpers for tests. They use none of wsbench's WebSocket code, so that errors cannot cancel out.

Every server is a module that prints `listening on ws://127.0.0.1:PORT/...` when it is ready:

    cd tests && python -m helpers.faulty_echo --drop 100 --delay-ms 20
"""
