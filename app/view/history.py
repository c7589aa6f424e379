"""What the viewer can go back to: the last 30 s of a live stream (`live_history.py`), or a recording (`recorded_history.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional, Protocol, Union

from poselift.app.dataflow.messages import Health, Pose2D, Pose3D

MAX_OVERLAY_AGE_NS = 250_000_000
"""Keypoints that are older than the picture by more than this are not drawn over it."""


class CompressedImage(NamedTuple):
    """A picture of the camera, JPEG or PNG."""

    frame: int
    t_ns: int
    width_px: int
    height_px: int
    data: bytes


class Snapshot(NamedTuple):
    """What is shown at one time: the newest message of each kind up to then."""

    t_ns: int
    pose: Optional[Pose3D]
    image: Optional[CompressedImage]
    overlay: Optional[Union[Pose2D, Pose3D]]
    """The keypoints to draw over the image: those of its frame or, if that frame was skipped, of the last one before it."""
    health: Mapping[str, Health]
    """The newest report of each worker, by its name."""


class History(Protocol):
    """A stretch of time in which the viewer can seek. All times are the stream's own, `t_ns`."""

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """The first and the last time; None while it is empty."""

    def at(self, t_ns: int) -> Snapshot:
        """What is shown at that time."""

    def neighbour(self, t_ns: int, steps: int) -> int:
        """The time of the pose so many poses after (negative: before) the one shown at `t_ns`, at most that of the first or last."""

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses between two times, both included."""
