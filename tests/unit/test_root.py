"""Where a person is: exact from exact keypoints, as good as other estimates from noisy ones, NaN where nothing tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from random_lifter import random_lifter

import poselift.models
from poselift.app.dataflow.messages import Pose2D
from poselift.app.offline.sequences import lift_sequences
from poselift.common.camera import FOCAL_OF_LONGER_SIDE
from poselift.common.people import People2D, with_feet
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.root import MIN_SPREAD, locate_roots
from poselift.models.lifting.whole_sequence import WholeSequence

WEIGHTS = Path(poselift.models.__file__).parent / "weights" / "lifter.onnx"
WIDTH, HEIGHT, FOCAL_PX = 1280, 720, 1400.0

BODY = range(5, 17)
"""The COCO keypoints that have a Human3.6M joint of the same name."""
JOINT_OF = [H36M_JOINTS.index(COCO_KEYPOINTS[keypoint]) for keypoint in BODY]

STANDING_M = {
    "hip": (0, 0), "spine": (0, -0.25), "thorax": (0, -0.5), "neck": (0, -0.6), "head": (0, -0.76),
    "right_hip": (-0.12, 0), "right_knee": (-0.12, 0.42), "right_ankle": (-0.12, 0.83),
    "left_hip": (0.12, 0), "left_knee": (0.12, 0.42), "left_ankle": (0.12, 0.83),
    "left_shoulder": (0.18, -0.5), "left_elbow": (0.24, -0.22), "left_wrist": (0.26, 0.03),
    "right_shoulder": (-0.18, -0.5), "right_elbow": (-0.24, -0.22), "right_wrist": (-0.26, 0.03),
}  # fmt: skip
"""Someone 1.7 m tall who faces the camera: metres right of and below the mid-hip."""
FACE_M = ((0, -0.72), (0.03, -0.76), (-0.03, -0.76), (0.07, -0.74), (-0.07, -0.74))


def standing(turn_rad: float = 0.0) -> Any:
    """The joints [17, 3] of that person, turned about the vertical; one arm is held forward, one leg back."""
    x, y = np.array([STANDING_M[joint] for joint in H36M_JOINTS]).T
    z = np.zeros(17)
    z[H36M_JOINTS.index("left_wrist")], z[H36M_JOINTS.index("right_ankle")] = -0.25, 0.2
    return np.stack([np.cos(turn_rad) * x + np.sin(turn_rad) * z, y, np.cos(turn_rad) * z - np.sin(turn_rad) * x], -1)


def project(points_m: Any, root_m: Any, focal_px: float = FOCAL_PX, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
    """Pixels [..., 2] of points [..., J, 3] about roots [..., 3]."""
    x, y, z = np.moveaxis(points_m + np.asarray(root_m)[..., None, :], -1, 0)
    return np.stack([size[0] / 2 + focal_px * x / z, size[1] / 2 + focal_px * y / z], -1)


def seen(joints_m: Any, root_m: Any, confidence: Any = 0.9, **camera: Any) -> Any:
    """Keypoints [..., 17, 3] that lie on the joints; those of the face are nowhere near and are not to matter."""
    pixels = project(np.asarray(joints_m)[..., JOINT_OF, :], root_m, **camera)
    keypoints = np.full((*pixels.shape[:-2], 17, 3), 0.9)
    keypoints[..., 5:, :2], keypoints[..., 5:, 2] = pixels, confidence
    return keypoints


def tilted(rng: np.random.Generator, count: int) -> Any:
    """Skeletons [count, 17, 3] that stand at every turn, their joints moved at random."""
    people = np.stack([standing(turn) for turn in rng.uniform(0, 2 * np.pi, count)]) + 0.1 * rng.normal(size=(count, 17, 3))
    return people - people[:, :1]


def places(rng: np.random.Generator, count: int) -> Any:
    """Roots [count, 3] all over the picture, 2.5 to 12 m away."""
    depth = rng.uniform(2.5, 12, count)
    return np.stack([rng.uniform(-0.4, 0.4, count) * depth, rng.uniform(-0.2, 0.2, count) * depth, depth], -1)


@pytest.mark.parametrize("size", [(1920, 1080), (640, 480), (1080, 1920)])
@pytest.mark.parametrize("focal_of_longer_side", [0.7, 1.1, 2.5])
def test_exact_keypoints_give_the_exact_place(size: tuple[int, int], focal_of_longer_side: float) -> None:
    rng = np.random.default_rng(1)
    joints_m, root_m, focal_px = tilted(rng, 50), places(rng, 50), focal_of_longer_side * max(size)
    keypoints = seen(joints_m, root_m, rng.uniform(0.1, 1, (50, 12)), focal_px=focal_px, size=size)
    found = locate_roots(joints_m, keypoints, *size, focal_px)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, root_m, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[3], locate_roots(joints_m[3], keypoints[3], *size, focal_px))
    if focal_of_longer_side == FOCAL_OF_LONGER_SIDE:
        np.testing.assert_array_equal(found, locate_roots(joints_m, keypoints, *size))


def two_equations_each(joints_m: Any, keypoints: Any) -> Any:
    """One person's root by a general least squares solver: a row an equation, those of shoulders and of hips replaced by their means."""
    weights, rows, values = [], [], []
    for members in ([5, 6], [11, 12], *([k] for k in (7, 8, 9, 10, 13, 14, 15, 16))):
        share = keypoints[members, 2] / keypoints[members, 2].sum()
        for axis, middle_px in enumerate((WIDTH / 2, HEIGHT / 2)):
            ray = (keypoints[members, axis] - middle_px) / FOCAL_PX
            joints = joints_m[[H36M_JOINTS.index(COCO_KEYPOINTS[k]) for k in members]]
            rows.append([axis == 0, axis == 1, -share @ ray])
            values.append(share @ (ray * joints[:, 2] - joints[:, axis]))
            weights.append(np.sqrt(keypoints[members, 2].sum()))
    solution, *_ = np.linalg.lstsq(np.array(rows) * np.array(weights)[:, None], np.array(values) * weights, rcond=None)
    return solution


def test_noisy_keypoints_give_the_least_squares_solution() -> None:
    rng = np.random.default_rng(2)
    joints_m, root_m = tilted(rng, 20), places(rng, 20)
    keypoints = seen(joints_m, root_m, rng.uniform(0.1, 1, (20, 12)))
    keypoints[..., :2] += rng.normal(0, 8, (20, 17, 2))
    found = locate_roots(joints_m, keypoints, WIDTH, HEIGHT, FOCAL_PX)
    expected = [two_equations_each(*person) for person in zip(joints_m, keypoints)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def least_reprojection_error(joints_m: Any, keypoints: Any, root_m: Any) -> Any:
    """The roots [K, 3] that put the joints nearest to the keypoints in the picture: Gauss-Newton steps from `root_m`."""
    points = joints_m[:, JOINT_OF]
    for _ in range(6):
        x, y, z = np.moveaxis(points + root_m[:, None], -1, 0)
        error = (keypoints[:, 5:, :2] - project(points, root_m)).reshape(len(points), -1, 1)
        none = np.zeros_like(z)
        by_root = FOCAL_PX * np.stack([np.stack([1 / z, none, -x / z**2], -1), np.stack([none, 1 / z, -y / z**2], -1)], 2)
        by_root = by_root.reshape(len(points), -1, 3)
        across = by_root.swapaxes(1, 2)
        root_m = root_m + np.linalg.solve(across @ by_root, across @ error)[..., 0]
    return root_m


def test_it_is_as_unbiased_and_as_precise_as_the_least_reprojection_error() -> None:
    rng = np.random.default_rng(3)
    root_m = np.broadcast_to([0.8, -0.3, 5.0], (3000, 3))
    joints_m = tilted(rng, 3000)
    keypoints = seen(joints_m, root_m)
    keypoints[..., :2] += rng.normal(0, 0.012 * 1.7 * FOCAL_PX / 5, keypoints[..., :2].shape)
    error = locate_roots(joints_m, keypoints, WIDTH, HEIGHT, FOCAL_PX) - root_m
    least = least_reprojection_error(joints_m, keypoints, root_m) - root_m
    assert (np.abs(error.mean(0)) < 0.004 * 5).all()
    assert (error.std(0) < 1.15 * least.std(0)).all()
    assert error.std(0)[2] < 0.02 * 5


def test_hips_and_shoulders_that_a_detector_sees_farther_apart_leave_it_where_it_is() -> None:
    for turn_rad in np.linspace(0, 3, 7):
        joints_m = standing(turn_rad)
        seen_m = joints_m.copy()
        for part, wider in (("hip", 1.5), ("shoulder", 0.9)):
            pair = [H36M_JOINTS.index(f"{side}_{part}") for side in ("left", "right")]
            seen_m[pair] = seen_m[pair].mean(0) + wider * (seen_m[pair] - seen_m[pair].mean(0))
        found = locate_roots(joints_m, seen(seen_m, (0.5, 0.2, 4)), WIDTH, HEIGHT, FOCAL_PX)
        np.testing.assert_allclose(found, (0.5, 0.2, 4), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("missing", [["left_hip"], ["left_hip", "right_hip"], [COCO_KEYPOINTS[k] for k in BODY if k not in (6, 7, 14)]])
def test_a_missing_keypoint_takes_no_part(missing: list[str]) -> None:
    rng = np.random.default_rng(4)
    joints_m, root_m = tilted(rng, 20), places(rng, 20)
    keypoints = seen(joints_m, root_m)
    keypoints[:, [COCO_KEYPOINTS.index(name) for name in missing]] = (-3000, 5000, 0)
    np.testing.assert_allclose(locate_roots(joints_m, keypoints, WIDTH, HEIGHT, FOCAL_PX), root_m, rtol=1e-4, atol=1e-4)


def test_where_nothing_tells_the_place_it_is_nan() -> None:
    joints_m, root_m = standing(), np.array([0.3, 0.1, 4.0])
    keypoints = np.stack([seen(joints_m, root_m)] * 6)
    keypoints[0, :, 2] = 0
    keypoints[1, [k for k in range(5, 17) if k not in (7, 14)], 2] = 0
    keypoints[2, :, :2] = (700, 300)
    keypoints[3, :, :2] = WIDTH - keypoints[3, :, :2]  # upside down: behind the camera
    keypoints[4] = seen(joints_m, (0, 0, 1 / MIN_SPREAD))
    found = locate_roots(np.stack([joints_m] * 6), keypoints, WIDTH, HEIGHT, FOCAL_PX)
    np.testing.assert_array_equal(np.isnan(found), np.array([[True], [True], [True], [True], [True], [False]]).repeat(3, 1))
    np.testing.assert_allclose(found[5], root_m, rtol=1e-5)
    assert locate_roots(np.zeros((0, 17, 3)), np.zeros((0, 17, 3)), WIDTH, HEIGHT).shape == (0, 3)


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_a_wrong_focal_length_is_a_wrong_depth_and_a_wrong_height_a_wrong_place(factor: float) -> None:
    rng = np.random.default_rng(5)
    joints_m, root_m = tilted(rng, 200), places(rng, 200)
    keypoints = seen(joints_m, root_m)
    found = locate_roots(joints_m, keypoints, WIDTH, HEIGHT, factor * FOCAL_PX)
    np.testing.assert_allclose(np.median(found[:, 2] / root_m[:, 2]), factor, rtol=0.01)
    assert np.median(np.abs(found - root_m)[:, :2]) < 0.02
    np.testing.assert_allclose(locate_roots(factor * joints_m, keypoints, WIDTH, HEIGHT, FOCAL_PX), factor * root_m, rtol=1e-5, atol=1e-5)


def statue(path: Path, causal: bool) -> Path:
    """A lifter's file whose network says that everybody stands as `standing` does, whatever it sees."""
    network = random_lifter((3, 3), 8, features=34, linear=False, causal=causal)
    network = network._replace(shrink_weight=0 * network.shrink_weight, shrink_bias=standing().astype(np.float32).ravel())
    onnx.save(build(network, {"rate_hz": "30", "normalisation": "screen"}, as_points=True), path)
    return path


def test_the_lifter_tells_where_everyone_is_and_where_who_is_held_was(tmp_path: Path) -> None:
    lifter = Lifter(open_model(statue(tmp_path / "lifter.onnx", causal=True)), slots=2, focal_px=FOCAL_PX)
    ways = {7: [(0.01 * i, 0.1, 4 + 0.05 * i) for i in range(6)], 3: [(-0.5, 0.02 * i, 3) for i in range(6)]}
    for frame, here in enumerate([[7, 3], [3, 7], [3], [3], [7, 3], [3]]):
        keypoints = [seen(standing(), ways[person][frame]) for person in here]
        lifted = lifter.step(frame * 33_333_333, People2D(here, keypoints), (WIDTH, HEIGHT))
        for person, root_m, held in zip(lifted.person.tolist(), lifted.root_m, lifted.held):
            assert held == (person not in here)
            expected = ways[person][{2: 1, 3: 1, 5: 4}[frame] if held else frame]
            np.testing.assert_allclose(root_m, expected, rtol=1e-4, atol=1e-4)
    assert len(lifter.step(10**9, People2D([], np.zeros((0, 17, 3))), (WIDTH, HEIGHT)).root_m) == 0


def test_a_lifter_that_answers_late_tells_no_place_live_but_in_whole_files(tmp_path: Path) -> None:
    model = open_model(statue(tmp_path / "lifter.onnx", causal=False))
    away, keypoints = (4, 5), [seen(standing(), (0.1, 0, 3 + 0.1 * i)) for i in range(9)]
    live = Lifter(model, focal_px=FOCAL_PX)
    assert live.delay_ns
    for frame in range(9):
        assert np.isnan(live.step(frame * 33_333_333, People2D([1], keypoints[frame : frame + 1]), (WIDTH, HEIGHT)).root_m).all()
    people = [with_feet(np.array(keypoints[i : i + (i not in away)]).reshape(-1, 17, 3)) for i in range(9)]
    poses = [Pose2D(i, i * 33_333_333, WIDTH, HEIGHT, np.ones(len(of), np.int64), of) for i, of in enumerate(people)]
    for frame, pose in enumerate(lift_sequences(WholeSequence(model, focal_px=FOCAL_PX), poses, 0.5, lambda frames: None)):
        assert pose.held[0] == (frame in away)
        np.testing.assert_allclose(pose.root_m, [(0.1, 0, 3 + 0.1 * (3 if frame in away else frame))], rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="models/weights/lifter.onnx is not there: train it with models.training")
@pytest.mark.parametrize("root_m", [(0, 0, 3), (0.8, 0.1, 4), (-1.5, 0.3, 8)])
def test_our_own_lifter_finds_a_standing_person(root_m: tuple[float, float, float]) -> None:
    face = project(np.array([(x, y, -0.08) for x, y in FACE_M]), root_m)
    keypoints = seen(standing(), root_m)
    keypoints[:5, :2] = face
    lifter = Lifter(open_model(WEIGHTS), slots=2, body_height_m=1.7, body_heights_m={2: 3.4}, focal_px=FOCAL_PX)
    for frame in range(40):
        one, twice = lifter.step(frame * 33_333_333, People2D([1, 2], np.stack([keypoints] * 2)), (WIDTH, HEIGHT)).root_m
    assert np.linalg.norm(one - root_m) < 0.1 * np.linalg.norm(root_m)
    np.testing.assert_allclose(twice, 2 * one, rtol=1e-4)
