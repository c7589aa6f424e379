"""Ids of made-up people whose truth is known, seen by a made-up detector that loses them, finds them again and takes one for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Optional

import numpy as np
import pytest

from poselift.models.detection.detector import Detections
from poselift.models.tracking.looks import BINS, Looks, likeness
from poselift.models.tracking.tracks import Tracks

WIDTH_PX, HEIGHT_PX, FPS = 1280, 720, 30
POSE = np.array(
    [
        *[
            (0.02, -0.42),
            (0.04, -0.44),
            (0.0, -0.44),
            (0.06, -0.42),
            (-0.02, -0.42),
            (0.1, -0.3),
            (-0.1, -0.3),
            (0.14, -0.14),
            (-0.14, -0.14),
        ],
        *[(0.16, 0.0), (-0.16, 0.0), (0.06, 0.02), (-0.06, 0.02), (0.08, 0.25), (-0.08, 0.25), (0.08, 0.46), (-0.08, 0.46)],
    ]
)
"""COCO keypoints of somebody 1 high, around the hips' height."""
SWING = np.zeros(17)
SWING[[9, 10, 13, 14, 15, 16]] = 0.06, -0.06, -0.04, 0.04, -0.12, 0.12
GREEN, RED, BLUE, GREY, BROWN, BLACK, WHITE, YELLOW = (
    *[(3.5, 8.0, 15.0), (3.5, 17.5, 14.0), (3.0, 13.0, 6.5), (4.0, 11.7, 11.7)],
    *[(2.5, 13.6, 15.0), (0.8, 11.7, 11.7), (7.0, 11.7, 11.7), (5.5, 11.0, 20.0)],
)
"""Clothes: the bins of their colours."""


class Person(NamedTuple):
    """Somebody, and where they are at a time, s: x px, y px of the hips, and how far they are hidden (1: wholly)."""

    at: Callable[[float], tuple[float, float, bool]]
    clothes: tuple[float, float, float] = GREY
    height_px: float = 300


def looks_of(clothes: Sequence[float], rng: np.random.Generator) -> Looks:
    parts = []
    for bins, middle in zip(BINS, clothes):
        wide = 0.05 * bins * rng.uniform(0.8, 1.2)
        heap = np.exp(-np.square((np.arange(bins) - middle - rng.normal(0, 0.01 * bins)) / wide) / 2)
        parts.append(heap / heap.sum())
    return np.concatenate(parts)


class Slide(NamedTuple):
    """From `t_s` on, whoever is followed as person `of` is really person `to`."""

    t_s: float
    of: int
    to: int


def pictures_of(
    people: Sequence[Person], seconds: float, slides: Sequence[Slide] = (), places: int = 4, fps: int = FPS
) -> list[dict[int, int]]:
    """The ids of those who are seen in each picture. Every tenth one the detector looks for more, the largest first."""
    rng, tracks = np.random.default_rng(0), Tracks()
    followed: list[int] = []
    pictures = []
    for number in range(round(seconds * fps)):
        t_s = number / fps
        where = [person.at(t_s) for person in people]
        due = {slide.of: slide.to for slide in slides if 0 <= t_s - slide.t_s < 1 / fps}
        seen = [(due.get(who, who), link) for link, who in enumerate(followed) if not where[due.get(who, who)][2]]
        if number % 10 == 0:
            new = [who for who in range(len(people)) if who not in followed and not where[who][2]]
            seen += [(who, -1) for who in sorted(new, key=lambda who: -people[who].height_px)[: max(places - len(seen), 0)]]
        boxes, poses, looks = [], [], []
        for who, _ in seen:
            (x_px, y_px, _), person = where[who], people[who]
            pose = POSE * person.height_px + (x_px, y_px) + rng.normal(0, 0.008 * person.height_px, (17, 2))
            pose[:, 0] += SWING * person.height_px * np.sin(2 * np.pi * t_s + who)
            poses.append(np.column_stack([pose, np.full(17, 0.9)]))
            boxes.append((x_px, y_px, 1.2 * person.height_px, 1.2 * person.height_px))
            looks.append(looks_of(person.clothes, rng))
        keypoints = np.array(poses, np.float32).reshape(-1, 17, 3)
        found = Detections(np.array(boxes, float).reshape(-1, 4), keypoints, tuple(link for _, link in seen))
        tracks = tracks.update(found, looks, round(t_s * 1e9), WIDTH_PX)
        followed = [seen[place][0] for place in tracks.kept]
        pictures.append({who: track.person for who, track in zip(followed, tracks.tracks)})
    return pictures


def ids_of(people: Sequence[Person], seconds: float, slides: Sequence[Slide] = (), places: int = 4, fps: int = FPS) -> list[list[int]]:
    """For each person the ids that they had, one after the other."""
    given: list[list[int]] = [[] for _ in people]
    for picture in pictures_of(people, seconds, slides, places, fps):
        for who, person in picture.items():
            if given[who][-1:] != [person]:
                given[who].append(person)
    return given


def walk(
    from_px: float, speed_px: float, y_px: float = 400, hidden: tuple[float, float] = (9e9, 9e9)
) -> Callable[[float], tuple[float, float, bool]]:
    """Along a line, px/s; not to be seen between two times, nor out of the picture."""

    def at(t_s: float) -> tuple[float, float, bool]:
        x_px = from_px + speed_px * t_s
        return x_px, y_px, hidden[0] <= t_s < hidden[1] or not 0 <= x_px < WIDTH_PX

    return at


@pytest.mark.parametrize("clothes", [(GREY, GREY), (GREEN, BROWN)])
@pytest.mark.parametrize("fps", [10, 30])
def test_who_cross_keep_their_ids(clothes, fps):
    people = [Person(walk(200, 200), clothes[0]), Person(walk(1000, -200, 410), clothes[1])]
    assert ids_of(people, 4, fps=fps) == [[1], [2]]


@pytest.mark.parametrize("hidden_s", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("speed_px", [0, 150])
@pytest.mark.parametrize("clothes", [(GREY, GREY), (BLUE, BROWN)])
def test_who_is_hidden_for_two_seconds_keeps_the_id(hidden_s, speed_px, clothes):
    people = [Person(walk(400, speed_px, hidden=(1, 1 + hidden_s)), clothes[0]), Person(walk(800, -100, 420), clothes[1], 340)]
    assert ids_of(people, 2 + hidden_s) == [[2], [1]]


@pytest.mark.parametrize("away_s", [3.5, 9.0])
@pytest.mark.parametrize("back_px", [-200, 1480])
def test_who_leaves_and_comes_back_keeps_the_id(back_px, away_s):
    """On the same side, or on the other; after at most 6 s in which they are not to be seen."""

    def at(t_s: float) -> tuple[float, float, bool]:
        x_px = 300 - 250 * t_s if t_s < 1.5 + away_s / 2 else back_px + np.sign(640 - back_px) * 250 * (t_s - 1.5 - away_s / 2)
        return x_px, 400, not 40 <= x_px < WIDTH_PX - 40

    assert ids_of([Person(at, BLUE), Person(walk(700, 0), GREEN)], 4.5 + away_s) == [[1], [2]]


def test_another_who_comes_when_somebody_has_left_has_a_new_id():
    people = [Person(walk(150, -150), BLUE), Person(lambda t_s: (1400 - 150 * t_s, 400, t_s < 1.5 or t_s < 0.9), RED)]
    assert ids_of(people, 5) == [[1], [2]]


def test_a_stranger_in_other_clothes_where_somebody_was_lost_is_another():
    here = [Person(walk(600, 0, hidden=(1, 9)), GREEN), Person(walk(620, 0, hidden=(0, 1.5)), RED)]
    assert ids_of(here, 3) == [[1], [2]]
    here[1] = here[1]._replace(clothes=GREEN)
    assert ids_of(here, 3) == [[1], [1]], "who looks alike in the same place is taken for the same"


@pytest.mark.parametrize("front", [0, 1])
def test_of_two_tracks_on_one_person_the_one_who_is_there_stays(front):
    """One passes behind the other, and the detector goes on with the one in front; whoever is the older."""
    people = [Person(walk(300, 200), BLUE), Person(walk(700, 0, 410), BROWN)]
    assert ids_of(people, 5, [Slide(2.0, 1 - front, front)]) == [[1], [2]]


def test_of_two_tracks_on_one_person_the_older_stays_where_nothing_tells():
    people = [Person(walk(600, 0), GREY)]
    pose = POSE * 300 + (600, 400)
    keypoints = np.column_stack([pose, np.full(17, 0.9)]).astype(np.float32)
    looks: list[Optional[Looks]] = [looks_of(people[0].clothes, np.random.default_rng(0))] * 2
    box, tracks = (600.0, 400.0, 360.0, 360.0), Tracks()
    apart = keypoints + np.array([200, 0, 0], np.float32)
    for number, (other, links) in enumerate([(apart, (-1, -1)), (keypoints, (1, 0)), (keypoints, (0,))]):
        both = [other, keypoints][: len(links)] if number != 1 else [keypoints, keypoints]
        tracks = tracks.update(
            Detections(np.array([box] * len(both)), np.array(both), links), looks[: len(both)], number * 33_000_000, WIDTH_PX
        )
    assert len(tracks.kept) == 1


def test_who_embrace_are_two():
    """They stand close for two seconds, as far apart as bodies are."""

    def at(side: int) -> Callable[[float], tuple[float, float, bool]]:
        return lambda t_s: (640 + side * (35 + 200 * max(abs(t_s - 2.5) - 1.0, 0)), 400 + 6 * side, False)

    people = [Person(at(-1), GREY), Person(at(1), GREY)]
    assert pictures_of(people, 5) == [{0: 1, 1: 2}] * 5 * FPS


def test_who_embrace_and_are_taken_for_one_are_two_again():
    def at(side: int) -> Callable[[float], tuple[float, float, bool]]:
        return lambda t_s: (640 + side * (35 + 200 * max(abs(t_s - 2.5) - 1.0, 0)), 400 + 6 * side, False)

    assert ids_of([Person(at(-1), BLUE), Person(at(1), BROWN)], 5, [Slide(2.0, 0, 1), Slide(3.0, 1, 0)]) == [[1], [2]]


def test_a_track_does_not_stay_with_a_neighbour_who_was_not_followed():
    passer = Person(walk(640 - 2.0 * 200, 200, 410, hidden=(0, 1.9)), BROWN)
    people = [Person(walk(640, 0), BLUE), passer, Person(walk(1100, 0), GREEN)]
    assert ids_of(people, 4, [Slide(2.2, 0, 1)]) == [[1], [1, 3], [2]], "until it is sure"


def test_who_have_changed_places_change_back():
    people = [Person(walk(300, 200), BLUE), Person(walk(900, -200, 410), BROWN)]
    first, second = ids_of(people, 5, [Slide(1.5, 0, 1), Slide(1.5, 1, 0)])
    assert first == [1, 2, 1] or first == [1]
    assert second[-1] == 2


def test_a_crowd_of_eight_with_four_places():
    rng = np.random.default_rng(4)
    clothes = [GREEN, RED, BLUE, GREY, BROWN, BLACK, WHITE, YELLOW]

    def at(who: int) -> Callable[[float], tuple[float, float, bool]]:
        phase, speed = rng.uniform(0, 6), rng.uniform(0.3, 0.7)

        def where(t_s: float) -> tuple[float, float, bool]:
            x_px = 640 + 420 * np.sin(phase + speed * t_s)
            return x_px, 380 + 6 * who, int(t_s + who) % 7 == 0

        return where

    given = ids_of([Person(at(who), clothes[who], 280 + 5 * who) for who in range(8)], 20)
    seen = [ids for ids in given if ids]
    assert len(seen) >= 4
    switches = sum(len(ids) - 1 for ids in seen)
    assert switches <= 2, given
    assert len({ids[0] for ids in seen}) == len(seen), given


def test_the_same_people_give_the_same_ids():
    people = [Person(walk(200, 200, hidden=(1, 2)), BLUE), Person(walk(1000, -200, 410), BROWN)]
    assert ids_of(people, 4) == ids_of(people, 4)


def test_clothes_of_the_tests_are_as_different_as_real_ones():
    rng = np.random.default_rng(0)
    assert likeness(looks_of(GREY, rng), looks_of(GREY, rng)) > 0.7
    assert likeness(looks_of(RED, rng), looks_of(GREEN, rng)) < 0.05
