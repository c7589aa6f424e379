"""Lifting a whole sequence with a network that looks ahead, as VideoPose3D does: every frame is one column, and no pose is late.

The stateful graph does it: before the first frame it takes the first one as its past, after the last frame it is given the last one
again until every frame has its pose. These are the network's poses on input that is padded with its ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.people import with_feet
from poselift.common.skeleton import BODY_HEIGHT_M, JOINTS
from poselift.models.backends.backend import Model
from poselift.models.lifting.lifter import require_shapes
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.models.lifting.mirror import mirrored_joints, mirrored_keypoints
from poselift.models.lifting.root import locate_roots
from poselift.models.lifting.stateful import StatefulNetwork, plausible_rows
from poselift.models.lifting.temporal import Outputs


class WholeSequence:
    """Lifts sequences of one person, one after the other."""

    def __init__(self, model: Model, flip: bool = False, body_height_m: float = BODY_HEIGHT_M, focal_px: float | None = None) -> None:
        """With `flip`, a pose is the mean of the network's answer and of that to the mirror image, mirrored back.

        `body_height_m` and `focal_px` are as in `Lifter`. Raises ModelError where `model` is no symmetric lifter.
        """
        self._facts = LifterMetadata.read(model.metadata)
        if not self._facts.delay_columns:
            raise ModelError("this lifter is causal: it lifts files as it does live, frame by frame, and never with their mirror image")
        require_shapes(model, self._facts)
        self._network = StatefulNetwork(model, 2 if flip else 1)
        self._flip = flip
        self._unit_m = np.float32(self._facts.normalisation.body_scale_m(body_height_m))
        self._focal_px = focal_px

    def close(self) -> None:
        """Done; the network itself stays open."""
        self._network.close()

    @property
    def reach(self) -> int:
        """How many frames before and after a pose's own it depends on."""
        return self._facts.delay_columns

    def poses(self, keypoints: npt.ArrayLike, width_px: int, height_px: int) -> Iterator[Floats]:
        """The joints [21, 3] of every frame of `keypoints` [T, 21, 3] (x px, y px, confidence), in order.

        Metres from the root, in the camera's axes; NaN where the network gives no plausible numbers, or not this joint. All x and y are
        to be in place: a network like this knows of no missing ones.
        """
        columns = self._columns(np.asarray(keypoints, np.float32), width_px, height_px)
        last = len(columns) - 1
        for frame in range(-self.reach, last + 1):
            ahead = frame + self.reach
            outputs = self._network.commit(columns[min(ahead, last)], np.full(columns.shape[1], ahead == 0))
            if frame >= 0:
                yield self._joints_m(outputs) if plausible_rows(outputs).all() else np.full((len(JOINTS), 3), np.nan, np.float32)

    def root_m(self, joints_m: Floats, keypoints: Floats, width_px: int, height_px: int) -> Floats:
        """Where a frame's root is, [3], as `locate_roots` tells it from the frame's joints and keypoints [21, 3]."""
        return locate_roots(joints_m, keypoints, width_px, height_px, self._focal_px)

    def _columns(self, keypoints: Floats, width_px: int, height_px: int) -> Floats:
        """[T, V, ...]: what the network takes, of the sequence and, where flipped, of its mirror image."""
        keypoints = keypoints[:, : self._facts.keypoints]
        views = np.stack([keypoints, mirrored_keypoints(keypoints, width_px)] if self._flip else [keypoints], 1)
        observed, _ = self._facts.normalisation.observe(views.reshape(-1, *views.shape[2:]), width_px, height_px, self._focal_px)
        columns: Floats = observed.reshape(*views.shape[:2], *observed.shape[1:])
        return columns

    def _joints_m(self, outputs: Outputs) -> Floats:
        pose = outputs.pose.reshape(-1, self._facts.joints, 3)
        if self._flip:
            pose = np.stack([pose[0], mirrored_joints(pose[1])])
        joints_m: Floats = (pose - pose[:, :1]).mean(0) * self._unit_m
        return with_feet(joints_m, np.nan)
