"""How small a person may be in the picture and is still found: the demo clip's two people, made smaller, in an even picture."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import count, islice
from pathlib import Path
from typing import Callable, NamedTuple, Union

import av
import cv2
import numpy as np
import numpy.typing as npt

from bench.clip import demo_clip
from bench.part import Grid, Result, Setup, WrongOutput, require
from poselift.app.dataflow.messages import Frame
from poselift.common.arrays import Pixels
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.workers.detect import detecting

Points = npt.NDArray[np.float64]
Look = Callable[[Pixels], Union[Points, None]]
"""The keypoints [17, 2] of who is found in a picture, px; None where nobody is."""

WIDTH_PX, HEIGHT_PX = 1920, 1080
GREY = 128
HEIGHTS_PX = (500, 450, 400, 350, 300, 250, 200)
SEEN = 0.9
STEP, PICTURES = 4, 15
PEOPLE = {"the man": (10, slice(0, 780)), "the woman": (48, slice(780, None))}
"""The first picture of the clip in which each is upright and followed, and the columns in which nobody else is."""
PLACES = ((0.5, 0.5), (0.2, 0.6), (0.8, 0.4))
"""Where their middle is put, in parts of the picture's size."""
NEAR = 0.1
MARGIN = 0.3
"""So much around the keypoints is cut out with them, in heights."""
EYES, ANKLES = (COCO_KEYPOINTS.index("left_eye"), COCO_KEYPOINTS.index("right_eye")), slice(-2, None)

METHOD = (
    f"{PICTURES} pictures of each of the demo clip's people: the person is cut out with some surroundings, resized, and put into an even "
    f"grey picture of {WIDTH_PX}x{HEIGHT_PX}, at {len(PLACES)} places. Each picture is looked at by itself, as when nobody is followed "
    f"yet. Found means that the median keypoint lies within {NEAR:.0%} of the height of where it is in the clip's own picture. The height "
    "is from the eyes to the ankles."
)


class Person(NamedTuple):
    """A person cut out of a picture, with the keypoints in what is cut out, [17, 2], px, and the height, px."""

    pixels: Pixels
    keypoints: Points
    height_px: float


def measure(setup: Setup) -> Result:
    """Count the pictures in which each person is found, for each height."""
    heights_px = HEIGHTS_PX[:1] if setup.quick else HEIGHTS_PX
    with detecting(setup.config) as detect:
        times_ns = count(step=33_333_333)

        def look(picture: Pixels) -> Points | None:
            height_px, width_px = picture.shape[:2]
            t_ns = next(times_ns)
            found = detect.step(Frame(t_ns, t_ns, width_px, height_px, 0.0, 0, 0, 0, "none", b"", 0, ()), nullcontext(picture))
            return found.keypoints[0, :, :2].astype(np.float64) if len(found.keypoints) else None

        clip = demo_clip(setup.config.models_path())
        people = {name: _cut_out_of(clip, first, columns, look) for name, (first, columns) in PEOPLE.items()}
        counts = {
            height_px: [sum(_found(look, one, height_px, at) for one in cut_out for at in PLACES) for cut_out in people.values()]
            for height_px in heights_px
        }
    tried = PICTURES * len(PLACES)
    require(
        min(counts[HEIGHTS_PX[0]]) >= SEEN * tried, f"people of {HEIGHTS_PX[0]} px are found in {counts[HEIGHTS_PX[0]]} of {tried} pictures"
    )
    rows = [
        (f"{height_px} px: {height_px / HEIGHT_PX:.0%} of the height, {height_px / WIDTH_PX:.0%} of the width", *map(str, found))
        for height_px, found in counts.items()
    ]
    return Result(METHOD, [Grid(("height of a person", *(f"{name} is found, of {tried}" for name in PEOPLE)), rows)], [])


def _cut_out_of(clip: Path, first: int, columns: slice, look: Look) -> list[Person]:
    """A person, followed through the clip's pictures."""
    people = []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(islice(container.decode(video=0), first + STEP * PICTURES)):
            picture: Pixels = np.ascontiguousarray(frame.to_ndarray(format="bgr24")[:, columns], np.uint8)
            keypoints = look(picture)
            if number >= first and (number - first) % STEP == 0:
                people.append(_cut_out(picture, keypoints))
    return people


def _cut_out(picture: Pixels, keypoints: Points | None) -> Person:
    if keypoints is None:
        raise WrongOutput("nobody is found in one of the clip's pictures")
    height_px = float(keypoints[ANKLES, 1].mean() - keypoints[EYES, 1].mean())
    low = np.maximum(keypoints.min(0) - MARGIN * height_px, 0).astype(int)
    high = (keypoints.max(0) + MARGIN * height_px).astype(int)
    return Person(picture[low[1] : high[1], low[0] : high[0]], keypoints - low, height_px)


def _found(look: Look, person: Person, height_px: float, at: tuple[float, float]) -> bool:
    """Whether the person is found in a picture by itself."""
    scale = height_px / person.height_px
    small = cv2.resize(person.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    corner = (np.array(at) * (WIDTH_PX, HEIGHT_PX) - np.array(small.shape[1::-1]) / 2).astype(int).clip(0)
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), GREY, np.uint8)
    look(picture)  # nobody is there, so nobody is followed
    room = picture[corner[1] :, corner[0] :][: small.shape[0], : small.shape[1]]
    room[:] = small[: room.shape[0], : room.shape[1]]
    found, right = look(picture), (person.keypoints + 0.5) * scale - 0.5 + corner
    return found is not None and bool(np.median(np.linalg.norm(found - right, axis=1)) < NEAR * height_px)
