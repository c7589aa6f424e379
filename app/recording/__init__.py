"""A recording: one MCAP log of every message of a session, the very bytes of the bus.

It is `session.mcap` and, where its recorder died and came back or a part grew long, `session.2.mcap`, `session.3.mcap`, ... beside it; they
are read as one. Each says which session it is of (`app/dataflow/session.py`), and no part of another one is joined to it: where an older
session is at a name, the new one is NAME-TIME.mcap. No part is ever written over.
"""
