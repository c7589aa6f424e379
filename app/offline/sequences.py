"""A whole file with a symmetric lifter: first where everybody is in every frame, then each one's sequence, then one message a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.keypoints.files import filled
from poselift.app.recording.reader import Recording
from poselift.app.recording.writer import RecordingWriter
from poselift.common.arrays import Floats
from poselift.common.people import People3D
from poselift.common.sizes import Size, fitted, same_shape
from poselift.common.skeleton import COCO_KEYPOINTS, FEET, KEYPOINTS
from poselift.models.lifting.lifter import joint_confidence
from poselift.models.lifting.slots import PLAUSIBLE_PICTURES
from poselift.models.lifting.whole_sequence import WholeSequence


class _Stretch(NamedTuple):
    """Part of the file in which a person is never away for long."""

    person: int
    size_px: Size
    """Of its first picture: the keypoints are in pixels of that. All its pictures have that shape."""
    seen: dict[int, Floats]
    """Number of the message -> keypoints [21, 3], where they were seen; NaN at confidence 0 what is missing."""


class _Row(NamedTuple):
    """One person in one message, as in People3D."""

    person: int
    keypoints: Floats
    joints_m: Floats
    root_m: Floats
    warming: bool
    held: bool


_ROWS = {item.name: item.metadata for item in fields(People3D) if item.name in _Row._fields}


def lift_sequences(lifter: WholeSequence, poses: Sequence[Pose2D], hold_s: float, advance: Callable[[int], None]) -> list[Pose3D]:
    """The answer to every message of a file, none of them late.

    Each message's people are one column of their sequences, whatever the rate. In between, where a person is not seen for at most `hold_s`,
    they are held: their keypoints are interpolated, at confidence 0, as VideoPose3D's own preparation does. One who is away for longer has
    a new sequence, as live. Before and after a sequence stands its first and last frame; a pose that looks there is `warming`.
    """
    rows: list[list[_Row]] = [[] for _ in poses]
    for stretch in _stretches(poses, round(hold_s * 1e9)):
        first, last = min(stretch.seen), max(stretch.seen)
        nowhere = np.full((len(KEYPOINTS), 3), (np.nan, np.nan, 0), np.float32)
        keypoints = filled(np.stack([stretch.seen.get(number, nowhere) for number in range(first, last + 1)]))
        joints = lifter.poses(keypoints, *stretch.size_px)
        for number, (of_keypoints, joints_m) in enumerate(zip(keypoints, joints), first):
            warming = min(number - first, last - number) < lifter.reach
            held = number not in stretch.seen
            if not held:
                root_m = lifter.root_m(joints_m, of_keypoints, *stretch.size_px)
            if not np.isnan(joints_m[0]).any():
                of_keypoints = fitted(of_keypoints, stretch.size_px, poses[number].size_px)
                rows[number].append(_Row(stretch.person, of_keypoints, joints_m, root_m, warming, held))
            advance(1)
    return [_message(pose, of_pose) for pose, of_pose in zip(poses, rows)]


def record_with_poses(recording: Recording, poses: Sequence[Pose3D], out: Path) -> None:
    """Write the recording's messages to a new one at `out`, each Pose2D followed by its answer. Raises RecordingFull."""
    answers = iter(poses)
    with RecordingWriter(out, recording.info) as writer:
        for message in recording.messages():
            writer.write(message)
            if isinstance(message, Pose2D):
                writer.write(next(answers))


def _stretches(poses: Sequence[Pose2D], hold_ns: int) -> list[_Stretch]:
    found: list[_Stretch] = []
    newest: dict[int, tuple[_Stretch, Pose2D]] = {}
    for number, pose in enumerate(poses):
        for person, keypoints in _seen(pose):
            stretch, last = newest.get(person, (None, pose))
            if stretch is None or not 0 <= pose.t_ns - last.t_ns <= hold_ns or not same_shape(stretch.size_px, pose.size_px):
                stretch = _Stretch(person, pose.size_px, {})
                found.append(stretch)
            stretch.seen.setdefault(number, fitted(keypoints, pose.size_px, stretch.size_px))
            newest[person] = stretch, pose
    return found


def _seen(pose: Pose2D) -> Iterator[tuple[int, Floats]]:
    """The people of whom anything is there."""
    limit_px = PLAUSIBLE_PICTURES * max(pose.width_px, pose.height_px)
    for person, given in zip(pose.person.tolist(), pose.keypoints):
        keypoints = np.array(given, np.float32)
        keypoints[~(np.abs(keypoints[:, :2]) <= limit_px).all(1) | ~keypoints.any(1)] = (np.nan, np.nan, 0)
        keypoints[:, 2] = np.nan_to_num(keypoints[:, 2]).clip(0, 1)
        if keypoints[: len(COCO_KEYPOINTS), 2].any():
            yield person, keypoints


def _message(pose: Pose2D, rows: list[_Row]) -> Pose3D:
    """Those who were seen come first, in the order of the measurement."""
    order = {person: place for place, person in reversed(list(enumerate(pose.person.tolist())))}
    rows = sorted(rows, key=lambda row: (row.held, order.get(row.person, 0)))
    people = {name: np.array([getattr(row, name) for row in rows], of["dtype"]).reshape(-1, *of["shape"]) for name, of in _ROWS.items()}
    confidence, unknown = joint_confidence(people["keypoints"], people["joints_m"]), np.full_like(people["joints_m"], np.nan)
    no_contact = np.zeros((len(rows), len(FEET)), np.bool_)
    facts = {item.name: getattr(pose, item.name) for item in fields(Pose3D) if hasattr(pose, item.name)}
    return Pose3D(**{**facts, **people}, sigma_m=unknown, confidence=confidence, contact=no_contact)
