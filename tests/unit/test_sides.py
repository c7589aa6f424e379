"""Exchanged sides are put right, on a made-up walker whose sides are known; who crosses limbs or turns is left alone."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from demo_clip import FRAME_NS, blazepose, moments, pulled

import poselift.models
from poselift.common.people import People2D
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINT_MIRROR
from poselift.models.backends.backend import open_model
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.sides import MAX_TRUST_S, PAIRS, Sides
from poselift.models.tracking.pose_tracker import PoseTracker

WEIGHTS = Path(poselift.models.__file__).parent / "weights" / "lifter.onnx"
BODY = tuple(range(PAIRS))
ARMS, LEGS, HANDS = (2, 3, 4), (5, 6, 7), (3, 4)
FRONT, OBLIQUE, SIDE = 0.1, 0.8, 1.5


def seconds(count, fps=30.0):
    return np.arange(round(count * fps)) / fps


def walker(times_s, facing, seed=0):
    """Keypoints [T, 17, 3] of someone 340 px tall who walks; `facing` 0 comes at the camera, pi / 2 goes to the right, in radians.

    `facing` may be an array [T]. The picture is a parallel projection. A detector's noise is on it, and now and then a wild keypoint.
    """
    stride = np.sin(2 * np.pi * 0.9 * times_s)
    lift = np.clip(np.cos(2 * np.pi * 0.9 * times_s), 0, 1)
    points = {"nose": (0, 0.1, 1.6)}
    for side, swing, bent in (("left", stride, lift), ("right", -stride, np.clip(-np.cos(2 * np.pi * 0.9 * times_s), 0, 1))):
        across = 1 if side == "left" else -1
        points |= {
            f"{side}_eye": (0.03 * across, 0.09, 1.64),
            f"{side}_ear": (0.07 * across, 0, 1.62),
            f"{side}_shoulder": (0.18 * across, -0.03 * swing, 1.42),
            f"{side}_elbow": (0.23 * across, -0.2 * swing, 1.14),
            f"{side}_wrist": (0.24 * across, 0.08 - 0.4 * swing, 0.92),
            f"{side}_hip": (0.12 * across, 0.02 * swing, 0.92),
            f"{side}_knee": (0.12 * across, 0.22 * swing + 0.1 * bent, 0.5),
            f"{side}_ankle": (0.12 * across, 0.42 * swing - 0.1 * bent, 0.1 + 0.15 * bent),
        }
    across, ahead, up = (np.stack([points[name][axis] + 0 * times_s for name in COCO_KEYPOINTS], 1) for axis in range(3))
    facing = np.broadcast_to(np.asarray(facing, float), times_s.shape)[:, None]
    x_px = 640 + 200 * (across * np.cos(facing) + (ahead + 0.5 * times_s[:, None]) * np.sin(facing))
    rng = np.random.default_rng(seed)
    keypoints = np.stack([x_px, 500 - 200 * up, 0.7 + 0.01 * np.arange(17) + 0 * x_px], -1)
    wild = rng.random((*x_px.shape, 1)) < 0.01
    keypoints[..., :2] += rng.normal(size=(*x_px.shape, 2)) * np.where(wild, 20, 2.5)
    return keypoints.astype(np.float32)


def exchange(keypoints, pairs, frames):
    """The keypoints with left and right of these pairs exchanged in these frames."""
    exchanged = keypoints.copy()
    for pair in pairs:
        left, right = 1 + 2 * pair, 2 + 2 * pair
        exchanged[frames, left], exchanged[frames, right] = keypoints[frames, right], keypoints[frames, left]
    return exchanged


def undone(times_s, keypoints):
    sides = Sides()
    return np.array([sides.undo(round(time * 1e9), frame) for time, frame in zip(times_s, keypoints)])


@pytest.mark.parametrize("facing", [FRONT, OBLIQUE, SIDE, 2.4, 3.1])
@pytest.mark.parametrize("fps", [24, 30, 60])
def test_who_walks_is_left_alone(facing, fps):
    times = seconds(8, fps)
    keypoints = walker(times, facing)
    np.testing.assert_array_equal(undone(times, keypoints), keypoints)


@pytest.mark.parametrize("turns_per_s", [0.3, 1.0, 1.5])
@pytest.mark.parametrize("fps", [24, 60])
def test_who_turns_is_left_alone(turns_per_s, fps):
    times = seconds(6, fps)
    keypoints = walker(times, 2 * np.pi * turns_per_s * np.maximum(times - 1, 0))
    np.testing.assert_array_equal(undone(times, keypoints), keypoints)


@pytest.mark.parametrize("crossings_per_s", [0.5, 2])
def test_who_crosses_the_arms_is_left_alone(crossings_per_s):
    times = seconds(6)
    keypoints = walker(times, FRONT)
    swing = 70 * np.cos(np.pi * crossings_per_s * times)
    for name, sign in (("left", 1), ("right", -1)):
        keypoints[:, COCO_KEYPOINTS.index(f"{name}_wrist"), 0] += sign * (swing - 70)
    np.testing.assert_array_equal(undone(times, keypoints), keypoints)


@pytest.mark.parametrize("facing", [FRONT, OBLIQUE, SIDE, 3.1])
@pytest.mark.parametrize("fps", [24, 30, 60])
@pytest.mark.parametrize("lasting_s", [0.04, 0.17, 1.0])
def test_an_exchanged_body_is_put_right(facing, fps, lasting_s):
    times = seconds(7, fps)
    keypoints = walker(times, facing)
    swapped = exchange(keypoints, BODY, (times >= 2.2) & (times < 2.2 + lasting_s))
    assert not np.array_equal(swapped, keypoints)
    np.testing.assert_array_equal(undone(times, swapped), keypoints)


@pytest.mark.parametrize("pairs", [ARMS, LEGS, HANDS, (4,), (6, 7)])
@pytest.mark.parametrize("lasting_s", [0.17, 1.0])
def test_exchanged_limbs_are_put_right(pairs, lasting_s):
    times = seconds(6)
    keypoints = walker(times, FRONT)
    swapped = exchange(keypoints, pairs, (times >= 2.2) & (times < 2.2 + lasting_s))
    np.testing.assert_array_equal(undone(times, swapped), keypoints)


def test_an_exchange_through_a_blurred_measurement_is_put_right():
    """Detectors change their mind in steps: one measurement may have both sides in the middle."""
    times = seconds(6)
    keypoints = walker(times, FRONT)
    swapped = exchange(keypoints, BODY, slice(66, 96))
    swapped[[66, 96]] = (keypoints[[66, 96]] + exchange(keypoints, BODY, slice(None))[[66, 96]]) / 2
    expected = keypoints.copy()
    expected[[66, 96]] = swapped[[66, 96]]
    np.testing.assert_allclose(undone(times, swapped)[..., :2], expected[..., :2], atol=8)


def test_a_frame_rate_that_jitters_and_loses_frames_is_no_matter():
    rng = np.random.default_rng(2)
    times = np.sort(seconds(8) + rng.uniform(-0.01, 0.01, 240))[rng.random(240) > 0.2]
    keypoints = walker(times, OBLIQUE)
    swapped = exchange(keypoints, BODY, (times > 3) & (times < 4))
    np.testing.assert_array_equal(undone(times, swapped), keypoints)


def test_missing_keypoints_follow_the_others():
    times = seconds(6)
    keypoints = walker(times, FRONT)
    lost = np.random.default_rng(3).random((len(times), 17)) < 0.2
    lost[50:120, 13:] = True
    keypoints[lost] = 0
    swapped = exchange(keypoints, BODY, slice(70, 100))
    np.testing.assert_array_equal(undone(times, swapped), keypoints)
    np.testing.assert_array_equal(undone(times, np.zeros_like(keypoints)), np.zeros_like(keypoints))


def test_a_size_in_pixels_is_no_matter():
    times = seconds(5)
    swapped = exchange(walker(times, OBLIQUE), BODY, slice(80, 110))
    np.testing.assert_array_equal(undone(times, swapped * np.float32([4, 4, 1])), undone(times, swapped) * np.float32([4, 4, 1]))


def test_the_detector_is_believed_in_the_end():
    times = seconds(12)
    keypoints = walker(times, FRONT)
    swapped = exchange(keypoints, BODY, times >= 3)
    turned = (undone(times, swapped) != swapped).any((1, 2))
    first, last = times[turned][[0, -1]]
    assert first == pytest.approx(3)
    assert last - first == pytest.approx(MAX_TRUST_S, abs=0.2)


def test_what_a_detector_got_wrong_at_first_it_may_put_right():
    """The labels of half a second earn no more than one second of doubt in those that come after."""
    times = seconds(8)
    keypoints = walker(times, FRONT)
    swapped = exchange(keypoints, BODY, times < 0.5)
    wrong_s = times[(undone(times, swapped) != keypoints).any((1, 2))]
    assert wrong_s.max() < 0.5 + 1.0


def test_another_scene_is_believed():
    """Also where an exchange goes on until the cut."""
    times = seconds(4)
    keypoints = walker(times, FRONT)
    keypoints[60:, :, 0] = 900 - keypoints[60:, :, 0]
    np.testing.assert_array_equal(undone(times, exchange(keypoints, BODY, slice(50, 60))), keypoints)


def test_heels_and_toes_go_with_their_ankles():
    """Those of a foot that is missing go, too."""
    times = seconds(3)
    body = walker(times, OBLIQUE)
    feet = body[:, [15, 15, 16, 16]] + np.array([[-9, 20, 0], [30, 22, 0]] * 2, np.float32)
    feet[40:70, 1] = 0
    keypoints = np.concatenate([body, feet], 1)
    for pairs, turned in ((BODY, True), (LEGS, True), (ARMS, False)):
        swapped = exchange(keypoints, pairs, slice(50, 56))
        if turned:
            swapped[50:56, 17:] = swapped[50:56][:, KEYPOINT_MIRROR[17:]]
        np.testing.assert_array_equal(undone(times, swapped), keypoints)


def test_looking_twice_is_no_matter():
    times = seconds(4)
    keypoints = walker(times, OBLIQUE)
    swapped = exchange(keypoints, BODY, slice(70, 90))
    np.testing.assert_array_equal(undone(np.repeat(times, 2), np.repeat(swapped, 2, axis=0)), np.repeat(keypoints, 2, axis=0))


def test_what_blazepose_exchanges_on_the_demo_clip_is_put_right():
    """The man who jumps faces the camera; for a few pictures in mid-air, BlazePose has it that he faces away."""
    sides, seen, righted = Sides(), [], []
    for frame, people in enumerate(PoseTracker(blazepose()).follow(islice(moments(pulled("demo_clip")), 35, 80)), 35):
        for keypoints in people.keypoints:
            seen.append(keypoints)
            righted.append(sides.undo(frame * FRAME_NS, keypoints))
    left, right = COCO_KEYPOINTS.index("left_shoulder"), COCO_KEYPOINTS.index("right_shoulder")
    faces_away = [np.array(keypoints)[-18:, left, 0] < np.array(keypoints)[-18:, right, 0] for keypoints in (seen, righted)]
    assert [away.any() for away in faces_away] == [True, False]


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="models/weights/lifter.onnx is not there: train it with models.training")
def test_the_lifter_and_its_keypoints_do_not_see_the_exchange():
    times = seconds(3)
    keypoints = walker(times, OBLIQUE)
    streams = [keypoints, exchange(keypoints, BODY, slice(60, 65)), exchange(keypoints, ARMS, slice(50, 80))]
    lifter = Lifter(open_model(WEIGHTS), slots=3)
    for frame, time in enumerate(times):
        lifted = lifter.step(round(time * 1e9), People2D([0, 1, 2], [stream[frame] for stream in streams]), (1280, 720))
        for swapped in (1, 2):
            np.testing.assert_array_equal(lifted.keypoints[swapped, :17], keypoints[frame])
            np.testing.assert_allclose(lifted.joints_m[swapped], lifted.joints_m[0], atol=1e-5)
