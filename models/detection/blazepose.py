"""BlazePose: finds the most prominent person and follows it, with two networks and MediaPipe's published tracking scheme.

The detector network looks at the whole picture while there is nobody to follow. The landmark network looks at one region of
it, says whether a person is there, and where the landmarks are; two of them tell where to look in the next picture.
The numbers come from MediaPipe's published graphs (mediapipe/modules/pose_landmark/pose_landmark_cpu.pbtxt and those it
names; Apache-2.0). What differs: a person lost is looked for in the same picture, not in the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

import cv2
import numpy as np

from poselift.common.arrays import Pixels
from poselift.models.backends.backend import Model
from poselift.models.detection import blazepose_detections as detections
from poselift.models.detection.blazepose_person import Followed, Landmarks, Sight, followed, require_network
from poselift.models.detection.blazepose_regions import around_body, cut_out, to_picture, transform, whole_picture
from poselift.models.detection.detector import NOBODY, Detections

MAX_TRIES = 3
"""So many of the people that the detector finds are tried at most: each costs a run of the landmark network."""


class Following(NamedTuple):
    """The one person whom BlazePose follows, as they were at this time."""

    t_ns: int
    person: Followed

    def scaled(self, factor: float) -> Following:
        """See `poselift.models.detection.detector.DetectorState`."""
        return Following(self.t_ns, self.person.scaled(factor))


class BlazePose:
    """Finds and follows the most prominent person: of those detected, the one with the largest product of score and region's side.

    `detector` and `landmarks` are BlazePose's two networks. A person needs `min_score` to be found, and `min_presence` in every picture to
    be followed (both above 0 and below 1).

    Raises ModelError where a network is not what it should be.
    """

    def __init__(self, detector: Model, landmarks: Model, min_score: float = 0.5, min_presence: float = 0.5) -> None:
        require_network(detector, "BlazePose's detector", detections.INPUT_SIZE, {"boxes", "scores"})
        self._detector, self._landmarks, self._min_score = detector, Landmarks(landmarks, min_presence), min_score
        self._anchors = detections.anchors()

    def step(self, state: Optional[Following], picture: Pixels, t_ns: int) -> tuple[Optional[Following], Detections]:
        """The most prominent person in `picture`; K is 0 or 1. See `poselift.models.detection.detector.PoseDetector2D`."""
        sight = state and self._landmarks.look(picture, state.person.region)
        if state and sight:
            return _one(sight, t_ns, state)
        sight = self._find(picture)
        return _one(sight, t_ns, None) if sight else (None, NOBODY)

    def keep(self, state: Optional[Following], places: Sequence[int]) -> Optional[Following]:
        """The person, or nobody. See `poselift.models.detection.detector.PoseDetector2D`."""
        return state if places else None

    def look_around(self, state: Optional[Following], picture: Pixels) -> Optional[Following]:
        """Nobody else is followed. See `poselift.models.detection.detector.PoseDetector2D`."""
        return state

    def _find(self, picture: Pixels) -> Optional[Sight]:
        """The most prominent person in the whole picture whom the landmark network confirms."""
        height_px, width_px = picture.shape[:2]
        matrix = to_picture(whole_picture(width_px, height_px), detections.INPUT_SIZE)
        answer = self._detector.run({"picture": cut_out(picture, matrix, detections.INPUT_SIZE, cv2.BORDER_CONSTANT)})
        people = detections.decode(answer, self._anchors, self._min_score)
        prominence = people.score * np.linalg.norm(people.circle - people.hip, axis=1)
        for index in np.argsort(-prominence, kind="stable")[:MAX_TRIES]:
            region = around_body(transform(people.hip[index], matrix), transform(people.circle[index], matrix))
            sight = self._landmarks.look(picture, region)
            if sight is not None:
                return sight
        return None


def _one(sight: Sight, t_ns: int, before: Optional[Following]) -> tuple[Following, Detections]:
    """The person, and how they are followed into the next picture. `before`: as they were followed into this one."""
    person = followed(sight, before and before.person, (t_ns - before.t_ns) / 1e9 if before else 0.0)
    return Following(t_ns, person), Detections(
        person.box[np.newaxis], sight.keypoints[np.newaxis], (0 if before else -1,), sight.depth_px[np.newaxis]
    )
