"""Who is where, in a picture and in space: what networks give, messages carry, files hold, viewers draw and programs read."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from typing import Any, Optional

import numpy as np

from poselift.common.arrays import Array
from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS


def rows(dtype: Any, *shape: int, feet: Optional[float] = None, default: Any = MISSING) -> Any:
    """A field that is an array: one row of `shape` a person. Its `metadata` tells both, for whoever packs or stacks it.

    `feet`: what the last of a row, those of the feet, are in data from before there were feet; None where a row has none.
    """
    return field(default=default, metadata={"dtype": np.dtype(dtype).newbyteorder("<"), "shape": shape, "feet": feet})


def with_feet(values: Array, feet: float = 0, axis: int = -2) -> Array:
    """All keypoints or joints along that axis of `values`, where the feet's are `feet` if `values` has the 17 alone."""
    shape = list(values.shape)
    shape[axis] = len(KEYPOINTS) - shape[axis]
    return np.concatenate([values, np.full(shape, feet, values.dtype)], axis) if shape[axis] else values


@dataclass(frozen=True)
class People2D:
    """The people of one picture. K people, 0 where there is nobody.

    person: int64 [K]: ids: 1, 2, 3... The same person keeps one; none is used again in a session.
    keypoints: float32 [K, 21, 3]: in the order of `skeleton.KEYPOINTS`; x px, y px from the picture's top left corner (which they may
        leave), confidence 0 to 1; at confidence 0 a keypoint is missing, as the feet's always are where the detector does not give them.
    """

    person: Array = rows(np.int64)
    keypoints: Array = rows(np.float32, len(KEYPOINTS), 3, feet=0)


@dataclass(frozen=True)
class Detected2D(People2D):
    """The people of one picture as a detector gives them.

    depth_px: float32 [K, 21]: how far behind the middle of the hips the detector guesses each keypoint, on the scale of its x and y; NaN
        where it does not tell, as everywhere if None is given.
    """

    depth_px: Array = rows(np.float32, len(KEYPOINTS), default=None)

    def __post_init__(self) -> None:
        if np.ndim(self.depth_px) == 0:  # None was given
            object.__setattr__(self, "depth_px", np.full((len(self.person), len(KEYPOINTS)), np.nan, np.float32))


@dataclass(frozen=True)
class People3D(People2D):
    """The people of one picture in 3D: first those who were seen, in the order of the measurement, then those who are held.

    joints_m: float32 [K, 21, 3]: in the order of `skeleton.JOINTS`; camera axes (x right, y down, z forward), relative to the root, metres.
        NaN for joints that the network does not give: the feet's, or none.
    sigma_m: float32 [K, 21, 3]: standard deviation of a joint relative to the root, per camera axis, metres, the body height taken
        for right; 0 at the root; NaN where the network does not tell it.
    root_m: float32 [K, 3]: the root in camera axes, metres, by the pinhole model: from the pose, its keypoints, the focal length and the
        body height that are set. Its depth alone is wrong by the factor by which the focal length is (one that is not set is assumed),
        all of it by the factor by which the body height is. That of when they were last seen where `held`. NaN where too few keypoints
        tell it, and where `delay_ns` is not 0: then keypoints and joints are of different moments.
    confidence: float32 [K, 21]: per joint, 0 to 1: the mean of its keypoints' confidences; 0 for joints that the network does not give.
    contact: bool [K, 4]: whether this part of a foot, in the order of `skeleton.FEET`, is on the floor; False where the network does not
        tell.
    warming: bool [K]: the lifter has seen less of this person than its receptive field.
    held: bool [K]: this person was not seen in this picture. Their keypoints are the last seen ones, at confidence 0.
    delay_ns: how long before the picture the people were as `joints_m` and `sigma_m` show them, ns; everything else is of the picture's
        time. 0 of a causal lifter. A symmetric one looks ahead, so live its poses come late, all by the same time.
    """

    joints_m: Array = rows(np.float32, len(JOINTS), 3, feet=np.nan)
    sigma_m: Array = rows(np.float32, len(JOINTS), 3, feet=np.nan)
    root_m: Array = rows(np.float32, 3)
    confidence: Array = rows(np.float32, len(JOINTS), feet=0)
    contact: Array = rows(np.bool_, len(FEET), feet=False)
    warming: Array = rows(np.bool_)
    held: Array = rows(np.bool_)
    delay_ns: int = 0
