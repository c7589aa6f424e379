"""Which motion, seen from where, done by whom: the rendered videos and their truth."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from bench.part import require
from poselift.common.arrays import Floats
from poselift.models.training.cameras import camera_rotation
from poselift.models.training.recordings import HELD_OUT, subject
from poselift.models.training.rendered.body import Body, load_body
from poselift.models.training.rendered.looks import LOOKS, dress
from poselift.models.training.rendered.pose import Motion, coco_truth, pose, skin
from poselift.models.training.rendered.scene import Camera, Room
from poselift.models.training.rendered.truth import keypoints

FPS = 30
WIDTH_PX, HEIGHT_PX = 960, 540
FILLED = 0.66
"""Part of the picture's height that a standing person fills, where their way leaves room for it."""
MARGIN = 0.05
REVISION = 2
"""One higher when the pictures change: older files are then rendered anew."""


class Shot(NamedTuple):
    """A piece of recorded motion, and how it is filmed."""

    motion: str
    start_s: float
    seconds: float
    look: int
    facing_deg: float
    """How far the person is turned away from the camera at first, on average over the clip: 0 towards it, 90 seen from
    their left, 180 from behind."""
    elevation_deg: float
    """From above."""
    focal: float
    """In the picture's longer sides."""
    roll_deg: float = 0
    """By which the camera is turned about its own axis."""

    @property
    def name(self) -> str:
        """Fit for a file."""
        rolled = f"-rolled{self.roll_deg:+.0f}" if self.roll_deg else ""
        return f"{self.motion.replace('/', '-')}-{self.facing_deg:03.0f}{rolled}"

    @property
    def held_out(self) -> bool:
        """Of a subject that judges, not of one that recipes are chosen by."""
        return subject(self.motion) in HELD_OUT


SHOTS = (
    Shot("bvh/05_02", 2.0, 4.5, 1, 15, 5, 1.1),
    Shot("bvh/05_03", 0.0, 3.6, 3, 155, 12, 1.4),
    Shot("bvh/05_05", 1.5, 4.5, 1, 75, 2, 0.9),
    Shot("bvh/05_06", 1.0, 4.5, 3, 250, 8, 1.2),
    Shot("bvh/05_09", 3.0, 4.5, 1, 330, 20, 1.6),
    Shot("bvh/05_11", 0.2, 4.5, 3, 195, -3, 1.0),
    Shot("bvh/05_17", 4.0, 4.5, 1, 120, 15, 1.3),
    Shot("amc/135_02", 20.0, 4.5, 0, 45, 10, 1.1),
    Shot("amc/135_04", 3.0, 4.5, 4, 180, 6, 0.85),
    Shot("amc/135_07", 5.0, 4.5, 2, 20, 22, 1.5),
    Shot("amc/135_11", 8.0, 4.5, 4, 285, 0, 1.1),
    Shot("amc/02_05", 5.0, 4.5, 2, 160, 10, 1.2),
    Shot("amc/02_06", 5.5, 4.5, 0, 60, 5, 1.0),
    Shot("amc/02_10", 0.5, 4.5, 4, 190, 18, 1.4),
    Shot("amc/08_04", 0.0, 4.0, 2, 300, 3, 0.9),
)
ROLLS_DEG = (25, -40, 30, -20, 35, -30, 20, -35, 40, -25, 30)
"""Of the cameras before which those that are held out are seen once more."""
ROLLED = tuple(shot._replace(roll_deg=roll) for shot, roll in zip([shot for shot in SHOTS if shot.held_out], ROLLS_DEG))


class Truth(NamedTuple):
    """What is seen in a rendered video; the camera's axes are x right, y down, z forward, metres."""

    points_m: Floats
    """[T, 21, 3]: the keypoints on the body"""
    points_px: Floats
    """[T, 21, 2]"""
    trunk: Floats
    """[T, 3, 3]: the chest's left, up and forward, in rows"""
    focal_px: float


def load_motion(path: Path, shot: Shot) -> Floats:
    """The shot's joints [T, 17, 3] at FPS, metres, z up, the first hip above the origin."""
    with np.load(path) as file:
        names = [str(name) for name in file["clip_name"]]
        require(shot.motion in names, f"{path}: it has no clip {shot.motion}")
        clip = names.index(shot.motion)
        start, length, fps = int(file["clip_start"][clip]), int(file["clip_length"][clip]), float(file["fps"][clip])
        joints_m = file["joints_m"][start : start + length].astype(np.float32)
    padded = np.pad(joints_m, ((2, 2), (0, 0), (0, 0)), mode="edge")
    shares = np.array([0.1, 0.2, 0.4, 0.2, 0.1], np.float32)  # half floats tremble by a millimetre
    joints_m = np.asarray(np.tensordot(shares, np.stack([padded[i : i + length] for i in range(len(shares))]), 1), np.float32)
    first = round(shot.start_s * fps)
    kept: Floats = joints_m[first : first + round(shot.seconds * fps)][:: max(1, round(fps / FPS))]
    return np.asarray(kept - np.array([*kept[0, 0, :2], 0], np.float32), np.float32)


def video_of(shot: Shot, archive: Path, motion_path: Path, folder: Path) -> tuple[Path, Truth]:
    """The shot's video and truth in `folder`, NAME.mp4 and NAME.npz, rendered where they are not there yet."""
    video, truth = folder / f"{shot.name}.mp4", folder / f"{shot.name}.npz"
    made = f"{REVISION} {shot}"
    if not (video.is_file() and _made(truth) == made):
        for old in folder.glob(f"{shot.name}.*"):  # and what the peer said of it
            old.unlink()
        np.savez(truth, **_render(shot, archive, motion_path, video)._asdict(), made=made)
    with np.load(truth) as file:
        return video, Truth(file["points_m"], file["points_px"], file["trunk"], float(file["focal_px"]))


def _made(truth: Path) -> str:
    """By what the file was made; empty where there is none."""
    if not truth.is_file():
        return ""
    with np.load(truth) as file:
        return str(file["made"])


def _render(shot: Shot, archive: Path, motion_path: Path, video: Path) -> Truth:
    rng = np.random.default_rng([ord(letter) for letter in shot.name])
    look = LOOKS[shot.look]
    dressed = dress(load_body(archive, look.shapes), look)
    motion = pose(dressed.bare, load_motion(motion_path, shot), rng)
    camera = place(shot, dressed.bare, motion)
    room = Room(camera, rng)
    with av.open(str(video), "w") as out:
        stream = out.add_stream("libx264", FPS, {"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for t in range(len(motion.head_m)):
            picture = room.picture(dressed, look, skin(dressed.body, motion, t))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        out.mux(stream.encode())
    return truth_of(dressed.bare, motion, camera)


def truth_of(body: Body, motion: Motion, camera: Camera) -> Truth:
    """Where everything is."""
    points_m = keypoints(body, motion)
    left, up, forward = np.eye(3)[0], np.eye(3)[2], -np.eye(3)[1]
    chest = motion.rotation[:, 3] @ np.stack([left, up, forward], -1)  # columns
    return Truth(camera.axes_of(points_m), camera.pixels_of(points_m), np.swapaxes(camera.rotation @ chest, -1, -2), camera.focal_px)


def place(shot: Shot, body: Body, motion: Motion) -> Camera:
    """A camera at the middle of the person's way, far enough to see all of it."""
    heading = motion.rotation[:, 0] @ np.array([0, -1, 0])  # where the pelvis points
    towards = np.arctan2(*heading.mean(0)[1::-1]) + np.radians(shot.facing_deg)
    elevation = np.radians(shot.elevation_deg)
    rotation = camera_rotation([towards + np.pi / 2], [elevation], [np.radians(shot.roll_deg)])[0]
    points_m = np.concatenate([coco_truth(body, motion), motion.head_m], 1).reshape(-1, 3)
    middle = (points_m.min(0) + points_m.max(0)) / 2
    focal_px = shot.focal * WIDTH_PX
    standing_m = float(np.ptp(body.vertices_m[:, 2]))
    distance = standing_m * focal_px / (FILLED * HEIGHT_PX)
    while True:
        camera = Camera(rotation, (middle - distance * rotation[2]).astype(np.float32), focal_px, WIDTH_PX, HEIGHT_PX)
        off = np.abs(camera.pixels_of(points_m) - (WIDTH_PX / 2, HEIGHT_PX / 2)) / (WIDTH_PX / 2, HEIGHT_PX / 2)
        if off.max() <= 1 - 2 * MARGIN and camera.axes_of(points_m)[:, 2].min() > 0.5:
            return camera
        distance *= 1.05
