"""The one error of this package that a user is meant to read."""

from __future__ import annotations


class ModelError(Exception):
    """A network that cannot be had or used: one line that says what was wrong, with what value, and what to do."""
