"""Small echo servers on other people's libraries, each a program of its own: see `program` for what they share.

A server's library is imported by its module alone, which is run, and never imported by anything.
"""
