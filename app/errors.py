"""Errors that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: one line that says what was wrong, with what value, and what to do."""
