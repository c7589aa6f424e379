"""`python -m poselift.models.training.comovement --motion FOLDER`: how the keypoints of moving people move together in a picture.

Writes models/weights/comovement.csv, by which `models/lifting/occlusion.py` guesses where a hidden keypoint is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from poselift.common.arrays import Doubles
from poselift.common.errors import ModelError
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINTS
from poselift.models.training.bodies import keypoints_of, plain_likeness
from poselift.models.training.cameras import project, random_cameras, to_camera_axes
from poselift.models.training.motion import Motion, load_motion, sample_motion

FRAMES = (3, 8, 15, 30)
"""Over how many frames at 30 Hz the moves are measured."""
SEQUENCES, BATCHES = 256, 40
FILE = Path(__file__).parents[1] / "weights" / "comovement.csv"


def comovement(motion: Motion, seed: int = 0) -> Doubles:
    """[21, 21]: mean product of two keypoints' moves along one axis of the picture, in squares of the body's size."""
    rng = np.random.default_rng(seed)
    total = np.zeros((len(KEYPOINTS), len(KEYPOINTS)))
    for _ in range(BATCHES):
        joints_m, _ = sample_motion(motion, rng, SEQUENCES, max(FRAMES) + 1)
        points_m = keypoints_of(joints_m, plain_likeness(SEQUENCES, joints_m.shape[1]))
        points = project(to_camera_axes(points_m, random_cameras(rng, joints_m))).astype(np.float64)
        points /= np.ptp(points[:, :, : len(COCO_KEYPOINTS)], axis=2).max(-1).mean(1)[:, None, None, None]
        for frames in FRAMES:
            moves = points[:, frames] - points[:, 0]
            total += np.einsum("nic,njc->ij", moves, moves)
    return total / (2 * BATCHES * SEQUENCES * len(FRAMES))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m poselift.models.training.comovement", description=__doc__)
    parser.add_argument("--motion", type=Path, required=True, help="folder with cmu_h36m17.npz, cmu_feet.npz and cmu_more.npz")
    parser.add_argument("-o", "--output", type=Path, default=FILE)
    arguments = parser.parse_args()
    together = comovement(load_motion(arguments.motion, "train"))
    np.savetxt(arguments.output, together, "%.8f", ",", header=",".join(KEYPOINTS))


if __name__ == "__main__":
    try:
        main()
    except ModelError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
