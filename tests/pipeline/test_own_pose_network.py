"""`detect.model`: the real finder finds a real person, and a made-up network sees the spots that were painted over them."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from demo_clip import FRAME_NS, pictures, pulled
from spot_people import fixed_network, keypoints_px, paint, spot_network

from poselift.app.config import Config
from poselift.app.dataflow.messages import Frame, Pose2D
from poselift.common.errors import UserError
from poselift.workers.detect import detecting

PICTURE, MIDDLE_PX, HEIGHT_PX = 13, (646, 240), 340
"""One of the clip, and where the man is in it: he stands on a roof, and nobody else is there."""
WIDTH_PX, STEP_PX = 800, 12
"""A part of the picture this wide is shown, each time so much farther to the left."""


@pytest.fixture(scope="module")
def painted() -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures in which one person wears spots, and where those are, [17, 2], px."""
    picture = next(islice(pictures(pulled("demo_clip")), PICTURE, None))
    points = keypoints_px(*MIDDLE_PX, HEIGHT_PX)
    paint(picture, points, HEIGHT_PX)
    lefts = range(300, 240, -STEP_PX)
    return [(picture[:620, left : left + WIDTH_PX].copy(), points - [left, 0]) for left in lefts]


def detected(config: Config, clip: list[np.ndarray]) -> list[Pose2D]:
    with detecting(config) as detect:
        return [detect.step(frame(number, picture), nullcontext(picture)) for number, picture in enumerate(clip)]


def frame(number: int, picture: np.ndarray) -> Frame:
    height_px, width_px = picture.shape[:2]
    return Frame(number, number * FRAME_NS, width_px, height_px, 30.0, 0, 0, 0, "none", b"", 1, ())


@pytest.mark.parametrize(("form", "people"), [("heatmaps", 1), ("simcc", 4)])
def test_a_person_is_found_and_followed_by_a_network_of_the_users_own(form, people, painted, tmp_path: Path):
    config = Config().changed(detect={"model": str(spot_network(tmp_path / "pose.onnx", form, batch="batch")), "people": people})
    poses = detected(config, [picture for picture, _ in painted])
    assert [pose.person.tolist() for pose in poses] == [[1]] * len(painted)
    for pose, (_, points) in zip(poses, painted):
        np.testing.assert_allclose(pose.keypoints[0, :17, :2], points, atol=2.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "detect.model: {}: no such file; name an .onnx file, such as RTMPose's, or null for BlazePose"),
        (b"this is no network", "{}: ONNX Runtime cannot read this model ("),
        ({"output": np.zeros((1, 133, 384), np.float32)}, "detect.model: {}: this network has outputs output float32 [1, 133, 384] for"),
    ],
)
def test_a_network_that_cannot_be_used_is_one_line(content, message, tmp_path: Path):
    pulled("efficientdet_lite0")
    path = tmp_path / "pose.onnx"
    if isinstance(content, dict):
        fixed_network(path, content)
    elif content:
        path.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        detected(Config().changed(detect={"model": str(path)}), [])
    assert str(refusal.value).startswith(message.format(path)) and "\n" not in str(refusal.value)
