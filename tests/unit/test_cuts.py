"""A cut is a cut, and motion, light and a shaking camera are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import cv2
import numpy as np
import pytest
from demo_clip import pictures, pulled

from poselift.models.detection.cuts import same_scene, scene_of

Pixels = np.ndarray
SIZE = (1280, 720)


def window(clip: Sequence[Pixels], left: float, top: float, right: float, bottom: float) -> list[Pixels]:
    """A part of each picture, in parts of its size."""
    height_px, width_px = clip[0].shape[:2]
    rows, columns = slice(int(top * height_px), int(bottom * height_px)), slice(int(left * width_px), int(right * width_px))
    return [picture[rows, columns] for picture in clip]


@pytest.fixture(scope="module")
def clip() -> list[Pixels]:
    """At half its size, for speed."""
    return [cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for picture in pictures(pulled("demo_clip"))]


@pytest.fixture(scope="module")
def takes(clip: list[Pixels]) -> dict[str, list[Pixels]]:
    """The clip as a whole, as another camera might have filmed it, and each of its people from near."""
    return {
        "whole": clip,
        "mirrored": [picture[:, ::-1] for picture in clip],
        "left half": window(clip, 0, 0, 0.5, 1),
        "right half": window(clip, 0.5, 0, 1, 1),
        "middle": window(clip, 0.3, 0.2, 0.8, 0.9),
        "man": window(clip, 0.2, 0.25, 0.45, 0.95),
        "woman": window(clip, 0.45, 0.3, 0.8, 1),
    }


def cuts(film: Sequence[Pixels]) -> list[int]:
    """The pictures that show another scene than the last one before them that told of any."""
    found, before = [], None
    for number, scene in enumerate(map(scene_of, film)):
        if scene is None:
            continue
        if before is not None and not same_scene(before, scene):
            found.append(number)
        before = scene
    return found


@pytest.mark.parametrize("every", [1, 4, 10])
@pytest.mark.parametrize("take", ["whole", "left half", "right half", "middle", "man", "woman"])
def test_motion_is_no_cut(takes: dict[str, list[Pixels]], take: str, every: int) -> None:
    """Nor where live two thirds of the pictures and more are left out."""
    assert all(scene is not None for scene in map(scene_of, takes[take][:20]))
    assert cuts(takes[take][::every]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("whole", "mirrored"),
        ("left half", "right half"),
        ("left half", "middle"),
        ("right half", "man"),
        ("man", "woman"),
        ("mirrored", "woman"),
        ("middle", "mirrored"),
    ],
)
def test_a_cut_is_found_wherever_it_is(takes: dict[str, list[Pixels]], one: str, other: str) -> None:
    film = [takes[(one, other)[number // 5 % 2]][number * 4] for number in range(50)]
    assert cuts(film) == list(range(5, 50, 5))


def moved(picture: Pixels, right: float = 0, down: float = 0, larger: float = 1, turned: float = 0) -> Pixels:
    height_px, width_px = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), turned, larger)
    matrix[:, 2] += right * width_px, down * height_px
    return cv2.warpAffine(picture, matrix, (width_px, height_px), borderMode=cv2.BORDER_REFLECT)


def brighter(picture: Pixels, gain: object) -> Pixels:
    return np.clip(picture * np.asarray(gain, np.float32), 0, 255).astype(np.uint8)


def one_sided(picture: Pixels, number: int) -> Pixels:
    """A lamp on the left goes on and off."""
    gain = np.ones((1, picture.shape[1], 1), np.float32)
    gain[:, : picture.shape[1] // 2] = 0.3 if number % 2 else 1
    return brighter(picture, gain)


def noisy(picture: Pixels, random: np.random.Generator, gain: float, noise: float) -> Pixels:
    return np.clip(picture * gain + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


Disturbance = Callable[[Pixels, int, np.random.Generator], Pixels]
DISTURBANCES: dict[str, Disturbance] = {
    "a camera that shakes": lambda picture, n, random: moved(picture, *random.normal(0, 0.02, 2)),
    "a hand-held camera that turns, too": lambda picture, n, random: moved(picture, *random.normal(0, 0.01, 2), 1, random.uniform(-3, 3)),
    "a pan": lambda picture, n, random: np.roll(picture, 20 * n, axis=1),
    "a zoom": lambda picture, n, random: moved(picture, larger=1.02**n),
    "flashes": lambda picture, n, random: brighter(picture, 2.5 if n % 3 == 1 else 1),
    "flashes that leave nothing": lambda picture, n, random: brighter(picture, 9 if n % 3 == 1 else 1),
    "white pictures": lambda picture, n, random: np.full_like(picture, 255) if n % 4 == 2 else picture,
    "black pictures": lambda picture, n, random: np.zeros_like(picture) if n % 4 in (2, 3) else picture,
    "light that is switched": lambda picture, n, random: brighter(picture, (0.2, 0.3, 0.5) if n % 2 else 1),
    "light that is switched off": lambda picture, n, random: noisy(picture, random, 0.08 if n % 2 else 1, 2),
    "a lamp at one side": lambda picture, n, random: one_sided(picture, n),
    "noise": lambda picture, n, random: noisy(picture, random, 0.3, 12),
    "the dark": lambda picture, n, random: noisy(picture, random, 0.03, 3),
    "focus": lambda picture, n, random: cv2.blur(picture, (41, 41)) if n % 2 else picture,
}


@pytest.mark.parametrize("what", DISTURBANCES)
@pytest.mark.parametrize("take", ["whole", "man"])
def test_light_and_a_shaking_camera_are_no_cut(takes: dict[str, list[Pixels]], take: str, what: str) -> None:
    random = np.random.default_rng(1)
    assert cuts([DISTURBANCES[what](picture, n, random) for n, picture in enumerate(takes[take][:60:4])]) == []


def a_room(seed: int) -> Pixels:
    """Rectangles of all sizes and shades."""
    random = np.random.default_rng(seed)
    room = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    for _ in range(40):
        corner, side = random.integers(0, SIZE), random.integers(40, 400, 2)
        cv2.rectangle(room, tuple(corner - side // 2), tuple(corner + side // 2), random.integers(0, 256, 3).tolist(), -1)
    return room


def test_rooms_are_told_apart() -> None:
    rooms = [scene_of(a_room(seed)) for seed in range(20)]
    wrong = [pair for pair in combinations(range(20), 2) if same_scene(rooms[pair[0]], rooms[pair[1]])]
    assert len(wrong) <= 2, "of 190 pairs of these, where chance has made a wall of the same form in both"


@pytest.mark.parametrize("step_px", [20, 80])
def test_somebody_who_runs_through_a_room_is_no_cut(step_px: int) -> None:
    def runner(number: int) -> Pixels:
        picture = a_room(3)
        cv2.ellipse(picture, (number * step_px, 400), (110, 300), 0, 0, 360, (30, 40, 160), -1)
        cv2.circle(picture, (number * step_px, 130), 60, (150, 180, 220), -1)
        return picture

    assert cuts([runner(number) for number in range(1280 // step_px)]) == []


def test_what_shows_nothing_tells_no_scene() -> None:
    haze = cv2.GaussianBlur(np.random.default_rng(0).normal(128, 1, (720, 1280, 3)), (5, 5), 0).astype(np.uint8)
    for picture in (np.zeros((720, 1280, 3), np.uint8), np.full((90, 120, 3), 255, np.uint8), haze):
        assert scene_of(picture) is None


@pytest.mark.parametrize("size", [(16, 16), (33, 200), (640, 480), (1080, 1920)])
def test_pictures_of_every_size_and_shape(size: tuple[int, int]) -> None:
    one, other = (scene_of(cv2.resize(a_room(seed), size, interpolation=cv2.INTER_AREA)) for seed in (1, 2))
    assert one is not None and other is not None
    assert same_scene(one, one) and not same_scene(one, other)
