"""What feeds the window live: messages come in, orders and wishes for pictures go out. `app/remote/client.py`'s Remote is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Protocol


class Connection(Protocol):
    """How the connection is; see `poselift.app.remote.viewer.Link`."""

    @property
    def connected(self) -> bool:
        """Whether the board answers."""

    @property
    def offset_error_ns(self) -> Optional[int]:
        """How wrong ages are at most; None while they are not known."""

    @property
    def why(self) -> str:
        """Why it is not connected, one line for people."""


class Feed(Protocol):
    """A board, as a viewer has it."""

    @property
    def link(self) -> Connection:
        """How the connection is."""

    @property
    def missed(self) -> Mapping[str, int]:
        """What was dropped for this viewer, by reason."""

    def receive(self, timeout_s: float) -> Sequence[Any]:
        """What has come: Welcome, Pose2D, Pose3D, Health, whole Pictures, Answer, End."""

    def want(self, width_px: int, quality: int, rate_hz: float) -> None:
        """Ask for pictures; at a rate of 0 for none."""

    def order(self, command: str) -> None:
        """Give an order: its Answer comes by `receive`."""

    def age_ns(self, message: Any) -> Optional[int]:
        """How old what a message shows is now."""

    def close(self) -> None:
        """Disconnect."""
