"""Recorded events and captures through the real flows, in memory, on a virtual clock.

Start with ``play``: the same handlers' flows, routed as the stack routes them; nothing leaves the process.
"""
