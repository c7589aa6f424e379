"""2D keypoints as npz files: VideoPose3D's custom dataset, read and written, and the raw detections of its Detectron2 script, read.

A custom dataset holds `positions_2d` = {video: {"custom": [float [T, 17, 2 or 3]]}} (COCO order, px) and `metadata` with the joints' layout
and `video_metadata` = {video: {"w", "h"}}. Instead of the 17 there may be 21 (KEYPOINTS, layout "coco+feet"), which VideoPose3D's networks
cannot take. So ours keeps to the 17 and adds what other readers pass over: "fps" in `video_metadata`, `confidence` = {video: float32
[T, 17]}, `feet` = {video: float32 [T, 4, 3]} (FEET; x px, y px, confidence), `depth` = {video: float32 [T, 21]} (`Clip.depth_px`) and
`source`, the file that they were made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from poselift.app.keypoints.object_arrays import Array, read_npz
from poselift.common.atomic import at_once
from poselift.common.errors import UserError
from poselift.common.people import with_feet
from poselift.common.skeleton import COCO_KEYPOINTS, FEET, KEYPOINT_MIRROR, KEYPOINTS

MAX_NAME_BYTES = 255
"""Of a folder's name, on Linux's filesystems."""
NORMALISED = 3.0
"""Keypoints that nearly all have coordinates up to this are no pixels: nobody is so small."""


class _Layout(NamedTuple):
    """An order of keypoints that is read."""

    name: str
    spellings: tuple[str, ...]
    """How files say it; letters and digits alone."""
    keypoints: tuple[str, ...]

    @property
    def sides(self) -> list[list[int]]:
        """The keypoints on the left, and their counterparts on the right."""
        left = [keypoint for keypoint, name in enumerate(self.keypoints) if name.startswith("left")]
        return [left, [KEYPOINT_MIRROR[keypoint] for keypoint in left]]


_COCO = _Layout("coco", ("coco", "coco17", "mscoco"), COCO_KEYPOINTS)
_LAYOUTS = (_COCO, _Layout("coco+feet", ("cocofeet", "coco21"), KEYPOINTS))
_BODY = len(COCO_KEYPOINTS)
_NEEDED = (
    f"needed are COCO's {_BODY} keypoints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right; "
    f"{', '.join(FEET).replace('_', ' ')} may follow"
)


@dataclass(frozen=True)
class Clip:
    """One person's 2D keypoints through one video."""

    name: str
    """Fit to be a folder's name: see `clip_name`."""
    keypoints: npt.NDArray[np.float32]
    """float32 [T, 21, 3]: KEYPOINTS; x px, y px, confidence 0 to 1. Where nobody was seen x and y are NaN, and a foot's that was never seen
    are 0, with confidence 0."""
    width_px: int
    height_px: int
    fps: Optional[float] = None
    """Frames per second, where the file says."""
    depth_px: Optional[npt.NDArray[np.float32]] = None
    """float32 [T, 21]: as in `poselift.common.people.Detected2D`; None where nobody tells."""


def read_keypoints(path: Path) -> list[Clip]:
    """Every video of a keypoint file, of 17 keypoints or of 21.

    Where the file has no confidence it is 1. A keypoint that is missing (not finite, or at (0, 0), where other tools put what they did not
    see) while others of the frame are there has confidence 0 and a place interpolated from the frames around (see `filled`). Raises
    UserError with what is wrong, and where: also for keypoints of another order than COCO's, as far as the file says, and for coordinates
    that are no pixels.
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
    counts = _counts(path, content["metadata"])
    beside = [of if isinstance(of, dict) else {} for of in map(content.get, ("confidence", "feet", "depth"))]
    return [
        _clip(f"{path}: {name!r}", name, video, sizes.get(name), counts, *(of.get(name) for of in beside)) for name, video in videos.items()
    ]


def clip_name(source: Path) -> str:
    """What to call the video in a file, or in a folder of pictures: its name without its ending, as far as that can be a folder's name."""
    return _fit(source.resolve().name if source.is_dir() else source.stem)


def write_keypoints(path: Path, clips: Sequence[Clip], source: str = "") -> dict[str, int]:
    """Write a custom dataset; for each video, the number of frames in which nobody was seen. `source`: what they were made from.

    Clips may have the 17 keypoints alone.

    The format has no word for nobody: in such frames the keypoints are interpolated linearly between the frames around, as upstream's own
    script does, and only `confidence` (0) tells. Raises UserError for a video with nobody in any frame, and for an unfit name.
    """
    for clip in clips:
        _check_name(str(path), clip.name)
        if np.isnan(clip.keypoints[..., :2]).all():
            raise UserError(f"{path}: nobody was seen in any of the {len(clip.keypoints)} frames of {clip.name}")
    layout = {"layout_name": _COCO.name, "num_joints": _BODY, "keypoints_symmetry": _COCO.sides}
    whole = {clip.name: _whole(with_feet(clip.keypoints)) for clip in clips}
    sizes = {clip.name: {"w": clip.width_px, "h": clip.height_px, **({"fps": clip.fps} if clip.fps else {})} for clip in clips}
    with at_once(path) as file:
        np.savez_compressed(
            file,
            positions_2d=np.array({name: {"custom": [keypoints[:, :_BODY, :2]]} for name, keypoints in whole.items()}, object),
            metadata=np.array({**layout, "video_metadata": sizes}, object),
            confidence=np.array({name: keypoints[:, :_BODY, 2] for name, keypoints in whole.items()}, object),
            feet=np.array({name: keypoints[:, _BODY:] for name, keypoints in whole.items()}, object),
            depth=np.array({clip.name: clip.depth_px for clip in clips if clip.depth_px is not None}, object),
            source=np.array(source),
        )
    return {clip.name: int(_unseen(clip.keypoints).sum()) for clip in clips}


def filled(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Keypoints [T, 21, 3] whose missing x and y (NaN) are interpolated over the frames; their confidence stays as it is.

    One of the 17 that was never seen is where the others are on average: this is how VideoPose3D's own script prepares detections. A foot's
    is at (0, 0).
    """
    complete: npt.NDArray[np.float32] = keypoints.copy()
    frames = np.arange(len(complete))
    missing = np.isnan(complete[..., 0])
    never: npt.NDArray[np.bool_] = np.all(missing, 0)
    for keypoint in np.flatnonzero(~never):
        gap = missing[:, keypoint]
        for axis in range(2):
            complete[gap, keypoint, axis] = np.interp(frames[gap], frames[~gap], complete[~gap, keypoint, axis])
    if not never[:_BODY].all():
        body, feet = complete[:, :_BODY], complete[:, _BODY:]
        body[:, never[:_BODY], :2] = body[:, ~never[:_BODY], :2].mean(1, keepdims=True)
        feet[:, never[_BODY:], :2] = 0
    return complete


def _counts(path: Path, metadata: dict[str, Any]) -> list[int]:
    """How many keypoints there may be by what the file says of their order. Raises UserError where it says another than ours."""
    name, symmetry = metadata.get("layout_name"), _rows(metadata.get("keypoints_symmetry"))
    said = "".join(filter(str.isalnum, str(name).casefold()))
    layouts = [layout for layout in _LAYOUTS if not name or said in layout.spellings]
    if not layouts:
        raise UserError(f"{path}: its layout_name is {name!r:.40}; {_NEEDED}")
    try:
        left, right = (
            (np.array(_rows(side), np.int64).tolist() for side in symmetry) if symmetry is not None and len(symmetry) else ([], [])
        )
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path}: its keypoints_symmetry is not a list of those on the left and one of those on the right") from None
    if left or right:
        pairs = set(zip(left, right)) if len(left) == len(right) else set()
        layouts = [layout for layout in layouts if pairs == set(zip(*layout.sides))]
    if not layouts:
        raise UserError(f"{path}: by its keypoints_symmetry the keypoints {left} are left, and {right} right; {_NEEDED}")
    return [len(layout.keypoints) for layout in layouts]


def _clip(where: str, name: Any, video: Any, size: Any, counts: list[int], confidence: Any, feet: Any, depth: Any) -> Clip:
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
    given = _keypoints(where, found[0], counts)
    if confidence is not None:
        given[..., 2] = _beside(f"{where}: its confidence is", confidence, given.shape[:2])
    keypoints = with_feet(given)
    if feet is not None:
        keypoints[:, _BODY:] = _beside(f"{where}: its feet are", feet, (len(given), len(FEET), 3))
    depth_px = None if depth is None else _beside(f"{where}: its depth is", depth, keypoints.shape[:2])
    return Clip(name, _completed(where, keypoints, width_px, height_px), width_px, height_px, float(fps) if fps else None, depth_px)


def _keypoints(where: str, found: Any, counts: list[int]) -> npt.NDArray[np.float32]:
    """The array as float32 [T, as many as it has, 3]."""
    if found is None or found.dtype.kind not in "fiu":
        raise UserError(f"{where}: its keypoints are not one array of numbers")
    if found.ndim != 3 or found.shape[1] not in counts or found.shape[2] not in (2, 3):
        wanted = f"(frames, {' or '.join(map(str, counts))}, 2 or 3)"
        raise UserError(f"{where}: its keypoints are {found.shape}, not {wanted}; {_NEEDED}")
    if not len(found):
        raise UserError(f"{where}: has no frames")
    keypoints = np.ones((*found.shape[:2], 3), np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and so is missing
        keypoints[..., : found.shape[2]] = found
    return keypoints


def _beside(what: str, value: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """What a file has beside a video's keypoints, in that shape."""
    found = _numbers(value)
    if found is None or found.shape != shape:
        raise UserError(f"{what} {'not one array of numbers' if found is None else f'{found.shape}, not {shape}'}")
    return found


def _completed(where: str, keypoints: npt.NDArray[np.float32], width_px: int, height_px: int) -> npt.NDArray[np.float32]:
    """Every frame either with all keypoints in place, or with none: what is missing alone is interpolated, at confidence 0."""
    missing = _missing(keypoints)
    seen = keypoints[~missing, :2]
    if min(width_px, height_px) > 10 * NORMALISED and seen.size and np.percentile(np.abs(seen), 95) <= NORMALISED:
        raise UserError(
            f"{where}: in a picture of {width_px}x{height_px} px all keypoints are within {NORMALISED:g} px of its corner; "
            "they seem to be normalised: multiply them by its size"
        )
    keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
    nobody = _unseen(keypoints)
    keypoints = _whole(keypoints)
    keypoints[nobody] = (np.nan, np.nan, 0)
    return keypoints


def _whole(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The keypoints with a place for what is missing, at confidence 0."""
    seen = keypoints.copy()
    seen[_missing(keypoints)] = (np.nan, np.nan, 0)
    return filled(seen)


def _missing(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """bool [T, 21]: whether anything of the keypoint is not a number that can be used, or it is at (0, 0)."""
    return np.asarray(~np.isfinite(keypoints).all(-1) | (keypoints[..., :2] == 0).all(-1))


def _unseen(keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """bool [T]: whether the frame has none of the 17; feet alone are nobody."""
    body = keypoints[:, :_BODY]
    unseen: npt.NDArray[np.bool_] = (_missing(body) | (body[..., 2] == 0)).all(-1)
    return unseen


def _detections(path: Path, content: dict[str, Any]) -> Clip:
    """The best box of every frame. Detectron2's score per keypoint is the height of a peak, not a confidence: it is left aside."""
    try:
        width_px, height_px = int(content["metadata"]["w"]), int(content["metadata"]["h"])
    except (KeyError, TypeError, IndexError, ValueError, OverflowError):
        raise UserError(f"{path}: its metadata need 'w' and 'h', the size of the picture in px") from None
    boxes, found = (_rows(content[name]) for name in ("boxes", "keypoints"))
    try:
        keypoints = np.zeros((len(found), len(KEYPOINTS), 3), np.float32)
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
            keypoints[frame, :_BODY, :2], keypoints[frame, :_BODY, 2] = best[:2].T, 1
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        raise UserError(f"{path}: neither a custom 2D dataset nor detections of {_BODY} keypoints per frame") from None
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
