"""How long tests wait for what has to happen. Who is right never waits so long: it costs time only where something is wrong."""

from __future__ import annotations

PATIENCE_S = 180.0
"""How long an event may take on a machine that is busy with other things, some twenty times slower than one that is not."""
