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
from poselift.common.sizes import same_shape
from poselift.models.backends.backend import Model, Tensor
from poselift.models.detection import blazepose_detections as detections
from poselift.models.detection import blazepose_landmarks as pose
from poselift.models.detection.blazepose_regions import Region, around_body, cut_out, to_picture, transform, whole_picture
from poselift.models.detection.cuts import Scene, same_scene, scene_of
from poselift.models.detection.detector import People2D
from poselift.models.detection.filters import OneEuro, Smoothed
from poselift.models.detection.tracking import Identity

MAX_TRIES = 3
"""So many of the people that the detector finds are tried at most: each costs a run of the landmark network."""
SMOOTHER = OneEuro(min_cutoff_hz=0.01, beta=10.0, speed_cutoff_hz=1.0)
"""For the two alignment points; the numbers are those of MediaPipe's pose_landmark_filtering.pbtxt."""
NOBODY = People2D(np.empty(0, np.int64), np.empty((0, 17, 3), np.float32))


class Sight(NamedTuple):
    """A person as the landmark network saw it: `keypoints` float32[17, 3], `alignment` float64[2, 2] in the picture's pixels."""

    keypoints: npt.NDArray[np.float32]
    alignment: npt.NDArray[np.float64]


class Followed(NamedTuple):
    """What BlazePose knows of the pictures so far: it looks for the person in `region` of the next (None: there is nobody to follow)."""

    t_ns: int
    identity: Identity = Identity()
    region: Optional[Region] = None
    alignment: Optional[Smoothed] = None
    """The alignment points of who is followed, over time."""
    size_px: tuple[int, int] = (0, 0)
    """Width and height of the picture before, in whose pixels all this is."""
    scene: Optional[Scene] = None
    """What was to be seen in the last picture that told it."""

    def on(self, width_px: int, height_px: int) -> Followed:
        """The same in pixels of a picture of this size. One of another shape shows something else: nobody is followed into it."""
        size_px = width_px, height_px
        if self.size_px == size_px:
            return self
        if not same_shape(self.size_px, size_px):
            return Followed(self.t_ns, self.identity.forgotten(), size_px=size_px)
        factor = width_px / self.size_px[0]
        region, alignment = self.region and self.region.times(factor), self.alignment and self.alignment.times(factor, (factor - 1) / 2)
        return Followed(self.t_ns, self.identity.times(factor), region, alignment, size_px, self.scene)

    def before(self, scene: Optional[Scene]) -> Followed:
        """The same before a picture of this scene. After a cut nobody is who was there before, in whatever place they are."""
        if scene is None:
            return self
        if self.scene is None or same_scene(self.scene, scene):
            return self._replace(scene=scene)
        return Followed(self.t_ns, self.identity.forgotten(), size_px=self.size_px, scene=scene)


class BlazePose:
    """Finds and follows the most prominent person: of those detected, the one with the largest product of score and region's side.

    `detector` and `landmarks` are BlazePose's two networks. A person needs
    `min_score` to be found, and `min_presence` in every picture to be followed (both above 0 and below 1). Who is found again
    after at most `keep_frames` processed pictures, at nearly the same place and size, keeps the id. A cut in a film ends all this.

    Raises ModelError where a network is not what it should be.
    """

    def __init__(self, detector: Model, landmarks: Model, min_score: float = 0.5, min_presence: float = 0.5, keep_frames: int = 30) -> None:
        _require(detector, "BlazePose's detector", detections.INPUT_SIZE, {"boxes", "scores"})
        _require(landmarks, "BlazePose's landmark network", pose.INPUT_SIZE, {"landmarks", "flag", "heatmap"})
        self._detector = detector
        self._landmarks = landmarks
        self._min_score = min_score
        self._min_presence = min_presence
        self._keep_frames = keep_frames
        self._anchors = detections.anchors()

    def step(self, state: Optional[Followed], picture: Pixels, t_ns: int) -> tuple[Followed, People2D]:
        """The most prominent person in `picture`; K is 0 or 1. See `models.detection.detector.PoseDetector2D`.

        Raises ValueError where `t_ns` does not come after the last one: ids rest on that.
        """
        height_px, width_px = picture.shape[:2]
        state = (state or Followed(t_ns - 1)).on(width_px, height_px)
        if t_ns <= state.t_ns:
            raise ValueError(f"a picture of {t_ns} ns came after one of {state.t_ns} ns; times must grow")
        state = state.before(scene_of(picture))

        sight = None if state.region is None else self._look(picture, state.region)
        if sight is not None:
            region, alignment = _next_region(sight, state.alignment, (t_ns - state.t_ns) / 1e9)
            return _one(state, t_ns, state.identity.followed(region), alignment, sight)
        sight = self._find(picture)
        if sight is not None:
            region, alignment = _next_region(sight, None, 0)
            return _one(state, t_ns, state.identity.found(region, t_ns, self._keep_frames), alignment, sight)
        return state._replace(t_ns=t_ns, identity=state.identity.missed(), region=None, alignment=None), NOBODY

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


def _next_region(sight: Sight, before: Optional[Smoothed], elapsed_s: float) -> tuple[Region, Smoothed]:
    """Where to look in the next picture, `elapsed_s` after the one `before`; smoothed, so that the region does not tremble."""
    hip, circle = sight.alignment
    diameter_px = 2 * float(np.linalg.norm(circle - hip))
    alignment = SMOOTHER.step(before, sight.alignment, elapsed_s, unit=diameter_px)
    return around_body(*alignment.smooth), alignment


def _one(before: Followed, t_ns: int, identity: Identity, alignment: Smoothed, sight: Sight) -> tuple[Followed, People2D]:
    state = before._replace(t_ns=t_ns, identity=identity, region=identity.region, alignment=alignment)
    return state, People2D(np.array([identity.person], np.int64), sight.keypoints[np.newaxis])


def _require(model: Model, what: str, size: int, outputs: set[str]) -> None:
    expected = (Tensor("picture", np.dtype(np.uint8), (1, size, size, 3)),)
    missing = outputs - {tensor.name for tensor in model.outputs}
    if model.inputs != expected or missing:
        raise ModelError(
            f"this network is not {what}: it takes {model.inputs}, not {expected}, and lacks {sorted(missing)}; type: poselift models pull"
        )
