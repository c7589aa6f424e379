"""Several people: a finder looks for them now and then, and BlazePose's landmark network follows each by itself.

The finder (EfficientDet) sees people of whom BlazePose's own detector gives one at most. It looks at the whole picture and, for those who
are far away, at overlapping parts of it in turn: a look every so many pictures, after the picture's answer has been given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.models.backends.backend import Model
from poselift.models.detection import efficientdet
from poselift.models.detection.blazepose_person import Followed, Landmarks, followed, require_network
from poselift.models.detection.blazepose_regions import around_body
from poselift.models.detection.detector import Detections
from poselift.models.detection.when_to_look import WHOLE, Look, Watch

MAX_TRIES = 2
"""So many of the people found in one look are tried: each costs two runs of the landmark network."""
MIN_OVERLAP = 0.3
"""Intersection over union of a person's keypoints with the finder's box: below it, they are not of whom it found."""
MIN_FORM = 0.4
"""Width in heights, or height in widths, of a body: from the side its keypoints lie on a line."""


class Person(NamedTuple):
    """Somebody who is followed into the next picture."""

    known: Followed
    box: Doubles
    """float64[4]: around their keypoints: centre x, centre y, width, height; px."""
    place: int
    """In the answer to this picture; -1: found after it was given."""

    def scaled(self, factor: float) -> Person:
        """The same in a picture so many times as large."""
        shift_px = (factor - 1) / 2
        return Person(self.known.scaled(factor), self.box * factor + np.array([shift_px, shift_px, 0, 0]), self.place)


class People(NamedTuple):
    """Everybody who is followed, who has been longest first, and what tells when to look for more."""

    t_ns: int
    people: tuple[Person, ...] = ()
    watch: Watch = Watch()
    left_out: int = 0
    """Of the people in the last look at the whole picture, those for whom there was no room."""

    def scaled(self, factor: float) -> People:
        """See `poselift.models.detection.detector.DetectorState`."""
        return self._replace(people=tuple(person.scaled(factor) for person in self.people))


class BlazePosePeople:
    """Finds and follows up to so many `people`.

    `finder` is EfficientDet-Lite0, `landmarks` BlazePose's network. A person needs `min_score` in the finder and `min_presence` in the
    landmark network to be found, and `min_presence` in every picture to be followed. Raises ModelError where a network is not what it
    should be.
    """

    def __init__(self, finder: Model, landmarks: Model, min_score: float = 0.5, min_presence: float = 0.5, people: int = 4) -> None:
        require_network(finder, "EfficientDet-Lite0", efficientdet.INPUT_SIZE, {"boxes", "scores"})
        self._finder, self._landmarks, self._most, self._min_score = finder, Landmarks(landmarks, min_presence), people, min_score
        self._anchors = efficientdet.anchors()

    def step(self, state: Optional[People], picture: Pixels, t_ns: int) -> tuple[People, Detections]:
        """Those who were followed and are still there. See `poselift.models.detection.detector.PoseDetector2D`."""
        state = state or People(t_ns)
        people: list[Person] = []
        seen: list[Floats] = []
        before: list[int] = []
        for person in state.people:
            sight = self._landmarks.look(picture, person.known.region)
            if sight is None:
                continue
            known = followed(sight, person.known, max((t_ns - state.t_ns) / 1e9, 1e-3))
            people.append(Person(known, _box_around(sight.keypoints), len(people)))
            seen.append(sight.keypoints)
            before.append(person.place)
        boxes = np.array([person.known.box for person in people]).reshape(-1, 4)
        keypoints = np.array(seen, np.float32).reshape(-1, 17, 3)
        left_out = state.left_out if len(people) >= self._most else 0
        watch = state.watch._replace(lost_ns=t_ns) if len(people) < len(state.people) else state.watch
        return People(t_ns, tuple(people), watch, left_out), Detections(boxes, keypoints, tuple(before), left_out)

    def keep(self, state: Optional[People], places: Sequence[int]) -> Optional[People]:
        """Those at these places alone. See `poselift.models.detection.detector.PoseDetector2D`."""
        if state is None:
            return None
        people = tuple(state.people[of]._replace(place=place) for place, of in enumerate(places))
        return state._replace(people=people, watch=state.watch._replace(lost_ns=state.t_ns), left_out=0)

    def look_around(self, state: Optional[People], picture: Pixels) -> Optional[People]:
        """Look for more people, when it is time; where there is no room for them, count them, in the whole picture alone.

        See `poselift.models.detection.detector.PoseDetector2D`.
        """
        if state is None:
            return state
        room, left_out = self._most - len(state.people), state.left_out
        watch, look = state.watch.after(picture, [person.box for person in state.people], state.t_ns, room > 0)
        if look is None:
            return state._replace(watch=watch)
        found = self._new(self._find(picture, look), state.people)
        tries = (self._confirmed(picture, box) for box in found[: MAX_TRIES if room else 0])
        more = [person for person in tries if person][:room]
        if look == WHOLE:
            left_out = len(found) - len(more) if len(more) == room else 0
        return state._replace(people=(*state.people, *more), watch=watch, left_out=left_out)

    def _find(self, picture: Pixels, look: Look) -> Doubles:
        """The boxes [N, 4] of people in that part of the picture, in the picture's pixels."""
        left, top, size = look
        height_px, width_px = picture.shape[:2]
        x_px, y_px = round(left * width_px), round(top * height_px)
        part = picture[y_px : y_px + round(size * height_px), x_px : x_px + round(size * width_px)]
        small, scale = efficientdet.scaled_into(part)
        boxes = efficientdet.decode(self._finder.run({"picture": small}), self._anchors, self._min_score, 2 * self._most)
        found: Doubles = boxes / scale + np.array([x_px, y_px, 0, 0])
        return found

    def _new(self, boxes: Doubles, people: tuple[Person, ...]) -> list[Doubles]:
        """The boxes that are of nobody who is followed, the largest first: each of those has one box at most, for people may embrace."""
        left = sorted(boxes, key=lambda box: -float(box[2] * box[3]))
        for person in people:
            if left:
                overlaps = efficientdet.overlaps(np.array(left), person.box)
                if overlaps.max() >= MIN_OVERLAP:
                    left.pop(int(overlaps.argmax()))
        return left

    def _confirmed(self, picture: Pixels, box: Doubles) -> Optional[Person]:
        """The person in a box of the finder's; None where the landmark network sees none."""
        hip = box[:2]
        sight = self._landmarks.look(picture, around_body(hip, hip - np.array([0, box[3] / 2])))
        sight = sight and self._landmarks.look(picture, around_body(*sight.alignment))
        if sight is None:
            return None
        around = _box_around(sight.keypoints)
        if efficientdet.overlaps(around[np.newaxis], box)[0] < MIN_OVERLAP:
            return None
        return Person(followed(sight, None, 0.0), around, -1)


def _box_around(keypoints: Floats) -> Doubles:
    """float64[4]: centre x, centre y, width, height; px."""
    low, high = keypoints[:, :2].min(0).astype(np.float64), keypoints[:, :2].max(0).astype(np.float64)
    size = high - low
    return np.concatenate([(low + high) / 2, np.maximum(size, MIN_FORM * size[::-1])])
