"""Several people, each followed by BlazePose's landmark network."""

from __future__ import annotations

from typing import Optional

import numpy as np

from poselift.common.arrays import Doubles, Pixels
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.backends.backend import Model
from poselift.models.detection.blazepose_person import Followed, Landmarks, Sight, followed
from poselift.models.detection.blazepose_regions import around_body
from poselift.models.detection.boxes import box_around
from poselift.models.detection.person_network import Seen
from poselift.models.detection.top_down import TopDown


class BlazePosePerson:
    """A `poselift.models.detection.person_network.PersonNetwork`: BlazePose's landmark network. See `Landmarks` for its arguments."""

    def __init__(self, landmarks: Model, min_presence: float) -> None:
        self._landmarks = Landmarks(landmarks, min_presence)

    def confirm(self, picture: Pixels, box: Doubles) -> Optional[Seen[Followed]]:
        """See `PersonNetwork`. The hip is taken for the box's centre, half the height below the circle's top; then it is looked again."""
        hip = box[:2]
        sight = self._landmarks.look(picture, around_body(hip, hip - np.array([0, box[3] / 2])))
        sight = sight and self._landmarks.look(picture, around_body(*sight.alignment))
        return sight and _seen(sight, None, 0.0)

    def follow(self, picture: Pixels, known: Followed, elapsed_s: float) -> Optional[Seen[Followed]]:
        """See `PersonNetwork`."""
        sight = self._landmarks.look(picture, known.region)
        return sight and _seen(sight, known, elapsed_s)


def _seen(sight: Sight, before: Optional[Followed], elapsed_s: float) -> Seen[Followed]:
    return Seen(followed(sight, before, elapsed_s), sight.keypoints, sight.depth_px, box_around(sight.keypoints[: len(COCO_KEYPOINTS), :2]))


class BlazePosePeople(TopDown[Followed]):
    """Up to so many `people`.

    `finder` is EfficientDet-Lite0, `landmarks` BlazePose's network. A person needs `min_score` in the finder and `min_presence` in the
    landmark network to be found, and `min_presence` in every picture to be followed. Raises ModelError where a network is not what it
    should be.
    """

    def __init__(self, finder: Model, landmarks: Model, min_score: float = 0.5, min_presence: float = 0.5, people: int = 4) -> None:
        super().__init__(finder, BlazePosePerson(landmarks, min_presence), min_score, people)
