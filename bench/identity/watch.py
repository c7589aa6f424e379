"""What poselift's tracker and ByteTrack say of a scene's pictures."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, Optional

import numpy as np

from bench.identity.scenes import PLACES
from bench.identity.stage import Truth, around, within
from bench.part import require
from poselift.common.arrays import Array, Doubles, Floats, Pixels
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.backends.backend import Model
from poselift.models.detection import efficientdet
from poselift.models.detection.blazepose_people import BlazePosePeople
from poselift.models.detection.detector import Detections, PoseDetector2D, State
from poselift.models.tracking.pose_tracker import PoseTracker, Tracked

PEER = Path(__file__).parents[1] / "peers/bytetrack.py"
PYTHON = Path(os.environ.get("POSELIFT_TRACKERS_PYTHON", Path(__file__).parents[2] / ".venv-trackers/bin/python"))
FAINT = 0.1
"""ByteTrack uses boxes of which the finder is as unsure as this."""
SURE = 0.95
"""The score of a box around keypoints: the landmark network has confirmed the person."""


class Boxes(NamedTuple):
    """Boxes of a clip, N in all: left, top, right, bottom, px."""

    frame: Array
    """[N]"""
    box: Doubles
    """[N, 4]"""
    tag: Array
    """[N]: each one's id, or its score"""


class Seen(NamedTuple):
    """A clip's truth, and what was made of it."""

    truth: list[Truth]
    ours: Boxes
    given: Boxes
    """What our tracker was given."""
    found: Boxes
    """What the finder sees in every picture."""


class Noting(Generic[State]):
    """A detector that notes what it gives."""

    def __init__(self, detector: PoseDetector2D[State]) -> None:
        self._detector = detector
        self.given: list[Detections] = []
        self.keep, self.look_around = detector.keep, detector.look_around

    def step(self, state: Optional[State], picture: Pixels, t_ns: int) -> tuple[Optional[State], Detections]:
        """See `PoseDetector2D`."""
        known, found = self._detector.step(state, picture, t_ns)
        self.given.append(found)
        return known, found


def watched(finder: Model, landmarks: Model, pictures: Iterable[tuple[Pixels, int, Truth]], every: int = 1) -> Seen:
    """Follow the people in the pictures, of which we see one in `every`."""
    detector = Noting(BlazePosePeople(finder, landmarks, people=PLACES))
    tracker, state = PoseTracker(detector), Tracked[Any]()
    anchors = efficientdet.anchors()
    truths: list[Truth] = []
    ours: list[tuple[int, Doubles, float]] = []
    found: list[tuple[int, Doubles, float]] = []
    for number, (picture, t_ns, truth) in enumerate(pictures):
        if number % every:
            continue
        state, people = tracker.step(state, picture, t_ns)
        ours += [(len(truths), _around(pose), person) for person, pose in zip(people.person.tolist(), people.keypoints)]
        found += [(len(truths), *box) for box in _found(finder, picture, anchors)]
        truths.append(truth)
        state = tracker.look_around(state, picture)
    given = [(frame, _around(pose), SURE) for frame, of in enumerate(detector.given) for pose in of.keypoints]
    return Seen(truths, _boxes(ours), _boxes(given), _boxes(found))


def _around(pose: Floats) -> Doubles:
    """The box around somebody's keypoints, which has no feet as the truth's has none."""
    return around(pose[: len(COCO_KEYPOINTS), :2])


def _boxes(rows: Sequence[tuple[int, Doubles, float]]) -> Boxes:
    frames, boxes, tags = zip(*rows) if rows else ((), (), ())
    return Boxes(np.array(frames, np.int64), np.array(boxes, np.float64).reshape(-1, 4), np.array(tags, np.float64))


def _found(finder: Model, picture: Pixels, anchors: Floats) -> list[tuple[Doubles, float]]:
    """The finder's boxes in the whole picture, with their scores."""
    small, scale = efficientdet.scaled_into(picture)
    boxes, scores = efficientdet.decode(finder.run({"picture": small}), anchors, FAINT, 32)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1) / scale
    return [(within(box), float(score)) for box, score in zip(corners, scores)]


def by_bytetrack(clips: Mapping[str, Boxes], folder: Path) -> Optional[dict[str, Boxes]]:
    """The same boxes with ByteTrack's ids, those that have one; None where it is not installed."""
    if not PYTHON.is_file():
        return None
    boxes, ids = folder / "boxes.npz", folder / "ids.npz"
    rows: dict[str, Any] = {}
    for name, clip in clips.items():
        last = int(clip.frame.max(initial=-1))
        rows.update({f"{name}/frame": clip.frame, f"{name}/box": clip.box, f"{name}/score": clip.tag, f"{name}/count": last + 1})
    np.savez(boxes, **rows)
    done = subprocess.run([str(PYTHON), str(PEER), str(boxes), str(ids)], capture_output=True, text=True)
    require(done.returncode == 0, f"identity: ByteTrack left with exit code {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    with np.load(ids) as found:
        told = {}
        for name, clip in clips.items():
            kept = found[name] >= 0
            told[name] = Boxes(clip.frame[kept], clip.box[kept], found[name][kept])
        return told
