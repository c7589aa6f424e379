"""The lifter's weights as they are shipped: what their file says, and that they know what a person looks like."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models import score
from poselift.models.backends.backend import Model, open_model
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.models.lifting.person_camera import body_scale_m, observe, to_camera
from poselift.models.training.batches import Sources, make_batch
from poselift.models.training.motion import load_motion

WEIGHTS = Path(__file__).parents[2] / "models" / "weights" / "lifter.onnx"
SHARED = Path(os.environ.get("POSELIFT_SHARED", Path(__file__).parents[3] / "shared"))
CMU = SHARED / "data" / "mocap"


@pytest.fixture(scope="module")
def lifter() -> Model:
    return open_model(WEIGHTS)


def run_columns(model: Model, features: np.ndarray) -> np.ndarray:
    """Poses [N, T, 17, 3] of features [N, T, F], one column after another, all histories starting with the first."""
    states = {t.name: np.full((len(features), *t.shape[1:]), np.nan, np.float32) for t in model.inputs if t.name.startswith("state_")}
    poses = []
    for t in range(features.shape[1]):
        outputs = model.run({"features": features[:, t], "reset": np.full(len(features), t == 0), **states})
        states = {name: outputs[f"next_{name}"] for name in states}
        poses.append(outputs["pose"].reshape(-1, 17, 3))
    return np.stack(poses, 1)


def test_the_file_says_what_it_is(lifter: Model) -> None:
    facts = LifterMetadata.read(lifter.metadata)
    assert (facts.receptive_field, facts.rate_hz) == (27, 30)
    assert lifter.metadata["keypoints"].split() == list(COCO_KEYPOINTS)
    assert lifter.metadata["joints"].split() == list(H36M_JOINTS)
    assert lifter.metadata["licence"] == "Apache-2.0"
    assert lifter.metadata["held_out_subjects"] == "05 135"
    assert "mocap.cs.cmu.edu" in lifter.metadata["acknowledgement"]
    assert WEIGHTS.stat().st_size < 17e6


@pytest.mark.parametrize("right_m", [-1.5, 0.0, 1.5])
def test_a_standing_person_is_lifted_as_they_stand(lifter: Model, right_m: float) -> None:
    """Somebody who faces a level camera from 4 m, the left arm stretched to their left, made and projected by hand."""
    joints = {
        "hip": (0, 0, 0), "right_hip": (-0.1, 0, 0), "right_knee": (-0.1, 0.43, 0), "right_ankle": (-0.1, 0.85, 0.02),
        "left_hip": (0.1, 0, 0), "left_knee": (0.1, 0.43, 0), "left_ankle": (0.1, 0.85, 0.02), "spine": (0, -0.23, 0),
        "thorax": (0, -0.47, 0.02), "neck": (0, -0.6, 0), "head": (0, -0.77, 0), "left_shoulder": (0.19, -0.46, 0.02),
        "left_elbow": (0.47, -0.46, 0.02), "left_wrist": (0.71, -0.46, 0.0), "right_shoulder": (-0.19, -0.46, 0.02),
        "right_elbow": (-0.22, -0.18, 0.04), "right_wrist": (-0.24, 0.05, -0.04),
    }  # fmt: skip
    face = {"nose": (0, -0.65, -0.12), "left_eye": (0.03, -0.68, -0.1), "right_eye": (-0.03, -0.68, -0.1)}
    ears = {"left_ear": (0.075, -0.66, 0), "right_ear": (-0.075, -0.66, 0)}
    hips = {"left_hip": (0.13, 0, 0), "right_hip": (-0.13, 0, 0)}
    points = np.array([{**joints, **face, **ears, **hips}[name] for name in COCO_KEYPOINTS]) + np.array([right_m, 0.2, 4])
    pixels = np.concatenate([1700 * points[:, :2] / points[:, 2:] + np.array([960, 540]), np.ones((17, 1))], 1)
    features, view = observe(pixels, 1920, 1080)
    pose = run_columns(lifter, np.repeat(features[None, None], 30, 1))[0, -1]
    lifted_m = to_camera(pose - pose[:1], view) * body_scale_m(1.7)
    truth_m = np.array([joints[name] for name in H36M_JOINTS])
    assert score.n_mpjpe(truth_m, lifted_m) < 0.08
    assert score.mpjpe(truth_m, lifted_m) < 0.1


@pytest.mark.skipif(not CMU.is_dir(), reason=f"the motion capture is not here: {CMU}")
def test_people_who_were_not_trained_on_are_lifted(lifter: Model) -> None:
    """As they moved, with cameras and detector errors drawn anew: 70 mm when they were measured. The lifter knows the 17 alone."""
    batch = make_batch(Sources(load_motion(CMU, "validation")), np.random.default_rng(77), 128, 8, 26, invent=False)
    poses = run_columns(lifter, batch.features[..., np.r_[:51, 63:79]])[:, 26:]
    assert 1300 * score.n_mpjpe(batch.poses[:, :, :17], poses) < 74
