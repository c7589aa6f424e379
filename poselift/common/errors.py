"""Errors that people are meant to read: each is one line that says what was wrong, with what value, and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend."""


class ModelError(UserError):
    """A network that cannot be had or used before the user mends something."""


class DeviceError(Exception):
    """A device that failed while it worked. It may do better for whoever tries again."""
