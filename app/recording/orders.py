"""The orders that the recorder knows beside 'stop' and 'status', which every worker does: what a `Control` to `record` may hold."""

from __future__ import annotations

RECORD_START = "record start"
"""Begin a new recording."""
RECORD_STOP = "record stop"
"""End it: its file is closed, and can be read, when the answer comes."""
NO_RECORDER = "nothing records here: set record.folder in the config (record.start: false waits for this order), and start poselift again"
"""What to say where no recorder runs."""
OFF = "recording is off; poselift record start begins one"
"""What the recorder says of itself while nothing is to be recorded."""
