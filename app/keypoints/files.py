"""2D keypoints as npz files: VideoPose3D's custom dataset, read and written, and the raw detections of its Detectron2 script, read.

A custom dataset holds `positions_2d` = {video: {"custom": [float [T, 17, 2 or 3]]}} (COCO order, px) and `metadata` with the joints' layout
and `video_metadata` = {video: {"w", "h"}}. Ours adds "fps" there, and `confidence` = {video: float32 [T, 17]} and `source`, the file
that they were made from, which other readers pass over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from app.atomic import at_once
from app.errors import UserError
from app.keypoints.object_arrays import Array, read_npz
from models.skeleton import COCO_MIRROR

MAX_NAME_BYTES = 255
"""Of a folder's name, on Linux's filesystems."""
_LEFT = [keypoint for keypoint, mirror in enumerate(COCO_MIRROR) if keypoint < mirror]


@dataclass(frozen=True)
class Clip:
    """One person's 2D keypoints through one video."""

    name: str
    """Fit to be a folder's name: see `clip_name`."""
    keypoints: npt.NDArray[np.float32]
    """float32 [T, 17, 3]: COCO order; x px, y px, confidence 0 to 1. x and y are NaN where nobody was seen, with confidence 0."""
    width_px: int
    height_px: int
    fps: Optional[float] = None
    """Frames per second, where the file says."""


def read_keypoints(path: Path) -> list[Clip]:
    """Every video of a keypoint file.

    Where the file has no confidence it is 1. A keypoint that is missing while others of the frame are there has confidence 0 and a place
    interpolated from the frames around. Raises UserError with what is wrong, and where.
    """
    content = read_npz(path)
    if {"boxes", "keypoints", "metadata"} <= content.keys():
        return [_detections(path, content)]
    try:
        videos, sizes = content["positions_2d"], content["metadata"]["video_metadata"]
    except (KeyError, TypeError, IndexError):
        raise UserError(f"{path}: no positions_2d and metadata with video_metadata; is it a VideoPose3D custom 2D dataset?") from None
    if not isinstance(videos, dict) or not isinstance(sizes, dict) or not videos:
        raise UserError(f"{path}: positions_2d and video_metadata must be dictionaries with a video each")
    confidence = content.get("confidence")
    if not isinstance(confidence, dict):
        confidence = {}
    return [_clip(f"{path}: {name!r}", name, video, sizes.get(name), confidence.get(name)) for name, video in videos.items()]


def clip_name(source: Path) -> str:
    """What to call the video in a file, or in a folder of pictures: its name without its ending, as far as that can be a folder's name."""
    return _fit(source.resolve().name if source.is_dir() else source.stem)


def write_keypoints(path: Path, clips: Sequence[Clip], source: str = "") -> dict[str, int]:
    """Write a custom dataset; for each video, the number of frames in which nobody was seen. `source`: what they were made from.

    The format has no word for nobody: in such frames the keypoints are interpolated linearly between the frames around, as upstream's own
    script does, and only `confidence` (0) tells. Raises UserError for a video with nobody in any frame, and for an unfit name.
    """
    for clip in clips:
        _check_name(str(path), clip.name)
        if np.isnan(clip.keypoints[..., :2]).all():
            raise UserError(f"{path}: nobody was seen in any of the {len(clip.keypoints)} frames of {clip.name}")
    layout = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [_LEFT, [COCO_MIRROR[left] for left in _LEFT]]}
    sizes = {clip.name: {"w": clip.width_px, "h": clip.height_px, **({"fps": clip.fps} if clip.fps else {})} for clip in clips}
    with at_once(path) as file:
        np.savez_compressed(
            file,
            positions_2d=np.array({clip.name: {"custom": [filled(clip.keypoints)[..., :2]]} for clip in clips}, object),
            metadata=np.array({**layout, "video_metadata": sizes}, object),
            confidence=np.array({clip.name: clip.keypoints[..., 2] for clip in clips}, object),
            source=np.array(source),
        )
    return {clip.name: int(_unseen(clip.keypoints).sum()) for clip in clips}


def filled(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Keypoints [T, 17, 3] whose missing x and y (NaN) are interpolated over the frames; one never seen is where the others are on average.

    Their confidence stays as it is. This is how VideoPose3D's own script prepares detections.
    """
    complete: npt.NDArray[np.float32] = keypoints.copy()
    frames = np.arange(len(complete))
    missing = np.isnan(complete[..., 0])
    never = missing.all(0)
    for keypoint in np.flatnonzero(~never):
        gap = missing[:, keypoint]
        for axis in range(2):
            complete[gap, keypoint, axis] = np.interp(frames[gap], frames[~gap], complete[~gap, keypoint, axis])
    if never.any() and not never.all():
        complete[:, never, :2] = complete[:, ~never, :2].mean(1, keepdims=True)
    return complete


def _clip(where: str, name: Any, video: Any, size: Any, confidence: Any) -> Clip:
    _check_name(where, name)
    try:
        cameras = video["custom"]
        found = [camera.array for camera in cameras]
        width_px, height_px, fps = int(size["w"]), int(size["h"]), size.get("fps")
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError):
        raise UserError(f"{where}: needs a list 'custom' with one array, and 'w' and 'h' in video_metadata") from None
    if len(found) != 1:
        raise UserError(f"{where}: holds {len(found)} cameras; one is read")
    if min(width_px, height_px) < 1 or not (fps is None or (isinstance(fps, (int, float)) and 0 < fps < np.inf)):
        raise UserError(f"{where}: {width_px}x{height_px} px at {fps} fps is no video")
    keypoints = _keypoints(where, found[0])
    if isinstance(confidence, Array) and confidence.array is not None:
        if confidence.array.shape != keypoints.shape[:2]:
            raise UserError(f"{where}: its confidence is {confidence.array.shape}, not {keypoints.shape[:2]}")
        keypoints[..., 2] = confidence.array
    return Clip(name, _completed(keypoints), width_px, height_px, float(fps) if fps else None)


def _keypoints(where: str, found: Any) -> npt.NDArray[np.float32]:
    """The array as float32 [T, 17, 3]."""
    if found is None or found.dtype == object:
        raise UserError(f"{where}: its keypoints are not one array of numbers")
    if found.ndim != 3 or found.shape[1] != 17 or found.shape[2] not in (2, 3):
        raise UserError(f"{where}: its keypoints are {found.shape}; needed are (frames, 17, 2 or 3), in COCO order")
    if not len(found):
        raise UserError(f"{where}: has no frames")
    keypoints = np.ones((*found.shape[:2], 3), np.float32)
    keypoints[..., : found.shape[2]] = found
    return keypoints


def _completed(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Every frame either with all keypoints in place, or with none: what is missing alone is interpolated, at confidence 0."""
    missing = ~np.isfinite(keypoints).all(-1)
    keypoints[missing] = (np.nan, np.nan, 0)
    keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
    nobody = _unseen(keypoints)
    keypoints = filled(keypoints)
    keypoints[nobody] = (np.nan, np.nan, 0)
    return keypoints


def _unseen(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """bool [T]: whether the frame has no keypoint at all."""
    unseen: npt.NDArray[np.bool_] = (np.isnan(keypoints[..., 0]) | (keypoints[..., 2] == 0)).all(-1)
    return unseen


def _detections(path: Path, content: dict[str, Any]) -> Clip:
    """The best box of every frame. Detectron2's score per keypoint is the height of a peak, not a confidence: it is left aside."""
    try:
        boxes, found, size = content["boxes"].array, content["keypoints"].array, content["metadata"]
        keypoints = np.full((len(found), 17, 3), (np.nan, np.nan, 0), np.float32)
        for frame, (of_boxes, of_keypoints) in enumerate(zip(boxes, found)):
            people = of_boxes[1]  # class 0 is the background
            if isinstance(people, Array) and people.array is not None and len(people.array):
                best = of_keypoints[1].array[people.array[:, 4].argmax()]
                keypoints[frame, :, :2], keypoints[frame, :, 2] = best[:2].T, 1
        return Clip(clip_name(path), _completed(keypoints), int(size["w"]), int(size["h"]))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        raise UserError(f"{path}: neither a custom 2D dataset nor detections of 17 keypoints per frame") from None


def _check_name(where: str, name: Any) -> None:
    if not isinstance(name, str) or name != _fit(name):
        raise UserError(f"{where}: {name!r:.300} cannot be the name of a folder; rename this video in the file")


def _fit(name: str) -> str:
    """`name` as far as it can be a folder's, one that is seen and that every terminal prints as it is."""
    letters = (letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name.lstrip("."))
    return "".join(letters).encode()[:MAX_NAME_BYTES].decode(errors="ignore") or "video"
