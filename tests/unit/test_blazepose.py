"""Finding, following, losing and naming a person, with networks that answer what the test's world holds."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from disc_world import Fake, Person, World

from poselift.common.errors import ModelError
from poselift.common.people import People2D
from poselift.models.detection.blazepose import BlazePose, Following
from poselift.models.tracking.pose_tracker import PoseTracker, Tracked
from poselift.models.tracking.tracks import KEEP_S, Tracks


@pytest.fixture
def world() -> World:
    return World()


class Watching:
    """A BlazePose that looks at one stream of pictures, in which people are told apart; the first of them has the id `first`."""

    def __init__(self, detector: Fake, landmarks: Fake, first: int = 1) -> None:
        self.tracker = PoseTracker(BlazePose(detector, landmarks))
        self.state: Tracked[Following] = Tracked(Tracks(first))
        self.begun: dict[int, int] = {}
        """The frame in which each id was given."""

    def step(self, picture: np.ndarray, t_ns: int) -> People2D:
        self.state, people = self.tracker.step(self.state, picture, t_ns)
        return people


@pytest.fixture
def blazepose(world: World) -> Watching:
    return Watching(world.detector, world.landmarks)


def see(world: World, blazepose: Watching, frame: int, *people: Person) -> list[int]:
    """Who is seen in one more frame of the world with these people; each by the frame that the id was taken from."""
    world.people = people
    return [blazepose.begun.setdefault(person, frame) for person in blazepose.step(world.picture(), at_ns(frame)).person.tolist()]


def at_ns(frame: int) -> int:
    """The frame's time in the stream."""
    return frame * FRAME_MS * 1_000_000


HERE = Person(300, 250)
FRAME_MS = 33
KEEP_FRAMES = int(KEEP_S * 1000 / FRAME_MS)
"""So many from the last in which somebody was seen to the last in which they may come back."""


def test_detector_runs_only_while_there_is_nobody_to_follow(world, blazepose):
    for frame in range(3):
        assert see(world, blazepose, frame) == []
    assert (world.detector.runs, world.landmarks.runs) == (3, 0)
    for frame in range(3, 10):
        assert see(world, blazepose, frame, HERE) == [3]
    assert (world.detector.runs, world.landmarks.runs) == (4, 7)


def test_nobody_is_an_empty_answer_of_the_right_shape(world, blazepose):
    people = blazepose.step(world.picture(), at_ns(0))
    assert people.person.shape == (0,) and people.person.dtype == np.int64
    assert people.keypoints.shape == (0, 21, 3) and people.keypoints.dtype == np.float32


def test_keypoints_are_pixels_of_the_picture_with_confidence(world, blazepose):
    world.people = [HERE]
    for frame in range(5):
        people = blazepose.step(world.picture(), at_ns(frame))
    assert people.keypoints.shape == (1, 21, 3) and people.keypoints.dtype == np.float32
    np.testing.assert_allclose(people.keypoints[0, :, :2], np.tile([300, 250], (21, 1)), atol=0.5)
    np.testing.assert_allclose(people.keypoints[0, :, 2], 1 / (1 + np.exp(-3)), rtol=1e-6)


def place_in_region(world: World) -> float:
    """How far right of the region's middle the landmark network saw the person, in parts of the region's side."""
    return float(np.nonzero(world.landmarks.seen > 35)[1].mean() / 256 - 0.5)


def test_the_region_does_not_tremble_and_keeps_up(world, blazepose):
    for frame in range(40):
        see(world, blazepose, frame, HERE._replace(x=300 + 6 * (frame % 2)))
    assert abs(place_in_region(world)) * 250 > 2, "the region followed the trembling"
    for frame in range(40, 70):
        see(world, blazepose, frame, HERE._replace(x=300 + 8 * (frame - 40)))
    assert place_in_region(world) * 250 < 30, "the region fell behind"
    assert world.detector.runs == 1


def test_the_region_of_a_person_found_anew_owes_nothing_to_the_last_one(world, blazepose):
    see(world, blazepose, 0, HERE)
    for frame in (1, 2):
        see(world, blazepose, frame, Person(90, 250, 70))
    assert world.detector.runs == 2
    assert abs(place_in_region(world)) < 0.01


def test_outside_of_the_picture_is_black_to_the_detector_and_goes_on_to_the_landmark_network(world, blazepose):
    see(world, blazepose, 0, Person(60, 60))
    assert (world.detector.seen[:20] == 0).all() and (world.detector.seen[30:190] >= 20).all()
    assert (world.landmarks.seen >= 20).all()


def test_presence_below_the_threshold_gives_the_person_up(world, blazepose):
    assert see(world, blazepose, 0, HERE) == [0]
    assert see(world, blazepose, 1, HERE._replace(present=False)) == []
    assert world.detector.runs == 2


def test_a_person_who_jumps_away_is_found_in_the_same_frame(world, blazepose):
    assert see(world, blazepose, 5, HERE) == [5]
    assert see(world, blazepose, 6, Person(80, 250, 70)) == [6]
    assert world.detector.runs == 2


@pytest.mark.parametrize(
    ("away", "back", "same"),
    [
        (2, HERE, True),
        (KEEP_FRAMES, HERE, True),
        (KEEP_FRAMES + 1, HERE, False),
        (2, Person(400, 250), True),
        (2, Person(460, 250), False),
        (2, Person(300, 250, 140), True),
        (2, Person(300, 250, 160), False),
        (2, Person(300, 250, 60), False),
    ],
)
def test_who_comes_back_soon_to_nearly_the_same_place_and_size_keeps_the_id(world, blazepose, away, back, same):
    assert see(world, blazepose, 10, HERE) == [10]
    assert see(world, blazepose, 11) == []
    assert see(world, blazepose, 10 + away, back) == [10 if same else 10 + away]


def test_every_absence_is_counted_anew(world, blazepose):
    for frame in range(0, 30, 3):
        assert see(world, blazepose, frame, HERE) == [0]
        assert see(world, blazepose, frame + 1) == see(world, blazepose, frame + 2) == []


def test_the_most_prominent_person_is_followed_and_kept(world, blazepose):
    small_but_sure, large = Person(120, 240, 60, score=0.99), Person(450, 240, 110, score=0.8)
    assert see(world, blazepose, 0, small_but_sure, large) == [0]
    assert blazepose.step(world.picture(), at_ns(1)).keypoints[0, 0, 0] == pytest.approx(450, abs=0.5)
    world.people = [small_but_sure._replace(radius=130, y=200), large]
    assert blazepose.step(world.picture(), at_ns(2)).keypoints[0, 0, 0] == pytest.approx(450, abs=0.5)


def test_whom_the_landmark_network_refuses_gives_way_to_the_next(world, blazepose):
    statue, person = Person(450, 240, 110, present=False), Person(120, 240, 60)
    world.people = [statue, person]
    assert blazepose.step(world.picture(), at_ns(0)).keypoints[0, 0, 0] == pytest.approx(120, abs=0.5)
    assert world.landmarks.runs == 2


def test_ids_after_a_restart_are_new(world, blazepose):
    assert see(world, blazepose, 7, HERE) == [7]
    restarted = Watching(world.detector, world.landmarks, first=blazepose.state.tracks.next_person)
    world.people = [HERE]
    assert restarted.step(world.picture(), at_ns(8)).person.tolist() == [2]


def test_same_pictures_give_the_same_bits(world):
    def run() -> bytes:
        blazepose = Watching(world.detector, world.landmarks)
        answers = []
        for frame in (0, 1, 3, 4, 8):
            world.people = [Person(300 + 5 * frame, 250 + frame, 100 + frame)]
            answers.append(blazepose.step(world.picture(), at_ns(frame)).keypoints.tobytes())
        return b"".join(answers)

    assert run() == run()


def test_a_picture_that_proves_bad_leaves_no_trace(world, blazepose):
    """The state of before it is still what it was, whatever became of the person in that picture."""
    see(world, blazepose, 0, HERE)
    before = blazepose.state
    for frame, people in enumerate([[HERE._replace(x=340)], [Person(90, 250, 70)], []], 1):
        see(world, blazepose, frame, *people)
        blazepose.state = before
    assert see(world, blazepose, 1, HERE) == [0]
    assert abs(place_in_region(world)) < 0.01


@pytest.mark.parametrize("factor", [2, 0.5])
def test_who_is_followed_into_a_picture_of_another_size_is_where_they_were(world, blazepose, factor):
    world.people = [Person(200, 200)]
    for t_ns in (1, 10**9):
        before = blazepose.step(world.picture(), t_ns)
    other = cv2.resize(world.picture(), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    after = blazepose.step(other, 2 * 10**9)
    again = blazepose.step(world.picture(), 3 * 10**9)
    assert world.detector.runs == 1
    assert before.person == after.person == again.person
    np.testing.assert_allclose(after.keypoints[0, :, :2], factor * before.keypoints[0, :, :2], atol=1.5)
    np.testing.assert_allclose(again.keypoints, before.keypoints, atol=1)


def test_the_smoothing_knows_of_no_change_of_size(world):
    """A stream of large and small pictures of one scene keeps the region that a stream of large ones has, but for the pixels' rounding."""
    all_large, mixed = Watching(world.detector, world.landmarks), Watching(world.detector, world.landmarks)
    for frame in range(12):
        world.people = [Person(200 + 4 * frame, 200)]
        large = world.picture()
        small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
        all_large.step(large, 33_000_000 * frame)
        mixed.step(small if frame % 2 else large, 33_000_000 * frame)
    assert mixed.state.size_px == (320, 240)
    np.testing.assert_allclose(np.array(mixed.state.detector.person.region) * 2, all_large.state.detector.person.region, atol=3)


def test_nobody_is_followed_into_a_picture_of_another_shape(world, blazepose):
    world.people = [Person(200, 200)]
    (before,) = blazepose.step(world.picture(), 10**9).person
    tall = np.ascontiguousarray(np.rot90(world.picture()))  # where the person was there is nobody now
    assert blazepose.step(tall, 2 * 10**9).person.tolist() != [before]
    assert world.detector.runs == 2


def test_who_was_missed_in_a_smaller_picture_and_is_found_where_they_were_keeps_the_id(world, blazepose):
    world.people = [Person(200, 200)]
    (before,) = blazepose.step(world.picture(), 10**9).person
    world.people = []
    blazepose.step(cv2.resize(world.picture(), None, fx=0.5, fy=0.5), 2 * 10**9)
    world.people = [Person(200, 200)]
    assert blazepose.step(world.picture(), 3 * 10**9).person.tolist() == [before]


def test_times_must_grow(world, blazepose):
    see(world, blazepose, 4, HERE)
    with pytest.raises(ValueError, match="132000000 ns came after one of 132000000 ns"):
        see(world, blazepose, 4, HERE)


def test_networks_that_are_mixed_up_are_refused(world):
    with pytest.raises(ModelError, match=r"not BlazePose's detector.*models pull"):
        BlazePose(world.landmarks, world.detector)


NO_NUMBERS = (np.nan, np.inf, -np.inf)
NO_PLACES = (*NO_NUMBERS, 3e38)


class Broken:
    """A network some of whose numbers are none, while `by` says so."""

    def __init__(self, network: Fake) -> None:
        self.inputs, self.outputs, self.metadata = network.inputs, network.outputs, network.metadata
        self.by: Callable[[dict[str, np.ndarray]], None] = lambda answer: None
        self._network = network

    def run(self, tensors):
        answer = {name: array.copy() for name, array in self._network.run(tensors).items()}
        self.by(answer)
        return answer


def follow_brokenly(world: World, break_it: Callable[[Broken, Broken], None]) -> list[np.ndarray]:
    """Keypoints [K, 21, 3] of twelve frames of one person who moves; the networks are broken in frames 3 to 5."""
    detector, landmarks = Broken(world.detector), Broken(world.landmarks)
    blazepose = Watching(detector, landmarks)
    found = []
    for frame in range(12):
        if frame == 3:
            break_it(detector, landmarks)
        if frame == 6:
            detector.by = landmarks.by = lambda answer: None
        world.people = [HERE._replace(x=300 + 4 * frame)]
        people = blazepose.step(world.picture(), at_ns(frame))
        assert len(people.person) == len(people.keypoints) and np.isfinite(people.keypoints).all()
        found.append(people.keypoints)
    return found


def putting(output: str, where, value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def put(answer):
        answer[output][where] = value

    return put


LANDMARK_COLUMNS = [np.s_[0, 5 * 11 + column] for column in range(5)]
ALIGNMENT = [np.s_[0, 5 * 33], np.s_[0, 5 * 34 + 1]]


@pytest.mark.parametrize(
    ("output", "where", "value"),
    [
        *(("flag", np.s_[:], value) for value in NO_NUMBERS),
        *(("landmarks", where, value) for where in (np.s_[:], *LANDMARK_COLUMNS, *ALIGNMENT) for value in NO_PLACES),
    ],
)
def test_who_is_told_of_in_no_numbers_is_let_go_and_found_again(world, output, where, value):
    def break_it(detector, landmarks):
        landmarks.by = putting(output, where, value)

    found = follow_brokenly(world, break_it)
    assert [len(keypoints) for keypoints in found] == [1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    healthy = follow_brokenly(World(), lambda *_: None)
    for frame in (6, 11):
        np.testing.assert_allclose(found[frame][0], healthy[frame][0], atol=0.7)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_heat_in_no_numbers_refines_nothing(world, value):
    def break_it(detector, landmarks):
        landmarks.by = putting("heatmap", np.s_[:], value)

    found = follow_brokenly(world, break_it)
    assert [len(keypoints) for keypoints in found] == [1] * 12
    np.testing.assert_array_equal(np.array(found), np.array(follow_brokenly(World(), lambda *_: None)))


@pytest.mark.parametrize("where", [np.s_[:], np.s_[0, 0, 0]])
@pytest.mark.parametrize(("output", "value"), [*(("scores", value) for value in NO_NUMBERS), *(("boxes", value) for value in NO_PLACES)])
def test_whom_the_detector_tells_of_in_no_numbers_is_nobody(world, output, where, value):
    network = Broken(world.detector)
    network.by = putting(output, where, value)
    blazepose = Watching(network, world.landmarks)
    assert see(world, blazepose, 0, HERE) == []
    assert world.landmarks.runs == 0
    assert see(world, blazepose, 1, Person(0, 0, 1), HERE) == ([1] if where != np.s_[:] else []), "the next one is found all the same"
    network.by = lambda answer: None
    assert len(see(world, blazepose, 2, HERE)) == 1


def test_a_person_without_a_size_is_not_followed(world):
    def break_it(detector, landmarks):
        def to_one_point(answer):
            answer["landmarks"].reshape(39, 5)[33:35, :2] = 128

        landmarks.by = to_one_point

    found = follow_brokenly(world, break_it)
    assert [len(keypoints) for keypoints in found] == [1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
