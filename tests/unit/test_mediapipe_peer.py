"""BlazePose here against MediaPipe Pose, its original, on the demo clip.

MediaPipe needs an environment of its own:

    python3.11 -m venv .venv-peer
    .venv-peer/bin/pip install --no-deps mediapipe==0.10.14
    .venv-peer/bin/pip install "numpy<2" "protobuf<5" absl-py attrs flatbuffers matplotlib "opencv-python-headless<4.12"

(jax and an OpenCV with windows, which mediapipe also asks for, are not used by Pose.) It is taken from there, or the environment
variable POSELIFT_PEER_PYTHON names its Python.
"""

from __future__ import annotations

import os
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from demo_clip import blazepose, moments, pulled

from poselift.models.detection.blazepose_landmarks import KEYPOINT_LANDMARKS
from poselift.models.tracking.pose_tracker import PoseTracker

REPOSITORY = Path(__file__).parents[2]
FRAMES = 100


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> np.lib.npyio.NpzFile:
    """What MediaPipe sees: `raw` and `smooth`, float32[FRAMES, 33, 3]."""
    python = Path(os.environ.get("POSELIFT_PEER_PYTHON", REPOSITORY / ".venv-peer/bin/python"))
    if not python.is_file():
        pytest.skip(f"MediaPipe is not installed: no {python}; see the top of this file")
    answer = tmp_path_factory.mktemp("peer") / "answer.npz"
    script = REPOSITORY / "tests/peers/mediapipe_pose.py"
    done = subprocess.run([python, script, pulled("demo_clip"), answer, str(FRAMES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(answer)


@pytest.fixture(scope="module")
def ours() -> np.ndarray:
    """What this project sees: float32[FRAMES, 21, 2], NaN where nobody was found."""
    keypoints = np.full((FRAMES, len(KEYPOINT_LANDMARKS), 2), np.nan, np.float32)
    for frame, people in enumerate(PoseTracker(blazepose()).follow(islice(moments(pulled("demo_clip")), FRAMES))):
        if len(people.person):
            keypoints[frame] = people.keypoints[0, :, :2]
    return keypoints


@pytest.mark.parametrize("kind", ["raw", "smooth"])
def test_keypoints_lie_where_mediapipe_sees_them(theirs, ours: np.ndarray, kind: str):
    """In per cent of the body's height, which is taken as the vertical extent of MediaPipe's unsmoothed landmarks."""
    keypoints = theirs[kind][:, KEYPOINT_LANDMARKS, :2]
    both = np.isfinite(ours[:, 0, 0]) & np.isfinite(keypoints[:, 0, 0])
    assert both.mean() >= 0.95
    height = np.ptp(theirs["raw"][both, :, 1], axis=1)
    error = 100 * np.linalg.norm(ours[both] - keypoints[both], axis=2) / height[:, np.newaxis]
    assert (np.median(error, axis=1) < 50).all(), "this is another person"
    print(f"{kind}: median {np.median(error):.2f} %, p95 {np.percentile(error, 95):.2f} %, by keypoint {np.median(error, axis=0).round(2)}")
    assert np.median(error) <= 1
