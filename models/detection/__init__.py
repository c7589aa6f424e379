"""Pictures to 2D keypoints, and the table of detectors."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # a detector is imported when it is wanted
    from poselift.models.backends.backend import Model
    from poselift.models.detection.detector import PoseDetector2D


class Detector(NamedTuple):
    """One line of the table."""

    networks: tuple[str, ...]
    """Their names in the manifest of weights, in the order in which the detector takes them."""
    named: str
    """FILE:CLASS here."""
    people: int = 1
    """So many it follows at most."""
    own: bool = False
    """Whether it takes a network of the user's own, after those."""

    def build(self, networks: Sequence[Model], people: int, min_score: float, min_presence: float) -> PoseDetector2D[Any]:
        """The detector of up to `people`, on its open networks. Raises ModelError.

        A person needs `min_score` to be found, `min_presence` to be followed.
        """
        several = {"people": min(people, self.people)} if self.people > 1 else {}
        made: PoseDetector2D[Any] = pkgutil.resolve_name(f"{__name__}.{self.named}")(*networks, min_score, min_presence, **several)
        return made


DETECTORS = {
    "blazepose": Detector(("blazepose_detector", "blazepose_landmarks"), "blazepose:BlazePose"),
    "blazepose_people": Detector(("efficientdet_lite0", "blazepose_landmarks"), "blazepose_people:BlazePosePeople", people=16),
    "top_down": Detector(("efficientdet_lite0",), "coco_people:CocoPeople", people=16, own=True),
}
"""Name, as in `detect.detector` -> detector. Where that is not set, it is the first that follows `detect.people`, and takes the network in
`detect.model` where one is set."""
