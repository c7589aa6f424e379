"""Rendered people: MakeHuman's bodies, dressed, moved by recorded motion, in a room."""
