"""Small echo servers on other libraries, each a separate program: see `program` for their common parts.

Only a server's own module imports its library; that module is run as a program and never imported.
"""
