"""When the finder looks: soon where something new moves or somebody was lost, else rarely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np
import pytest

from poselift.models.detection.when_to_look import (
    BUDGET,
    BUDGET_ALONE,
    BUDGET_LOST,
    EVERY,
    EVERY_ALONE,
    EVERY_FULL,
    EVERY_SOON,
    FIRST,
    KINDS,
    LOST_S,
    QUIET,
    SAVED,
    SIDES,
    Look,
    Watch,
    squares,
    whole,
)

SIZE = (180, 320)
WHOLE, (WIDE, NARROW) = whole((320, 180)), (squares((320, 180), side) for side in SIDES)
BOX = np.array([250.0, 90.0, 40.0, 100.0])
"""Of somebody who is followed."""
SETTLED = Watch(looks=FIRST, saved=SAVED, pictures=0)
NOISE = np.random.default_rng(0).normal(0, 2, (8, *SIZE, 3)).round().astype(np.int16)


def picture(number: int, x_px: Optional[int] = None, y_px: int = 50, light: int = 100) -> np.ndarray:
    """Grey with noise, and a bright square of 30 px at a place, in half pixels."""
    shown = light + NOISE[number % len(NOISE)]
    if x_px is not None:
        shown[y_px // 2 : y_px // 2 + 30, x_px // 2 : x_px // 2 + 30] += 80
    return shown.clip(0, 255).astype(np.uint8)


def looks(
    shown: Callable[[int], np.ndarray], pictures: int, watch: Watch = SETTLED, boxes: Sequence[np.ndarray] = (BOX,), room: bool = True
) -> dict[int, Look]:
    """Where the finder looks, by the picture's number; 30 a second."""
    found = {}
    for number in range(pictures):
        watch, look = watch.after(shown(number), boxes, number * 33_333_333, room)
        if look:
            found[number] = look
    return found


def test_while_nothing_happens_it_is_the_whole_and_the_parts_in_turn():
    found = looks(picture, 18 * EVERY)
    assert [*found] == [*range(EVERY - 1, 18 * EVERY, EVERY)]
    assert len(WIDE) == 2 and len(NARROW) == 6
    assert [*found.values()] == [look for turn in range(6) for look in (WHOLE, WIDE[turn % 2], NARROW[turn])]


@pytest.mark.parametrize(("x_px", "y_px", "wide", "narrow"), [(20, 20, 0, 0), (440, 20, 1, 2), (20, 290, 0, 3), (440, 290, 1, 5)])
@pytest.mark.parametrize("somebody", [True, False])
def test_where_something_begins_to_move_it_looks_soon_and_there(somebody, x_px, y_px, wide, narrow):
    box = BOX if y_px < 200 else BOX - (0, 60, 0, 0)  # not where it moves
    found = looks(lambda number: picture(number, x_px + 4 * number if number > 4 else None, y_px), 15, SETTLED, [box] * somebody)
    first = min(number for number in found if number > 4)
    assert first <= 5 + (EVERY_SOON - 1) * somebody
    assert [look for number, look in found.items() if number > 4][:KINDS] == [WHOLE, WIDE[wide], NARROW[narrow]]


@pytest.mark.parametrize("size_px", [(1920, 1080), (480, 1920), (320, 320), (101, 40), (4000, 1), (1, 1)])
@pytest.mark.parametrize("side", SIDES)
def test_squares_together_are_the_picture_and_overlap(size_px, side):
    seen = np.zeros(size_px[::-1], np.uint8)
    found = squares(size_px, side)
    for look in found:
        part = look.cut_out(seen)
        assert part.shape == (look.height_px, look.width_px) and look.width_px == look.height_px > 0
        part[:] = 1
    assert seen.all()
    assert len(set(found)) == len(found)
    for look, after in zip(found, found[1:]):
        if after.top_px == look.top_px and look.width_px > 6:
            assert after.left_px - look.left_px <= 5 / 6 * look.width_px + 1


def test_who_is_nowhere_is_looked_for_where_they_were():
    watch = SETTLED.lost([np.array([40.0, 140.0, 20.0, 50.0])], (320, 180), 0)
    assert [*looks(picture, 13, watch).values()][:KINDS] == [WHOLE, WIDE[0], NARROW[3]]


def test_who_left_the_picture_is_looked_for_in_turn():
    watch = SETTLED.lost([np.array([400.0, 90.0, 20.0, 50.0])], (320, 180), 0)
    assert [*looks(picture, 13, watch).values()][:KINDS] == [WHOLE, WIDE[0], NARROW[0]]


def test_where_nobody_is_it_looks_often_until_nothing_has_moved_for_long():
    found = [*looks(picture, 2 * QUIET, SETTLED, [])]
    assert set(np.diff([number for number in found if number < QUIET])) == {EVERY_ALONE}
    assert set(np.diff([number for number in found if number >= QUIET])) == {EVERY}


def test_what_moves_on_and_on_in_one_place_is_no_news():
    def leaves(number: int) -> np.ndarray:
        return picture(number, 40 if number % 2 else 46)

    assert len(looks(leaves, 5 * EVERY)) <= KINDS + 5


def test_who_is_followed_may_move():
    def dances(number: int) -> np.ndarray:
        return picture(number, 446 + 3 * (number % 4), 100 + 20 * (number % 5))  # to a little beside the box

    assert [*looks(dances, EVERY)] == [EVERY - 1]


def test_a_change_of_the_light_is_no_motion():
    assert [*looks(lambda number: picture(number, light=100 + 30 * (number % 3)), EVERY)] == [EVERY - 1]


def test_whoever_was_lost_is_looked_for_at_once_and_then_less_and_less():
    found = [*looks(picture, 60, SETTLED._replace(lost_ns=0))]
    assert found[0] <= 3 and len(found) >= 6
    assert (np.diff(found, 2) >= -1).all()


def test_the_budget_is_larger_while_somebody_was_lost_not_long_ago():
    pictures = round(30 * LOST_S)
    found = looks(picture, pictures, SETTLED._replace(saved=0.0, lost_ns=0))
    assert 1.5 * pictures / BUDGET < len(found) <= pictures / BUDGET + pictures / BUDGET_LOST


@pytest.mark.parametrize("somebody", [True, False])
def test_the_budget_holds_whatever_happens(somebody):
    def wild(number: int) -> np.ndarray:
        return picture(
            number, int(np.random.default_rng(number).integers(0, 560)), int(np.random.default_rng(-1 - number + 10**6).integers(0, 290))
        )

    found = looks(wild, 300, Watch(), [BOX] * somebody)
    assert len(found) <= SAVED + 300 / (BUDGET if somebody else BUDGET_ALONE)
    assert min(found) == 0


def test_where_there_is_no_room_the_whole_is_looked_at_rarely():
    found = looks(lambda number: picture(number, 4 * number), 3 * EVERY_FULL, room=False)
    assert [*found] == [*range(EVERY_FULL - 1, 3 * EVERY_FULL, EVERY_FULL)]
    assert {*found.values()} == {WHOLE}


def test_the_state_of_before_stays_as_it_is():
    watch, _ = SETTLED.after(picture(0, 20), [BOX], 0, True)
    watch, _ = watch._replace(pictures=EVERY).after(picture(1, 90), [BOX], 1, True)
    before = watch.dull.copy()
    watch._replace(pictures=EVERY).after(picture(2, 160), [BOX], 2, True)
    np.testing.assert_array_equal(watch.dull, before)
