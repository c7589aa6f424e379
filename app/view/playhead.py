"""Which time is shown: the newest of a live stream, a running time of a recording, or one that is paused."""

from __future__ import annotations

from typing import Optional

Span = tuple[int, int]


class Playhead:
    """While it is not paused it shows the newest time if `live`; otherwise it plays on from where it is."""

    def __init__(self, live: bool) -> None:
        self.live = live
        self.paused = False
        self.t_ns: Optional[int] = None
        """The time that is shown; None until there is something to show."""

    def advance(self, span: Optional[Span], seconds: float) -> None:
        """Play on for so long, within the span."""
        if span is None:
            return
        first, last = span
        if self.live and not self.paused:
            self.t_ns = last
            return
        if self.t_ns is None:
            self.t_ns = first
        if not self.paused:
            self.t_ns += round(seconds * 1e9)
        if self.t_ns >= last and not self.live:
            self.paused = True
        self.t_ns = min(max(self.t_ns, first), last)

    def toggle_pause(self, span: Optional[Span]) -> None:
        """Pause or play; a recording that has reached its end starts over."""
        if span is None:
            return
        if self.paused and not self.live and self.t_ns is not None and self.t_ns >= span[1]:
            self.t_ns = span[0]
        self.paused = not self.paused

    def seek(self, t_ns: int, span: Optional[Span]) -> None:
        """Pause at that time."""
        if span is not None:
            self.paused, self.t_ns = True, min(max(t_ns, span[0]), span[1])

    def progress(self, span: Optional[Span]) -> float:
        """How much of the span lies before the playhead, 0 to 1."""
        if span is None or self.t_ns is None or span[1] <= span[0]:
            return 1.0
        return min(max((self.t_ns - span[0]) / (span[1] - span[0]), 0.0), 1.0)
