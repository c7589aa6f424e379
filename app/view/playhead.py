"""Which time is shown: the newest of a live stream, one that stands still, or one that runs through a recording."""

from __future__ import annotations

from typing import Optional

Span = tuple[int, int]


class Playhead:
    """`follows`: not standing still means to show the newest (live); else to play from where it is (a recording)."""

    def __init__(self, follows: bool) -> None:
        self.follows = follows
        self.still = False
        self.t_ns: Optional[int] = None
        """What is shown; None until there is something."""

    def advance(self, span: Optional[Span], seconds: float) -> None:
        """Go on by so much time, within what there is."""
        if span is None:
            return
        first, last = span
        if self.follows and not self.still:
            self.t_ns = last
            return
        if self.t_ns is None:
            self.t_ns = first
        if not self.still:
            self.t_ns += round(seconds * 1e9)
        if self.t_ns >= last and not self.follows:
            self.still = True
        self.t_ns = min(max(self.t_ns, first), last)

    def toggle(self, span: Optional[Span]) -> None:
        """Stand still, or go on; a recording that has ended begins again."""
        if span is None:
            return
        if self.still and not self.follows and self.t_ns is not None and self.t_ns >= span[1]:
            self.t_ns = span[0]
        self.still = not self.still

    def go(self, t_ns: int, span: Optional[Span]) -> None:
        """Stand still at that time."""
        if span is not None:
            self.still, self.t_ns = True, min(max(t_ns, span[0]), span[1])

    def share(self, span: Optional[Span]) -> float:
        """How far it is, 0 to 1."""
        if span is None or self.t_ns is None or span[1] <= span[0]:
            return 1.0
        return min(max((self.t_ns - span[0]) / (span[1] - span[0]), 0.0), 1.0)
