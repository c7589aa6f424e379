"""Names and figures for people."""

from __future__ import annotations


def readable(joint: str) -> str:
    """`left_wrist` as people write it."""
    return joint.replace("_", " ")


def percent(share: float, digits: int = 1) -> str:
    """A share in percent."""
    return f"{100 * share:.{digits}f} %"


def change(share: float, digits: int = 1) -> str:
    """A growth in percent, with its sign."""
    return f"{100 * share:+.{digits}f} %"
