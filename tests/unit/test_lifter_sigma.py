"""The lifter's standard deviations: what its network tells, turned to the camera and in metres, and the unknown body height."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from random_lifter import random_lifter

from poselift.common.people import People2D
from poselift.common.skeleton import H36M_PARENTS
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting.lifter import BUILD_SPREAD, Lifter
from poselift.models.lifting.person_camera import FEATURES, body_scale_m, observe, sigma_to_camera, to_camera
from poselift.models.training.bodies import body_scale
from poselift.models.training.motion import load_motion
from poselift.models.training.recordings import subject

HEIGHT_M = 1.8
SHARED = Path(os.environ.get("POSELIFT_SHARED", Path(__file__).parents[3] / "shared"))
CMU = SHARED / "data" / "mocap"


def keypoints(people, seed=0):
    """[people, 17, 3] in the upper left quarter of a picture of 640 x 480, at confidence 1."""
    return np.random.default_rng(seed).uniform((0, 0, 1), (320, 240, 1), (people, 17, 3)).astype(np.float32)


def lift(weights, points, folder):
    onnx.save(build(weights, {"rate_hz": "30", "normalisation": "person_camera"}), folder / "lifter.onnx")
    lifter = Lifter(open_model(folder / "lifter.onnx"), slots=4, body_height_m=HEIGHT_M)
    return lifter.step(0, People2D(range(len(points)), points), (640, 480))


def test_errors_drawn_along_the_virtual_axes_scatter_like_that_along_the_camera_s():
    rng = np.random.default_rng(0)
    _, view = observe(keypoints(1), 640, 480)
    sigma = rng.uniform(0.01, 0.3, (1, 17, 3)).astype(np.float32)
    drawn = to_camera(rng.normal(size=(40_000, 17, 3)).astype(np.float32) * sigma, view)
    np.testing.assert_allclose(sigma_to_camera(sigma, view)[0], drawn.std(0), rtol=0.02)
    assert np.abs(sigma_to_camera(sigma, view) - sigma).max() > 0.01  # else the view turns too little to tell


def test_network_and_build_add_in_quadrature(tmp_path):
    """A network that says the same of every person: log of 0.1, 0.2, 0.3 body scales along the three virtual axes."""
    weights = random_lifter((3, 3), 64, FEATURES[17], spread=True)
    weights = weights._replace(spread_weight=0 * weights.spread_weight, spread_bias=np.log(np.tile([0.1, 0.2, 0.3], 17)).astype(np.float32))
    points = keypoints(3)
    lifted = lift(weights, points, tmp_path)
    _, views = observe(points, 640, 480)
    for person, view in enumerate(views):
        covariance = view.T @ np.diag([0.01, 0.04, 0.09]) @ view * body_scale_m(HEIGHT_M) ** 2
        variance = np.diag(covariance) + (BUILD_SPREAD * lifted.joints_m[person, :17]) ** 2
        np.testing.assert_allclose(lifted.sigma_m[person, 1:17] ** 2, variance[1:], rtol=1e-4)
    assert (lifted.sigma_m[:, 0] == 0).all()
    assert lifted.sigma_m.dtype == np.float32


@pytest.mark.skipif(not CMU.is_dir(), reason=f"the motion capture is not here: {CMU}")
def test_the_build_s_spread_is_that_of_the_recorded_skeletons():
    """Thigh, shank and trunk beside the whole way from an ankle to the top of the head, of each subject of one source."""
    motion = load_motion(CMU, "train")
    shares = {}
    for name, start in zip(motion.names, motion.start):
        joints = motion.joints_m[start, : len(H36M_PARENTS)]
        bones = np.linalg.norm(joints[1:] - joints[list(H36M_PARENTS[1:])], axis=-1)
        neck_and_head = bones[8] + bones[9]
        if name.startswith("amc/"):
            shares.setdefault(subject(name), body_scale(motion.joints_m[start]) / (body_scale(motion.joints_m[start]) + neck_and_head))
    spread = np.std([*shares.values()]) / np.mean([*shares.values()])
    assert len(shares) == 21
    assert spread == pytest.approx(BUILD_SPREAD, abs=0.001)


def test_a_network_that_does_not_tell_leaves_it_unknown(tmp_path):
    lifted = lift(random_lifter((3, 3), 64, FEATURES[17]), keypoints(2), tmp_path)
    assert lifted.sigma_m.shape == (2, 21, 3) and np.isnan(lifted.sigma_m).all()
    assert np.isfinite(lifted.joints_m[:, :17]).all()
