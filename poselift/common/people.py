"""Who is where, in a picture and in space: what networks give, messages carry, files hold, viewers draw and programs read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poselift.common.arrays import Array


def rows(dtype: Any, *shape: int) -> Any:
    """A field that is an array: one row of `shape` a person. Its `metadata` tells both, for whoever packs or stacks it."""
    return field(metadata={"dtype": np.dtype(dtype).newbyteorder("<"), "shape": shape})


@dataclass(frozen=True)
class People2D:
    """The people of one picture. K people, 0 where there is nobody.

    person: int64 [K]: ids: 1, 2, 3... The same person keeps one; none is used again in a session.
    keypoints: float32 [K, 17, 3]: COCO order; x px, y px from the picture's top left corner (which they may leave), confidence 0 to 1.
    """

    person: Array = rows(np.int64)
    keypoints: Array = rows(np.float32, 17, 3)


@dataclass(frozen=True)
class People3D(People2D):
    """The people of one picture in 3D: first those who were seen, in the order of the measurement, then those who are held.

    joints_m: float32 [K, 17, 3]: Human3.6M order; camera axes (x right, y down, z forward), relative to the root, metres.
    sigma_m: float32 [K, 17, 3]: standard deviation of a joint relative to the root, per camera axis, metres, the body height taken
        for right; 0 at the root; NaN where the network does not tell it.
    root_m: float32 [K, 3]: the root in camera axes, metres, by the pinhole model: from the pose, its keypoints, the focal length and the
        body height that are set. Its depth alone is wrong by the factor by which the focal length is (one that is not set is assumed),
        all of it by the factor by which the body height is. That of when they were last seen where `held`. NaN where too few keypoints
        tell it, and where `delay_ns` is not 0: then keypoints and joints are of different moments.
    confidence: float32 [K, 17]: per joint, 0 to 1: the mean of its keypoints' confidences.
    warming: bool [K]: the lifter has seen less of this person than its receptive field.
    held: bool [K]: this person was not seen in this picture. Their keypoints are the last seen ones, at confidence 0.
    delay_ns: how long before the picture the people were as `joints_m` and `sigma_m` show them, ns; everything else is of the picture's
        time. 0 of a causal lifter. A symmetric one looks ahead, so live its poses come late, all by the same time.
    """

    joints_m: Array = rows(np.float32, 17, 3)
    sigma_m: Array = rows(np.float32, 17, 3)
    root_m: Array = rows(np.float32, 3)
    confidence: Array = rows(np.float32, 17)
    warming: Array = rows(np.bool_)
    held: Array = rows(np.bool_)
    delay_ns: int = 0
