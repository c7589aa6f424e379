"""BlazePose: finds the most prominent person and follows it, with two networks and MediaPipe's published tracking scheme.

The detector network looks at the whole picture while there is nobody to follow. The landmark network looks at one region of
it, says whether a person is there, and where the landmarks are; two of them tell where to look in the next picture.
The numbers come from MediaPipe's published graphs (mediapipe/modules/pose_landmark/pose_landmark_cpu.pbtxt and those it
names; Apache-2.0). What differs: a person lost is looked for in the same picture, not in the next one.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Pixels
from poselift.common.errors import ModelError
from poselift.models.backends.backend import Model, Tensor
from poselift.models.detection import blazepose_detections as detections
from poselift.models.detection import blazepose_landmarks as pose
from poselift.models.detection.blazepose_regions import Region, around_body, cut_out, to_picture, transform, whole_picture
from poselift.models.detection.detector import NOBODY, Detections
from poselift.models.detection.filters import OneEuro, Smoothed

MAX_TRIES = 3
"""So many of the people that the detector finds are tried at most: each costs a run of the landmark network."""
SMOOTHER = OneEuro(min_cutoff_hz=0.01, beta=10.0, speed_cutoff_hz=1.0)
"""For the two alignment points; the numbers are those of MediaPipe's pose_landmark_filtering.pbtxt."""


class Sight(NamedTuple):
    """A person as the landmark network saw it: `keypoints` float32[17, 3], `alignment` float64[2, 2] in the picture's pixels."""

    keypoints: npt.NDArray[np.float32]
    alignment: npt.NDArray[np.float64]


class Followed(NamedTuple):
    """The one person whom BlazePose follows: it looks for them in `region` of the next picture."""

    t_ns: int
    region: Region
    alignment: Smoothed
    """The alignment points, over time."""

    def scaled(self, factor: float) -> Followed:
        """See `poselift.models.detection.detector.DetectorState`."""
        return Followed(self.t_ns, self.region.scaled(factor), self.alignment.scaled(factor, (factor - 1) / 2))


class BlazePose:
    """Finds and follows the most prominent person: of those detected, the one with the largest product of score and region's side.

    `detector` and `landmarks` are BlazePose's two networks. A person needs `min_score` to be found, and `min_presence` in every picture to
    be followed (both above 0 and below 1).

    Raises ModelError where a network is not what it should be.
    """

    def __init__(self, detector: Model, landmarks: Model, min_score: float = 0.5, min_presence: float = 0.5) -> None:
        _require(detector, "BlazePose's detector", detections.INPUT_SIZE, {"boxes", "scores"})
        _require(landmarks, "BlazePose's landmark network", pose.INPUT_SIZE, {"landmarks", "flag", "heatmap"})
        self._detector = detector
        self._landmarks = landmarks
        self._min_score = min_score
        self._min_presence = min_presence
        self._anchors = detections.anchors()

    def step(self, state: Optional[Followed], picture: Pixels, t_ns: int) -> tuple[Optional[Followed], Detections]:
        """The most prominent person in `picture`; K is 0 or 1. See `poselift.models.detection.detector.PoseDetector2D`."""
        sight = state and self._look(picture, state.region)
        if state and sight:
            return _one(sight, t_ns, state)
        sight = self._find(picture)
        return _one(sight, t_ns, None) if sight else (None, NOBODY)

    def _find(self, picture: Pixels) -> Optional[Sight]:
        """The most prominent person in the whole picture whom the landmark network confirms."""
        height_px, width_px = picture.shape[:2]
        matrix = to_picture(whole_picture(width_px, height_px), detections.INPUT_SIZE)
        answer = self._detector.run({"picture": cut_out(picture, matrix, detections.INPUT_SIZE, cv2.BORDER_CONSTANT)})
        people = detections.decode(answer, self._anchors, self._min_score)
        prominence = people.score * np.linalg.norm(people.circle - people.hip, axis=1)
        for index in np.argsort(-prominence, kind="stable")[:MAX_TRIES]:
            region = around_body(transform(people.hip[index], matrix), transform(people.circle[index], matrix))
            sight = self._look(picture, region)
            if sight is not None:
                return sight
        return None

    def _look(self, picture: Pixels, region: Region) -> Optional[Sight]:
        """The person in `region`, None where the network says that there is none."""
        matrix = to_picture(region, pose.INPUT_SIZE)
        answer = self._landmarks.run({"picture": cut_out(picture, matrix, pose.INPUT_SIZE, cv2.BORDER_REPLICATE)})
        if not pose.somebody(answer, self._min_presence):
            return None
        points, confidence = pose.decode(answer)
        points_px = transform(points, matrix)
        if (points_px[17] == points_px[18]).all():  # a circle without a size tells no region to look at next
            return None
        return Sight(np.column_stack([points_px[:17], confidence]).astype(np.float32), points_px[17:])


def _one(sight: Sight, t_ns: int, before: Optional[Followed]) -> tuple[Followed, Detections]:
    """The person, and where to look in the next picture; smoothed, so that the region does not tremble. `before`: as they were followed."""
    hip, circle = sight.alignment
    diameter_px = 2 * float(np.linalg.norm(circle - hip))
    elapsed_s = (t_ns - before.t_ns) / 1e9 if before else 0.0
    alignment = SMOOTHER.step(before and before.alignment, sight.alignment, elapsed_s, unit=diameter_px)
    region = around_body(*alignment.smooth)
    box = np.array([[region.x_px, region.y_px, region.side_px, region.side_px]])
    return Followed(t_ns, region, alignment), Detections(box, sight.keypoints[np.newaxis], (0 if before else -1,))


def _require(model: Model, what: str, size: int, outputs: set[str]) -> None:
    expected = (Tensor("picture", np.dtype(np.uint8), (1, size, size, 3)),)
    missing = outputs - {tensor.name for tensor in model.outputs}
    if model.inputs != expected or missing:
        raise ModelError(
            f"this network is not {what}: it takes {model.inputs}, not {expected}, and lacks {sorted(missing)}; type: poselift models pull"
        )
