"""How small a person may be and is still found and followed: the demo clip's two people, made smaller, in an even picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from pathlib import Path
from typing import Callable, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt

from bench.clip import demo_clip
from bench.part import Grid, Result, Setup, require
from poselift.app.dataflow.messages import Frame
from poselift.common.arrays import Pixels
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.workers.detect import detecting

Points = npt.NDArray[np.float64]
Look = Callable[[Pixels], Points]
"""The keypoints [K, 17, 2] of those who are found in a picture, px."""

WIDTH_PX, HEIGHT_PX = 1920, 1080
GREY = 128
HOW = {1: ((500, 450, 400, 350, 300), (0.5,)), 4: ((400, 300, 240, 200, 170, 150, 120, 100, 80), (0.5, 2.0, 6.0))}
"""`detect.people` -> heights that are tried, and within which times people are to be found, s."""
SEEN = 0.9
STEP, PICTURES = 4, 5
RATE_HZ = 30
PEOPLE = {"the man": (10, slice(0, 780)), "the woman": (56, slice(780, None))}
"""The first picture of the clip in which each is upright and followed, and the columns in which nobody else is."""
PLACES = ((0.5, 0.5), (0.2, 0.6), (0.8, 0.4))
"""Where their middle is put, in parts of the picture's size."""
NEAR = 0.1
HELD_S, HELD, SWAY, SWAY_S = 2.0, 0.95, 0.1, 1.0
"""So long whoever is found is followed, in such a part of the pictures, while they move to and fro by so many heights, once in so long."""
REST_PX, REST_S = 400, 10
"""The height of whoever is followed where the cost is measured, and the time over which it is."""
MARGIN = 0.3
"""So much around the keypoints is cut out with them, in heights."""
EYES, ANKLES = (COCO_KEYPOINTS.index("left_eye"), COCO_KEYPOINTS.index("right_eye")), slice(-2, None)

METHOD = (
    f"{PICTURES} pictures of each of the demo clip's people: the person is cut out with some surroundings, resized, and put into an even "
    f"grey picture of {WIDTH_PX}x{HEIGHT_PX}, at {len(PLACES)} places. It is shown again and again, {RATE_HZ} times a second, while nobody "
    f"is followed yet. Found means that the median keypoint lies within {NEAR:.0%} of the height of where it is in the clip's own picture, "
    f"followed that it does so in {HELD:.0%} of the pictures of the next {HELD_S:g} s, in which they move to and fro by {SWAY:.0%} of it. "
    "The height is from the eyes to the ankles. The last table is the CPU time of one thread, in the same even pictures."
)


class Person(NamedTuple):
    """A person cut out of a picture, with the keypoints in what is cut out, [17, 2], px, and the height, px."""

    pixels: Pixels
    keypoints: Points
    height_px: float


def measure(setup: Setup) -> Result:
    """Count the pictures in which each person is found, for each height, where one person is followed and where several are."""
    clip = demo_clip(setup.config.models_path())
    return Result(METHOD, [*(_grid(setup, clip, people, *how) for people, how in HOW.items()), _at_rest(setup, clip)], [])


@contextmanager
def _looking(setup: Setup, most_people: int) -> Iterator[Look]:
    """One stream of pictures, in which up to so many are followed."""
    with detecting(setup.config.changed(detect={"people": most_people})) as detect:
        times_ns = count(step=round(1e9 / RATE_HZ))

        def look(picture: Pixels) -> Points:
            height_px, width_px = picture.shape[:2]
            t_ns = next(times_ns)
            found = detect.step(Frame(t_ns, t_ns, width_px, height_px, 0.0, 0, 0, 0, "none", b"", 0, ()), nullcontext(picture))
            return found.keypoints[:, : len(COCO_KEYPOINTS), :2].astype(np.float64)

        yield look


def _at_rest(setup: Setup, clip: Path) -> Grid:
    """What detect costs while one person is followed, and while nobody is."""
    pictures = round(RATE_HZ * REST_S / (10 if setup.quick else 1))
    nobody = np.full((HEIGHT_PX, WIDTH_PX, 3), GREY, np.uint8)
    with _looking(setup, 4) as look:
        somebody, _ = _shown(_cut_out_of(clip, *PEOPLE["the woman"], look)[0], REST_PX, PLACES[0], 0)
    with _looking(setup, 4) as look:
        found = [len(look(somebody)) for _ in range(pictures)]
        require(sum(found) >= SEEN * pictures, "the person of whom the cost is measured is not followed")
        costs = {"one person is followed": _cpu_ms(look, somebody, pictures)}
    with _looking(setup, 4) as look:
        costs[f"nobody is there, first {REST_S} s"] = _cpu_ms(look, nobody, pictures)
        costs["nobody is there, later"] = _cpu_ms(look, nobody, pictures)
    return Grid(("detect.people: 4", "CPU time a picture, ms"), [(what, f"{cost_ms:.2f}") for what, cost_ms in costs.items()])


def _cpu_ms(look: Look, picture: Pixels, pictures: int) -> float:
    began_s = time.thread_time()
    for _ in range(pictures):
        look(picture)
    return 1e3 * (time.thread_time() - began_s) / pictures


def _grid(setup: Setup, clip: Path, most_people: int, heights_px: tuple[int, ...], within_s: tuple[float, ...]) -> Grid:
    with _looking(setup, most_people) as look:
        people = {name: _cut_out_of(clip, first, columns, look) for name, (first, columns) in PEOPLE.items()}
        counts = {
            height_px: [_found_within(within_s, look, cut_out, height_px) for cut_out in people.values()]
            for height_px in (heights_px[:1] if setup.quick else heights_px)
        }
    tried, least = PICTURES * len(PLACES), min(found[-2] for found in counts[heights_px[0]])
    require(least >= SEEN * tried, f"people of {heights_px[0]} px are found in {least} of {tried} pictures")
    rows = [
        (
            f"{height_px} px: {height_px / HEIGHT_PX:.0%} of the height, {height_px / WIDTH_PX:.0%} of the width",
            *(" / ".join(map(str, numbers)) for numbers in found),
        )
        for height_px, found in counts.items()
    ]
    within = " / ".join(f"{seconds:g}" for seconds in within_s)
    return Grid((f"detect.people: {most_people}", *(f"{name} is found within {within} s / followed, of {tried}" for name in PEOPLE)), rows)


def _cut_out_of(clip: Path, first: int, columns: slice, look: Look) -> list[Person]:
    """A person, followed through the clip's pictures."""
    people = []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(islice(container.decode(video=0), first + STEP * PICTURES)):
            picture: Pixels = np.ascontiguousarray(frame.to_ndarray(format="bgr24")[:, columns], np.uint8)
            keypoints = look(picture)
            if number >= first and (number - first) % STEP == 0:
                require(len(keypoints) > 0, "nobody is found in one of the clip's pictures")
                people.append(_cut_out(picture, keypoints[0]))
    return people


def _cut_out(picture: Pixels, keypoints: Points) -> Person:
    height_px = float(keypoints[ANKLES, 1].mean() - keypoints[EYES, 1].mean())
    low = np.maximum(keypoints.min(0) - MARGIN * height_px, 0).astype(int)
    high = (keypoints.max(0) + MARGIN * height_px).astype(int)
    return Person(picture[low[1] : high[1], low[0] : high[0]], keypoints - low, height_px)


def _found_within(within_s: tuple[float, ...], look: Look, people: list[Person], height_px: float) -> list[int]:
    """How many of the people, at all places, are found within each of these times, and how many are then followed."""
    tried = [_until_found(look, one, height_px, at, round(RATE_HZ * within_s[-1])) for one in people for at in PLACES]
    return [*(sum(pictures <= RATE_HZ * seconds for pictures, _ in tried) for seconds in within_s), sum(held for _, held in tried)]


def _until_found(look: Look, person: Person, height_px: float, at: tuple[float, float], most: int) -> tuple[int, bool]:
    """After how many pictures the person is found, `most` + 1 where they are in none of so many, and whether they are followed then."""

    def seen(aside_px: int) -> bool:
        picture, right = _shown(person, height_px, at, aside_px)
        return any(np.median(np.linalg.norm(found - right, axis=1)) < NEAR * height_px for found in look(picture))

    look(np.full((HEIGHT_PX, WIDTH_PX, 3), GREY, np.uint8))  # nobody is there, so nobody is followed
    for number in range(most + 1):
        if seen(0):
            turns = 2 * np.pi * np.arange(1, round(RATE_HZ * HELD_S) + 1) / (RATE_HZ * SWAY_S)
            return number, sum(seen(round(aside)) for aside in SWAY * height_px * np.sin(turns)) >= HELD * len(turns)
    return most + 1, False


def _shown(person: Person, height_px: float, at: tuple[float, float], aside_px: int) -> tuple[Pixels, Points]:
    """A picture of the person at this place, so many pixels to its right, and where the keypoints are in it."""
    scale = height_px / person.height_px
    small = cv2.resize(person.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x_px, y_px = (np.array(at) * (WIDTH_PX, HEIGHT_PX) - np.array(small.shape[1::-1]) / 2).astype(int).clip(0).tolist()
    x_px = max(x_px + aside_px, 0)
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), GREY, np.uint8)
    room = picture[y_px:, x_px:][: small.shape[0], : small.shape[1]]
    room[:] = small[: room.shape[0], : room.shape[1]]
    return picture, (person.keypoints + 0.5) * scale - 0.5 + (x_px, y_px)
