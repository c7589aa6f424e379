"""A real detector's errors on people whom it never saw: those that BlazePose made on rendered people who stood alike in the picture."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINT_MIRROR
from poselift.models.training.watched_clips import WatchedClips, starts

CANDIDATES = 48
"""Stretches of rendered people among which the one is taken that is most alike."""
_BODY = slice(None, len(COCO_KEYPOINTS))
_MIRROR = np.array([-1, 1], np.float32)


def borrow(clips: WatchedClips, rng: np.random.Generator, points: Floats) -> Floats:
    """Keypoints [N, L, 21, 3] (x, y, confidence) of true points [N, L, 21, 2], with the errors of stretches that are alike.

    Alike are stretches whose true keypoints lie nearest in the middle frame, in the box around the body. Half of them are mirrored.
    """
    count, length = points.shape[:2]
    possible = starts(clips, length)
    clip, start = np.moveaxis(possible[rng.integers(len(possible), size=(count, CANDIDATES))], -1, 0)
    mirrored = rng.random((count, CANDIDATES)) < 0.5
    middle = clips.truth[clip, start + length // 2]
    middle = np.where(mirrored[..., None, None], middle[..., KEYPOINT_MIRROR, :] * _MIRROR, middle)
    apart = _in_box(middle[..., _BODY, :]) - _in_box(points[:, None, length // 2, _BODY])
    best = np.square(apart).sum((-1, -2)).argmin(1)
    row = np.arange(count)
    chosen, frames = clip[row, best][:, None], start[row, best][:, None] + np.arange(length)
    seen, truth = clips.keypoints[chosen, frames], clips.truth[chosen, frames]
    error = (seen[..., :2] - truth) / _size(truth)
    turned = mirrored[row, best][:, None, None, None]
    error = np.where(turned, error[..., KEYPOINT_MIRROR, :] * _MIRROR, error)
    confidence = np.where(turned, seen[..., KEYPOINT_MIRROR, 2:], seen[..., 2:])
    return np.concatenate([points + error * _size(points), confidence], -1, dtype=np.float32)


def _size(points: Floats) -> Floats:
    """[N, 1, 1, 1]: the longer side of the body's box, over the frames' mean."""
    return np.asarray(np.ptp(points[..., _BODY, :], axis=2).max(-1).mean(1)[:, None, None, None])


def _in_box(points: Floats) -> Floats:
    """Points [..., 17, 2] from the middle of their box, in its half sizes."""
    low, high = points.min(-2, keepdims=True), points.max(-2, keepdims=True)
    return np.asarray((points - (low + high) / 2) / ((high - low).max(-1, keepdims=True) / 2))
