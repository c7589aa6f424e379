"""Drawing in the picture: 2D keypoints and bones over it, and lines of text."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from poselift.app.export.palette import HELD, KEYPOINT_BONE_COLOURS, KEYPOINT_COLOURS, SHADE, TEXT, TRUNK, Colour, mixed
from poselift.common.arrays import Pixels
from poselift.common.skeleton import KEYPOINT_BONES

SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV: lines move smoothly by less than a pixel."""
MIN_CONFIDENCE = 0.05
"""A keypoint with less is not drawn."""
_FARTHEST_PX = 1e5


def fixed(point: npt.NDArray[np.floating]) -> tuple[int, int]:
    """A point in px as OpenCV's fixed-point coordinates."""
    return round(float(point[0]) * (1 << SHIFT)), round(float(point[1]) * (1 << SHIFT))


def is_drawn(keypoints: npt.NDArray[np.float32], held: bool) -> npt.NDArray[np.bool_]:
    """Which of a person's keypoints [21, 3] are drawn, bool [21]; of one who is held all but (0, 0, 0), which were never seen."""
    sure = keypoints.any(-1) if held else keypoints[:, 2] >= MIN_CONFIDENCE
    return np.asarray(np.isfinite(keypoints).all(-1) & sure)


def draw_person(panel: Pixels, keypoints: npt.NDArray[np.float32], held: bool, own: Colour = TRUNK) -> None:
    """Draw one person's keypoints (float [21, 3]: x px, y px in `panel`, confidence) onto `panel`, the surer the more solid.

    Limbs have the colours of their sides; trunk and head are in the person's `own`. A person who was not seen in this frame (`held`) is a
    thin grey outline.
    """
    shown = is_drawn(keypoints, held)
    if not shown.any():
        return
    size = np.ptp(keypoints[shown, :2], axis=0).max()
    width = int(np.clip(size / 110, 2, 7))
    top, left, part = _part(panel, keypoints[shown, :2], 3 * width + 4)
    if part.size == 0:
        return
    points = keypoints[:, :2] - (left, top)
    if held:
        _outline(part, points, shown)
        return
    opacity = (255 * (0.1 + 0.9 * np.nan_to_num(keypoints[:, 2]).clip(0, 1))).astype(int)
    layer, mask = part.copy(), np.zeros(part.shape[:2], np.uint8)

    def line(start: int, end: int, colour: Colour, thickness: int, share: float) -> None:
        ends = fixed(points[start]), fixed(points[end])
        cv2.line(layer, *ends, own if colour is TRUNK else colour, thickness, cv2.LINE_AA, SHIFT)
        cv2.line(mask, *ends, int(share * min(opacity[start], opacity[end])), thickness, cv2.LINE_AA, SHIFT)

    def dot(joint: int, colour: Colour, radius_px: float) -> None:
        centre, radius = fixed(points[joint]), round(radius_px * (1 << SHIFT))
        cv2.circle(layer, centre, radius, own if colour is TRUNK else colour, cv2.FILLED, cv2.LINE_AA, SHIFT)
        cv2.circle(mask, centre, radius, int(opacity[joint]), cv2.FILLED, cv2.LINE_AA, SHIFT)

    bones = [(*bone, colour) for bone, colour in zip(KEYPOINT_BONES, KEYPOINT_BONE_COLOURS) if shown[list(bone)].all()]
    for start, end, _ in bones:
        line(start, end, SHADE, width + 3, 0.55)
    for start, end, colour in bones:
        line(start, end, colour, width, 1.0)
    for joint in map(int, np.flatnonzero(shown)):
        dot(joint, SHADE, 0.95 * width + 1.5)
        dot(joint, KEYPOINT_COLOURS[joint], 0.95 * width)
    _blend(part, layer, mask)


def write_text(panel: Pixels, text: str, left_px: int, baseline_px: int, colour: Colour = TEXT, scale: float = 0.5) -> int:
    """Write a quiet line of text; the place where it ends, px."""
    (width_px, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    cv2.putText(panel, text, (left_px, baseline_px), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
    return left_px + int(width_px)


def write_id(panel: Pixels, person: int, x_px: float, y_px: float, colour: Colour) -> None:
    """Write a person's id in the middle of that place, on a dark disc in their colour's ring."""
    place, text = np.array([x_px, y_px]), str(person)
    if not (np.abs(place) < _FARTHEST_PX).all():
        return
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    radius = round((0.5 * max(width, height) + 5) * (1 << SHIFT))
    cv2.circle(panel, fixed(place), radius, SHADE, cv2.FILLED, cv2.LINE_AA, SHIFT)
    cv2.circle(panel, fixed(place), radius, colour, 2, cv2.LINE_AA, SHIFT)
    write_text(panel, text, round(x_px - width / 2), round(y_px + height / 2), mixed(colour, (255, 255, 255), 0.5), 0.45)


def _part(panel: Pixels, points: npt.NDArray[np.float32], margin_px: int) -> tuple[int, int, Pixels]:
    """Top, left and view of the part of `panel` around some points: blending costs only there."""
    height, width = panel.shape[:2]
    left, top = (np.clip(points.min(0), -1e6, 1e6).astype(int) - margin_px).clip(0, (width, height))
    right, bottom = (np.clip(points.max(0), -1e6, 1e6).astype(int) + margin_px + 1).clip(0, (width, height))
    return int(top), int(left), panel[top:bottom, left:right]


def _outline(part: Pixels, points: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_]) -> None:
    for colour, thickness in ((SHADE, 3), (HELD, 1)):
        for start, end in KEYPOINT_BONES:
            if shown[start] and shown[end]:
                cv2.line(part, fixed(points[start]), fixed(points[end]), colour, thickness, cv2.LINE_AA, SHIFT)
        for joint in np.flatnonzero(shown):
            cv2.circle(part, fixed(points[joint]), 3 << SHIFT, colour, thickness, cv2.LINE_AA, SHIFT)


def _blend(part: Pixels, layer: Pixels, mask: npt.NDArray[np.uint8]) -> None:
    """`layer` over `part` where and as far as `mask` (0 to 255) says."""
    share = cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)
    cv2.add(cv2.multiply(layer, share, scale=1 / 255), cv2.multiply(part, cv2.bitwise_not(share), scale=1 / 255), part)
