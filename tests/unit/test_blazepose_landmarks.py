"""BlazePose's landmark network: which landmark is which keypoint, confidence, refinement against a naive one."""

from __future__ import annotations

import math

import numpy as np

from poselift.common.skeleton import KEYPOINTS
from poselift.models.detection import blazepose_landmarks as pose

BLAZEPOSE = {  # mediapipe.solutions.pose.PoseLandmark; a toe is its foot index
    "nose": 0, "left_eye": 2, "right_eye": 5, "left_ear": 7, "right_ear": 8, "left_shoulder": 11, "right_shoulder": 12,
    "left_elbow": 13, "right_elbow": 14, "left_wrist": 15, "right_wrist": 16, "left_hip": 23, "right_hip": 24,
    "left_knee": 25, "right_knee": 26, "left_ankle": 27, "right_ankle": 28, "left_heel": 29, "right_heel": 30,
    "left_toe": 31, "right_toe": 32,
}  # fmt: skip


def test_every_keypoint_is_the_landmark_of_its_name():
    assert [BLAZEPOSE[name] for name in KEYPOINTS] == list(pose.KEYPOINT_LANDMARKS)
    assert pose.KEYPOINT_LANDMARKS[:17] == pose.COCO_LANDMARKS


def test_decode_takes_points_and_the_smaller_of_visibility_and_presence():
    rows = np.zeros((39, 5), np.float32)
    rows[:, 0], rows[:, 1] = np.arange(39), 100 + np.arange(39)
    rows[:, 2], rows[:, 3], rows[:, 4] = -np.arange(39), 2, 1
    rows[16, 3:] = -1000, 3  # right wrist
    points, confidence, depth = pose.decode({"landmarks": rows.reshape(1, 195), "heatmap": np.full((1, 39, 64, 64), -9, np.float32)})
    used = [*pose.KEYPOINT_LANDMARKS, 33, 34]
    np.testing.assert_array_equal(points, np.stack([used, 100 + np.array(used)], axis=1))
    expected = np.full(21, 1 / (1 + math.exp(-1)))
    expected[KEYPOINTS.index("right_wrist")] = 0
    np.testing.assert_allclose(confidence, expected, atol=1e-7)
    np.testing.assert_array_equal(depth, -np.array(pose.KEYPOINT_LANDMARKS))


def refine_naively(point, heat):
    """One point and its map, with plain loops; None where it stays."""
    column, row = int(point[0] * 64 / 256), int(point[1] * 64 / 256)
    if not (0 <= column < 64 and 0 <= row < 64):
        return None
    mass = x = y = hottest = 0.0
    for j in range(max(row - 3, 0), min(row + 4, 64)):
        for i in range(max(column - 3, 0), min(column + 4, 64)):
            value = 1 / (1 + math.exp(-heat[j][i]))
            hottest = max(hottest, value)
            mass, x, y = mass + value, x + value * i, y + value * j
    return (x / mass * 4, y / mass * 4) if hottest >= 0.5 else None


def test_refinement_equals_the_naive_one():
    random = np.random.default_rng(0)
    points = random.uniform(-10, 266, (60, 2)).astype(np.float32)
    points[:4] = [[0.5, 0.5], [255.5, 255.5], [2, 250], [300, 20]]
    heatmap = random.normal(-9, 4, (39, 64, 64)).astype(np.float32)
    numbers = random.integers(0, 39, 60)
    refined = pose.refine(points, heatmap, numbers)
    moved = 0
    for point, number, result in zip(points, numbers, refined):
        expected = refine_naively(point.tolist(), heatmap[number].tolist())
        moved += expected is not None
        np.testing.assert_allclose(result, point if expected is None else expected, rtol=1e-5)
    assert 10 < moved < 50


def test_sigmoid_does_not_overflow():
    np.testing.assert_allclose(
        pose.sigmoid(np.float32([-1e4, -3, 0, 3, 1e4])), [0, 1 / (1 + math.exp(3)), 0.5, 1 / (1 + math.exp(-3)), 1], atol=1e-7
    )
