"""The video: as many pictures as frames, at their times, with what belongs in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Optional

import av
import cv2
import numpy as np
import pytest

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export.palette import LEFT
from poselift.app.export.video import draw, render
from poselift.common.errors import UserError
from poselift.common.skeleton import COCO_KEYPOINTS


def a_pose(frame: int, t_ns: int, width_px: int = 1768, height_px: int = 994, people: int = 1) -> Pose3D:
    keypoints = np.full((people, 21, 3), np.nan, np.float32)
    keypoints[:, COCO_KEYPOINTS.index("left_elbow")] = (0.2 * width_px, 0.75 * height_px, 1)
    keypoints[:, COCO_KEYPOINTS.index("left_wrist")] = (0.8 * width_px, 0.75 * height_px, 1)
    joints = np.random.default_rng(0).normal(size=(people, 21, 3)).astype(np.float32) / 3
    root, confidence = np.full((people, 3), np.nan, np.float32), np.ones((people, 21), np.float32)
    contact, flags = np.zeros((people, 4), bool), np.zeros(people, bool)
    return Pose3D(frame, t_ns, width_px, height_px, np.arange(people), keypoints, joints, joints, root, confidence, contact, flags, flags)


def a_clip(times_ns: list[int], width_px: int = 1768, height_px: int = 994, shade: Optional[int] = 120) -> Iterator[tuple]:
    for frame, t_ns in enumerate(times_ns):
        picture = None if shade is None else np.full((height_px, width_px, 3), shade, np.uint8)
        yield picture, a_pose(frame, t_ns, width_px, height_px), t_ns


def at_rate(fps: Fraction, frames: int) -> list[int]:
    return [round(7 * 10**9 + n * 10**9 / fps) for n in range(frames)]


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(24), Fraction(30000, 1001)])
def test_it_has_the_source_s_frames_rate_and_times(tmp_path: Path, fps: Fraction) -> None:
    done: list[None] = []
    assert render(a_clip(at_rate(fps, 12)), tmp_path / "demo.mp4", float(fps), lambda: done.append(None)) == 12
    assert len(done) == 12
    with av.open(str(tmp_path / "demo.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (1280 + 648, 720)
        assert stream.frames == 12
        assert float(stream.average_rate) == pytest.approx(float(fps), rel=1e-3)
        assert float(stream.duration * stream.time_base) == pytest.approx(12 / fps, abs=1e-3)
        times = [frame.time for frame in file.decode(stream)]
    np.testing.assert_allclose(times, np.arange(12) / float(fps), atol=1e-4)


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    times_ns = [0, 33_000_000, 40_000_000, 140_000_000, 140_000_000, 150_000_000, 1_000_000_000]
    render(a_clip(times_ns, 320, 240), tmp_path / "demo.mp4", 30)
    with av.open(str(tmp_path / "demo.mp4")) as file:
        times = [frame.time for frame in file.decode(video=0)]
    np.testing.assert_allclose(times, np.array(times_ns) / 1e9, atol=1e-4)
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize(
    ("width_px", "height_px", "expected"),
    [(1768, 994, (1928, 720)), (1080, 1920, (404 + 404, 720)), (321, 241, (640 + 432, 480)), (3840, 1080, (1280 + 324, 360))],
)
def test_every_shape_of_picture_is_fitted(tmp_path: Path, width_px: int, height_px: int, expected: tuple[int, int]) -> None:
    render(a_clip([0, 40_000_000], width_px, height_px), tmp_path / "demo.mp4", 25)
    with av.open(str(tmp_path / "demo.mp4")) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="bgr24")
    assert picture.shape[1::-1] == expected
    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0


@pytest.mark.parametrize(
    ("times_s", "fps", "within_s"),
    [
        ([0, 3600, 7200, 10800], 1 / 3600, 1e-4),
        ([0, 1 / 30, 9 * 3600, 9 * 3600 + 1 / 30], 30, 1e-4),
        ([0, 1 / 30, 5 * 3600, 5 * 3600 + 1 / 30, 5 * 3600 + 1 / 15], 30, 1e-4),
        ([0, 10 * 86400, 40 * 86400], 1 / 864000, 1e-2),
        ([0, 1 / 30, 40 * 86400], 0, 1e-2),
        ([n / 5000 for n in range(30)], 5000, 1e-4),
        ([n / 1e6 for n in range(30)], 1e6, 1e-3),
    ],
)
def test_slow_and_fast_clips_and_those_with_long_gaps(tmp_path: Path, times_s: list[float], fps: float, within_s: float) -> None:
    longest_s = float(np.diff(times_s).max())
    path = tmp_path / "demo.mp4"
    assert render(a_clip([round(t_s * 1e9) for t_s in times_s], 320, 240), path, fps, longest_s=longest_s) == len(times_s)
    with av.open(str(path)) as file:
        stamps = [float(packet.pts * packet.time_base) for packet in file.demux(video=0) if packet.pts is not None]
    np.testing.assert_allclose(sorted(stamps), times_s, rtol=0, atol=within_s)
    judge = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert sum(judge.read()[0] for _ in range(len(times_s) + 1)) == len(times_s)


@pytest.mark.parametrize(("width_px", "height_px"), [(2, 2000), (4000, 2), (1, 1), (17, 33), (7000, 5000)])
def test_extreme_shapes_have_bars(tmp_path: Path, width_px: int, height_px: int) -> None:
    render(a_clip([0, 40_000_000], width_px, height_px, shade=200), tmp_path / "demo.mp4", 25)
    with av.open(str(tmp_path / "demo.mp4")) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="bgr24").astype(int)
    left = picture[:, : {2: 240, 4000: 1280, 1: 480, 17: 248, 7000: 1008}[width_px]]
    assert (np.abs(left[:-40] - 200).max(-1) < 40).any()
    for side in (left.shape[0], picture.shape[1] - left.shape[1]):
        assert side >= 120 and side % 2 == 0


def test_a_picture_of_another_shape_keeps_its_own(tmp_path: Path) -> None:
    """The video's size is the first picture's; the second stands upright in it, and its elbow and wrist are three quarters down."""
    clip = [*a_clip([0], 640, 480, shade=120), *((p, pose, 40_000_000) for p, pose, _ in a_clip([0], 480, 960, shade=200))]
    clip.append((clip[0][0], clip[0][1], 80_000_000))
    assert render(clip, tmp_path / "demo.mp4", 25) == 3
    with av.open(str(tmp_path / "demo.mp4")) as file:
        first, tall, last = (frame.to_ndarray(format="bgr24").astype(int) for frame in file.decode(video=0))
    assert first.shape == tall.shape == last.shape and first.shape[0] == 480
    np.testing.assert_allclose(tall[100, 320], 200, atol=4)
    np.testing.assert_allclose(tall[100, [100, 190, 450, 540]], np.tile((20, 15, 13), (4, 1)), atol=8)
    np.testing.assert_allclose(tall[360, 320], LEFT, atol=25)
    np.testing.assert_allclose(first[100, [5, 320, 630]], 120, atol=4)
    np.testing.assert_allclose(last[:, :640][:440], first[:, :640][:440], atol=40)


@pytest.mark.parametrize("shade", [200, None])
def test_picture_and_keypoints_are_found_in_it(tmp_path: Path, shade: Optional[int]) -> None:
    render(a_clip([0, 40_000_000], shade=shade), tmp_path / "demo.mp4", 25)
    with av.open(str(tmp_path / "demo.mp4")) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="bgr24").astype(int)
    np.testing.assert_allclose(picture[100, 640], (20, 15, 13) if shade is None else (shade,) * 3, atol=4)
    middle = picture[round(0.75 * 720), round(0.5 * 1280)]
    np.testing.assert_allclose(middle, LEFT, atol=25)
    assert picture[:, 1280:].std() > 10


def test_feet_that_were_never_seen_are_not_drawn() -> None:
    pose = a_pose(0, 0)
    pose.keypoints[:, COCO_KEYPOINTS.index("left_ankle")] = (400, 800, 0)
    drawn = []
    for feet in (0, np.nan):
        keypoints = pose.keypoints.copy()
        keypoints[:, len(COCO_KEYPOINTS) :] = feet
        drawn += [canvas for canvas, _ in draw([(None, replace(pose, keypoints=keypoints, held=np.ones(1, bool)), 0)])]
    np.testing.assert_array_equal(*drawn)


def test_no_pose_and_nobody_are_drawn(tmp_path: Path) -> None:
    picture = np.full((240, 320, 3), 120, np.uint8)
    frames = [(picture, None, 0), (picture, a_pose(1, 40_000_000, 320, 240, 0), 40_000_000), (None, None, 80_000_000)]
    assert render(frames, tmp_path / "demo.mp4", 0) == 3


def test_without_frames_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"demo\.mp4: there are no frames"):
        render([], tmp_path / "demo.mp4", 30)
    assert not list(tmp_path.iterdir())


def test_a_source_that_breaks_leaves_no_file(tmp_path: Path) -> None:
    def breaking() -> Iterator[tuple]:
        yield from a_clip([0, 40_000_000], 320, 240)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        render(breaking(), tmp_path / "demo.mp4", 25)
    assert not list(tmp_path.iterdir())
