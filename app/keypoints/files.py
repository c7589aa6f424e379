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

from poselift.app.keypoints.object_arrays import Array, read_npz
from poselift.common.atomic import at_once
from poselift.common.errors import UserError
from poselift.common.skeleton import COCO_MIRROR

MAX_NAME_BYTES = 255
"""Of a folder's name, on Linux's filesystems."""
NORMALISED = 3.0
"""Keypoints that nearly all have coordinates up to this are no pixels: nobody is so small."""
_LEFT = [keypoint for keypoint, mirror in enumerate(COCO_MIRROR) if keypoint < mirror]
_RIGHT = [COCO_MIRROR[keypoint] for keypoint in _LEFT]
_COCO_NAMES = ("coco", "coco17", "mscoco")


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

    Where the file has no confidence it is 1. A keypoint that is missing (not finite, or at (0, 0), where other tools put what they did not
    see) while others of the frame are there has confidence 0 and a place interpolated from the frames around. Raises UserError with what is
    wrong, and where: also for keypoints of another order than COCO's, as far as the file says, and for coordinates that are no pixels.
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
    _check_layout(path, content["metadata"])
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
    layout = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": [_LEFT, _RIGHT]}
    sizes = {clip.name: {"w": clip.width_px, "h": clip.height_px, **({"fps": clip.fps} if clip.fps else {})} for clip in clips}
    with at_once(path) as file:
        np.savez_compressed(
            file,
            positions_2d=np.array({clip.name: {"custom": [filled(clip.keypoints)[..., :2]]} for clip in clips}, object),
            metadata=np.array({**layout, "video_metadata": sizes}, object),
            confidence=np.array({clip.name: np.where(_missing(clip.keypoints), 0, clip.keypoints[..., 2]) for clip in clips}, object),
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


def _check_layout(path: Path, metadata: dict[str, Any]) -> None:
    """Raise UserError where the file says that its keypoints are in another order than COCO's."""
    needed = "needed are COCO's 17 keypoints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right"
    name, symmetry = metadata.get("layout_name"), _rows(metadata.get("keypoints_symmetry"))
    if name and "".join(filter(str.isalnum, str(name).casefold())) not in _COCO_NAMES:
        raise UserError(f"{path}: its layout_name is {name!r:.40}; {needed}")
    if symmetry is None:
        return
    try:
        left, right = (np.array(_rows(side), np.int64).tolist() for side in symmetry) if len(symmetry) else ([], [])
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: its keypoints_symmetry is not a list of those on the left and one of those on the right") from None
    if (left or right) and (len(left) != len(right) or set(zip(left, right)) != set(zip(_LEFT, _RIGHT))):
        raise UserError(f"{path}: by its keypoints_symmetry the keypoints {left} are left, and {right} right; {needed}")


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
    if confidence is not None:
        scores = _numbers(confidence)
        if scores is None or scores.shape != keypoints.shape[:2]:
            what = "not one array of numbers" if scores is None else f"{scores.shape}, not {keypoints.shape[:2]}"
            raise UserError(f"{where}: its confidence is {what}")
        keypoints[..., 2] = scores
    return Clip(name, _completed(where, keypoints, width_px, height_px), width_px, height_px, float(fps) if fps else None)


def _keypoints(where: str, found: Any) -> npt.NDArray[np.float32]:
    """The array as float32 [T, 17, 3]."""
    if found is None or found.dtype.kind not in "fiu":
        raise UserError(f"{where}: its keypoints are not one array of numbers")
    if found.ndim != 3 or found.shape[1] != 17 or found.shape[2] not in (2, 3):
        raise UserError(f"{where}: its keypoints are {found.shape}; needed are (frames, 17, 2 or 3), in COCO order")
    if not len(found):
        raise UserError(f"{where}: has no frames")
    keypoints = np.ones((*found.shape[:2], 3), np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and so is missing
        keypoints[..., : found.shape[2]] = found
    return keypoints


def _completed(where: str, keypoints: npt.NDArray[np.float32], width_px: int, height_px: int) -> npt.NDArray[np.float32]:
    """Every frame either with all keypoints in place, or with none: what is missing alone is interpolated, at confidence 0."""
    missing = _missing(keypoints) | (keypoints[..., :2] == 0).all(-1)
    seen = keypoints[~missing, :2]
    if min(width_px, height_px) > 10 * NORMALISED and seen.size and np.percentile(np.abs(seen), 95) <= NORMALISED:
        raise UserError(
            f"{where}: in a picture of {width_px}x{height_px} px all keypoints are within {NORMALISED:g} px of its corner; "
            "they seem to be normalised: multiply them by its size"
        )
    keypoints[missing] = (np.nan, np.nan, 0)
    keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
    nobody = _unseen(keypoints)
    keypoints = filled(keypoints)
    keypoints[nobody] = (np.nan, np.nan, 0)
    return keypoints


def _missing(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """bool [T, 17]: whether anything of the keypoint is not a number that can be used."""
    return np.asarray(~np.isfinite(keypoints).all(-1))


def _unseen(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """bool [T]: whether the frame has no keypoint at all."""
    unseen: npt.NDArray[np.bool_] = (np.isnan(keypoints[..., 0]) | (keypoints[..., 2] == 0)).all(-1)
    return unseen


def _detections(path: Path, content: dict[str, Any]) -> Clip:
    """The best box of every frame. Detectron2's score per keypoint is the height of a peak, not a confidence: it is left aside."""
    try:
        width_px, height_px = int(content["metadata"]["w"]), int(content["metadata"]["h"])
    except (KeyError, TypeError, IndexError, ValueError, OverflowError):
        raise UserError(f"{path}: its metadata need 'w' and 'h', the size of the picture in px") from None
    boxes, found = (_rows(content[name]) for name in ("boxes", "keypoints"))
    try:
        keypoints = np.full((len(found), 17, 3), (np.nan, np.nan, 0), np.float32)
        if len(boxes) != len(found) or not len(found):
            raise UserError(f"{path}: boxes of {len(boxes)} frames, and keypoints of {len(found)}")
        for frame in range(len(found)):
            of_boxes, of_people = _numbers(boxes[frame][1]), _numbers(found[frame][1])  # class 0 is the background
            if of_boxes is None or of_people is None:
                raise ValueError
            if not (of_boxes.size and of_people.size):
                continue
            if len(of_boxes) != len(of_people):
                raise UserError(f"{path}: in frame {frame} there are {len(of_boxes)} boxes, and keypoints of {len(of_people)} people")
            best = of_people[np.nan_to_num(of_boxes[:, 4], nan=-np.inf).argmax()]
            keypoints[frame, :, :2], keypoints[frame, :, 2] = best[:2].T, 1
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        raise UserError(f"{path}: neither a custom 2D dataset nor detections of 17 keypoints per frame") from None
    return Clip(clip_name(path), _completed(str(path), keypoints, width_px, height_px), width_px, height_px)


def _rows(value: Any) -> Any:
    return value.array if isinstance(value, Array) else value


def _numbers(value: Any) -> Optional[npt.NDArray[np.float32]]:
    """An array, or lists of numbers or arrays, as float32; None where it is no such thing."""
    value = _rows(value)
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object and value.ndim):
        value = [_rows(item) for item in value]
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and so is missing
            return None if value is None else np.array(value, np.float32)
    except (TypeError, ValueError):
        return None


def _check_name(where: str, name: Any) -> None:
    if not isinstance(name, str) or name != _fit(name):
        raise UserError(f"{where}: {name!r:.300} cannot be the name of a folder; rename this video in the file")


def _fit(name: str) -> str:
    """`name` as far as it can be a folder's, one that is seen and that every terminal prints as it is."""
    letters = (letter if letter.isprintable() and letter not in "/\\" else "_" for letter in name.lstrip("."))
    return "".join(letters).encode()[:MAX_NAME_BYTES].decode(errors="ignore") or "video"
