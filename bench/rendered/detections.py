"""What a 2D detector does on the rendered people: its bias, how its errors hang together in time, what its confidence says.

Errors are in per cent of the person's size: the longer side of the box around the 17 true keypoints, averaged over a clip, as in
`poselift.models.training.detector`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.rendered.errors import BODY, swapped
from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINTS

LAGS = (1, 2, 3, 5, 8, 12, 20)


class Clip(NamedTuple):
    """True and detected keypoints of one clip, only the pictures in which somebody was found."""

    truth_m: Floats
    """[T, 21, 3]: in the camera's axes"""
    truth_px: Floats
    """[T, 21, 2]"""
    trunk: Floats
    """[T, 3, 3]: its left, up and forward in rows"""
    focal_px: float
    found: Floats
    """[T, 21, 3]: x px, y px, confidence"""

    @property
    def size_px(self) -> float:
        """The person's, averaged over the clip."""
        return float(np.ptp(self.truth_px[:, : len(COCO_KEYPOINTS)], axis=1).max(-1).mean())

    @property
    def swaps(self) -> npt.NDArray[np.bool_]:
        """[T]: arms or legs exchanged."""
        return np.asarray(np.any(list(swapped(self.truth_px[:, BODY], self.found[:, BODY, :2]).values()), axis=0))


def bias_m(clips: list[Clip]) -> Floats:
    """Mean offset [21, 3] of each keypoint from the truth along the trunk's left, up and forward, metres.

    Each picture tells two of three components: least squares over all of them, pictures with swaps and the worst tenth left out.
    """
    offsets = np.zeros((len(KEYPOINTS), 3), np.float32)
    for keypoint in range(len(KEYPOINTS)):
        rows, values = [], []
        for clip in clips:
            kept = ~clip.swaps
            error_m = (clip.found[kept, keypoint, :2] - clip.truth_px[kept, keypoint]) * clip.truth_m[kept, keypoint, 2:] / clip.focal_px
            rows.append(np.swapaxes(clip.trunk[kept], 1, 2)[:, :2])
            values.append(error_m)
        design, error = np.concatenate(rows), np.concatenate(values)
        for _ in range(3):
            solved = np.linalg.lstsq(design.reshape(-1, 3), error.reshape(-1), rcond=None)[0]
            off = np.linalg.norm(error - design @ solved, axis=1)
            good = off <= np.quantile(off, 0.9)
            design, error = (design, error) if good.all() else (design[good], error[good])
        offsets[keypoint] = solved
    return offsets


def unbiased(clip: Clip, offsets_m: Floats) -> Floats:
    """The detections [T, 21, 3] less their bias."""
    at_m = clip.truth_m + np.matmul(offsets_m, clip.trunk)
    moved_px = (at_m[..., :2] / at_m[..., 2:] - clip.truth_m[..., :2] / clip.truth_m[..., 2:]) * clip.focal_px
    found: Floats = clip.found.copy()
    found[..., :2] -= moved_px
    return found


def biased_truth(clip: Clip, offsets_m: Floats) -> Floats:
    """Where a detector with this bias and no other error would see the keypoints, [T, 21, 3], confidence 1."""
    at_m = clip.truth_m + np.matmul(offsets_m, clip.trunk)
    centre = clip.truth_px[0, 0] - clip.truth_m[0, 0, :2] / clip.truth_m[0, 0, 2] * clip.focal_px
    places = at_m[..., :2] / at_m[..., 2:] * clip.focal_px + centre
    return np.concatenate([places, np.ones((*places.shape[:2], 1))], -1, dtype=np.float32)


def residuals(clip: Clip, offsets_m: Floats) -> Floats:
    """What is left of the errors without the bias, [T, 21, 2] in per cent of the size; NaN in pictures with swaps."""
    left: Floats = 100 * (unbiased(clip, offsets_m)[..., :2] - clip.truth_px) / clip.size_px
    left[clip.swaps] = np.nan
    return left


def correlation(errors: list[Floats], lag: int) -> float:
    """Mean product of errors `lag` pictures apart, over that of errors with themselves."""
    apart = [(error[:-lag] * error[lag:]).reshape(-1) for error in errors if len(error) > lag]
    same = [(error * error).reshape(-1) for error in errors]
    return float(np.nanmean(np.concatenate(apart)) / np.nanmean(np.concatenate(same)))
