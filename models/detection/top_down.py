"""Several people: a finder looks for them now and then, and a network that sees one person follows each by itself.

The finder (EfficientDet) sees people of whom BlazePose's own detector gives one at most. It looks at the whole picture and, for those who
are far away, at overlapping parts of it in turn: a look every so many pictures, after the picture's answer has been given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Optional

import numpy as np

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.models.backends.backend import Model
from poselift.models.detection import efficientdet
from poselift.models.detection.blazepose_person import require_network
from poselift.models.detection.detector import Detections
from poselift.models.detection.person_network import Known, PersonNetwork
from poselift.models.detection.when_to_look import WHOLE, Look, Watch

MAX_TRIES = 2
"""So many of the people found in one look are tried: each costs a run or two of the network."""
MIN_OVERLAP = 0.3
"""Intersection over union of a person's body with the finder's box: below it, they are not of whom it found."""


@dataclass(frozen=True)
class Person(Generic[Known]):
    """Somebody who is followed into the next picture."""

    known: Known
    body: Doubles
    """float64[4]: the box around their body: centre x, centre y, width, height; px."""
    place: int
    """In the answer to this picture; -1: found after it was given."""

    def scaled(self, factor: float) -> Person[Known]:
        """The same in a picture so many times as large."""
        shift_px = (factor - 1) / 2
        return Person(self.known.scaled(factor), self.body * factor + np.array([shift_px, shift_px, 0, 0]), self.place)


@dataclass(frozen=True)
class People(Generic[Known]):
    """Everybody who is followed, who has been longest first, and what tells when to look for more."""

    t_ns: int
    people: tuple[Person[Known], ...] = ()
    watch: Watch = Watch()
    left_out: int = 0
    """Of the people in the last look at the whole picture, those for whom there was no room."""

    def scaled(self, factor: float) -> People[Known]:
        """See `poselift.models.detection.detector.DetectorState`."""
        return replace(self, people=tuple(person.scaled(factor) for person in self.people))


class TopDown(Generic[Known]):
    """Finds and follows up to so many `people`.

    `finder` is EfficientDet-Lite0, in which a person needs `min_score` to be found; `network` sees each. Raises ModelError where the finder
    is not what it should be.
    """

    def __init__(self, finder: Model, network: PersonNetwork[Known], min_score: float, people: int) -> None:
        require_network(finder, "EfficientDet-Lite0", efficientdet.INPUT_SIZE, {"boxes", "scores"})
        self._finder, self._network, self._most, self._min_score = finder, network, people, min_score
        self._anchors = efficientdet.anchors()

    def step(self, state: Optional[People[Known]], picture: Pixels, t_ns: int) -> tuple[People[Known], Detections]:
        """Those who were followed and are still there. See `poselift.models.detection.detector.PoseDetector2D`."""
        state = state or People(t_ns)
        elapsed_s = max((t_ns - state.t_ns) / 1e9, 1e-3)
        people: list[Person[Known]] = []
        keypoints: list[Floats] = []
        before: list[int] = []
        for person in state.people:
            seen = self._network.follow(picture, person.known, elapsed_s)
            if seen is not None:
                people.append(Person(seen.known, seen.body, len(people)))
                keypoints.append(seen.keypoints)
                before.append(person.place)
        boxes = np.array([person.known.box for person in people]).reshape(-1, 4)
        left_out = state.left_out if len(people) >= self._most else 0
        watch = state.watch._replace(lost_ns=t_ns) if len(people) < len(state.people) else state.watch
        found = Detections(boxes, np.array(keypoints, np.float32).reshape(-1, 17, 3), tuple(before), left_out)
        return People(t_ns, tuple(people), watch, left_out), found

    def keep(self, state: Optional[People[Known]], places: Sequence[int]) -> Optional[People[Known]]:
        """Those at these places alone. See `poselift.models.detection.detector.PoseDetector2D`."""
        if state is None:
            return None
        people = tuple(replace(state.people[of], place=place) for place, of in enumerate(places))
        return replace(state, people=people, watch=state.watch._replace(lost_ns=state.t_ns), left_out=0)

    def look_around(self, state: Optional[People[Known]], picture: Pixels) -> Optional[People[Known]]:
        """Look for more people, when it is time; where there is no room for them, count them, in the whole picture alone.

        See `poselift.models.detection.detector.PoseDetector2D`.
        """
        if state is None:
            return state
        room, left_out = self._most - len(state.people), state.left_out
        watch, look = state.watch.after(picture, [person.body for person in state.people], state.t_ns, room > 0)
        if look is None:
            return replace(state, watch=watch)
        found = self._new(self._find(picture, look), state.people)
        tries = (self._confirmed(picture, box) for box in found[: MAX_TRIES if room else 0])
        more = [person for person in tries if person][:room]
        if look == WHOLE:
            left_out = len(found) - len(more) if len(more) == room else 0
        return replace(state, people=(*state.people, *more), watch=watch, left_out=left_out)

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

    def _new(self, boxes: Doubles, people: tuple[Person[Known], ...]) -> list[Doubles]:
        """The boxes that are of nobody who is followed, the largest first: each of those has one box at most, for people may embrace."""
        left = sorted(boxes, key=lambda box: -float(box[2] * box[3]))
        for person in people:
            if left:
                overlaps = efficientdet.overlaps(np.array(left), person.body)
                if overlaps.max() >= MIN_OVERLAP:
                    left.pop(int(overlaps.argmax()))
        return left

    def _confirmed(self, picture: Pixels, box: Doubles) -> Optional[Person[Known]]:
        """The person in a box of the finder's; None where the network sees none."""
        seen = self._network.confirm(picture, box)
        if seen is None or efficientdet.overlaps(seen.body[np.newaxis], box)[0] < MIN_OVERLAP:
            return None
        return Person(seen.known, seen.body, -1)
