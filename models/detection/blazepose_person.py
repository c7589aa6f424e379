"""One person, seen by BlazePose's landmark network in a region of the picture, and where to look for them in the next one."""

from __future__ import annotations

from typing import NamedTuple, Optional

import cv2
import numpy as np

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.common.errors import ModelError
from poselift.models.backends.backend import Model, Tensor
from poselift.models.detection import blazepose_landmarks as pose
from poselift.models.detection.blazepose_regions import Region, around_body, cut_out, to_picture, transform
from poselift.models.detection.filters import OneEuro, Smoothed

SMOOTHER = OneEuro(min_cutoff_hz=0.01, beta=10.0, speed_cutoff_hz=1.0)
"""For the two alignment points; the numbers are those of MediaPipe's pose_landmark_filtering.pbtxt."""


class Sight(NamedTuple):
    """A person as the landmark network saw it: `keypoints` float32[21, 3], `depth_px` float32[21], `alignment` float64[2, 2].

    In the picture's pixels. The depths are as in `poselift.common.people.Detected2D`.
    """

    keypoints: Floats
    depth_px: Floats
    alignment: Doubles


class Landmarks:
    """The landmark network. Raises ModelError where it is not what it should be. `min_presence` (0 to 1) makes a person."""

    def __init__(self, network: Model, min_presence: float) -> None:
        require_network(network, "BlazePose's landmark network", pose.INPUT_SIZE, {"landmarks", "flag", "heatmap"})
        self._network, self._min_presence = network, min_presence

    def look(self, picture: Pixels, region: Region) -> Optional[Sight]:
        """The person in `region`, None where the network says that there is none."""
        matrix = to_picture(region, pose.INPUT_SIZE)
        answer = self._network.run({"picture": cut_out(picture, matrix, pose.INPUT_SIZE, cv2.BORDER_REPLICATE)})
        if not pose.somebody(answer, self._min_presence):
            return None
        points, confidence, depth = pose.decode(answer)
        points_px = transform(points, matrix)
        keypoints_px, alignment = points_px[: len(confidence)], points_px[len(confidence) :]
        if (alignment[0] == alignment[1]).all():  # a circle without a size tells no region to look at next
            return None
        depth_px = np.float32(region.side_px / pose.INPUT_SIZE) * depth
        return Sight(np.column_stack([keypoints_px, confidence]).astype(np.float32), depth_px, alignment)


class Followed(NamedTuple):
    """A person who is followed: they are looked for in `region` of the next picture."""

    region: Region
    alignment: Smoothed
    """The alignment points, over time."""

    def scaled(self, factor: float) -> Followed:
        """See `poselift.models.detection.detector.DetectorState`."""
        return Followed(self.region.scaled(factor), self.alignment.scaled(factor, (factor - 1) / 2))

    @property
    def box(self) -> Doubles:
        """float64[4]: centre x, centre y, width, height; px."""
        return np.array([self.region.x_px, self.region.y_px, self.region.side_px, self.region.side_px])


def followed(sight: Sight, before: Optional[Followed], elapsed_s: float) -> Followed:
    """The person after this sight, so long after they were as `before`; smoothed, so that the region does not tremble."""
    hip, circle = sight.alignment
    diameter_px = 2 * float(np.linalg.norm(circle - hip))
    alignment = SMOOTHER.step(before and before.alignment, sight.alignment, elapsed_s, unit=diameter_px)
    return Followed(around_body(*alignment.smooth), alignment)


def require_network(model: Model, what: str, size: int, outputs: set[str]) -> None:
    """Raise ModelError where a network does not take a picture of that size, or lacks one of these outputs."""
    expected = (Tensor("picture", np.dtype(np.uint8), (1, size, size, 3)),)
    missing = outputs - {tensor.name for tensor in model.outputs}
    if model.inputs != expected or missing:
        raise ModelError(
            f"this network is not {what}: it takes {model.inputs}, not {expected}, and lacks {sorted(missing)}; type: poselift models pull"
        )
