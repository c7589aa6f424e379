"""What the lifter learns from: people, bodies, cameras and detectors, each against something computed apart."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from poselift.common.errors import ModelError
from poselift.common.skeleton import JOINT_MIRROR, JOINTS, KEYPOINT_MIRROR, KEYPOINTS, PARENTS
from poselift.models import score
from poselift.models.training import bodies, cameras, detector, limbs, postures
from poselift.models.training.batches import Sources, make_batch, random_people, start_late
from poselift.models.training.borrowed import borrow
from poselift.models.training.motion import RATE_HZ, Motion, contact_of, joined, load_motion, sample_motion
from poselift.models.training.recordings import HELD_OUT, VALIDATION, Clip, subject
from poselift.models.training.watched_clips import WatchedClips, load_watched, sample_watched

SHARED = Path(os.environ.get("POSELIFT_SHARED", Path(__file__).parents[3] / "shared"))
CMU = SHARED / "data" / "mocap"

STANDING = np.array(
    [
        (0, 0, 0.95), (0.1, 0, 0.95), (0.1, 0.02, 0.52), (0.1, 0, 0.1), (-0.1, 0, 0.95), (-0.1, 0.02, 0.52), (-0.1, 0, 0.1),
        (0, 0, 1.18), (0, 0, 1.42), (0, 0.02, 1.55), (0, 0.03, 1.72),
        (-0.2, 0, 1.42), (-0.25, 0, 1.12), (-0.25, 0.1, 0.9), (0.2, 0, 1.42), (0.25, 0, 1.12), (0.25, 0.1, 0.9),
        (-0.1, -0.05, 0.02), (-0.12, 0.2, 0.015), (0.1, -0.05, 0.02), (0.12, 0.2, 0.015),
    ],
    np.float32,
)  # fmt: skip
"""Somebody who looks along +y, z up."""


def moving(count: int = 3, length: int = 30, seed: int = 0) -> np.ndarray:
    """Sequences [N, L, 21, 3] of somebody who sways and walks."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)[:, None, None] / 10
    sway = 0.04 * np.sin(time + rng.uniform(0, 6, (count, 1, 21, 3)))
    walk = time * rng.normal(0, 0.3, (count, 1, 1, 3)) * (1, 1, 0)
    return (STANDING + sway + walk).astype(np.float32)


def clips(names: list[str], joints: list[np.ndarray], fps: list[float], floor_m: float = 0.0) -> Motion:
    return joined([Clip(name, clip.astype(np.float32), rate, floor_m) for name, clip, rate in zip(names, joints, fps)])


def write_clips(folder: Path, names: list[str]) -> None:
    """Files as the recorded motion's; the held-out subjects' frames are NaN, so that one of them anywhere would show."""
    frames = [
        np.full((20, 21, 3), np.nan if name.split("/")[1].split("_")[0] in {"05", "135"} else i, np.float16) for i, name in enumerate(names)
    ]
    for file, of in (("cmu_h36m17.npz", slice(None)), ("cmu_more.npz", slice(0))):
        joints_m = np.concatenate(frames)[of]
        about = {"clip_name": names[of], "clip_start": 20 * np.arange(len(names))[of], "clip_length": np.full(len(names), 20)[of]}
        feet = {"feet_m": joints_m[:, 17:], "floor_m": np.zeros(len(names))[of]}
        np.savez(folder / file, joints_m=joints_m[:, :17], fps=np.full(len(names), 30, np.float32)[of], **about, **feet)
        if of != slice(0):
            np.savez(folder / "cmu_feet.npz", **feet)


def test_the_held_out_are_those_who_judge() -> None:
    assert {"05", "135"} == HELD_OUT
    assert not HELD_OUT & VALIDATION


def test_no_split_has_anybody_who_is_held_out_whatever_the_source(tmp_path: Path) -> None:
    names = ["amc/05_01", "amc/14_02", "bvh/05_02", "dm/135_03", "bvh/02_01", "exp/train_walking_1", "amc/135_04", "amc/08_11", "dm/55_01"]
    write_clips(tmp_path, names)
    train, validation = (load_motion(tmp_path, split) for split in ("train", "validation"))
    assert train.names == ("amc/14_02", "exp/train_walking_1")
    assert validation.names == ("bvh/02_01", "amc/08_11", "dm/55_01")
    assert np.isfinite(train.joints_m).all()
    assert np.isfinite(validation.joints_m).all()
    assert set(np.unique(train.joints_m)) == {1, 5}
    assert train.length.tolist() == [20, 19]  # the first frame of an exp clip is a pose left over


@pytest.mark.parametrize(("name", "number"), [("amc/05_01", "05"), ("dm/5_01", "05"), ("amc/135_01", "135"), ("bvh/005_2", "05")])
def test_a_subject_is_known_however_it_is_written(name: str, number: str) -> None:
    assert subject(name) == number


@pytest.mark.skipif(not CMU.is_dir(), reason=f"the motion capture is not here: {CMU}")
def test_the_real_motion_is_split_by_people() -> None:
    splits = {split: load_motion(CMU, split) for split in ("train", "validation")}
    names = {split: set(motion.names) for split, motion in splits.items()}
    assert not names["train"] & names["validation"]
    assert not any(subject(name) in ("05", "135") for of in names.values() for name in of)
    assert {subject(name) for name in names["train"]} > {"94", "13", "131", "01"}
    for motion in splits.values():
        assert len(motion.joints_m) == len(motion.contact) == motion.length.sum() == motion.start[-1] + motion.length[-1]
        assert np.isfinite(motion.joints_m).all()
        assert 0.4 < np.nanmean(motion.contact) < 0.8


def test_missing_motion_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cmu_h36m17\.npz: there is no such recorded motion; give --motion the folder that has it"):
        load_motion(tmp_path, "train")
    write_clips(tmp_path, ["amc/05_01", "amc/135_01"])
    with pytest.raises(ModelError, match="none of its clips belongs to the train split"):
        load_motion(tmp_path, "train")


def test_a_foot_part_touches_the_floor_where_it_is_low_and_slow() -> None:
    """At 60 fps, on a floor at -0.1 m: still, lifted, still but high, and slid along the floor at 0.6 m/s."""
    feet = np.full((41, 4, 3), (0, 0, -0.08))
    feet[:, 1, 2] += np.where(np.arange(41) > 20, 0.03 * (np.arange(41) - 20), 0)
    feet[:, 2, 2] += 0.04
    feet[:, 3, 0] += 0.01 * np.arange(41)
    clip = Clip("amc/01_01", np.concatenate([np.zeros((41, 17, 3)), feet], 1).astype(np.float32), 60.0, -0.1)
    contact = contact_of(clip)
    assert contact[:, 0].all() and not contact[:, 2:].any()
    np.testing.assert_array_equal(contact[:, 1], np.arange(41) <= 18)  # it begins to move 1 / 30 s after that
    assert np.isnan(contact_of(clip._replace(floor_m=math.nan))).all()


def test_motion_is_sampled_at_the_networks_rate_within_one_clip() -> None:
    slow = np.zeros((90, 21, 3)) + np.arange(90)[:, None, None] / 30  # at 30 fps: one unit a second, from 0 to 3
    fast = np.zeros((180, 21, 3)) + 100 + np.arange(180)[:, None, None] / 60  # at 60 fps, from 100 to 103
    motion = clips(["a/1_1", "a/2_1"], [slow, fast], [30, 60])
    drawn = sample_motion(motion, np.random.default_rng(0), 200, 40, tempo_spread=0)[0][..., 0, 0]
    np.testing.assert_allclose(np.diff(drawn, axis=1), 1 / RATE_HZ, atol=2e-5)
    assert ((drawn >= 0) & (drawn <= 3) | (drawn >= 100) & (drawn <= 103)).all()
    assert 60 < (drawn[:, 0] < 50).sum() < 140
    assert len(np.unique(drawn[:, 0])) > 150


def test_a_short_clip_is_played_forth_and_back() -> None:
    motion = clips(["a/1_1"], [np.zeros((5, 21, 3)) + np.arange(5)[:, None, None]], [30])
    drawn = sample_motion(motion, np.random.default_rng(0), 50, 30)[0][..., 0, 0]
    assert drawn.min() >= 0
    assert drawn.max() <= 4
    assert np.ptp(drawn, axis=1).min() > 3


def test_mirroring_twice_is_nothing_and_once_exchanges_the_sides() -> None:
    joints = moving()
    np.testing.assert_array_equal(bodies.mirror(bodies.mirror(joints)), joints)
    mirrored = bodies.mirror(joints)
    left_wrist, right_wrist = 13, 16
    np.testing.assert_array_equal(mirrored[..., left_wrist, :], joints[..., right_wrist, :] * (-1, 1, 1))


def test_the_mirrored_person_is_seen_as_the_mirrored_picture() -> None:
    """Left and right change places in 2D as they do in 3D: for a camera in the mirror's plane, x changes its sign."""
    joints = moving()
    likeness = bodies.plain_likeness(*joints.shape[:2])
    rig = cameras.Cameras(
        cameras.camera_rotation(np.zeros(3), [0.2] * 3, np.zeros(3)), np.array([[0, 1, 6]] * 3, np.float32), np.ones(3), np.zeros((3, 2))
    )
    seen = cameras.project(cameras.to_camera_axes(bodies.keypoints_of(joints, likeness), rig))
    mirrored = cameras.project(cameras.to_camera_axes(bodies.keypoints_of(bodies.mirror(joints), likeness), rig))
    np.testing.assert_allclose(mirrored, seen[..., KEYPOINT_MIRROR, :] * (-1, 1), atol=1e-5)
    assert [KEYPOINT_MIRROR[i] for i in KEYPOINT_MIRROR] == list(range(len(KEYPOINTS)))
    assert [JOINT_MIRROR[i] for i in JOINT_MIRROR] == list(range(len(JOINTS)))


def test_a_camera_projects_as_a_pinhole_does() -> None:
    """Against the textbook: where the ray from the camera's place to the point crosses the picture plane."""
    rng = np.random.default_rng(3)
    for azimuth, elevation, roll in rng.uniform(-1, 1, (20, 3)) * (3, 0.6, 0.3):
        place = rng.normal(0, 2, 3)
        forward = np.array([-math.sin(azimuth) * math.cos(elevation), math.cos(azimuth) * math.cos(elevation), -math.sin(elevation)])
        level = np.array([math.cos(azimuth), math.sin(azimuth), 0])
        upright = np.cross(level, forward)
        right = math.cos(roll) * level - math.sin(roll) * upright
        up = math.cos(roll) * upright + math.sin(roll) * level
        point = place + 4 * forward + rng.normal(0, 1, 3)
        along = (point - place) @ forward
        expected = ((point - place) @ right / along, -(point - place) @ up / along)

        rotation = cameras.camera_rotation([azimuth], [elevation], [roll])
        rig = cameras.Cameras(rotation, -(rotation[0] @ place)[None].astype(np.float32), np.ones(1, np.float32), np.zeros((1, 2)))
        seen = cameras.project(cameras.to_camera_axes(point.astype(np.float32).reshape(1, 1, 1, 3), rig))
        np.testing.assert_allclose(seen.ravel(), expected, atol=1e-4)


def test_a_level_camera_sees_up_as_up() -> None:
    rig = cameras.Cameras(cameras.camera_rotation([0], [0], [0]), np.zeros((1, 3), np.float32), np.ones(1, np.float32), np.zeros((1, 2)))
    seen = cameras.project(cameras.to_camera_axes(np.array([[[[1.0, 10.0, 2.0]]]], np.float32), rig))
    np.testing.assert_allclose(seen.ravel(), (0.1, -0.2), atol=1e-6)


def test_random_cameras_have_the_person_before_them() -> None:
    joints = moving(count=500)
    rig = cameras.random_cameras(np.random.default_rng(0), joints)
    seen = cameras.to_camera_axes(joints, rig)
    assert seen[..., 2].min() > 0.5
    np.testing.assert_allclose(rig.rotation @ np.swapaxes(rig.rotation, 1, 2), np.broadcast_to(np.eye(3), (500, 3, 3)), atol=1e-5)
    root = cameras.project(seen[:, 15, :1]) * rig.focal[:, None, None]
    assert np.abs(root).max() < 0.5


def test_other_builds_keep_the_directions_of_the_bones() -> None:
    joints = moving()
    scale = np.random.default_rng(0).uniform(0.8, 1.2, (3, 9)).astype(np.float32)
    reshaped = bodies.reshape(joints, scale)
    for joint, parent in list(enumerate(PARENTS))[1:]:
        before, after = joints[:, :, joint] - joints[:, :, parent], reshaped[:, :, joint] - reshaped[:, :, parent]
        np.testing.assert_allclose(after, before * scale[:, bodies.BONE_GROUPS[joint], None, None], atol=1e-5)
    np.testing.assert_array_equal(reshaped[:, :, 0], joints[:, :, 0])
    assert [bodies.BONE_GROUPS[i] for i in JOINT_MIRROR] == bodies.BONE_GROUPS.tolist()


def test_turning_keeps_what_is_vertical() -> None:
    joints = moving()
    turned = bodies.turn(joints, np.array([0, math.pi / 2, 1.0], np.float32))
    np.testing.assert_allclose(turned[0], joints[0], atol=1e-6)
    np.testing.assert_allclose(turned[1], np.stack([-joints[1, ..., 1], joints[1, ..., 0], joints[1, ..., 2]], -1), atol=1e-5)
    np.testing.assert_allclose(turned[..., 2], joints[..., 2], atol=1e-6)


def test_mixing_takes_the_legs_of_one_and_the_upper_body_of_the_other_at_one_heading() -> None:
    legs, uppers = moving(seed=1), moving(seed=2)
    mixed = bodies.mix(legs, bodies.turn(uppers, np.array([2.0, -1.0, 0.5], np.float32)))
    np.testing.assert_array_equal(mixed[:, :, [*range(7), *range(17, 21)]], legs[:, :, [*range(7), *range(17, 21)]])
    bent = np.linalg.norm(mixed[:, :, 13] - mixed[:, :, 11], axis=-1)
    np.testing.assert_allclose(bent, np.linalg.norm(uppers[:, :, 13] - uppers[:, :, 11], axis=-1), atol=1e-5)
    across = [joints[:, 15, 11] - joints[:, 15, 14] for joints in (legs, mixed)]
    headings = [np.arctan2(side[:, 1], side[:, 0]) for side in across]
    np.testing.assert_allclose(np.cos(headings[0] - headings[1]), 1, atol=1e-4)


def test_who_stands_on_their_head_keeps_their_own_upper_body() -> None:
    legs, uppers = moving(seed=1), moving(seed=2) * np.array([1, -1, -1], np.float32)
    np.testing.assert_array_equal(bodies.mix(legs, uppers), legs)


@pytest.mark.parametrize(("limb", "root", "moved"), [(1, 4, (5, 6, 17, 18)), (2, 11, (12, 13))])
def test_an_exchanged_limb_hangs_as_it_did(limb: int, root: int, moved: tuple[int, ...]) -> None:
    mine, theirs = moving(seed=1), bodies.turn(moving(seed=2), np.array([2.0, -1.0, 0.5], np.float32))
    chosen = np.zeros((3, 4), bool)
    chosen[:, limb] = True
    exchanged = limbs.exchange(mine, theirs, chosen)
    rest = [joint for joint in range(21) if joint not in moved]
    np.testing.assert_allclose(exchanged[:, :, rest], mine[:, :, rest], atol=1e-6)
    across = (11, 14) if limb >= 2 else (4, 1)
    for joint in moved:
        from_root = [joints[:, :, joint] - joints[:, :, root] for joints in (exchanged, theirs)]
        np.testing.assert_allclose(*(np.linalg.norm(bone, axis=-1) for bone in from_root), atol=1e-5)
        trunk = [joints[:, :, 8] - joints[:, :, 0] for joints in (exchanged, theirs)]
        ahead = [np.cross(joints[:, :, across[0]] - joints[:, :, across[1]], up) for joints, up in zip((exchanged, theirs), trunk)]
        for lines in (trunk, ahead):
            cosines = [(bodies.unit(bone) * bodies.unit(line)).sum(-1) for bone, line in zip(from_root, lines)]
            np.testing.assert_allclose(*cosines, atol=1e-5)


def test_a_bent_limb_keeps_its_lengths_and_nothing_else_moves() -> None:
    joints = moving()
    turns = np.zeros((2, 3, 4, 3), np.float32)
    turns[0, :, 0] = (0, 0, math.pi / 2)  # the right leg, a quarter about the vertical: x to y, y to -x
    bent = limbs.bend(joints, *turns)
    rest = [joint for joint in range(21) if joint not in (2, 3, 19, 20)]
    np.testing.assert_allclose(bent[:, :, rest], joints[:, :, rest], atol=1e-6)
    for joint in (2, 3, 19, 20):
        x, y, z = np.moveaxis(joints[:, :, joint] - joints[:, :, 1], -1, 0)
        np.testing.assert_allclose(bent[:, :, joint] - bent[:, :, 1], np.stack([-y, x, z], -1), atol=1e-5)
    bent = limbs.bend(joints, *np.random.default_rng(0).normal(size=(2, 3, 4, 3)))
    for joint, parent in list(enumerate(PARENTS))[1:]:
        lengths = [np.linalg.norm(each[:, :, joint] - each[:, :, parent], axis=-1) for each in (bent, joints)]
        np.testing.assert_allclose(*lengths, atol=1e-5)


def test_the_lower_part_of_a_limb_bends_beyond_the_upper() -> None:
    joints = moving()
    turns = np.zeros((2, 3, 4, 3), np.float32)
    turns[1, :, 2] = (0.4, 0, 0)  # the left forearm
    bent = limbs.bend(joints, *turns)
    np.testing.assert_allclose(bent[:, :, 12], joints[:, :, 12], atol=1e-6)
    forearm = [bodies.unit(each[:, :, 13, 1:] - each[:, :, 12, 1:]) for each in (bent, joints)]  # seen along x
    np.testing.assert_allclose((forearm[0] * forearm[1]).sum(-1), math.cos(0.4), atol=1e-4)


def test_the_body_scale_is_thigh_shank_and_trunk() -> None:
    thigh, shank, trunk = math.hypot(0.43, 0.02), math.hypot(0.42, 0.02), 0.23 + 0.24
    assert bodies.body_scale(STANDING) == pytest.approx(thigh + shank + trunk, abs=1e-5)


def test_coco_keypoints_lie_where_they_should() -> None:
    joints = np.broadcast_to(STANDING, (1, 2, 21, 3))
    points = bodies.keypoints_of(joints, bodies.plain_likeness(1, 2))[0, 0]
    np.testing.assert_allclose(points[[9, 10, 15, 16, 17, 18, 19, 20]], STANDING[[13, 16, 6, 3, 17, 18, 19, 20]])
    np.testing.assert_allclose(points[11] - points[12], 1.3 * (STANDING[4] - STANDING[1]), atol=1e-6)
    nose, left_eye, right_eye, left_ear, right_ear = points[:5]
    assert nose[1] > left_eye[1] > left_ear[1]  # who looks along +y has the nose foremost
    assert left_ear[0] < left_eye[0] < nose[0] < right_eye[0] < right_ear[0]  # and their left at -x
    assert left_eye[2] > nose[2] > STANDING[9, 2]
    turned = bodies.plain_likeness(1, 2)._replace(head_turn=np.full((1, 2), 0.5, np.float32))
    assert bodies.keypoints_of(joints, turned)[0, 0, 0, 0] < nose[0]  # to the left
    longer = bodies.plain_likeness(1, 2)._replace(foot_offsets_m=np.full((1, 4, 2), (0.1, 0), np.float32))
    foot = bodies.keypoints_of(joints, longer)[0, 0, 17:] - STANDING[17:]
    np.testing.assert_allclose(foot, 0.1 * bodies.unit(STANDING[[18, 18, 20, 20]] - STANDING[[17, 17, 19, 19]]), atol=1e-6)
    nodded = bodies.plain_likeness(1, 2)._replace(head_nod=np.full((1, 2), 0.5, np.float32))
    assert bodies.keypoints_of(joints, nodded)[0, 0, 0, 2] > nose[2]  # upwards


def test_swapped_keypoints_come_from_the_other_side() -> None:
    keypoints = np.random.default_rng(0).normal(size=(2, 3, 21, 3)).astype(np.float32)
    everything = np.ones((2, 3, 21), bool)
    np.testing.assert_array_equal(detector.swap(detector.swap(keypoints, everything), everything), keypoints)
    legs = np.zeros((2, 3, 21), bool)
    legs[0, 1, detector.LEGS] = True
    swapped = detector.swap(keypoints, legs)
    np.testing.assert_array_equal(swapped[0, 1, [15, 16, 17, 18]], keypoints[0, 1, [16, 15, 19, 20]])
    np.testing.assert_array_equal(swapped[0, 1, :11], keypoints[0, 1, :11])
    np.testing.assert_array_equal(swapped[1], keypoints[1])


def test_a_detector_errs_about_as_real_ones_do_and_says_what_it_lost() -> None:
    truth = np.broadcast_to(STANDING[:, [0, 2]] * 100, (1000, 40, 21, 2)).astype(np.float32)
    keypoints = detector.detect(np.random.default_rng(0), truth, np.zeros((1000, 40, 21), np.float32))
    assert np.isfinite(keypoints).all()
    assert ((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1)).all()
    off = np.linalg.norm(keypoints[..., :2] - truth, axis=-1) / (1.62 * 100)
    assert 0.005 < np.median(off) < 0.02
    tells_nothing = np.median(keypoints[..., 2], axis=(1, 2)) == 1
    assert 0.25 < tells_nothing.mean() < 0.42
    without_feet = ~keypoints[..., 17:, 2].any((1, 2))
    assert 0.15 < without_feet.mean() < 0.3
    assert 0.01 < (keypoints[~without_feet, ..., 2] < 0.3).mean() < 0.15
    unsure = (keypoints[..., 2] > 0.3) & (keypoints[..., 2] < 0.7)
    assert off[unsure].mean() > 2 * off[keypoints[..., 2] > 0.9].mean()


def test_drifts_have_spread_one_and_are_slow() -> None:
    drift = detector._drift(np.random.default_rng(0), 2000, 40)
    assert drift.shape == (2, 2000, 40, 21)
    assert 0.7 < drift.std() < 1
    assert np.diff(drift, axis=2).std() < 0.4


def test_a_history_that_begins_late_repeats_its_first_frame() -> None:
    features = np.broadcast_to(np.arange(34, dtype=np.float32)[:, None], (400, 34, 2))
    late = start_late(np.random.default_rng(0), features, 26)[..., 0]
    first = late[:, 0].astype(int)
    assert 0.08 < (first > 0).mean() < 0.22
    assert first.max() <= 26
    np.testing.assert_array_equal(late, np.maximum(np.arange(34), first[:, None]))


def test_a_batch_is_seen_from_one_camera_of_each_frames_own() -> None:
    motion = clips(["a/1_1"], [moving(1, 300)[0]], [30])
    batch = make_batch(Sources(motion), np.random.default_rng(0), 32, 4, 26)
    assert batch.features.shape == (32, 30, 106)
    assert batch.poses.shape == (32, 4, 21, 3)
    assert batch.contact.shape == (32, 4, 4)
    assert batch.features.dtype == batch.poses.dtype == np.float32
    np.testing.assert_array_equal(batch.poses[:, :, 0], 0)
    again = make_batch(Sources(motion), np.random.default_rng(0), 32, 4, 26)
    np.testing.assert_array_equal(again.features, batch.features)
    seen = batch.features[:, 26:, :63].reshape(32, 4, 21, 3)
    sure = seen[..., 2] > 0.8
    assert not batch.features[..., -21:].any()  # nobody tells a depth
    upright = seen[..., 15:17, 1].mean((1, 2)) > seen[..., 5:7, 1].mean((1, 2))
    assert upright[sure[:, :, 5:17].all((1, 2))].mean() > 0.9  # y points down: ankles below shoulders
    across = batch.poses[..., 13, 0] - batch.poses[..., 16, 0], seen[..., 9, 0] - seen[..., 10, 0]
    wide = (np.abs(across[0]) > 0.2) & sure[..., 9] & sure[..., 10]
    assert (np.sign(across[0]) == np.sign(across[1]))[wide].mean() > 0.9  # left and right agree in 2D and 3D


def test_contact_goes_with_its_foot_and_is_unknown_where_legs_are_not_as_recorded() -> None:
    joints_m = moving(400)
    contact = np.broadcast_to(np.array([1, 1, 0, 0], np.float32), (400, 30, 4))
    _, found = random_people(np.random.default_rng(0), joints_m, contact, moving(400, seed=1))
    known = np.isfinite(found).all((1, 2))
    assert 0.2 < known.mean() < 0.5 and np.isnan(found[~known]).all()
    left = (found[known] == (1, 1, 0, 0)).all((1, 2))
    assert 0.3 < left.mean() < 0.7 and (found[known][~left] == (0, 0, 1, 1)).all()


def test_who_leans_keeps_their_legs_and_who_lies_their_shape() -> None:
    joints_m = moving()
    leaning = postures.lean(joints_m, [(1.0, 0, 0)] * 3)
    legs = [*range(7), *range(17, 21)]
    np.testing.assert_array_equal(leaning[:, :, legs], joints_m[:, :, legs])
    before, after = (bodies.unit(each[:, :, 8, 1:] - each[:, :, 0, 1:]) for each in (joints_m, leaning))
    np.testing.assert_allclose((before * after).sum(-1), math.cos(1.0), atol=1e-3)
    lying = postures.topple(joints_m, [(math.pi / 2, 0, 0)] * 3)
    np.testing.assert_allclose(lying, np.stack([joints_m[..., 0], -joints_m[..., 2], joints_m[..., 1]], -1), atol=1e-5)


def watched_clip(folder: Path, number: int, split: str, unseen: slice = slice(0)) -> None:
    """A clip of eight pictures as `models.training.rendered` writes it; landmark i of picture t is at (i, t)."""
    px = np.stack(np.meshgrid(np.arange(33), np.arange(8)), -1).astype(np.float32)
    px[unseen] = np.nan
    seen = {
        "seen_px": px,
        "seen_depth_px": 100 + px[..., 0],
        "seen_visibility": np.full((8, 33), 0.9),
        "seen_presence": np.full((8, 33), 0.7),
    }
    about = {"focal_px": 50.0, "size_px": (40, 20), "split": split, "joints_m": np.broadcast_to(STANDING, (8, 21, 3))}
    about["keypoints_px"] = 10 * STANDING[:, [0, 2]] + np.arange(8)[:, None, None]
    np.savez(folder / f"clip-0-{number:06d}.npz", **seen, **about)


def test_rendered_people_are_read_as_blazepose_saw_them(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no rendered clips of the train split; make them by python -m poselift\.models\.training\.rendered"
    ):
        load_watched(tmp_path, "train")
    for number, split in enumerate(["validation", "train", "train"]):
        watched_clip(tmp_path, number, split)
    clips = load_watched(tmp_path, "train")
    assert clips.keypoints.shape == (2, 8, 21, 3)
    np.testing.assert_allclose(
        clips.keypoints[0, 3, 5], ((11 - 20) / 50, (3 - 10) / 50, 0.7), atol=1e-6
    )  # the left shoulder is landmark 11
    np.testing.assert_allclose(clips.keypoints[0, 3, 17:, 0] * 50 + 20, (29, 31, 30, 32), atol=1e-4)
    np.testing.assert_allclose(clips.depth[1, 0, 5], 111 / 50, atol=1e-6)
    np.testing.assert_allclose(clips.focal, 50 / 40)


def test_stretches_are_taken_where_somebody_was_seen_and_mirrored_whole(tmp_path: Path) -> None:
    watched_clip(tmp_path, 0, "train", slice(2, 4))
    clips = load_watched(tmp_path, "train")
    window = sample_watched(clips, np.random.default_rng(0), 50, 3, invent=False)
    assert set(np.rint(window.keypoints[:, 0, 0, 1] * 50 + 10)) == {4, 5}
    level = WatchedClips(*(values.copy() for values in clips))
    level.keypoints[..., :2] = STANDING[bodies.COCO_BODY.tolist()[:1] * 5 + bodies.COCO_BODY.tolist() + [17, 18, 19, 20]][:, [0, 2]]
    level.depth[...] = np.arange(21)
    invented = sample_watched(level, np.random.default_rng(1), 60, 3)
    left_is_left = invented.keypoints[:, 0, 9, 0] - invented.keypoints[:, 0, 10, 0] < 0  # as STANDING's wrists
    wrists = invented.joints_m[:, 0, 13, 0] - invented.joints_m[:, 0, 16, 0] < 0
    np.testing.assert_array_equal(left_is_left, wrists)
    mirrored = invented.depth[:, 0, 9] == 10
    assert 0.3 < mirrored.mean() < 0.7
    np.testing.assert_array_equal(left_is_left, np.ones(60, bool))  # a mirror image has its left where it was, exchanged twice


def test_borrowed_errors_are_those_of_whoever_stands_alike(tmp_path: Path) -> None:
    """Of two people who were seen, one upright and one lying, each lends theirs to the like of them, mirrored with their image."""
    for number in (0, 1):
        watched_clip(tmp_path, number, "train")
    clips = load_watched(tmp_path, "train")
    upright = np.resize(STANDING[[*bodies.COCO_BODY, *range(9)]][:, [0, 2]], (21, 2)) * (1, -1)
    truth = np.stack([upright, upright[:, ::-1]])[:, None].repeat(8, 1).astype(np.float32)
    errors = np.zeros((2, 8, 21, 2), np.float32)
    errors[0, :, 9], errors[1, :, 15] = (0.1, 0.02), (0.2, 0)  # a left wrist, a left ankle
    clips = clips._replace(truth=truth, keypoints=np.concatenate([truth + errors, clips.keypoints[..., 2:]], -1))
    flipped = truth[..., KEYPOINT_MIRROR, :] * (-1, 1)
    points = (3 * np.concatenate([truth, flipped])[:, :5] + 7).repeat(10, 0)
    found = borrow(clips, np.random.default_rng(0), points)
    expected = np.zeros((4, 21, 2))
    expected[0, 9], expected[1, 15], expected[2, 10], expected[3, 16] = (0.3, 0.06), (0.6, 0), (-0.3, 0.06), (-0.6, 0)
    np.testing.assert_allclose(
        found[..., :2] - points, np.broadcast_to(expected[:, None, None], (4, 10, 5, 21, 2)).reshape(40, 5, 21, 2), atol=1e-4
    )
    np.testing.assert_allclose(found[..., 2], 0.7)


def test_error_measures_on_poses_made_for_them() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(6, 17, 3))
    offset = truth + np.array([0.3, 0, 0.4])
    assert score.mpjpe(truth, offset) == pytest.approx(0.5)
    assert score.n_mpjpe(truth, 1.7 * truth) == pytest.approx(0, abs=1e-9)
    angle = 0.7
    rotation = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    assert score.pa_mpjpe(truth, 0.4 * truth @ rotation.T + (1, 2, 3)) == pytest.approx(0, abs=1e-9)
    assert score.pa_mpjpe(truth, truth * (-1, 1, 1)) > 0.1  # a mirror is no rotation
    assert score.mpjve(truth[None], truth[None] + (5, 5, 5)) == pytest.approx(0, abs=1e-9)
