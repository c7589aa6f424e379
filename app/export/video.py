"""The poses as a video: left the picture with 2D keypoints, right the 3D skeleton, in H.264 at the source's own times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Optional

import av
import cv2
import numpy as np
import numpy.typing as npt

from poselift.app.dataflow.messages import Pose3D
from poselift.app.export import Content, Drawn
from poselift.app.export.drawing import draw_person, is_drawn, write_id, write_text
from poselift.app.export.palette import BACKGROUND, HELD, LEFT, RIGHT, SHADE, Colour, colour_of
from poselift.app.export.scene import Scene
from poselift.common.arrays import Pixels
from poselift.common.atomic import replacing
from poselift.common.errors import UserError
from poselift.common.skeleton import BODY_HEIGHT_M, H36M_JOINTS

MAX_WIDTH_PX, MAX_HEIGHT_PX, MIN_HEIGHT_PX, MIN_SIDE_PX = 1280, 720, 480, 240
"""Bounds of the left panel, which has the first picture's shape; no side is below the last, so a strip has bars beside it. The right panel
is as high, and between half and all of that wide."""

_MADE_FROM = "made by poselift from "
"""So begins a video's comment; what the poses were made from follows."""

_CAPTION_PX, _ABOVE_PX = 190, 26
"""At most so long is what is said of one person; so far above the head is the id."""
_TICKS_PER_S = 90_000
_MOST_TICKS = 2**31 - 1
"""Of one picture in MP4: 6.6 hours. Where one lasts longer, the clock ticks slower."""
_LONG_S = 600.0
"""Where a picture lasts so long, none is stored before its turn: that would take up to three times as many ticks."""
_DEFAULT_FPS = 30.0
_X264_FPS = (1, 1000)
"""Between these is the rate that the encoder is told; it only spends its bits by it."""


def render(
    frames: Iterable[Drawn],
    path: Path,
    fps: float,
    progress: Optional[Callable[[], None]] = None,
    *,
    body_height_m: float = BODY_HEIGHT_M,
    longest_s: float = 0.0,
    source: str = "",
) -> int:
    """Write the video, one picture per frame and at the frame's time; how many. `fps` is the source's nominal rate, 0 where unknown.

    `longest_s` is the longest time between two frames, to be known where it may be hours. `source` is what the poses were made from; the
    file's comment says so. `progress` is called after every frame. Where a frame has no picture, the keypoints are drawn on a plain panel.
    A picture of another size than the first is fitted into its place. The file is there as a whole or not at all. Raises UserError where
    there are no frames.
    """
    fps = fps or _DEFAULT_FPS
    longest_s = max(longest_s, 1 / fps)
    ticks_per_s = max(1, min(_TICKS_PER_S, int(_MOST_TICKS / longest_s)))
    options = {"movflags": "faststart", "video_track_timescale": str(ticks_per_s)}
    drawn = 0
    with replacing(path) as part, av.open(str(part), "w", format="mp4", options=options) as container:
        if source:
            container.metadata["comment"] = f"{_MADE_FROM}{source}"
        stream: Any = None
        last_pts = -1
        for canvas, t_s in draw(frames, body_height_m):
            if stream is None:
                stream = _stream(container, fps, ticks_per_s, longest_s < _LONG_S, canvas)
            yuv = av.VideoFrame.from_ndarray(cv2.cvtColor(canvas, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
            last_pts = max(round(t_s * ticks_per_s), last_pts + 1)
            yuv.pts, yuv.time_base, yuv.duration = last_pts, Fraction(1, ticks_per_s), max(1, round(ticks_per_s / fps))
            container.mux(stream.encode(yuv))
            drawn += 1
            if progress:
                progress()
        if stream is None:
            raise UserError(f"{path}: there are no frames to draw")
        container.mux(stream.encode())
    return drawn


def write(path: Path, content: Content) -> str:
    """See `poselift.app.export.Format`."""
    facts = {"body_height_m": content.body_height_m, "longest_s": content.longest_s}
    render(content.frames(), path, content.fps, content.advance, **facts, source=content.source)
    return ""


def made_from(path: Path) -> Any:
    """See `poselift.app.export.Format`."""
    with av.open(f"file:{path}", "r") as file:
        before, _, source = file.metadata["comment"].partition(_MADE_FROM)
        return None if before else source


def draw(frames: Iterable[Drawn], body_height_m: float = BODY_HEIGHT_M) -> Iterator[tuple[Pixels, float]]:
    """Both panels side by side, and the time since the first frame, s. The picture is the same array every time."""
    canvas: Optional[Pixels] = None
    scene: Any = None
    width, start_ns = 0, 0
    for picture, pose, t_ns in frames:
        if canvas is None:
            width, height = _left_panel(picture, pose)
            right = _even(np.clip(width, height // 2, 0.9 * height))
            canvas, scene, start_ns = np.empty((height, width + right, 3), np.uint8), Scene(right, height, body_height_m), t_ns
        t_s = (t_ns - start_ns) / 1e9
        canvas[:, :width] = _picture_panel(picture, pose, width, canvas.shape[0])
        canvas[:, width:] = scene.draw(pose, t_s)
        _write_captions(canvas, width, pose, t_s)
        yield canvas, t_s


def _stream(container: Any, fps: float, ticks_per_s: int, reorder: bool, canvas: Pixels) -> Any:
    rate = Fraction(float(np.clip(fps, *_X264_FPS))).limit_denominator(1001)
    options = {"preset": "superfast", "crf": "23", **({} if reorder else {"bf": "0"})}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.height, stream.width = canvas.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, ticks_per_s)
    # OpenCV's conversion is that of BT.601, with luma from 16 to 235: said, so that players show these colours.
    stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU601
    stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
    return stream


def _left_panel(picture: Optional[Pixels], pose: Optional[Pose3D]) -> tuple[int, int]:
    """Width and height of the left panel, px: the picture's shape within bounds."""
    width, height = 16, 9
    if picture is not None:
        height, width = picture.shape[:2]
    elif pose is not None:
        width, height = pose.width_px, pose.height_px
    scale = min(MAX_WIDTH_PX / width, np.clip(height, MIN_HEIGHT_PX, MAX_HEIGHT_PX) / height)
    return _even(max(scale * width, MIN_SIDE_PX)), _even(max(scale * height, MIN_SIDE_PX))


def _even(size: float) -> int:
    return max(2, 2 * round(size / 2))


def _picture_panel(picture: Optional[Pixels], pose: Optional[Pose3D], width_px: int, height_px: int) -> Pixels:
    panel: Pixels = np.full((height_px, width_px, 3), SHADE, np.uint8)
    if picture is not None:
        left, top, width, height = _place(picture.shape[1], picture.shape[0], width_px, height_px)
        much_smaller = picture.shape[1] > 2 * width  # only then would linear interpolation, four times as fast, skip pixels
        method = cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR
        cv2.resize(picture, (width, height), panel[top : top + height, left : left + width], interpolation=method)
    if pose is not None:
        left, top, width, height = _place(pose.width_px, pose.height_px, width_px, height_px)
        scale = np.array([width / pose.width_px, height / pose.height_px, 1], np.float32)
        # Pixel centres lie at half: what is at 0 in the source is at (0 + 0.5) * scale - 0.5 here.
        offset = np.array([left + (scale[0] - 1) / 2, top + (scale[1] - 1) / 2, 0], np.float32)
        placed = np.where(pose.keypoints.any(-1, keepdims=True), pose.keypoints * scale + offset, 0)
        for person, keypoints, held in zip(pose.person.tolist(), placed, pose.held):
            own = HELD if held else colour_of(person)
            draw_person(panel, keypoints, bool(held), own)
            if len(pose.person) > 1 and (top_px := _above(keypoints, bool(held))) is not None:
                write_id(panel, person, *top_px, own)
    return panel


def _place(width_px: int, height_px: int, panel_width_px: int, panel_height_px: int) -> tuple[int, int, int, int]:
    """Left, top, width and height in the panel of a picture of that size: as large as fits, in the middle; a pixel's rounding is no bar."""
    scale = min(panel_width_px / width_px, panel_height_px / height_px)
    width, height = max(1, round(scale * width_px)), max(1, round(scale * height_px))
    width, height = (panel if panel - side < 3 else side for side, panel in ((width, panel_width_px), (height, panel_height_px)))
    return (panel_width_px - width) // 2, (panel_height_px - height) // 2, width, height


def _write_captions(canvas: Pixels, left_px: int, pose: Optional[Pose3D], t_s: float) -> None:
    height_px = canvas.shape[0]
    baseline_px, margin_px = height_px - 20, 22
    canvas[:, left_px : left_px + 2] = BACKGROUND
    words = [f"{int(t_s // 60)}:{t_s % 60:05.2f}"]
    if pose is not None:
        words += [f"frame {pose.frame}", *([] if len(pose.person) else ["nobody"])]
    at_px, end_px = write_text(canvas, "    ".join(words), left_px + margin_px, baseline_px) + margin_px, canvas.shape[1] - 128
    for text, colour in _people(pose) if pose is not None else ():
        if at_px + _CAPTION_PX > end_px:
            break
        at_px = _write_dotted(canvas, text, at_px, baseline_px, colour)
    for name, colour in (("left", LEFT), ("right", RIGHT)):
        end_px = _write_dotted(canvas, name, end_px, baseline_px, colour)


def _write_dotted(canvas: Pixels, text: str, left_px: int, baseline_px: int, colour: Colour) -> int:
    """Write a word behind a dot of a colour; where the next one may stand, px."""
    cv2.circle(canvas, (left_px, baseline_px - 5), 5, colour, cv2.FILLED, cv2.LINE_AA)
    return write_text(canvas, text, left_px + 11, baseline_px) + 20


def _people(pose: Pose3D) -> list[tuple[str, Colour]]:
    """Who is there, in the order of their ids, and the colour of each."""
    said = []
    for k in np.argsort(pose.person).tolist():
        person, held = int(pose.person[k]), bool(pose.held[k])
        how = "not seen, held" if held else f"confidence {pose.confidence[k, : len(H36M_JOINTS)].mean():.2f}"
        said.append((f"{person}: {how}", HELD if held else colour_of(person)))
    return said


def _above(keypoints: npt.NDArray[np.float32], held: bool) -> Optional[tuple[float, float]]:
    """The place above a person's keypoints [21, 3], px; None where none is shown."""
    shown = keypoints[is_drawn(keypoints, held), :2]
    return (float(shown[shown[:, 1].argmin(), 0]), float(shown[:, 1].min()) - _ABOVE_PX) if len(shown) else None
