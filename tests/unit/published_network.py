"""VideoPose3D's network as it is published: a convolution, then batch normalisation as it is in use; in float64, nothing folded.

Written from Pavllo et al. (2019), section 3, and the names of the tensors in a published state dict. It imports nothing of the project.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KEYPOINT_MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
JOINT_MIRROR = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]


def published(model: Any, widths: Any, causal: bool, keypoints: Any) -> np.ndarray:
    """Poses [T, 17, 3] for the normalised keypoints [T, 17, 2] of a whole video, its ends repeated as often as it takes."""
    field = int(np.prod(widths))
    after = 0 if causal else field // 2
    columns = np.pad(keypoints, ((field - 1 - after, after), (0, 0), (0, 0)), "edge").reshape(-1, 34)
    x = relu(normalised(model, "expand_bn", convolved(model, "expand_conv", columns, 1)))
    dilation = widths[0]
    for block, width in enumerate(widths[1:]):
        skipped = (width - 1) * dilation if causal else (width - 1) // 2 * dilation
        y = relu(normalised(model, f"layers_bn.{2 * block}", convolved(model, f"layers_conv.{2 * block}", x, dilation)))
        y = relu(normalised(model, f"layers_bn.{2 * block + 1}", convolved(model, f"layers_conv.{2 * block + 1}", y, 1)))
        x = x[skipped : skipped + len(y)] + y
        dilation *= width
    poses = convolved(model, "shrink", x, 1) + model["shrink.bias"]
    assert len(poses) == len(keypoints)
    return poses.reshape(-1, 17, 3)


def convolved(model: Any, name: str, columns: Any, dilation: int) -> np.ndarray:
    """Every output of a convolution [out, in, width] that needs no padding."""
    weight = model[f"{name}.weight"].astype(np.float64)
    count = len(columns) - (weight.shape[2] - 1) * dilation
    return sum(np.einsum("ti,oi->to", columns[k * dilation : k * dilation + count], weight[:, :, k]) for k in range(weight.shape[2]))


def normalised(model: Any, name: str, x: Any) -> np.ndarray:
    mean, variance = (model[f"{name}.running_{part}"].astype(np.float64) for part in ("mean", "var"))
    return (x - mean) / np.sqrt(variance + 1e-5) * model[f"{name}.weight"] + model[f"{name}.bias"]


def relu(x: Any) -> np.ndarray:
    return np.where(x > 0, x, 0)


def normalised_screen(keypoints: Any, width_px: int, height_px: int) -> np.ndarray:
    """Keypoints [T, 17, 2] in pixels as the network takes them: the picture is 2 wide and its middle is 0."""
    return (np.asarray(keypoints, np.float64) - np.array([width_px, height_px]) / 2) * 2 / width_px


def lifted_with_flip(model: Any, widths: Any, keypoints: Any) -> np.ndarray:
    """The mean of the poses, and of those of the mirrored video, mirrored back."""
    mirrored = published(model, widths, False, keypoints[:, KEYPOINT_MIRROR] * [-1, 1])
    return (published(model, widths, False, keypoints) + mirrored[:, JOINT_MIRROR] * [-1, 1, 1]) / 2
