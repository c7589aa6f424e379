"""Our own weights on a person drawn by hand: the pose must be a person's, the right way up and the right way round."""

from pathlib import Path

import numpy as np
import pytest

import poselift.models
from poselift.common.people import People2D
from poselift.common.skeleton import COCO_KEYPOINTS, JOINTS
from poselift.models.backends.backend import open_model
from poselift.models.lifting.lifter import Lifter

WEIGHTS = Path(poselift.models.__file__).parent / "weights" / "lifter.onnx"

STANDING_M = {
    "nose": (0, -0.72), "eye": (0.03, -0.76), "ear": (0.07, -0.74), "shoulder": (0.18, -0.50), "elbow": (0.24, -0.22),
    "wrist": (0.26, 0.03), "hip": (0.12, 0), "knee": (0.12, 0.42), "ankle": (0.12, 0.83),
}  # fmt: skip
"""The left half of someone 1.7 m tall who faces the camera: metres right of and below the mid-hip, in the picture's directions."""


def standing(distance_m=4.0, focal_px=1400.0):
    """Keypoints [1, 17, 3] of that person in the middle of a picture of 1280 x 720."""
    keypoints = np.zeros((1, 17, 3), np.float32)
    for index, name in enumerate(COCO_KEYPOINTS):
        side, _, part = name.rpartition("_")
        x, y = STANDING_M[part]
        sign = -1 if side == "right" else 1
        keypoints[0, index] = (640 + sign * x * focal_px / distance_m, 360 + y * focal_px / distance_m, 0.9)
    return keypoints


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="models/weights/lifter.onnx is not there: train it with models.training")
def test_a_standing_person_stands_from_the_first_frame_on():
    lifter = Lifter(open_model(WEIGHTS), body_height_m=1.7)
    for frame in range(60):
        lifted = lifter.step(frame * 33_333_333, People2D([1], standing()), (1280, 720))
        joint_m = dict(zip(JOINTS, lifted.joints_m[0]))
        assert np.isfinite(lifted.joints_m[0, :17]).all()
        assert 1.2 < joint_m["left_ankle"][1] - joint_m["head"][1] < 1.9
        assert joint_m["left_ankle"][1] > joint_m["left_knee"][1] + 0.2 > joint_m["left_hip"][1] + 0.4
        for part in ("hip", "shoulder", "wrist", "ankle"):
            assert joint_m[f"left_{part}"][0] > joint_m[f"right_{part}"][0]
    assert not lifted.warming[0]
