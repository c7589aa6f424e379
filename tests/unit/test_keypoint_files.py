"""Keypoint files: what others write is read, what we write others read, and a file that is a program is never run."""

from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from poselift.app.keypoints import object_arrays
from poselift.app.keypoints.files import Clip, clip_name, read_keypoints, write_keypoints
from poselift.common.errors import UserError

SHARED = Path(os.environ.get("POSELIFT_SHARED", Path(__file__).parents[3] / "shared"))
METADATA = {
    "layout_name": "coco",
    "num_joints": 17,
    "keypoints_symmetry": [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]],
    "video_metadata": {"walk.mp4": {"w": 1920, "h": 1080}},
}


WITH_FEET = {
    **METADATA,
    "layout_name": "coco+feet",
    "num_joints": 21,
    "keypoints_symmetry": [[1, 3, 5, 7, 9, 11, 13, 15, 17, 18], [2, 4, 6, 8, 10, 12, 14, 16, 19, 20]],
}


def some_keypoints(frames: int = 5, columns: int = 2, count: int = 17) -> np.ndarray:
    found = np.random.default_rng(0).random((frames, count, columns)).astype(np.float32)
    found[..., :2] *= 400
    return found


def dataset(path: Path, keypoints: Any = None, name: Any = "walk.mp4", metadata: Any = METADATA, **more: Any) -> Path:
    keypoints = some_keypoints() if keypoints is None else keypoints
    positions = {name: {"custom": [keypoints]}}
    np.savez_compressed(path, positions_2d=np.array(positions, object), metadata=np.array(metadata, object), **more)
    return path


def people(frames: int, of_each: Any = ()) -> Any:
    """Boxes or keypoints as Detectron's scripts nest them: [frames, 2], the background's first."""
    found = np.empty((frames, 2), object)
    for frame in range(frames):
        found[frame, 0], found[frame, 1] = [], of_each
    return found


def detections(path: Path, boxes: Any, keypoints: Any, metadata: Any = {"w": 640, "h": 480}) -> Path:  # noqa: B006  # read alone
    np.savez_compressed(path, boxes=boxes, keypoints=keypoints, segments=np.zeros(1), metadata=np.array(metadata, object))
    return path


def with_pickles(path: Path, positions: bytes, metadata: bytes = pickle.dumps(np.array(METADATA, object), 4)) -> Path:
    """A dataset whose two object arrays of no dimension are given as pickles."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (("positions_2d", positions), ("metadata", metadata)):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
            file.writestr(f"{name}.npy", header.getvalue() + content)
    return path


def test_a_dataset_of_numpy_is_read(tmp_path: Path) -> None:
    keypoints = some_keypoints()
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints))
    assert (clip.name, clip.width_px, clip.height_px, clip.fps) == ("walk.mp4", 1920, 1080, None)
    assert clip.keypoints.dtype == np.float32
    np.testing.assert_array_equal(clip.keypoints[:, :17, :2], keypoints)
    assert (clip.keypoints[:, :17, 2] == 1).all()


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_pickles_of_older_and_newer_numpy(tmp_path: Path, protocol: int, package: str) -> None:
    keypoints = np.asfortranarray(some_keypoints().astype(">f8"))
    sizes = {**METADATA, "video_metadata": {"walk.mp4": {"w": np.int64(640), "h": np.int32(480), "fps": np.float64(29.97)}}}
    pickles = [pickle.dumps(np.array(content, object), protocol) for content in ({"walk.mp4": {"custom": [keypoints]}}, sizes)]
    ours = np.array(0).__reduce__()[0].__module__.rpartition(".")[0]
    if protocol < 4:
        pickles = [data.replace(f"c{ours}.".encode(), f"c{package}.".encode()) for data in pickles]
    (clip,) = read_keypoints(with_pickles(tmp_path / "k.npz", *pickles))
    np.testing.assert_array_equal(clip.keypoints[:, :17, :2], keypoints.astype(np.float32))
    assert (clip.width_px, clip.height_px, clip.fps) == (640, 480, 29.97)


def test_confidence_is_kept_within_its_bounds(tmp_path: Path) -> None:
    keypoints = some_keypoints(columns=3)
    keypoints[0, 0, 2], keypoints[0, 1, 2] = 1.5, -3
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints))
    np.testing.assert_array_equal(clip.keypoints[:, :17, 2], keypoints[..., 2].clip(0, 1))


def test_missing_frames_stay_missing_and_missing_keypoints_get_a_place(tmp_path: Path) -> None:
    keypoints = some_keypoints(5)
    keypoints[1] = np.nan
    keypoints[3, 4, 0] = np.inf
    keypoints[:, 9] = np.nan
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints))
    assert np.isnan(clip.keypoints[1, :, :2]).all()
    assert (clip.keypoints[1, :, 2] == 0).all()
    assert np.isfinite(clip.keypoints[[0, 2, 3, 4]]).all()
    np.testing.assert_allclose(clip.keypoints[3, 4], [*(keypoints[2, 4] + keypoints[4, 4]) / 2, 0], rtol=1e-6)
    others = np.delete(keypoints[0], 9, 0).mean(0)
    np.testing.assert_allclose(clip.keypoints[0, 9], [*others, 0], rtol=1e-5)


@pytest.mark.parametrize("columns", [2, 3])
def test_a_keypoint_at_the_corner_was_not_seen(tmp_path: Path, columns: int) -> None:
    keypoints = some_keypoints(5, columns)
    given = keypoints.copy()
    given[1, 4, :2] = given[3, :, :2] = 0
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", given))
    assert np.isnan(clip.keypoints[3, :, :2]).all() and (clip.keypoints[3, :, 2] == 0).all()
    between = (keypoints[0, 4, :2] + keypoints[2, 4, :2]) / 2
    np.testing.assert_allclose(clip.keypoints[1, 4], [*between, 0], rtol=1e-6)
    given[1, 4, :2] = (0, 5)  # at the edge alone: seen
    assert read_keypoints(dataset(tmp_path / "k.npz", given))[0].keypoints[1, 4].tolist()[:2] == [0, 5]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "i2", "u4", "i8"])
def test_numbers_of_any_kind(tmp_path: Path, dtype: str) -> None:
    keypoints = some_keypoints().round()
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints.astype(dtype)))
    np.testing.assert_array_equal(clip.keypoints[:, :17, :2], keypoints)


def test_what_cannot_be_is_missing_and_what_lies_beside_the_picture_stays(tmp_path: Path) -> None:
    keypoints = some_keypoints().astype(np.float64)
    keypoints[1, 2], keypoints[2, 3], keypoints[3, 4] = (1e300, 5), (5, -np.inf), (-90, 2500)
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints))
    assert np.isfinite(clip.keypoints).all()
    assert clip.keypoints[1, 2, 2] == clip.keypoints[2, 3, 2] == 0
    assert clip.keypoints[3, 4].tolist() == [-90, 2500, 1]


@pytest.mark.parametrize("as_given", [lambda scores: scores, lambda scores: scores.tolist(), lambda scores: scores.astype(np.float64)])
def test_confidence_beside_the_keypoints(tmp_path: Path, as_given: Any) -> None:
    scores = np.linspace(0.1, 0.9, 5 * 17, dtype=np.float32).reshape(5, 17)
    scores[0, 3] = np.nan
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", confidence=np.array({"walk.mp4": as_given(scores)}, object)))
    np.testing.assert_array_equal(clip.keypoints[:, :17, 2], np.nan_to_num(scores))


@pytest.mark.parametrize("layout", ["coco", "COCO", "coco_17", "COCO-17", "", None])
@pytest.mark.parametrize("symmetry", [METADATA["keypoints_symmetry"], np.array(METADATA["keypoints_symmetry"]), None, [], [[], []]])
def test_the_ways_to_say_coco(tmp_path: Path, layout: Any, symmetry: Any) -> None:
    metadata = {**METADATA, "layout_name": layout, "keypoints_symmetry": symmetry}
    assert len(read_keypoints(dataset(tmp_path / "k.npz", metadata=metadata))) == 1


def test_the_order_of_the_pairs_says_nothing(tmp_path: Path) -> None:
    metadata = {**METADATA, "keypoints_symmetry": [side[::-1] for side in METADATA["keypoints_symmetry"]]}
    assert len(read_keypoints(dataset(tmp_path / "k.npz", metadata=metadata))) == 1


def test_a_picture_of_a_few_pixels_is_not_taken_for_normalised(tmp_path: Path) -> None:
    metadata = {**METADATA, "video_metadata": {"walk.mp4": {"w": 2, "h": 2}}}
    assert len(read_keypoints(dataset(tmp_path / "k.npz", some_keypoints() / 400, metadata=metadata))) == 1


UNSAID = {"video_metadata": METADATA["video_metadata"]}


@pytest.mark.parametrize("metadata", [WITH_FEET, {**WITH_FEET, "layout_name": "COCO_feet"}, UNSAID], ids=["said", "spelt", "unsaid"])
def test_feet_follow_the_17(tmp_path: Path, metadata: Any) -> None:
    keypoints = some_keypoints(count=21)
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints, metadata=metadata))
    np.testing.assert_array_equal(clip.keypoints[..., :2], keypoints)
    assert (clip.keypoints[..., 2] == 1).all()


def test_a_dataset_of_17_has_no_feet(tmp_path: Path) -> None:
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz"))
    assert clip.keypoints.shape == (5, 21, 3) and (clip.keypoints[:, 17:] == 0).all()


def test_feet_that_are_missing_in_part(tmp_path: Path) -> None:
    """A heel whose x alone is no number, a toe that is never seen; a frame of feet alone shows nobody."""
    keypoints = some_keypoints(count=21)
    keypoints[2, 17, 0], keypoints[:, 20], keypoints[4, :17] = np.nan, np.nan, np.nan
    (clip,) = read_keypoints(dataset(tmp_path / "k.npz", keypoints, metadata=WITH_FEET))
    np.testing.assert_allclose(clip.keypoints[2, 17], [*(keypoints[1, 17] + keypoints[3, 17]) / 2, 0], rtol=1e-6)
    assert (clip.keypoints[:4, 20] == 0).all()
    np.testing.assert_array_equal(clip.keypoints[:4, 18:20, :2], keypoints[:4, 18:20])
    assert np.isnan(clip.keypoints[4, :, :2]).all() and (clip.keypoints[4, :, 2] == 0).all()


def clip_with_gaps() -> Clip:
    keypoints = some_keypoints(6, 3, 21)
    keypoints[0] = keypoints[2] = keypoints[5] = (np.nan, np.nan, 0)
    return Clip("walk", keypoints, 640, 480, 25.0)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = [clip_with_gaps(), Clip("run.mp4", some_keypoints(2, 3, 21), 1920, 1080)]
    assert write_keypoints(tmp_path / "out" / "k.npz", written) == {"walk": 3, "run.mp4": 0}
    found = read_keypoints(tmp_path / "out" / "k.npz")
    assert [(clip.name, clip.width_px, clip.height_px, clip.fps) for clip in found] == [
        ("walk", 640, 480, 25),
        ("run.mp4", 1920, 1080, None),
    ]
    for ours, theirs in zip(written, found):
        np.testing.assert_array_equal(ours.keypoints, theirs.keypoints)


def test_what_is_written_is_what_upstream_expects(tmp_path: Path) -> None:
    clip = clip_with_gaps()
    write_keypoints(tmp_path / "k.npz", [clip])
    content = np.load(tmp_path / "k.npz", allow_pickle=True)
    metadata = content["metadata"].item()
    assert {**metadata, "video_metadata": None} == {**METADATA, "video_metadata": None}
    assert metadata["video_metadata"] == {"walk": {"w": 640, "h": 480, "fps": 25}}
    (keypoints,) = content["positions_2d"].item()["walk"]["custom"]
    assert (keypoints.dtype, keypoints.shape) == (np.float32, (6, 17, 2))
    seen = clip.keypoints[:, :17, :2]
    expected = np.stack([seen[1], seen[1], (seen[1] + seen[3]) / 2, seen[3], seen[4], seen[4]])
    np.testing.assert_allclose(keypoints, expected, rtol=1e-6)


def test_the_confidence_of_nobody_is_written_as_0(tmp_path: Path) -> None:
    keypoints = some_keypoints(3, 3, 21)
    keypoints[1], keypoints[2, 4, 2] = np.nan, np.nan
    write_keypoints(tmp_path / "k.npz", [Clip("walk", keypoints, 640, 480)])
    confidence = np.load(tmp_path / "k.npz", allow_pickle=True)["confidence"].item()["walk"]
    assert confidence.dtype == np.float32 and (confidence[1] == 0).all() and confidence[2, 4] == 0
    np.testing.assert_array_equal(confidence[0], keypoints[0, :17, 2])


def test_feet_are_written_beside_the_17(tmp_path: Path) -> None:
    """So that VideoPose3D, which knows no feet, reads the file."""
    clip = clip_with_gaps()
    clip.keypoints[3, 18], clip.keypoints[:, 20] = (np.nan, np.nan, 0), 0
    write_keypoints(tmp_path / "k.npz", [clip])
    feet = np.load(tmp_path / "k.npz", allow_pickle=True)["feet"].item()["walk"]
    assert (feet.dtype, feet.shape) == (np.float32, (6, 4, 3))
    np.testing.assert_array_equal(feet[1, :3], clip.keypoints[1, 17:20])
    np.testing.assert_allclose(feet[3, 1], [*(clip.keypoints[1, 18, :2] + 2 * clip.keypoints[4, 18, :2]) / 3, 0], rtol=1e-6)
    assert (feet[:, 3] == 0).all()
    (found,) = read_keypoints(tmp_path / "k.npz")
    np.testing.assert_array_equal(found.keypoints[[1, 3, 4], 17:], feet[[1, 3, 4]])


def test_depths_are_kept_where_somebody_told_them(tmp_path: Path) -> None:
    depth_px = np.random.default_rng(0).normal(size=(2, 21)).astype(np.float32)
    depth_px[1, 3] = np.nan
    clips = [Clip("walk", some_keypoints(2, 3, 21), 640, 480, depth_px=depth_px), Clip("run", some_keypoints(2, 3, 21), 640, 480)]
    write_keypoints(tmp_path / "k.npz", clips)
    walk, run = read_keypoints(tmp_path / "k.npz")
    np.testing.assert_array_equal(walk.depth_px, depth_px)
    assert run.depth_px is None


def test_nobody_at_all_cannot_be_written(tmp_path: Path) -> None:
    nobody = Clip("empty", np.full((3, 21, 3), np.nan, np.float32), 640, 480)
    with pytest.raises(UserError, match="nobody was seen in any of the 3 frames of empty"):
        write_keypoints(tmp_path / "k.npz", [nobody])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("walk.mp4", "walk"),
        ("left_turn.mov.npz", "left_turn.mov"),
        (".hidden.mp4", "hidden"),
        ("视频" * 40 + ".mp4", "视频" * 40),
        ("é" * 125 + ".npz", "é" * 125),
        ("a\nb\\c\udcff.mp4", "a_b_c_"),
        ("-o.mp4", "-o"),
        ("...mp4", "video"),
        ("..", "video"),
        ("", "video"),
    ],
)
def test_every_file_has_a_name_that_a_dataset_can_hold(tmp_path: Path, file: str, name: str) -> None:
    assert clip_name(Path("folder") / file if file else Path("/")) == name
    write_keypoints(tmp_path / "k.npz", [Clip(name, some_keypoints(2, 3, 21), 640, 480)])
    assert read_keypoints(tmp_path / "k.npz")[0].name == name


def test_a_folder_of_pictures_keeps_all_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "2024.01.05").mkdir()
    monkeypatch.chdir(tmp_path / "2024.01.05")
    assert clip_name(Path()) == clip_name(tmp_path / "2024.01.05") == "2024.01.05"


NO_DATASET = "is it a VideoPose3D custom 2D dataset"
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "not a zip": (lambda path: path.write_text("no"), "not an npz file"),
    "a folder": (lambda path: path.mkdir(), "cannot read this file"),
    "nothing": (lambda path: None, "No such file"),
    "other arrays": (lambda path: np.savez(path, a=np.zeros(3)), NO_DATASET),
    "numbers": (lambda path: np.savez(path, positions_2d=np.zeros(3), metadata=np.zeros(3)), NO_DATASET),
    "no sizes": (lambda path: dataset(path, metadata={"layout_name": "coco"}), NO_DATASET),
    "no size": (lambda path: dataset(path, name="other"), "'w' and 'h'"),
    "odd size": (lambda path: dataset(path, metadata={"video_metadata": {"walk.mp4": {"w": 0, "h": 9}}}), "0x9 px"),
    "odd fps": (lambda path: dataset(path, metadata={"video_metadata": {"walk.mp4": {"w": 9, "h": 9, "fps": float("nan")}}}), "at nan fps"),
    "no video": (lambda path: np.savez(path, positions_2d=np.array({}, object), metadata=np.array(METADATA, object)), "a video each"),
    "16 joints": (lambda path: dataset(path, np.zeros((4, 16, 2))), r"\(4, 16, 2\), not \(frames, 17, 2 or 3\); needed are COCO's 17"),
    **{
        f"{count} keypoints of which nothing is said": (
            lambda path, count=count: dataset(path, np.ones((4, count, 2)), metadata=UNSAID),
            rf"\(4, {count}, 2\), not \(frames, 17 or 21, 2 or 3\); needed are COCO's 17 keypoints: .*; left heel, .* may follow",
        )
        for count in (18, 19, 20, 22)
    },
    "21 keypoints said to be COCO's": (
        lambda path: dataset(path, np.ones((4, 21, 2))),
        r"\(4, 21, 2\), not \(frames, 17, 2 or 3\)",
    ),
    "17 keypoints said to have feet": (
        lambda path: dataset(path, np.ones((4, 17, 2)), metadata=WITH_FEET),
        r"\(4, 17, 2\), not \(frames, 21, 2 or 3\)",
    ),
    "feet in the name alone": (
        lambda path: dataset(path, np.ones((4, 21, 2)), metadata={**METADATA, "layout_name": "coco+feet"}),
        r"by its keypoints_symmetry the keypoints \[1, 3, .*\] are left",
    ),
    "feet of other frames": (
        lambda path: dataset(path, feet=np.array({"walk.mp4": np.zeros((4, 4, 3))}, object)),
        r"its feet are \(4, 4, 3\), not \(5, 4, 3\)",
    ),
    "depths of the 17 alone": (
        lambda path: dataset(path, depth=np.array({"walk.mp4": np.zeros((5, 17))}, object)),
        r"its depth is \(5, 17\), not \(5, 21\)",
    ),
    "feet that are words": (
        lambda path: dataset(path, feet=np.array({"walk.mp4": "left"}, object)),
        "its feet are not one array of numbers",
    ),
    "4 columns": (lambda path: dataset(path, np.zeros((4, 17, 4))), "needed are"),
    "2 dimensions": (lambda path: dataset(path, np.zeros((17, 2))), "needed are"),
    "zero frames": (lambda path: dataset(path, np.zeros((0, 17, 2))), "has no frames"),
    "objects": (lambda path: dataset(path, np.full((4, 17, 2), None, object)), "not one array of numbers"),
    "a list": (lambda path: dataset(path, [[0.0]]), "one array"),
    "detections of hands": (lambda path: detections(path, np.zeros(3), np.zeros(3)), "neither"),
    "detections without a size": (lambda path: detections(path, [], [], {"w": 640}), "'w' and 'h', the size of the picture"),
    "detections of different lengths": (lambda path: detections(path, people(3), people(2)), "boxes of 3 frames, and keypoints of 2"),
    "detections of no frame": (lambda path: detections(path, people(0), people(0)), "boxes of 0 frames, and keypoints of 0"),
    "fewer people than boxes": (
        lambda path: detections(path, people(2, np.zeros((3, 5))), people(2, np.zeros((2, 4, 17)))),
        "in frame 0 there are 3 boxes, and keypoints of 2 people",
    ),
    "in Human3.6M's order": (
        lambda path: dataset(path, metadata={**METADATA, "layout_name": "h36m"}),
        "layout_name is 'h36m'; needed are COCO",
    ),
    "of another symmetry": (
        lambda path: dataset(path, metadata={**METADATA, "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]}),
        r"keypoints \[4, 5, 6, 11, 12, 13\] are left",
    ),
    "right before left": (
        lambda path: dataset(path, metadata={**METADATA, "keypoints_symmetry": METADATA["keypoints_symmetry"][::-1]}),
        "needed are COCO's 17 keypoints: nose",
    ),
    "of a symmetry that is none": (
        lambda path: dataset(path, metadata={**METADATA, "keypoints_symmetry": [1, "a"]}),
        "not a list of those",
    ),
    "normalised to 1": (lambda path: dataset(path, np.random.default_rng(0).random((9, 17, 2))), "they seem to be normalised"),
    "normalised to -1 and 1": (
        lambda path: dataset(path, np.random.default_rng(0).uniform(-1, 1, (9, 17, 3))),
        "within 3 px of its corner",
    ),
    "normalised detections": (
        lambda path: detections(path, people(2, np.ones((1, 5))), people(2, np.random.default_rng(0).random((1, 4, 17)))),
        "they seem to be normalised",
    ),
    "words": (lambda path: dataset(path, np.full((4, 17, 2), "a")), "refused: an array of 'U1'"),
    "truths": (lambda path: dataset(path, np.ones((4, 17, 2), bool)), "not one array of numbers"),
    "confidence of another shape": (
        lambda path: dataset(path, confidence=np.array({"walk.mp4": np.ones((5, 16))}, object)),
        r"its confidence is \(5, 16\), not \(5, 17\)",
    ),
    "confidence in words": (
        lambda path: dataset(path, confidence=np.array({"walk.mp4": [["high"] * 17] * 5}, object)),
        "its confidence is not one array of numbers",
    ),
    **{
        f"named {name!r}": (
            lambda path, name=name: dataset(path, name=name, metadata={"video_metadata": {name: {"w": 9, "h": 9}}}),
            "rename",
        )
        for name in ("../x", "..", "", "/etc", "a/b", "a\\b", "a\nb", "a\0b", ".hidden", "x" * 300, 7)
    },
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files_are_told_in_one_line(tmp_path: Path, case: str) -> None:
    write, told = WRONG[case]
    path = tmp_path / "wrong.npz"
    write(path)
    with pytest.raises(UserError, match=told) as error:
        read_keypoints(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


class Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def nested(call: Any) -> Any:
    inside = np.empty(2, object)
    inside[:] = [None, call]
    return {"walk.mp4": {"custom": [inside]}}


HIDINGS = {
    "bare": lambda call: call,
    "in a dictionary": lambda call: {"walk.mp4": {"custom": [call]}},
    "in an array in a list": nested,
    "as a key's value twice": lambda call: {"walk.mp4": {"custom": [some_keypoints()], "more": [call, call]}},
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("hiding", HIDINGS)
@pytest.mark.parametrize("kind", ["system", "eval", "numpy"])
def test_programs_are_not_run(tmp_path: Path, kind: str, hiding: str, protocol: int) -> None:
    marker = tmp_path / "ran"
    call = {
        "system": Calls(os.system, f"touch {marker}"),
        "eval": Calls(eval, f"open({str(marker)!r}, 'w').close()"),
        "numpy": Calls(np.savetxt, str(marker), [0]),
    }[kind]
    content = np.empty((), object)
    content[()] = HIDINGS[hiding](call)
    path = with_pickles(tmp_path / "evil.npz", pickle.dumps(content, protocol))

    with pytest.raises(UserError, match=r"evil\.npz: refused: its pickle (asks for|uses)"):
        read_keypoints(path)
    assert not marker.exists()

    np.load(path, allow_pickle=True)["positions_2d"]
    assert marker.exists(), "this is no exploit, so the test shows nothing"


def by_hand(*operations: bytes) -> bytes:
    return b"\x80\x03" + b"".join(operations) + b"."


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
EMPTY_ARRAY = RECONSTRUCT + NDARRAY + b"K\x00\x85C\x01b\x87R"


def test_a_key_that_would_overflow_the_stack_is_refused(tmp_path: Path) -> None:
    """Hashing a tuple of a million levels ends the process; so does one that is put together through the memo."""
    deep = b")" + 1_000_000 * b"\x85"
    through_memo = b")" + 1_000 * b"q\x00h\x00\x85"
    for key in (deep, through_memo):
        path = with_pickles(tmp_path / "deep.npz", by_hand(b"}", key, b"K\x01s"))
        with pytest.raises(UserError, match=r"deep\.npz: refused: "):
            read_keypoints(path)


@pytest.mark.parametrize("deeper", [lambda inner: [inner], lambda inner: (inner,), lambda inner: {"a": inner}])
def test_containers_deep_in_one_another_are_refused_and_shared_ones_read_once(tmp_path: Path, deeper: Callable[[Any], Any]) -> None:
    content, value = np.empty((), object), some_keypoints()
    for _ in range(300):
        value = deeper(value)
    content[()] = {"walk.mp4": {"custom": value}}
    with pytest.raises(UserError, match="more than 100 containers in one another"):
        read_keypoints(with_pickles(tmp_path / "deep.npz", pickle.dumps(content, 4)))
    wide: list[Any] = [some_keypoints()]
    for _ in range(60):  # 2**60 in all
        wide = [wide, wide]
    content[()] = {"walk.mp4": {"custom": [some_keypoints()], "more": wide}}
    assert len(read_keypoints(with_pickles(tmp_path / "wide.npz", pickle.dumps(content, 4)))) == 1


def test_a_container_in_itself_is_refused(tmp_path: Path) -> None:
    content, value = np.empty((), object), []
    value.append(value)
    content[()] = {"walk.mp4": {"custom": value}}
    with pytest.raises(UserError, match="more than 100 containers in one another"):
        read_keypoints(with_pickles(tmp_path / "round.npz", pickle.dumps(content, 4)))


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def array_of(dtype: bytes, data: bytes, shape: bytes = b")") -> bytes:
    return EMPTY_ARRAY + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


RAW_BYTES_AS_OBJECTS = (  # a dtype of one object field whose flags deny that it holds objects: eight raw bytes would become a pointer
    DTYPE
    + text("V8")
    + b"\x85R(K\x03"
    + text("|")
    + b"N"
    + text("f")
    + b"\x85}"
    + text("f")
    + DTYPE
    + text("O8")
    + b"\x85RK\x00\x86sK\x08K\x01K\x00tb"
)
TRICKS = {
    "raw bytes as objects": array_of(RAW_BYTES_AS_OBJECTS, b"C\x08AAAAAAAA"),
    "fields in a plain number": array_of(
        DTYPE + text("f8") + b"\x85R(K\x03" + text("|") + b"N" + text("f") + b"\x85}K\x08K\x01K\x00tb", b"C\x08AAAAAAAA"
    ),
    "an object array of bytes": array_of(DTYPE + text("O8") + b"\x85R", b"C\x08AAAAAAAA"),
    "bytes short of the shape": array_of(DTYPE + text("f8") + b"\x85R", b"C\x08AAAAAAAA", b"J\xff\xff\xff\x7f\x85"),
    "a negative shape": array_of(DTYPE + text("f8") + b"\x85R", b"C\x08AAAAAAAA", b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86"),
    "a shape of huge rows of nothing": array_of(DTYPE + text("O8") + b"\x85R", b"]", b"\x8a\x07\0\0\0\0\0\0\x01\x85"),
    "a new array of any size": NDARRAY + b"J\xff\xff\xff\x7f\x85R",
    "a function's attributes": RECONSTRUCT + b"}" + text("__defaults__") + b"Nsb",
    "a class's attributes": NDARRAY + b"}" + text("array") + b"Nsb",
    "an attribute of a known name": b"\x8c\x16numpy.core.multiarray\x8c\x19_reconstruct.__globals__\x93",
    "an old instance": b"(" + text("true") + b"ios\nsystem\n",
    "an old object": b"(cos\nsystem\n" + text("true") + b"o",
    "a new object": NDARRAY + b"K\x08\x85\x81",
    "an extension": b"\x82\x01",
    "a persistent id": b"Pid\n",
    "bytes in another encoding": b"c_codecs\nencode\n" + text("aa") + text("hex") + b"\x86R",
    "no end": EMPTY_ARRAY,
    "nothing": b"",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_are_refused(tmp_path: Path, trick: str) -> None:
    content = TRICKS[trick]
    data = by_hand(content)[: -1 if trick == "no end" else None]
    before = dict(vars(object_arrays.Array))
    with pytest.raises(UserError, match=r"evil\.npz: refused: ") as error:
        read_keypoints(with_pickles(tmp_path / "evil.npz", data))
    assert "\n" not in str(error.value)
    assert dict(vars(object_arrays.Array)) == before


def test_a_pickle_of_too_many_pieces_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_arrays, "MAX_OPERATIONS", 1000)
    with pytest.raises(UserError, match="more than 1000 operations"):
        read_keypoints(with_pickles(tmp_path / "k.npz", by_hand(b"]" * 2000)))


def test_no_room_is_made_for_a_billion_memories(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="refused"):
        read_keypoints(with_pickles(tmp_path / "k.npz", by_hand(b"Nr\xff\xff\xff\x7f")))


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_arrays, "MAX_BYTES", 1 << 20)
    path = dataset(tmp_path / "bomb.npz", np.zeros((10_000, 17, 2), np.float32))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(UserError, match=r"unpacks to \d MiB; at most 1"):
        read_keypoints(path)


def test_a_file_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = dataset(tmp_path / "k.npz", np.zeros((10_000, 17, 2), np.float32))
    size = zipfile.ZipFile(path).getinfo("positions_2d.npy").file_size
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (500).to_bytes(4, "little")))
    assert zipfile.ZipFile(path).getinfo("positions_2d.npy").file_size == 500
    with pytest.raises(UserError, match="CRC"):
        read_keypoints(path)


def test_a_header_of_a_shape_that_is_not_there_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "k.npz", "w") as file:
        file.writestr("positions_2d.npy", header.getvalue())
    with pytest.raises(UserError, match="refused: an array of shape"):
        read_keypoints(tmp_path / "k.npz")


@pytest.mark.skipif(not (SHARED / "data" / "seed").is_dir(), reason="the seed project's detections are not here (POSELIFT_SHARED)")
def test_detections_of_the_upstream_script() -> None:
    path = SHARED / "data" / "seed" / "left_turn.mov.npz"
    (clip,) = read_keypoints(path)
    assert (clip.name, clip.width_px, clip.height_px, clip.keypoints.shape) == ("left_turn.mov", 1920, 1080, (120, 21, 3))
    theirs = np.load(path, allow_pickle=True)
    for frame in (0, 57, 119):
        best = theirs["boxes"][frame][1][:, 4].argmax()
        np.testing.assert_array_equal(clip.keypoints[frame, :17, :2], theirs["keypoints"][frame][1][best, :2].T)
    assert (clip.keypoints[:, :17, 2] == 1).all()


def test_detections_take_the_best_box_and_know_empty_frames(tmp_path: Path) -> None:
    boxes, keypoints = np.empty((3, 2), object), np.empty((3, 2), object)
    people = 400 * np.random.default_rng(0).random((2, 4, 17)).astype(np.float32)
    for frame in range(3):
        boxes[frame, 0], keypoints[frame, 0] = [], []
        boxes[frame, 1], keypoints[frame, 1] = np.array([[0, 0, 9, 9, 0.3], [0, 0, 9, 9, 0.8]], np.float32), people
    boxes[1, 1], keypoints[1, 1] = [], []
    metadata = np.array({"w": 640, "h": 480}, object)
    np.savez(tmp_path / "walk.mp4.npz", boxes=boxes, keypoints=keypoints, segments=np.array([None] * 3), metadata=metadata)
    (clip,) = read_keypoints(tmp_path / "walk.mp4.npz")
    assert clip.name == "walk.mp4"
    np.testing.assert_array_equal(clip.keypoints[2, :17, :2], people[1, :2].T)
    assert np.isnan(clip.keypoints[1, :, :2]).all()


def test_the_reader_never_imports(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"asks for 'this\.s'"):
        read_keypoints(with_pickles(tmp_path / "k.npz", by_hand(b"cthis\ns\n")))
    assert "this" not in sys.modules


@pytest.mark.parametrize("nobody", [[[[], []]] * 4, people(4), people(4, np.zeros((0, 5), np.float32))])
def test_detections_of_nobody_are_read(tmp_path: Path, nobody: Any) -> None:
    (clip,) = read_keypoints(detections(tmp_path / "k.npz", nobody, nobody))
    assert clip.keypoints.shape == (4, 21, 3)
    assert np.isnan(clip.keypoints[..., :2]).all() and (clip.keypoints[..., 2] == 0).all()


@pytest.mark.parametrize("as_given", [lambda found: found, lambda found: found.tolist(), lambda found: list(found)])
def test_detections_in_lists_are_people_too(tmp_path: Path, as_given: Any) -> None:
    box, keypoints = np.array([[0, 0, 9, 9, 0.9]], np.float32), some_keypoints(1).transpose(0, 2, 1)
    boxes, found = people(2, as_given(box)), people(2, as_given(keypoints))
    boxes[1, 1] = np.empty((0, 5))  # keypoints without a box, and a box without keypoints: nobody
    (clip,) = read_keypoints(detections(tmp_path / "k.npz", boxes, found))
    np.testing.assert_array_equal(clip.keypoints[0, :17, :2], keypoints[0].T)
    assert np.isnan(clip.keypoints[1, :, :2]).all()
    boxes, found = people(2, as_given(box)), people(2, as_given(keypoints))
    found[1, 1] = []
    assert np.isnan(read_keypoints(detections(tmp_path / "k.npz", boxes, found))[0].keypoints[1, :, :2]).all()


def test_a_box_whose_score_is_no_number_is_the_last_choice(tmp_path: Path) -> None:
    keypoints = some_keypoints(2).transpose(0, 2, 1)
    boxes = np.array([[0, 0, 9, 9, np.nan], [0, 0, 9, 9, 0.1]], np.float32)
    (clip,) = read_keypoints(detections(tmp_path / "k.npz", people(2, boxes), people(2, keypoints)))
    np.testing.assert_array_equal(clip.keypoints[0, :17, :2], keypoints[1].T)


@pytest.mark.parametrize("name", [".npz", "..npz", "...npz", "a\\b.npz"])
def test_detections_have_no_name_that_leads_elsewhere(tmp_path: Path, name: str) -> None:
    (clip,) = read_keypoints(detections(tmp_path / name, people(2), people(2)))
    assert clip.name in ("npz", "video", "a_b")


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes as Python 2 did: text and bytes alike are its str."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_str(self, text: Any) -> None:
        raw = text.encode() if isinstance(text, str) else text
        self.write(b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + len(raw).to_bytes(4, "little") + raw)
        self.memoize(text)

    def save_name(self, thing: Any, name: Any = None) -> None:
        name = name or thing.__qualname__
        self.write(f"cnumpy{'' if name in ('ndarray', 'dtype') else '.core.multiarray'}\n{name}\n".encode())
        self.memoize(thing)

    dispatch[bytes] = dispatch[str] = save_str
    dispatch[type(pickle.dumps)] = dispatch[type(some_keypoints)] = dispatch[type] = save_name


def python2(content: Any) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file, 2).dump(np.array(content, object))
    return file.getvalue()


def test_what_python_2_pickled_is_read(tmp_path: Path) -> None:
    name = "视频.mp4"
    keypoints = np.random.default_rng(0).normal(300, 200, (40, 17, 2))  # whose bytes are of every kind
    sizes = {**METADATA, "video_metadata": {name: {"w": np.int64(640), "h": 480, "fps": np.float64(29.97)}}}
    path = with_pickles(tmp_path / "k.npz", python2({name: {"custom": [keypoints]}}), python2(sizes))
    theirs = np.load(path, allow_pickle=True, encoding="latin1")["positions_2d"].item()
    np.testing.assert_array_equal(theirs[name.encode().decode("latin1")]["custom"][0], keypoints)
    (clip,) = read_keypoints(path)
    assert (clip.name, clip.width_px, clip.height_px, clip.fps) == (name, 640, 480, 29.97)
    np.testing.assert_array_equal(clip.keypoints[:, :17, :2], keypoints.astype(np.float32))


def test_a_header_that_python_2_wrote_is_read_without_a_word(tmp_path: Path) -> None:
    boxes, keypoints = np.ones((1, 5), np.float32), some_keypoints(1).transpose(0, 2, 1)
    path = detections(tmp_path / "k.npz", people(3, boxes), people(3, keypoints))
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for name in ("boxes.npy", "keypoints.npy"):
        members[name] = members[name].replace(b"(3, 2), }  ", b"(3L, 2L), }")
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            assert b"L, " in content or name not in ("boxes.npy", "keypoints.npy")
            file.writestr(name, content)
    (clip,) = read_keypoints(path)
    np.testing.assert_array_equal(clip.keypoints[2, :17, :2], keypoints[0].T)
