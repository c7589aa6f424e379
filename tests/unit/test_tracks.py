"""Who is who, with any number of people: ids are small, stay with a person and never come back."""

from __future__ import annotations

import numpy as np
import pytest

from poselift.models.detection.detector import Detections
from poselift.models.tracking.tracks import KEEP_S, Tracks

WIDTH_PX, STEP_NS = 1000, 100_000_000
KEEP = round(KEEP_S * 1e9 / STEP_NS)
"""So many pictures."""
LEFT, RIGHT, FAR = (100, 200, 80, 200), (400, 200, 80, 200), (700, 200, 20, 50)


def found(*boxes: tuple[float, ...], followed: tuple[int, ...] = ()) -> Detections:
    """People in these boxes; those who are not `followed` are found anew."""
    count = len(boxes)
    keypoints = np.zeros((count, 17, 3), np.float32)
    return Detections(np.array(boxes, float).reshape(count, 4), keypoints, followed or (-1,) * count)


def ids(tracks: Tracks, people: int) -> list[int]:
    return [track.person for track in tracks.tracks[:people]]


def update(tracks: Tracks, picture: Detections, number: int = 0) -> Tracks:
    return tracks.update(picture, [None] * len(picture.boxes), number * STEP_NS, WIDTH_PX)


def after(*pictures: Detections) -> list[list[int]]:
    """The ids in each of these pictures."""
    tracks, known = Tracks(), []
    for number, picture in enumerate(pictures):
        tracks = update(tracks, picture, number)
        known.append(ids(tracks, len(picture.boxes)))
    return known


def test_ids_are_counted_from_one() -> None:
    """Also of those who come in one picture."""
    assert after(found(LEFT, RIGHT), found(), found(LEFT, RIGHT, FAR)) == [[1, 2], [], [1, 2, 3]]


def test_whoever_is_followed_keeps_the_id_wherever_they_are() -> None:
    assert after(found(LEFT, RIGHT), found(LEFT, RIGHT, followed=(1, 0)), found(FAR, followed=(0,))) == [[1, 2], [2, 1], [2]]


def test_who_is_found_again_is_the_nearest_one_who_was_alike() -> None:
    assert after(found(LEFT, (260, 200, 80, 200)), found((190, 200, 80, 200))) == [[1, 2], [2]], "may be either"
    assert after(found(LEFT), found((100, 200, 20, 50))) == [[1], [2]], "a much smaller one is another"


def test_one_person_is_not_two() -> None:
    assert after(found(LEFT), found(LEFT, (110, 200, 80, 200))) == [[1], [1, 2]]


@pytest.mark.parametrize(("pictures", "same"), [(KEEP - 1, True), (KEEP, False)])
def test_who_is_missed_for_too_long_comes_back_as_another(pictures: int, same: bool) -> None:
    assert after(found(LEFT), *[found()] * pictures, found(LEFT))[-1] == [1 if same else 2]


def test_after_a_cut_nobody_is_known_and_ids_count_on() -> None:
    tracks = update(update(Tracks(), found(LEFT, RIGHT)).forgotten(), found(LEFT), 1)
    assert ids(tracks, 1) == [3]


def test_in_a_picture_of_half_the_size_people_are_where_they_were() -> None:
    tracks = update(Tracks(), found((100, 200, 80, 200))).scaled(0.5)
    assert tracks.tracks[0].box == (49.75, 99.75, 40, 100)
    assert ids(update(tracks, found((50, 100, 40, 100)), 1), 1) == [1]


def test_a_restarted_tracker_counts_on() -> None:
    assert ids(update(Tracks(next_person=7), found(LEFT)), 1) == [7]
