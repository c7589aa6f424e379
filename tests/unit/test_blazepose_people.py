"""Finding and following several people, with networks that answer what the test's world holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from disc_world import SIZE, Person, World

from poselift.common.errors import ModelError
from poselift.models.detection.blazepose_people import BlazePosePeople
from poselift.models.detection.blazepose_person import Followed
from poselift.models.detection.top_down import MAX_TRIES, People
from poselift.models.detection.when_to_look import BUDGET, BUDGET_ALONE, EVERY, EVERY_FULL, EVERY_SOON, FIRST, QUIET, SAVED
from poselift.models.tracking.pose_tracker import PoseTracker, Tracked

LEFT, MIDDLE, RIGHT = Person(110, 240, 90), Person(320, 250, 80), Person(520, 230, 70)
Watch = Callable[..., list[int]]


@pytest.fixture
def world() -> World:
    world = World()
    world.landmarks.spread = True
    return world


class Watching:
    """Up to so many people, who are followed through one stream of pictures."""

    def __init__(self, world: World, people: int = 4) -> None:
        self.world, self.frame = world, 0
        self.tracker = PoseTracker(BlazePosePeople(world.finder, world.landmarks, people=people))
        self.state: Tracked[People[Followed]] = Tracked()

    def see(self, *people: Person, frames: int = 1) -> list[int]:
        """The ids in the last of so many more pictures of these people."""
        self.world.people = people
        for _ in range(frames):
            self.state, found = self.tracker.step(self.state, self.world.picture(), self.frame * 33_000_000)
            self.state, self.frame = self.tracker.look_around(self.state, self.world.picture()), self.frame + 1
            self.keypoints = found.keypoints
        return found.person.tolist()


def test_whoever_is_there_at_first_is_in_the_first_answer(world: World) -> None:
    watching = Watching(world)
    assert watching.see(LEFT, MIDDLE, RIGHT) == [1, 2, 3] and MAX_TRIES < 3
    assert watching.see(LEFT, MIDDLE, RIGHT) == [1, 2, 3]
    centres = watching.keypoints[:, :17, :2].mean(1)
    np.testing.assert_allclose(sorted(centres[:, 0]), [110, 320, 520], atol=8)


def test_who_comes_is_looked_for_after_the_answer_and_followed_from_the_next_picture_on(world: World) -> None:
    watching = Watching(world)
    watching.see(frames=EVERY)
    runs = world.finder.runs
    assert watching.see(LEFT, RIGHT) == [] and world.finder.runs > runs
    assert watching.see(LEFT, RIGHT) == [1, 2]


def test_the_finder_looks_rarely_while_nothing_happens(world: World) -> None:
    watching = Watching(world)
    watching.see(LEFT, frames=FIRST * BUDGET)
    runs = world.finder.runs
    watching.see(LEFT, frames=3 * EVERY)
    assert world.finder.runs == runs + 3 > FIRST
    assert watching.see() == [], "from now on they are looked for"
    watching.see(frames=QUIET)
    assert runs + 3 + QUIET / EVERY < world.finder.runs <= runs + 3 + SAVED + QUIET / BUDGET_ALONE
    runs = world.finder.runs
    watching.see(frames=3 * EVERY)
    assert world.finder.runs == runs + 3, "nothing moves"


def test_the_finder_keeps_to_its_budget_whatever_moves(world: World) -> None:
    watching, rng = Watching(world), np.random.default_rng(0)
    for _ in range(300):
        ball = Person(*rng.uniform(100, 400, 2), 15, present=False)
        ids = watching.see(RIGHT, ball)
    assert ids == [1]
    assert 300 / EVERY < world.finder.runs <= SAVED + 300 / BUDGET


def test_who_comes_later_is_found_and_those_who_are_there_keep_their_ids(world: World) -> None:
    watching = Watching(world)
    assert watching.see(MIDDLE, frames=5) == [1]
    assert watching.see(MIDDLE, LEFT, frames=2 * EVERY) == [1, 2]
    assert watching.see(MIDDLE, LEFT, RIGHT, frames=2 * EVERY) == [1, 2, 3]
    assert watching.see(MIDDLE, LEFT._replace(present=False), RIGHT) == [1, 3]


def test_no_more_are_followed_than_are_asked_for_and_the_others_are_counted(world: World) -> None:
    watching = Watching(world, people=2)
    assert watching.see(LEFT, MIDDLE, frames=2) == [1, 2] and watching.state.left_out == 0
    watching.see(LEFT, MIDDLE, RIGHT, frames=2 * EVERY_FULL)
    runs, landmarks = world.finder.runs, world.landmarks.runs
    assert watching.see(LEFT, MIDDLE, RIGHT, frames=2 * EVERY_FULL) == [1, 2] and watching.state.left_out == 1
    assert world.finder.runs == runs + 2, "the whole picture alone"
    assert world.landmarks.runs == landmarks + 2 * 2 * EVERY_FULL, "nobody else is tried"
    watching.see(LEFT, MIDDLE._replace(present=False), RIGHT)
    assert watching.state.left_out == 0, "now there is room"


def test_the_largest_are_taken_first(world: World) -> None:
    watching = Watching(world, people=1)
    watching.see(RIGHT, LEFT, MIDDLE, frames=2)
    assert watching.keypoints[0, :17, 0].mean() == pytest.approx(110, abs=8)


def test_somebody_much_larger_gets_the_place_of_the_smallest_who_came_lately(world: World) -> None:
    watching = Watching(world, people=2)
    far, near = Person(520, 120, 40), Person(180, 300, 120)
    assert watching.see(far, RIGHT._replace(y=360), frames=2) == [1, 2]
    assert watching.see(far, RIGHT._replace(y=360), near, frames=EVERY_FULL) == [1, 2], "one look shows them"
    assert watching.see(far, RIGHT._replace(y=360), near, frames=EVERY_FULL) == [1, 3], "and so does the next one"
    assert watching.state.left_out == 1
    assert watching.see(far, RIGHT._replace(y=360), near, frames=2 * EVERY_FULL) == [1, 3], "nobody changes back"


def test_whom_the_landmark_network_refuses_is_not_followed(world: World) -> None:
    watching = Watching(world)
    assert watching.see(LEFT._replace(present=False), RIGHT, frames=2) == [1]
    assert watching.keypoints[0, :17, 0].mean() == pytest.approx(520, abs=8)


def test_whom_the_finder_is_not_sure_of_the_landmark_network_decides(world: World) -> None:
    watching = Watching(world)
    unsure = RIGHT._replace(score=0.35)
    assert watching.see(LEFT, unsure, MIDDLE._replace(score=0.25), frames=2) == [1, 2]
    assert sorted(watching.keypoints[:, :17, 0].mean(1)) == pytest.approx([110, 520], abs=8)


def test_part_of_somebody_who_is_known_is_nobody_new(world: World) -> None:
    """The finder is not sure of it, and it lies beside one who is followed."""
    watching = Watching(world)
    assert watching.see(MIDDLE, frames=2) == [1]
    runs = world.landmarks.runs
    watching.see(MIDDLE, Person(380, 200, 45, score=0.4), frames=FIRST)
    assert world.landmarks.runs == runs + FIRST, "it is not even tried"


def test_of_a_thousand_boxes_on_noise_few_are_tried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    noise = {
        "scores": (rng.random((1, 19206, 1)) > 0.9).astype(np.float32),
        "boxes": rng.normal(0, 0.3, (1, 19206, 4)).astype(np.float32),
    }
    looks = []
    monkeypatch.setattr(world.finder, "run", lambda tensors: looks.append(tensors) or noise)
    assert Watching(world).see(frames=30) == []
    people = 4
    assert 0 < world.landmarks.runs - people <= MAX_TRIES * (len(looks) - 1)
    assert MAX_TRIES * len(looks) <= SAVED + MAX_TRIES + 30 / BUDGET_ALONE


def test_tries_in_vain_are_paid_out_of_the_looks(world: World) -> None:
    Watching(world).see(LEFT, RIGHT._replace(present=False), frames=150)
    tried = world.landmarks.runs - 149 - 2  # without those for the one who is followed
    assert tried > 6 and world.finder.runs + tried <= SAVED + 150 / BUDGET + 2


def test_a_far_person_is_found_in_a_part_of_the_picture(world: World) -> None:
    """Whom the finder cannot see in the whole picture: a disc of 36 px is 18 px of its input there, 36 px in a narrow square."""
    watching, far = Watching(world), Person(500, 120, 18)
    world.finder.smallest_px = 25
    assert watching.see(far, frames=2) == []
    assert watching.see(far, frames=FIRST * EVERY_SOON) == [1]


@pytest.mark.parametrize(("score", "small", "stays"), [(0.1, False, False), (0.3, False, True), (0.1, True, True)])
def test_whom_the_finder_does_not_see_any_more_is_nobody(world: World, score: float, small: bool, stays: bool) -> None:
    """As where the landmark network goes on beside a person. The finder cannot tell of who is small, and it may be less sure."""
    watching, other = Watching(world), RIGHT._replace(radius=40) if small else RIGHT
    assert watching.see(LEFT, other, frames=2) == [1, 2]
    assert watching.see(LEFT, other._replace(score=score), frames=5 * EVERY) == ([1, 2] if stays else [1])


def test_two_tracks_on_one_person_become_one(world: World) -> None:
    watching = Watching(world)
    watching.see(LEFT, RIGHT, frames=3)
    near = RIGHT
    for x in range(110, 521, 10):  # the left one walks into the right one, who is nearer to the camera
        ids = watching.see(LEFT._replace(x=x, radius=60, y=230), near)
    assert len(ids) == 1


def test_after_another_size_everybody_is_where_they_were(world: World) -> None:
    watching = Watching(world)
    watching.see(LEFT, RIGHT, frames=3)
    before, runs = watching.keypoints, world.finder.runs
    small = cv2.resize(world.picture(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
    watching.state, found = watching.tracker.step(watching.state, small, watching.frame * 33_000_000)
    assert found.person.tolist() == [1, 2] and world.finder.runs == runs
    np.testing.assert_allclose(found.keypoints[..., :2] * 2, before[..., :2], atol=3)


def test_same_pictures_give_the_same_bits(world: World) -> None:
    def run() -> list[Any]:
        watching = Watching(world)
        return [(watching.see(LEFT._replace(x=110 + 3 * frame), RIGHT), watching.keypoints.tobytes()) for frame in range(25)]

    assert run() == run()


def test_a_picture_that_proves_bad_leaves_no_trace(world: World) -> None:
    watching = Watching(world)
    watching.see(LEFT, RIGHT, frames=3)
    before, frame = watching.state, watching.frame
    watching.see(frames=2)
    watching.state, watching.frame = before, frame
    assert watching.see(LEFT, RIGHT) == [1, 2]


def test_another_finder_is_refused(world: World) -> None:
    with pytest.raises(ModelError, match=r"not EfficientDet-Lite0.*models pull"):
        BlazePosePeople(world.detector, world.landmarks)


def test_an_empty_picture_is_an_empty_answer_of_the_right_shape(world: World) -> None:
    watching = Watching(world)
    assert watching.see() == []
    assert watching.keypoints.shape == (0, 21, 3) and watching.keypoints.dtype == np.float32
    assert world.picture().shape[:2] == SIZE
