"""Tracking by detection: a detector finds people in each picture, and each of them keeps an id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, Optional

import numpy as np

from poselift.common.arrays import Pixels
from poselift.common.people import Detected2D
from poselift.common.sizes import Size, same_shape
from poselift.models.detection.cuts import Scene, same_scene, scene_of
from poselift.models.detection.detector import PoseDetector2D, State
from poselift.models.tracking.looks import looks_of
from poselift.models.tracking.tracks import Tracks


@dataclass(frozen=True)
class Tracked(Generic[State]):
    """What is known of a stream: everything is of the picture before, in its pixels."""

    tracks: Tracks = field(default_factory=Tracks)
    t_ns: Optional[int] = None
    size_px: Size = (0, 0)
    detector: Optional[State] = None
    scene: Optional[Scene] = None
    """What was to be seen in the last picture that told it."""
    left_out: int = 0
    """So many more people were seen lately than are followed."""

    def in_size(self, size_px: Size) -> Tracked[State]:
        """The same in pixels of a picture of this size. One of another shape shows something else: nobody is followed into it."""
        if self.size_px == size_px:
            return self
        if not same_shape(self.size_px, size_px):
            return Tracked(self.tracks.forgotten(), self.t_ns, size_px)
        factor = size_px[0] / self.size_px[0]
        return replace(self, size_px=size_px, tracks=self.tracks.scaled(factor), detector=self.detector and self.detector.scaled(factor))

    def in_scene(self, scene: Optional[Scene]) -> Tracked[State]:
        """The same before a picture of this scene. After a cut nobody is who was there before, in whatever place they are."""
        if scene is None:
            return self
        if self.scene is None or same_scene(self.scene, scene):
            return replace(self, scene=scene)
        return Tracked(self.tracks.forgotten(), self.t_ns, self.size_px, scene=scene)


class PoseTracker(Generic[State]):
    """Finds and follows people in a stream of pictures with any detector, and says who is who. A cut in a film ends all this."""

    def __init__(self, detector: PoseDetector2D[State]) -> None:
        self._detector = detector

    def step(self, state: Tracked[State], picture: Pixels, t_ns: int) -> tuple[Tracked[State], Detected2D]:
        """The people in `picture` (uint8[H, W, 3], BGR), taken at `t_ns` of the stream, and the state for the next one.

        `state` is that of the picture before, or at first `Tracked(Tracks(next_person=...))`. It stays as it is. Live, some pictures are
        left out. What is returned depends on nothing but `state`, `picture` and `t_ns`. Raises ValueError where `t_ns` does not come
        after the last one.
        """
        if state.t_ns is not None and t_ns <= state.t_ns:
            raise ValueError(f"a picture of {t_ns} ns came after one of {state.t_ns} ns; times must grow")
        height_px, width_px = picture.shape[:2]
        state = state.in_size((width_px, height_px)).in_scene(scene_of(picture))
        known, found = self._detector.step(state.detector, picture, t_ns)
        tracks = state.tracks.update(found, [looks_of(picture, pose) for pose in found.keypoints], t_ns, width_px)
        kept = tracks.kept
        if len(kept) < len(found.boxes):
            known = self._detector.keep(known, kept)
        persons = np.array([track.person for track in tracks.tracks[: len(kept)]], np.int64)
        people = Detected2D(persons, found.keypoints[list(kept)])
        if found.depth_px is not None:
            people = replace(people, depth_px=found.depth_px[list(kept)])
        return replace(state, tracks=tracks, t_ns=t_ns, detector=known, left_out=found.left_out), people

    def look_around(self, state: Tracked[State], picture: Pixels) -> Tracked[State]:
        """Look for more people in the picture that `step` has answered; the state for the next one."""
        return replace(state, detector=self._detector.look_around(state.detector, picture))

    def follow(self, stream: Iterable[tuple[Pixels, int]]) -> Iterator[Detected2D]:
        """The people in each picture of a whole stream of pictures and times."""
        state: Tracked[State] = Tracked()
        for picture, t_ns in stream:
            state, people = self.step(state, picture, t_ns)
            yield people
            state = self.look_around(state, picture)
