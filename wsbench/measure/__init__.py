"""The pure core: schedules, messages and their verification, histograms, recording, findings.

Nothing here reads a clock or touches a socket. Instants are integers, in ns.
"""
