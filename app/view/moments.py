"""What was at one time, and where such moments come from: the last 30 s of a live stream, or a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional, Protocol, Union

from poselift.app.dataflow.messages import Health, Pose2D, Pose3D


class Shot(NamedTuple):
    """One picture, compressed."""

    frame: int
    t_ns: int
    width_px: int
    height_px: int
    data: bytes
    """JPEG or PNG."""


class Moment(NamedTuple):
    """What is shown at one time: the newest of each kind up to then."""

    t_ns: int
    pose: Optional[Pose3D]
    shot: Optional[Shot]
    overlay: Optional[Union[Pose2D, Pose3D]]
    """The keypoints that belong to the picture: of its own frame, or, where that was skipped, of the last one before it."""
    health: Mapping[str, Health]


class Moments(Protocol):
    """A stretch of time that can be gone through, forwards and backwards."""

    @property
    def span_ns(self) -> Optional[tuple[int, int]]:
        """Its first and last time; None where nothing is in it."""

    def at(self, t_ns: int) -> Moment:
        """What was at that time."""

    def neighbour(self, t_ns: int, steps: int) -> int:
        """The time of the pose so many before (negative) or after the one shown at `t_ns`; else of the first or last."""

    def poses(self, first_ns: int, last_ns: int) -> Sequence[Pose3D]:
        """The poses from one time to another, both included."""
