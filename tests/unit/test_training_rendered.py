"""Rendered people for training: truth and picture agree, what BlazePose says is kept as it is, and the same seed makes the same clips."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from stick_figure import solid_figure

from poselift.common.errors import ModelError
from poselift.common.skeleton import H36M_JOINTS
from poselift.models.backends.backend import Tensor
from poselift.models.detection import blazepose_detections
from poselift.models.detection.blazepose import BlazePose
from poselift.models.detection.blazepose_landmarks import KEYPOINT_LANDMARKS
from poselift.models.training.limbs import rotation_matrix
from poselift.models.training.recordings import Clip, load_clips
from poselift.models.training.rendered import __main__ as command
from poselift.models.training.rendered.builds import RACES, Build, random_build, shapes
from poselift.models.training.rendered.clip import Scene, watched
from poselift.models.training.rendered.motions import random_piece, varied
from poselift.models.training.rendered.picture import HIDDEN, OUTSIDE, VISIBLE
from poselift.models.training.rendered.pose import pose, rest_heads, skin, sole
from poselift.models.training.rendered.shots import NEAREST_M, SMALLEST, random_camera
from poselift.models.training.rendered.truth import feet, joints, keypoints
from poselift.models.training.rendered.watched import Watching

pytestmark = pytest.mark.skipif(not hasattr(cv2, "triangleRasterize"), reason="OpenCV before 5 has no rasteriser")

STANDING = {
    "hip": (0, 0, 0.9), "right_hip": (-0.1, 0, 0.9), "right_knee": (-0.1, -0.05, 0.5), "right_ankle": (-0.1, 0, 0.08),
    "left_hip": (0.1, 0, 0.9), "left_knee": (0.1, -0.05, 0.5), "left_ankle": (0.1, 0, 0.08), "spine": (0, 0, 1.15),
    "thorax": (0, 0, 1.4), "neck": (0, 0, 1.5), "head": (0, 0, 1.68), "left_shoulder": (0.18, 0, 1.4), "left_elbow": (0.4, -0.1, 1.3),
    "left_wrist": (0.5, -0.3, 1.3), "right_shoulder": (-0.18, 0, 1.4), "right_elbow": (-0.3, 0, 1.2), "right_wrist": (-0.3, -0.2, 1.1),
}  # fmt: skip
FEET = np.array([(0.1, 0.05, 0.02), (0.1, -0.2, 0.02), (-0.1, 0.05, 0.02), (-0.1, -0.2, 0.02)])
"""Left heel and toe, right heel and toe."""


def standing(count: int = 40) -> np.ndarray:
    """Somebody who stands and sways by a few millimetres, [count, 21, 3]."""
    still = np.concatenate([[STANDING[name] for name in H36M_JOINTS], FEET])
    sway = np.cumsum(np.random.default_rng(1).normal(0, 0.003, (count, 21, 3)), 0)
    return (still + sway).astype(np.float32)


CLIPS = {split: [Clip("amc/07_01", standing(), 30.0)] for split in ("train", "validation")}


class Bodies:
    """In place of MakeHuman's."""

    def body(self, shapes: object) -> object:
        return solid_figure()


def scene(number: int, pictures: int = 4) -> Scene:
    return Scene(CLIPS, Bodies(), 0, number, pictures)  # type: ignore[arg-type]


class Network:
    """Says the same of every picture, and a little of what is in it."""

    def __init__(self, size: int, **answer: np.ndarray) -> None:
        self.inputs = (Tensor("picture", np.dtype(np.uint8), (1, size, size, 3)),)
        self.outputs = tuple(Tensor(name, value.dtype, value.shape) for name, value in answer.items())
        self._answer = answer

    def run(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer = {name: value.copy() for name, value in self._answer.items()}
        if "landmarks" in answer:
            answer["landmarks"][0, 0] += tensors["picture"].mean() / 255
        return answer


def networks() -> tuple[Network, Network]:
    """A detector that finds one person in the middle, and a landmark network that sees them a quarter turned."""
    count = len(blazepose_detections.anchors())
    boxes, scores = np.zeros((1, count, 12), np.float32), np.full((1, count, 1), -9, np.float32)
    boxes[0, 0, :8] = 112, 112, 80, 80, 112, 112, 192, 112
    boxes[0, 0, [0, 1, 4, 5, 6, 7]] -= np.tile(blazepose_detections.anchors()[0], 3)
    scores[0, 0] = 4
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.uniform(40, 210, (39, 3)), rng.normal(1, 2, (39, 2))], 1).astype(np.float32)
    rows[33:35, :2] = (128, 128), (128, 20)
    heat, world = np.full((1, 39, 64, 64), -9, np.float32), rng.normal(0, 0.3, (1, 117)).astype(np.float32)
    flag = np.full((1, 1), 0.9, np.float32)
    return Network(224, boxes=boxes, scores=scores), Network(256, landmarks=rows.reshape(1, -1), heatmap=heat, flag=flag, world=world)


@pytest.mark.parametrize("number", range(1, 5))
def test_the_person_is_drawn_where_the_truth_says(number: int):
    made = scene(number, pictures=1)
    list(made.film())
    camera, vertices_m = made.camera, skin(made.body.body, made.motion, 0)
    picture, layer = made.stage.picture(made.actor, vertices_m, vertices_m)
    empty, _ = made.stage.picture(made.actor, vertices_m + 99 * camera.rotation[0], vertices_m + 99 * camera.rotation[0])
    cover = np.zeros((camera.height_px, camera.width_px), np.float32)
    height, width = layer.colours.shape[:2]
    cover[layer.top : layer.top + height, layer.left : layer.left + width] = layer.colours[..., 3]
    changed = np.abs(picture.astype(float) - empty).mean(-1)
    assert picture.shape == (*cover.shape, 3)
    assert changed[cover > 0.9].mean() > 2 * changed[cover == 0].mean()
    visible = made.visible[0] == VISIBLE
    assert visible.sum() > 8
    for column, row in np.floor(camera.pixels_of(made.keypoints_m[0, 5:17])[visible[5:17]]).astype(int):
        assert cover[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max() > 0.5
    points_px = camera.pixels_of(vertices_m)
    rows, columns = np.nonzero(cover > 0.1)
    for axis, found in enumerate((columns, rows)):
        low, high = np.clip([points_px[:, axis].min(), points_px[:, axis].max()], 0, cover.shape[1 - axis])
        np.testing.assert_allclose((found.min(), found.max() + 1), (low, high), atol=3)


def test_what_is_behind_the_body_is_hidden():
    made = scene(1, pictures=1)
    list(made.film())
    vertices_m = skin(made.body.body, made.motion, 0)
    _, layer = made.stage.picture(made.actor, vertices_m, vertices_m)
    made.stage._before = None
    chest = made.joints_m[0, H36M_JOINTS.index("spine")]
    away = made.camera.rotation[2]
    ray = (chest - made.camera.place_m) / np.linalg.norm(chest - made.camera.place_m)
    points = np.stack([chest - 0.5 * ray, chest + 0.5 * ray, made.camera.place_m + away + 9 * made.camera.rotation[0]])
    assert made.stage.visibility(points, layer).tolist() == [VISIBLE, HIDDEN, OUTSIDE]


def test_feet_do_what_was_recorded():
    body, recorded = solid_figure(), standing(8)
    tilt = rotation_matrix((0.4, 0, 0))
    recorded[:, 17:19] = recorded[:, 6, None] + (recorded[:, 17:19] - recorded[:, 6, None]) @ tilt.T
    motion = pose(body, recorded[:, :17], np.random.default_rng(0), recorded[:, 17:])
    found, wanted = feet(body, motion), recorded[:, 17:]
    for heel, toe in ((0, 1), (2, 3)):
        posed, asked = found[:, toe] - found[:, heel], wanted[:, toe] - wanted[:, heel]
        cosine = (posed * asked).sum(-1) / np.linalg.norm(posed, axis=-1) / np.linalg.norm(asked, axis=-1)
        assert cosine.min() > 0.999
    heel, toe = sole(body, "l")
    np.testing.assert_allclose(np.linalg.norm(found[:, 1] - found[:, 0], axis=-1), np.linalg.norm(toe - heel), rtol=1e-4)
    assert heel[1] > rest_heads(body)["foot_l"][1] > toe[1]
    np.testing.assert_array_equal(keypoints(body, motion)[:, 17:], joints(body, motion)[:, 17:])


def test_the_joints_of_a_body_lie_as_those_recorded():
    body, recorded = solid_figure(), standing(8)
    found = joints(body, pose(body, recorded[:, :17], np.random.default_rng(0), recorded[:, 17:]))
    at = {name: found[0, number] for number, name in enumerate(H36M_JOINTS)}
    np.testing.assert_allclose(at["hip"], (at["left_hip"] + at["right_hip"]) / 2, atol=1e-3)
    assert [at[name][2] for name in ("hip", "spine", "thorax", "neck", "head")] == sorted(
        at[name][2] for name in STANDING if "_" not in name
    )
    assert at["left_hip"][0] > at["right_hip"][0]
    np.testing.assert_allclose(at["thorax"][2], (at["left_shoulder"] + at["right_shoulder"])[2] / 2 - 0.05, atol=0.02)


def motion_files(folder: Path, names: list[str]) -> Path:
    """Three files as the recorded motion has them: a clip of each name in the first, one more in cmu_more.npz."""
    for file, clips in (("cmu_h36m17.npz", names), ("cmu_more.npz", ["fbx/94_01"])):
        frames = np.concatenate([standing() for _ in clips])
        start = np.arange(len(clips)) * 40
        about = {"clip_name": clips, "clip_start": start, "clip_length": np.full(len(clips), 40), "fps": np.full(len(clips), 30.0)}
        feet_m = {"feet_m": frames[:, 17:].astype(np.float16), "floor_m": np.zeros(len(clips))}
        np.savez(folder / file, joints_m=frames[:, :17].astype(np.float16), **about, **(feet_m if file == "cmu_more.npz" else {}))
        if file != "cmu_more.npz":
            np.savez(folder / "cmu_feet.npz", **feet_m)
    return folder


def test_nobody_held_out_and_no_faulty_frame_is_read(tmp_path: Path):
    names = [
        "amc/05_01",
        "amc/135_02",
        "bvh/05_03",
        "amc/08_01",
        "amc/07_02",
        "exp/train_walking_walking_1",
        "exp/train_walking_extra_walking_22",
    ]
    folder = motion_files(tmp_path, names)
    train = {clip.name: len(clip.joints_m) for clip in load_clips(folder, "train")}
    assert train == {"amc/07_02": 40, "exp/train_walking_walking_1": 39, "fbx/94_01": 40}
    assert [clip.name for clip in load_clips(folder, "validation")] == ["amc/08_01"]
    (tmp_path / "cmu_feet.npz").unlink()
    with pytest.raises(ModelError, match=r"cmu_feet\.npz: there is no such recorded motion"):
        load_clips(folder, "train")


def test_no_piece_has_a_wild_frame():
    frames = standing(120)
    frames[60, 13] += 2
    clip = Clip("amc/07_01", frames, 30.0)
    for seed in range(20):
        piece = random_piece([clip], np.random.default_rng(seed), 16)
        assert np.linalg.norm(np.diff(piece.joints_m - piece.joints_m[:, :1], axis=0), axis=-1).max() < 0.1
        assert piece.feet_m is not None and piece.joints_m.shape == (16, 17, 3)


def test_varied_motion_keeps_every_length_and_its_feet():
    seen = set()
    for seed in range(30):
        joints_m = standing(3)
        other = varied(joints_m, np.random.default_rng(seed))
        seen.add(bool(np.allclose(other, joints_m)))
        for one, end in ((6, 17), (17, 18), (3, 19), (19, 20), (5, 6), (4, 5), (12, 13), (8, 9)):
            lengths = [np.linalg.norm(of[:, one] - of[:, end], axis=-1) for of in (joints_m, other)]
            np.testing.assert_allclose(*lengths, atol=1e-4)
    assert seen == {True, False}


def test_cameras_are_of_all_kinds_and_see_the_person():
    points_m = standing(4)
    rng = np.random.default_rng(2)
    cameras = [random_camera(rng, points_m) for _ in range(80)]
    elevation = [np.degrees(np.arcsin(-camera.rotation[2, 2])) for camera in cameras]
    roll = [np.degrees(np.arctan2(-camera.rotation[0, 2], -camera.rotation[1, 2])) for camera in cameras]
    assert min(elevation) < -20 and max(elevation) > 45 and min(roll) < -30 and max(roll) > 30
    assert min(elevation) > -31 and max(elevation) < 61 and np.abs(roll).max() < 46
    for camera in cameras:
        assert camera.axes_of(points_m)[..., 2].min() > NEAREST_M
        points_px = camera.pixels_of(points_m)
        inside = ((points_px >= 0) & (points_px < (camera.width_px, camera.height_px))).all(-1)
        assert inside.mean() >= 0.7
        assert np.linalg.norm(np.ptp(points_px[0], 0)) > 0.5 * SMALLEST * max(camera.width_px, camera.height_px)


def test_a_build_is_mixed_from_shapes_whose_shares_sum_to_one():
    average = Build(1, 0.5, 0.5, 0.5, 0.5, (0, 0, 1))
    assert shapes(average) == [("caucasian-male-young", 1), ("universal-male-young-averagemuscle-averageweight", 1)]
    tall = dict(shapes(average._replace(height=0.75)))
    assert tall["height/male-young-averagemuscle-averageweight-maxheight"] == 0.5
    rng = np.random.default_rng(0)
    builds = [random_build(rng) for _ in range(50)]
    for build in builds:
        found = shapes(build)
        for start in (RACES, ("universal",)):
            assert sum(share for name, share in found if name.startswith(start)) == pytest.approx(1)
    assert 3 < sum(build.age < 0.4 for build in builds) < 25


def test_all_that_blazepose_says_is_kept_in_the_pictures_axes():
    picture = np.zeros((300, 400, 3), np.uint8)
    said = Watching(*networks()).watch([picture] * 3, 30)
    detector = BlazePose(*networks())
    state = None
    for t in range(3):
        state, found = detector.step(state, picture, round(t * 1e9 / 30))
        np.testing.assert_allclose(said.px[t][list(KEYPOINT_LANDMARKS)], found.keypoints[0, :, :2], rtol=1e-5)
        sure = np.minimum(said.visibility, said.presence)[t][list(KEYPOINT_LANDMARKS)]
        np.testing.assert_allclose(sure, found.keypoints[0, :, 2], rtol=1e-5)
        np.testing.assert_allclose(said.depth_px[t][list(KEYPOINT_LANDMARKS)], found.depth_px[0], rtol=1e-5)
    rows, world = (networks()[1].run({"picture": picture})[name].reshape(39, -1)[:33] for name in ("landmarks", "world"))
    np.testing.assert_allclose(said.world_m[0], np.stack([-world[:, 1], world[:, 0], world[:, 2]], -1), atol=1e-5)  # up is to the right
    step = np.linalg.norm(said.px[0, 1] - said.px[0, 2]) / np.linalg.norm(rows[1, :2] - rows[2, :2])
    np.testing.assert_allclose(said.depth_px[0], step * rows[:, 2], rtol=1e-4)
    assert said.confidence.tolist() == pytest.approx([0.9] * 3)


def test_pictures_without_anybody_are_nan():
    detector, landmarks = networks()
    landmarks._answer["flag"][:] = 0.1
    said = Watching(detector, landmarks).watch([np.zeros((300, 400, 3), np.uint8)] * 2, 30)
    assert all(np.isnan(values).all() and len(values) == 2 for values in said)


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch):
    """The command without MakeHuman, recorded motion and networks, clips of two pictures."""
    monkeypatch.setattr(command, "load_sources", lambda motion, folder: (CLIPS, Bodies()))
    monkeypatch.setattr(command, "Watching", lambda *opened: Watching(*networks()))
    monkeypatch.setattr(command, "path_of", lambda name: Path(name))
    monkeypatch.setattr(command, "open_model", lambda path, threads: None)
    monkeypatch.setattr(command, "Scene", partial(Scene, pictures=2))
    monkeypatch.setattr(command, "PICTURES", 2)
    return command.make


def test_clips_that_are_there_stay_and_the_same_seed_makes_the_same(tmp_path: Path, generator):
    generator(tmp_path, tmp_path, 4, None, 7)
    first, second = sorted(tmp_path.iterdir())
    assert [first.name, second.name] == ["clip-7-000000.npz", "clip-7-000001.npz"]
    before = dict(np.load(second).items())
    second.unlink()
    first.write_bytes(b"made by somebody")
    generator(tmp_path, tmp_path, 4, None, 7)
    assert first.read_bytes() == b"made by somebody"
    after = np.load(second)
    assert set(after) == set(before)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    generator(tmp_path, tmp_path, 4, None, 8)
    assert not np.array_equal(np.load(tmp_path / "clip-8-000001.npz")["keypoints_px"], before["keypoints_px"])


def test_the_time_is_kept_and_goes_to_whole_clips(tmp_path: Path, generator, monkeypatch: pytest.MonkeyPatch):
    minutes = iter(range(99))
    monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=lambda: 60.0 * next(minutes)))
    generator(tmp_path, tmp_path, 40, 2.5, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["clip-0-000000.npz"]


def test_a_clip_says_what_it_is_of():
    made = scene(0)
    kept = watched(made, Watching(*networks()))
    assert str(kept["split"]) == "validation"
    assert str(watched(scene(1), Watching(*networks()))["split"]) == "train"
    px = kept["keypoints_m"][..., :2] / kept["keypoints_m"][..., 2:] * kept["focal_px"] + kept["size_px"] / 2
    np.testing.assert_allclose(px, kept["keypoints_px"], rtol=1e-4, atol=1e-2)
    fallen = made.camera.axes_of(made.joints_m[0, 0] - (0, 0, 1)) - made.camera.axes_of(made.joints_m[0, 0])
    np.testing.assert_allclose(kept["down"], fallen, atol=1e-5)
    assert kept["seen_px"].shape == (4, 33, 2)
    assert (kept["visible"][..., 5:17] == VISIBLE).any()
