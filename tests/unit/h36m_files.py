"""Files of the form that VideoPose3D makes of Human3.6M, of people made up for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poselift.app.evaluation.h36m_cameras import CAMERAS
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS

FOCAL_PX = 1145.0
FRAMES = {"S9": {"Walking 1": 12, "Walking": 20, "TakingPhoto": 9}, "S11": {"Walking": 15, "Photo 2": 7, "Sitting 1": 11}}
COCO = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]}
H36M = {"num_joints": 17, "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]}

STANDING_M = {
    "hip": (0, 0, 0.93), "right_hip": (0, -0.13, 0.93), "right_knee": (0, -0.13, 0.48), "right_ankle": (0, -0.13, 0.05),
    "left_hip": (0, 0.13, 0.93), "left_knee": (0, 0.13, 0.48), "left_ankle": (0, 0.13, 0.05), "spine": (0, 0, 1.17),
    "thorax": (0, 0, 1.41), "neck": (0.03, 0, 1.52), "head": (0, 0, 1.68), "left_shoulder": (0, 0.16, 1.38),
    "left_elbow": (0.02, 0.3, 1.15), "left_wrist": (0.15, 0.3, 0.95), "right_shoulder": (0, -0.16, 1.38),
    "right_elbow": (0.02, -0.3, 1.15), "right_wrist": (0.15, -0.3, 0.95), "nose": (0.12, 0, 1.6), "left_eye": (0.1, 0.03, 1.63),
    "right_eye": (0.1, -0.03, 1.63), "left_ear": (0, 0.08, 1.62), "right_ear": (0, -0.08, 1.62),
}  # fmt: skip
"""Who faces the world's x axis and has their left at y; z is up."""


OF_32 = {
    "hip": 0, "right_hip": 1, "right_knee": 2, "right_ankle": 3, "left_hip": 6, "left_knee": 7, "left_ankle": 8, "spine": 12,
    "thorax": 13, "neck": 14, "head": 15, "left_shoulder": 17, "left_elbow": 18, "left_wrist": 19, "right_shoulder": 25,
    "right_elbow": 26, "right_wrist": 27,
}  # fmt: skip
"""The motion capture's numbers of the joints."""


def motion(frames: int, seed: int) -> dict[str, np.ndarray]:
    """The places [F, 3] of every named point of somebody who sways, each joint a little on its own."""
    random = np.random.default_rng(seed)
    t_s = np.arange(frames)[:, None] / 50
    together = 0.3 * np.sin(random.uniform(1, 3, 3) * t_s + random.uniform(0, 6, 3))
    return {
        name: np.array(place) + together + 0.05 * np.sin(random.uniform(2, 6, 3) * t_s + random.uniform(0, 6, 3))
        for name, place in STANDING_M.items()
    }


def contents(joints: int = 32, names: tuple[str, ...] = COCO_KEYPOINTS) -> tuple[dict[str, Any], dict[str, Any]]:
    """`positions_2d` and `positions_3d`; a video has three frames more than the motion capture."""
    seen: dict[str, Any] = {}
    true: dict[str, Any] = {}
    for number, (subject, takes) in enumerate(FRAMES.items()):
        seen[subject], true[subject] = {}, {}
        for take, frames in takes.items():
            points = motion(frames + 3, 100 * number + frames)
            world_m = np.stack([points[name] for name in H36M_JOINTS], 1)[:frames]
            all_m = np.full((frames, 32, 3), 1e6, np.float32)
            for joint, name in enumerate(H36M_JOINTS):
                all_m[:, OF_32[name]] = world_m[:, joint]
            true[subject][take] = all_m if joints == 32 else world_m.astype(np.float32)
            places = np.stack([points[name] for name in names], 1)
            views = [(camera, camera.to_camera(places)) for camera in CAMERAS[subject]]
            seen[subject][take] = [
                (FOCAL_PX * at[..., :2] / at[..., 2:] + (camera.width_px / 2, camera.height_px / 2)).astype(np.float32)
                for camera, at in views
            ]
    seen["S1"] = {"_ALL": [np.zeros(3)]}  # nobody asks for S1
    return seen, true


def write(folder: Path, seen: Any, true: Any, metadata: Any = COCO) -> tuple[Path, Path]:
    """The two files, as numpy writes them."""
    keypoints, positions = folder / "data_2d_h36m_made_up.npz", folder / "data_3d_h36m.npz"
    np.savez_compressed(keypoints, positions_2d=np.array(seen, object), metadata=np.array(metadata, object))
    np.savez_compressed(positions, positions_3d=np.array(true, object))
    return keypoints, positions
