"""poses.npz: the 3D poses as plain arrays, one row per (frame, person)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from poselift.app.dataflow.messages import SCHEMA, Pose3D
from poselift.app.export import Content
from poselift.common.atomic import at_once
from poselift.common.skeleton import JOINTS, KEYPOINTS

_ROWS = {item.name: item.metadata for item in fields(Pose3D) if "dtype" in item.metadata}


def write_poses(
    path: Path,
    poses: Iterable[Pose3D],
    *,
    fps: float,
    body_height_m: float,
    body_heights_m: Mapping[int, float] = MappingProxyType({}),
    source: str = "",
) -> int:
    """Write the poses of one stream to `path`; how many rows.

    The file has K rows, one per (frame, person) in the order of `poses`:

    - `person`, `keypoints` (in the order of `keypoint_names`), `joints_m` (of `joint_names`), `sigma_m`, `root_m`, `confidence`, `contact`
      (of the last four of `joint_names`), `warming` and `held`: as in `poselift.common.people.People3D`, a row each;
    - `frame` int64 [K], `t_s` float64 [K]: the picture's number, and its time, seconds; `delay_s` float64 [K]: `delay_ns`, in seconds;
    - `size_px` int64 [K, 2]: width and height of the row's picture, in whose pixels `keypoints` are;
    - `person_height_m` float64 [K]: how tall the person was taken to be, metres: `body_height_m`, unless their id has another;
    - `fps` (0 where the source has none), `width`, `height` (of the first picture, px; 0 where there was none), `body_height_m`, `schema`;
    - `source`: the file or the folder that the poses were made from.

    The file is there as a whole or not at all.
    """
    rows: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in _ROWS}
    frames: list[int] = []
    times_ns: list[int] = []
    delays_ns: list[int] = []
    sizes_px: list[tuple[int, int]] = []
    first_px = (0, 0)
    for pose in poses:
        size_px = pose.width_px, pose.height_px
        first_px = size_px if first_px == (0, 0) else first_px
        sizes_px += [size_px] * len(pose.person)
        frames += [pose.frame] * len(pose.person)
        times_ns += [pose.t_ns] * len(pose.person)
        delays_ns += [pose.delay_ns] * len(pose.person)
        for name, found in rows.items():
            found.append(getattr(pose, name))
    stacked: dict[str, Any] = {
        name: np.concatenate([np.empty((0, *_ROWS[name]["shape"]), _ROWS[name]["dtype"]), *found]) for name, found in rows.items()
    }
    with at_once(path) as file:
        np.savez(
            file,
            frame=np.array(frames, np.int64),
            t_s=np.array(times_ns, np.int64) / 1e9,
            delay_s=np.array(delays_ns, np.int64) / 1e9,
            **stacked,
            person_height_m=np.array([body_heights_m.get(person, body_height_m) for person in stacked["person"].tolist()], np.float64),
            size_px=np.array(sizes_px, np.int64).reshape(-1, 2),
            joint_names=np.array(JOINTS),
            keypoint_names=np.array(KEYPOINTS),
            fps=np.float64(fps),
            width=np.int64(first_px[0]),
            height=np.int64(first_px[1]),
            body_height_m=np.float64(body_height_m),
            schema=np.int64(SCHEMA),
            source=np.array(source),
        )
    return len(frames)


def write(path: Path, content: Content) -> str:
    """See `poselift.app.export.Format`."""
    rows = write_poses(
        path,
        content.poses(),
        fps=content.fps,
        body_height_m=content.body_height_m,
        body_heights_m=content.body_heights_m,
        source=content.source,
    )
    return f": {rows} poses"


def made_from(path: Path) -> Any:
    """See `poselift.app.export.Format`; for keypoints in an npz, too."""
    with np.load(path, allow_pickle=False) as file:
        return file["source"].item()
