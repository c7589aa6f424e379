"""A recording: one MCAP log of every message, the very bytes of the bus.

A session is `session.mcap` and, where its recorder died and came back or a part grew long, `session.2.mcap`, `session.3.mcap`, ...
beside it; they are read as one. No part is ever written over: `parts.prepare` decides what becomes of an older session.
"""
