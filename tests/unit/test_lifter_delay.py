"""A symmetric network live: every pose comes later by half its receptive field, says so, and is of the time that it says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from published_network import normalised_screen, published
from torch_files import checkpoint, random_model, write

from poselift.app.dataflow.messages import Pose2D
from poselift.common.errors import ModelError
from poselift.common.people import People2D, with_feet
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.convert.videopose3d import convert, to_weights
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.occlusion import OcclusionFiller
from poselift.workers.lift import Lift

WIDTHS, DELAY, RATE_HZ = (3, 3), 4, 50
MODEL = random_model(WIDTHS, 16)
WIDTH, HEIGHT = 640, 480
TOLERANCE = 1e-5


@pytest.fixture
def lifter(tmp_path: Path) -> Lifter:
    return Lifter(open_model(converted(tmp_path, causal=False)), slots=2)


def converted(folder: Path, causal: bool) -> Path:
    path = write(folder / "c.bin", checkpoint(MODEL))
    onnx.save(convert(path, WIDTHS, causal, Fraction(RATE_HZ)), folder / "lifter.onnx")
    return folder / "lifter.onnx"


def walk(frames: int, seed: int = 0) -> Any:
    """Keypoints [T, 17, 3] that wander through the picture, all seen."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(frames, 17, 3)).cumsum(0) * (8, 8, 0) + (300, 200, 0.9)
    return steps.astype(np.float32)


def network(columns: Any, causal: bool = False) -> Any:
    """The published network's root-relative poses for keypoints in pixels, one column each."""
    poses = published(MODEL, WIDTHS, causal, normalised_screen(np.array(columns)[..., :2], WIDTH, HEIGHT))
    return poses - poses[:, :1]


def test_on_ticks_each_pose_is_the_whole_video_s_so_many_frames_before(lifter: Lifter) -> None:
    keypoints = walk(40)
    expected = network(keypoints)
    for frame in range(40):
        lifted = lifter.step(frame * 20_000_000, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        assert lifted.delay_ns == DELAY * 20_000_000
        np.testing.assert_array_equal(lifted.keypoints[0, :17], keypoints[frame])
        if frame >= DELAY:
            assert np.abs(lifted.joints_m[0, :17] - expected[frame - DELAY]).max() < TOLERANCE
        assert lifted.warming[0] == (frame < 8) and np.isnan(lifted.sigma_m).all()


@pytest.mark.parametrize("fps", [24, 30, 60, 120])
def test_between_ticks_the_pose_lies_between_those_of_the_ticks_around(lifter: Lifter, fps: float) -> None:
    """Against a naive resampling; it knows of the column after the newest tick only what was measured before it."""
    keypoints = walk(60)
    times = [frame / fps for frame in range(60)]
    between = 0
    ticks = [keypoints[0]]
    for frame, time in enumerate(times):
        position = time * RATE_HZ
        nearest = round(position)
        on_tick = abs(position - nearest) <= 0.25 and nearest >= len(ticks)
        while len(ticks) < (nearest if on_tick else int(np.floor(position)) + 1):
            part = (len(ticks) / RATE_HZ - times[frame - 1]) * fps
            ticks.append(keypoints[frame - 1] * (1 - part) + keypoints[frame] * part)
        if on_tick:
            ticks.append(keypoints[frame])
        lifted = lifter.step(round(time * 1e9), People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        if len(ticks) <= DELAY + 1:
            continue
        start, end = network([*ticks, keypoints[frame]])[-DELAY - 2 : -DELAY]
        part = 0 if on_tick or frame == 0 else np.clip(position - (len(ticks) - 1), 0, 1)
        assert np.abs(lifted.joints_m[0, :17] - ((1 - part) * start + part * end)).max() < TOLERANCE
        between += part > 0
    assert between > 5


def test_a_steady_motion_is_shown_as_it_was_at_the_time_that_the_message_says(lifter: Lifter) -> None:
    """At any rate: the pose of a person who turns evenly is that of the stated time, to half of what a tick changes."""
    start, end = walk(2)

    def at(time_s: float) -> Any:
        return start + (end - start) * 10 * time_s

    dense = network([at(tick / RATE_HZ) for tick in range(100)])
    change = np.abs(np.diff(dense, axis=0)).max()
    for frame in range(40):
        time_s = frame / 30
        lifted = lifter.step(round(time_s * 1e9), People2D([7], at(time_s)[None]), (WIDTH, HEIGHT))
        position = (time_s - lifted.delay_ns / 1e9) * RATE_HZ
        if 5 < position < 60:
            before = int(position)
            shown = dense[before] + (dense[before + 1] - dense[before]) * (position - before)
            assert np.abs(lifted.joints_m[0, :17] - shown).max() < 0.5 * change


def test_a_causal_one_has_no_delay(tmp_path: Path) -> None:
    lifter = Lifter(open_model(converted(tmp_path, causal=True)), body_height_m=1.2, filtered=False)
    keypoints = walk(30)
    expected = network(keypoints, causal=True)
    for frame in range(30):
        lifted = lifter.step(frame * 20_000_000, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        assert lifted.delay_ns == 0
        assert np.abs(lifted.joints_m[0, :17] - expected[frame]).max() < TOLERANCE  # metres as they are, whatever the height


def test_a_missing_keypoint_is_where_it_is_guessed(lifter: Lifter) -> None:
    keypoints = walk(30)
    missing = keypoints.copy()
    keypoints[10:14, 5] = (np.nan, np.inf, 0.9)
    missing[10:14, 5] = 0
    filler = OcclusionFiller()
    expected = network([filler.fill(frame * 20_000_000, with_feet(points))[:17] for frame, points in enumerate(missing)])
    for frame in range(30):
        lifted = lifter.step(frame * 20_000_000, People2D([7], keypoints[frame : frame + 1]), (WIDTH, HEIGHT))
        if frame >= DELAY:
            assert np.abs(lifted.joints_m[0, :17] - expected[frame - DELAY]).max() < TOLERANCE


def test_every_message_states_the_delay(lifter: Lifter) -> None:
    lift = Lift(lifter)
    for people in (0, 1, 0):
        pose = lift.step(Pose2D(0, 5, WIDTH, HEIGHT, np.arange(people), walk(people)))
        assert pose.delay_ns == DELAY * 20_000_000


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"normalisation": "screen", "delay": "9"}, "delay = '9'; it must be below the receptive field, 9 columns"),
        ({"normalisation": "screen", "delay": "-1"}, "delay = '-1'"),
        ({"normalisation": "screen", "delay": "soon"}, "delay = 'soon'"),
        ({"normalisation": "person_camera"}, r"keypoints is \(17, 2\) a person; its normalisation needs|only a causal one"),
    ],
)
def test_a_file_that_is_no_such_lifter_says_why(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    graph = build(to_weights(MODEL, WIDTHS, False), {"rate_hz": "50"}, as_points=True)
    facts = {**{entry.key: entry.value for entry in graph.metadata_props}, **metadata}
    onnx.helper.set_model_props(graph, facts)
    onnx.save(graph, tmp_path / "lifter.onnx")
    with pytest.raises(ModelError, match=message):
        Lifter(open_model(tmp_path / "lifter.onnx"))
