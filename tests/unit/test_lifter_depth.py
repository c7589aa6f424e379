"""The depths that a detector tells beside the keypoints, on their way to the network's features."""

import numpy as np
import onnx
import pytest
from random_lifter import random_lifter

from poselift.common.people import Detected2D, People2D
from poselift.common.skeleton import JOINTS, KEYPOINT_MIRROR, KEYPOINTS
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting import lifter_metadata, person_camera
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.sides import ANKLES, PAIRS, Sides

SIZE = (640, 480)
TICK_NS = 33_333_333
FACTS = {
    "rate_hz": "30",
    "normalisation": "person_camera",
    "flip": "yes",
    "keypoints": " ".join(KEYPOINTS),
    "joints": " ".join(JOINTS),
}


class Seen:
    """person_camera, which keeps the depths that it was given last."""

    to_camera, sigma_to_camera = staticmethod(person_camera.to_camera), staticmethod(person_camera.sigma_to_camera)
    body_scale_m = staticmethod(person_camera.body_scale_m)

    def observe(self, keypoints, width_px, height_px, focal_px, depth_px=None):
        self.depth_px = depth_px
        return person_camera.observe(keypoints, width_px, height_px, focal_px, depth_px)


@pytest.fixture
def seen(monkeypatch):
    found = Seen()
    monkeypatch.setattr(lifter_metadata, "NORMALISATIONS", {"person_camera": found})
    return found


@pytest.fixture
def lifter(seen, tmp_path):
    onnx.save(build(random_lifter((3, 3), 32, person_camera.FEATURES[21], 63), FACTS), tmp_path / "lifter.onnx")
    return Lifter(open_model(tmp_path / "lifter.onnx"))


def somebody(depth_px=None, missing=()):
    points = np.random.default_rng(0).uniform((200, 100, 0.5), (400, 400, 1), (1, 21, 3)).astype(np.float32)
    points[:, list(missing)] = 0
    return Detected2D(np.array([7]), points, None if depth_px is None else np.asarray(depth_px, np.float32)[None])


RAMP = np.arange(21.0)


def test_depths_reach_the_network_and_its_mirror_image(lifter, seen):
    lifter.step(0, somebody(RAMP, missing=[3, 20]), SIZE)
    expected = np.where(np.isin(np.arange(21), [3, 20]), np.nan, RAMP)
    np.testing.assert_array_equal(seen.depth_px, [expected, expected[list(KEYPOINT_MIRROR)]])


def test_they_change_the_pose_and_nothing_is_known_without_them(lifter, seen):
    with_them = lifter.step(0, somebody(RAMP), SIZE)
    for nobody_tells in (somebody(), People2D(np.array([7]), somebody().keypoints), somebody(np.full(21, np.nan)), somebody(RAMP * 1e9)):
        without = lifter.step(-1, nobody_tells, SIZE)
        assert np.isnan(seen.depth_px[:, 1:]).all()
        assert np.abs(with_them.joints_m - without.joints_m).max() > 1e-3


def test_between_two_measurements_they_are_in_between(lifter, seen):
    depths = []
    for t_ns, people in ((0, somebody(RAMP)), (TICK_NS, somebody()), (2 * TICK_NS, somebody(RAMP)), (4 * TICK_NS, somebody(3 * RAMP))):
        lifter.step(t_ns, people, SIZE)
        depths.append(seen.depth_px[0])
    assert np.isnan(depths[1]).all()
    np.testing.assert_array_equal(depths[2], RAMP)  # as before they were known
    np.testing.assert_allclose(depths[3], 3 * RAMP, rtol=1e-5)


def test_who_is_held_has_none(lifter, seen):
    lifter.step(0, somebody(RAMP), SIZE)
    lifter.step(TICK_NS, Detected2D(np.zeros(0, np.int64), np.zeros((0, 21, 3), np.float32)), SIZE)
    assert np.isnan(seen.depth_px).all()


def test_in_a_picture_of_another_size_they_are_on_its_scale(lifter, seen):
    lifter.step(0, somebody(RAMP), SIZE)
    half = somebody(RAMP / 2)
    lifter.step(TICK_NS, Detected2D(half.person, half.keypoints * np.array([0.5, 0.5, 1], np.float32), half.depth_px), (320, 240))
    np.testing.assert_allclose(seen.depth_px[0], RAMP, rtol=1e-5)


def test_exchanged_sides_take_their_depths_along():
    sides = Sides()
    sides.exchanged = np.arange(PAIRS) == ANKLES
    expected = RAMP.copy()
    expected[[15, 16, 17, 18, 19, 20]] = (16, 15, 19, 20, 17, 18)
    np.testing.assert_array_equal(sides.righted(RAMP[:, None])[:, 0], expected)
