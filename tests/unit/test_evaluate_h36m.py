"""Human3.6M's files: read as they are meant, every camera where it stood, and anything else is one clear line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from h36m_files import COCO, FRAMES, H36M, contents, motion, write

from poselift.app.evaluation.h36m import read
from poselift.app.evaluation.h36m_cameras import CAMERAS
from poselift.common.errors import UserError
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS

TEST = ("S9", "S11")
PUBLISHED = {  # [R | t] in mm, as karfly/human36m-camera-parameters has them from the dataset's metadata.xml
    ("S9", 0): [
        [-0.9033486204435297, 0.4269119782787646, 0.04132109321984796, -321.2078335720134],
        [0.04153061098352977, 0.182951140059007, -0.9822444139329296, 467.13452033013084],
        [-0.4268916470184284, -0.8855930460167476, -0.18299857527497945, 5514.330338522134],
    ],
    ("S11", 3): [
        [0.91754082476548, -0.39226322025776267, 0.06517975852741943, -155.13650339749012],
        [-0.04531905395586976, -0.26600517028098103, -0.9629057236990188, 422.16256306729633],
        [0.395050652748768, 0.8805514269006645, -0.2618476013752581, 4435.416222660868],
    ],
}
INTRINSICS = {0: (1145.0494, 1143.7811, 512.5415, 515.4515), 3: (1145.5114, 1144.7739, 514.9682, 501.8820)}


@pytest.mark.parametrize(("subject", "number"), PUBLISHED)
def test_known_points_fall_where_the_published_projection_puts_them(subject: str, number: int) -> None:
    focal_x, focal_y, centre_x, centre_y = INTRINSICS[number]
    camera = CAMERAS[subject][number]
    for x, y, z in [(0.0, 0.0, 0.0), (1.2, -0.4, 1.7), (-0.9, 1.1, 0.3)]:
        along = [sum(a * b for a, b in zip(row, (1000 * x, 1000 * y, 1000 * z, 1))) for row in PUBLISHED[subject, number]]
        expected_px = (focal_x * along[0] / along[2] + centre_x, focal_y * along[1] / along[2] + centre_y)
        right, down, forward = camera.to_camera((x, y, z))
        assert (focal_x * right / forward + centre_x, focal_y * down / forward + centre_y) == pytest.approx(expected_px, abs=1e-3)


def test_every_camera_stands_upright_at_a_wall_and_looks_at_the_middle() -> None:
    assert list(CAMERAS) == ["S1", "S5", "S6", "S7", "S8", "S9", "S11"]
    for subject, cameras in CAMERAS.items():
        assert [(camera.name, camera.width_px, camera.height_px) for camera in cameras] == [
            ("54138969", 1000, 1002),
            ("55011271", 1000, 1000),
            ("58860488", 1000, 1000),
            ("60457274", 1000, 1002),
        ]
        for camera in cameras:
            turn = camera.rotation()
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(turn) == pytest.approx(1)
            assert turn[1, 2] < -0.95, f"{subject} {camera.name}: the world's up is the picture's up"
            right, down, forward = camera.to_camera((0, 0, 0.9))
            assert 4 < forward < 6 and math.hypot(right, down) < 1, f"{subject} {camera.name}: somebody in the middle is in the picture"
            np.testing.assert_allclose(camera.to_camera(np.array(camera.position_mm) / 1000), 0, atol=1e-12)
        sides = {(camera.position_mm[0] > 0, camera.position_mm[1] > 0) for camera in cameras}
        assert len(sides) == 4, f"{subject}: a camera in every corner"


@pytest.mark.parametrize("joints", [17, 32])
def test_what_is_in_the_files_is_what_comes_out(tmp_path: Path, joints: int) -> None:
    seen, true = contents(joints)
    found = read(*write(tmp_path, seen, true), TEST)
    assert found.keypoint_names == COCO_KEYPOINTS
    assert len(found.trials) == 4 * sum(map(len, FRAMES.values()))
    assert [trial.name for trial in found.trials[7:9]] == ["S9 Walking (camera 60457274)", "S9 Photo (camera 54138969)"]
    assert {trial.action for trial in found.trials} == {"Walking", "Photo", "Sitting"}
    takes = [(subject, take) for subject, of_subject in FRAMES.items() for take in of_subject for _ in range(4)]
    for number, (trial, (subject, take)) in enumerate(zip(found.trials, takes)):
        frames = FRAMES[subject][take]
        assert trial.camera == CAMERAS[subject][number % 4]
        np.testing.assert_array_equal(trial.keypoints_px, seen[subject][take][number % 4][:frames])
        points = motion(frames + 3, 100 * TEST.index(subject) + frames)
        turn = trial.camera.rotation()
        for joint, name in enumerate(H36M_JOINTS):
            expected_m = [turn @ (points[name][frame] - points["hip"][frame]) for frame in range(frames)]
            np.testing.assert_allclose(trial.joints_m()[:, joint], expected_m, atol=1e-6)


def test_only_the_subjects_asked_for(tmp_path: Path) -> None:
    found = read(*write(tmp_path, *contents()), ["S11"])
    assert {trial.name.split()[0] for trial in found.trials} == {"S11"}


def test_the_keypoints_order_is_told_by_its_symmetry(tmp_path: Path) -> None:
    assert read(*write(tmp_path, *contents(names=H36M_JOINTS), metadata=H36M), TEST).keypoint_names == H36M_JOINTS


def test_a_spelling_may_differ_between_the_files(tmp_path: Path) -> None:
    seen, true = contents()
    seen["S9"]["Photo"] = seen["S9"].pop("TakingPhoto")
    true["S11"]["TakingPhoto 2"] = true["S11"].pop("Photo 2")
    assert len(read(*write(tmp_path, seen, true), TEST).trials) == 24


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def put(value: Any, *keys: Any) -> Callable[[Any], None]:
    """Sets what lies at these keys."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def pop(*keys: Any) -> Callable[[Any], None]:
    """Removes what lies there."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


WRONG_KEYPOINTS = {
    "no subject": (pop("S11"), r"has nothing of S11; it has: \['S9', 'S1'\]"),
    "no action": (pop("S9", "Walking 1"), "has no keypoints of S9 Walking 1, which"),
    "no camera": (pop("S9", "Walking", 3), "S9 Walking has 3 cameras; 4 are needed"),
    "one array for all": (put(np.zeros((20, 17, 2)), "S9", "Walking"), "no list of cameras"),
    "too short": (put(np.zeros((19, 17, 2)), "S9", "Walking", 1), r"S9 Walking \(camera 55011271\): has 19 frames .* for 20 of"),
    "16 keypoints": (put(np.zeros((20, 16, 2)), "S9", "Walking", 1), r"\(20, 16, 2\); needed are \(frames, 17, 2\)"),
    "NaN": (put(np.full((20, 17, 2), np.nan), "S9", "Walking", 2), r"S9 Walking \(camera 58860488\): frame 0 holds a number"),
    "not numbers": (put("none", "S9", "Walking", 2), "is not one array of numbers"),
    "an unknown action": (put([], "S9", "Juggling 1"), "S9 'Juggling 1' is none of the actions Directions, "),
    "an action of two lines": (put([], "S9", "Walking\n1"), r"S9 'Walking\\n1' is none of"),
}
WRONG_POSITIONS = {
    "no subject": (pop("S9"), r"has nothing of S9; it has: \['S11'\]"),
    "no actions": (put({}, "S9"), "has nothing of S9"),
    "16 joints": (put(np.zeros((20, 16, 3)), "S9", "Walking"), r"S9 Walking: its positions are \(20, 16, 3\); needed are"),
    "one frame": (put(np.zeros((1, 17, 3)), "S9", "Walking"), "S9 Walking: frames: 1; at least 2"),
    "beyond float32": (put(np.full((20, 32, 3), 1e300), "S9", "Walking"), "S9 Walking: frame 0 holds a number"),
}
WRONG_METADATA = {
    "none": (None, "no keypoints_symmetry"),
    "no symmetry": ({"layout_name": "coco"}, "no keypoints_symmetry"),
    "infinite": ({"keypoints_symmetry": [[math.inf], [1]]}, "no keypoints_symmetry"),
    "MPII": ({"keypoints_symmetry": [[3, 4, 5, 13, 14, 15], [2, 1, 0, 12, 11, 10]]}, "neither COCO's order nor Human3.6M's"),
    "sides exchanged": ({"keypoints_symmetry": COCO["keypoints_symmetry"][::-1]}, "neither COCO's order nor Human3.6M's"),
}


def told(keypoints: Path, positions: Path, words: str, about: Path) -> None:
    with pytest.raises(UserError, match=words) as error:
        read(keypoints, positions, TEST)
    assert str(error.value).startswith(str(about)) and "\n" not in str(error.value)


@pytest.mark.parametrize("case", WRONG_KEYPOINTS)
def test_wrong_keypoints_are_told_in_one_line(tmp_path: Path, case: str) -> None:
    change, words = WRONG_KEYPOINTS[case]
    seen, true = contents()
    change(seen)
    keypoints, positions = write(tmp_path, seen, true)
    told(keypoints, positions, words, about=keypoints)


@pytest.mark.parametrize("case", WRONG_POSITIONS)
def test_wrong_positions_are_told_in_one_line(tmp_path: Path, case: str) -> None:
    change, words = WRONG_POSITIONS[case]
    seen, true = contents()
    change(true)
    keypoints, positions = write(tmp_path, seen, true)
    told(keypoints, positions, words, about=positions)


@pytest.mark.parametrize("case", WRONG_METADATA)
def test_keypoints_of_another_order_are_told_in_one_line(tmp_path: Path, case: str) -> None:
    metadata, words = WRONG_METADATA[case]
    keypoints, positions = write(tmp_path, *contents(), metadata=metadata)
    told(keypoints, positions, words, about=keypoints)


def test_each_file_in_the_others_place(tmp_path: Path) -> None:
    keypoints, positions = write(tmp_path, *contents())
    told(positions, keypoints, "holds positions_2d, not positions_3d; give it with --keypoints", about=keypoints)
    told(positions, positions, "holds positions_3d, not positions_2d; give it with --positions", about=positions)


def test_files_of_something_else(tmp_path: Path) -> None:
    keypoints, positions = write(tmp_path, *contents())
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    told(tmp_path / "other.npz", positions, "holds no positions_2d by subject", about=tmp_path / "other.npz")
    told(keypoints, tmp_path / "missing.npz", "No such file", about=tmp_path / "missing.npz")
    cut(positions)
    told(keypoints, positions, "not an npz file", about=positions)


def test_a_subject_whose_cameras_are_not_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--subjects S2: the cameras of this subject are not known; known are: S1, S5"):
        read(*write(tmp_path, *contents()), ["S2"])
