"""The field's error measures, of root-relative poses [F, 17, 3]; all are means over joints and frames, in the poses' own unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def mpjpe(truth: Floats, predicted: Floats) -> float:
    """Mean per-joint position error (Human3.6M's protocol 1)."""
    return float(np.linalg.norm(truth - predicted, axis=-1).mean())


def n_mpjpe(truth: Floats, predicted: Floats) -> float:
    """The same after the best scale for each frame (protocol 3; Rhodin et al. 2018)."""
    scale = (truth * predicted).sum((-2, -1), keepdims=True) / np.square(predicted).sum((-2, -1), keepdims=True)
    return mpjpe(truth, scale * predicted)


def pa_mpjpe(truth: Floats, predicted: Floats) -> float:
    """The same after the best similarity transform for each frame (protocol 2; Umeyama 1991)."""
    a, b = truth - truth.mean(-2, keepdims=True), predicted - predicted.mean(-2, keepdims=True)
    u, spread, vt = np.linalg.svd(np.swapaxes(b, -1, -2) @ a)
    sign = np.ones_like(spread)
    sign[..., -1] = np.sign(np.linalg.det(u @ vt))
    scale = (spread * sign).sum(-1)[..., None, None] / np.square(b).sum((-2, -1), keepdims=True)
    return mpjpe(a, scale * (b @ (u * sign[..., None, :]) @ vt))


def mpjve(truth: Floats, predicted: Floats) -> float:
    """Mean per-joint velocity error of sequences [N, T, 17, 3]: of the change from frame to frame."""
    return mpjpe(np.diff(truth, axis=-3), np.diff(predicted, axis=-3))
