"""Who is who under stress: rendered people who cross, hide, leave and embrace, beside ByteTrack. `python -m bench.identity`."""
