"""Several people: a finder looks for them now and then, and a network that sees one person follows each by itself.

The finder (EfficientDet) sees people of whom BlazePose's own detector gives one at most. It looks at the whole picture and, for those who
are far away, at overlapping squares of it in turn: a look every so many pictures, after the picture's answer has been given. In the first
picture of a stream or a scene it looks before, since nobody is known yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Doubles, Floats, Pixels
from poselift.common.skeleton import KEYPOINTS
from poselift.models.backends.backend import Model
from poselift.models.detection import efficientdet
from poselift.models.detection.blazepose_person import require_network
from poselift.models.detection.boxes import area, overlaps, scaled
from poselift.models.detection.detector import Detections
from poselift.models.detection.person_network import Known, PersonNetwork
from poselift.models.detection.when_to_look import Look, Watch, whole

MAX_TRIES = 2
"""So many of the people found in one look are tried, but for the first look: each costs a run or two of the network, and those in vain
count as looks."""
UNSURE = 0.6
"""The finder need be only so sure of a person, in `min_score`: of small people it is less sure. Measured at 0.3, on pictures without
people and in cluttered rooms: of what it took for people there, the landmark network took one horse for a person, and nothing else."""
APART = 0.1
"""Somebody of whom the finder is less sure than `min_score` overlaps nobody else by more: parts of a person look like small people."""
EDGE = 0.02
"""Somebody so near to an edge of a square, in its sides, is cut by it."""
LARGER, BRIEF_S = 2.0, 10.0
"""Where there is no room, somebody in a box with so many times the area gets the place of whoever is followed not yet so long."""
MIN_OVERLAP = 0.3
"""Intersection over union of a person's body with the finder's box: below it, they are not of whom it found."""
COVERED, TALL = 0.4, 0.2
"""Whoever is followed is seen by the finder where its box covers so much of their body. It must see in the whole picture who is so tall, in
the picture's longer sides."""
MAX_MISSED = 2
"""Whoever is missed in so many looks at the whole picture, one after the other, is nobody."""


@dataclass(frozen=True)
class Person(Generic[Known]):
    """Somebody who is followed into the next picture."""

    known: Known
    body: Doubles
    """float64[4]: the box around their body: centre x, centre y, width, height; px."""
    found_ns: int
    """When they were found."""
    place: int = -1
    """In the answer to this picture; -1: found after it was given."""
    missed: int = 0
    """In so many looks at the whole picture, up to the last one, the finder saw nobody there."""

    def scaled(self, factor: float) -> Person[Known]:
        """The same in a picture so many times as large."""
        return replace(self, known=self.known.scaled(factor), body=np.array(scaled(tuple(self.body.tolist()), factor)))


class Found(NamedTuple):
    """Somebody in the finder's eyes who is not followed."""

    box: Doubles
    """float64[4]: centre x, centre y, width, height; px."""
    sure: bool


@dataclass(frozen=True)
class People(Generic[Known]):
    """Everybody who is followed, who has been longest first, and what tells when to look for more."""

    t_ns: int
    people: tuple[Person[Known], ...] = ()
    watch: Watch = Watch()
    left_out: int = 0
    """Of the people in the last look at the whole picture, those for whom there was no room."""
    claimed: bool = False
    """One of them was large enough for somebody's place."""

    def scaled(self, factor: float) -> People[Known]:
        """See `poselift.models.detection.detector.DetectorState`."""
        return replace(self, people=tuple(person.scaled(factor) for person in self.people))


class TopDown(Generic[Known]):
    """Finds and follows up to so many `people`.

    `finder` is EfficientDet-Lite0; `network` sees each, and confirms whom the finder found. Somebody of whom the finder is less sure than
    `min_score`, down to `UNSURE` of it, is tried last, and only if they stand apart. Raises ModelError where the finder is not what it
    should be.
    """

    def __init__(self, finder: Model, network: PersonNetwork[Known], min_score: float, people: int) -> None:
        require_network(finder, "EfficientDet-Lite0", efficientdet.INPUT_SIZE, {"boxes", "scores"})
        self._finder, self._network, self._most, self._min_score = finder, network, people, min_score
        self._anchors = efficientdet.anchors()

    def step(self, state: Optional[People[Known]], picture: Pixels, t_ns: int) -> tuple[People[Known], Detections]:
        """Those who were followed and are still there. See `poselift.models.detection.detector.PoseDetector2D`."""
        if state is None:  # so that a stream of one picture has its people
            state = self._looked(People(t_ns), picture, self._most)
        elapsed_s = max((t_ns - state.t_ns) / 1e9, 1e-3)
        people: list[Person[Known]] = []
        keypoints: list[Floats] = []
        depths: list[Floats] = []
        before: list[int] = []
        lost: list[Doubles] = []
        for person in state.people:
            seen = self._network.follow(picture, person.known, elapsed_s)
            if seen is not None:
                people.append(replace(person, known=seen.known, body=seen.body, place=len(people)))
                keypoints.append(seen.keypoints)
                depths.extend([] if seen.depth_px is None else [seen.depth_px])
                before.append(person.place)
            else:
                lost.append(person.body)
        boxes = np.array([person.known.box for person in people]).reshape(-1, 4)
        full = len(people) >= self._most
        left_out = state.left_out if full else 0
        watch = state.watch.lost(lost, (picture.shape[1], picture.shape[0]), t_ns) if lost else state.watch
        of_all = np.array(keypoints, np.float32).reshape(-1, len(KEYPOINTS), 3)
        found = Detections(boxes, of_all, tuple(before), np.array(depths, np.float32) if depths else None, left_out)
        return People(t_ns, tuple(people), watch, left_out, full and state.claimed), found

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
        return None if state is None else self._looked(state, picture, MAX_TRIES)

    def _looked(self, state: People[Known], picture: Pixels, max_tries: int) -> People[Known]:
        room = self._most - len(state.people)
        watch, look = state.watch.after(picture, [person.body for person in state.people], state.t_ns, room > 0)
        if look is None:
            return replace(state, watch=watch)
        boxes, scores = self._find(picture, look)
        all_of_it = look == whole((picture.shape[1], picture.shape[0]))
        if all_of_it:
            state = replace(state, people=_seen_again(state.people, boxes, max(picture.shape)))
            room = self._most - len(state.people)
        found = self._new(boxes, scores, state.people)
        others = sum(of.sure for of in found)
        if not room:
            return self._with_place(replace(state, watch=watch, left_out=others), picture, found)
        more: list[Person[Known]] = []
        in_vain = 0
        for of in found[:max_tries]:
            if len(more) == room:
                break
            person = self._confirmed(picture, of.box, state.t_ns)
            if person is None:
                in_vain += 1
            else:
                more.append(person)
                others -= of.sure
        if all_of_it:
            state = replace(state, left_out=others if len(more) == room else 0)
        return replace(state, people=(*state.people, *more), watch=watch.spent(in_vain))

    def _with_place(self, state: People[Known], picture: Pixels, found: list[Found]) -> People[Known]:
        """Whoever is much larger, in two looks one after the other, follows in the place of the smallest of those who came lately."""
        box = found[0].box if found and found[0].sure else None
        if box is None or self._gives(state, box) is None:
            return replace(state, claimed=False)
        if not state.claimed:
            return replace(state, claimed=True)
        person = self._confirmed(picture, box, state.t_ns)
        gives = person and self._gives(state, person.body)
        if person is None or gives is None:
            return replace(state, claimed=False)
        return replace(state, people=(*(of for of in state.people if of is not gives), person), claimed=False)

    def _gives(self, state: People[Known], box: Doubles) -> Optional[Person[Known]]:
        """The smallest of those who came lately, where whoever is in this box is much larger."""
        lately = [of for of in state.people if state.t_ns - of.found_ns < BRIEF_S * 1e9]
        smallest = min(lately, key=lambda of: area(of.body), default=None)
        return smallest if smallest is not None and area(box) > LARGER * area(smallest.body) else None

    def _find(self, picture: Pixels, look: Look) -> tuple[Doubles, Floats]:
        """The boxes [N, 4] of people who are wholly in that part of the picture, in its pixels, and their scores [N]."""
        small, scale = efficientdet.scaled_into(look.cut_out(picture))
        answer = self._finder.run({"picture": small})
        boxes, scores = efficientdet.decode(answer, self._anchors, UNSURE * self._min_score, 2 * self._most)
        boxes = boxes / scale + np.array([look.left_px, look.top_px, 0, 0])
        complete = _complete(boxes, look, picture)
        return boxes[complete], scores[complete]

    def _new(self, boxes: Doubles, scores: Floats, people: tuple[Person[Known], ...]) -> list[Found]:
        """Those who are not followed: the sure ones first, of them the largest first; of the others the surest first, as they come.

        Each of those who are followed has one box at most, for people may embrace.
        """
        found = [Found(box, bool(score >= self._min_score)) for box, score in zip(boxes, scores)]
        found.sort(key=lambda of: (not of.sure, -area(of.box) * of.sure))
        for person in people:
            if found:
                shared = overlaps(np.array([of.box for of in found]), person.body)
                if shared.max() >= MIN_OVERLAP:
                    found.pop(int(shared.argmax()))
        known, new = [person.body for person in people], []
        for of in found:
            if of.sure or not known or overlaps(np.array(known), of.box).max() < APART:
                known.append(of.box)
                new.append(of)
        return new

    def _confirmed(self, picture: Pixels, box: Doubles, t_ns: int) -> Optional[Person[Known]]:
        """The person in a box of the finder's; None where the network sees none."""
        seen = self._network.confirm(picture, box)
        if seen is None or overlaps(seen.body[np.newaxis], box)[0] < MIN_OVERLAP:
            return None
        return Person(seen.known, seen.body, t_ns)


def _complete(boxes: Doubles, look: Look, picture: Pixels) -> npt.NDArray[np.intp]:
    """Which boxes [N, 4] do not lie at an edge of a square, unless it is the picture's: other looks see all of those who do."""
    first, size = np.array([look.left_px, look.top_px]), np.array([look.width_px, look.height_px])
    middle, half = boxes[:, :2] - first, boxes[:, 2:] / 2 + EDGE * look.width_px
    cut = np.concatenate([(middle < half) & (first > 0), (middle + half > size) & (first + size < picture.shape[1::-1])], axis=1)
    return np.flatnonzero(~cut.any(axis=1))


def _seen_again(people: tuple[Person[Known], ...], boxes: Doubles, side_px: int) -> tuple[Person[Known], ...]:
    """Those who are still followed after a look at the whole picture in which the finder saw these `boxes` [N, 4].

    A network that sees a person at its input's edge may go on with nobody beside them.
    """
    checked = []
    for person in people:
        missed = person.body[3] >= TALL * side_px and not _covered(person.body, boxes)
        checked.append(replace(person, missed=person.missed + 1 if missed else 0))
    return tuple(person for person in checked if person.missed < MAX_MISSED)


def _covered(body: Doubles, boxes: Doubles) -> bool:
    """Whether one of the boxes [N, 4] covers enough of a body's."""
    low = np.maximum(boxes[:, :2] - boxes[:, 2:] / 2, body[:2] - body[2:] / 2)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:] / 2, body[:2] + body[2:] / 2)
    return bool((np.maximum(high - low, 0).prod(-1) >= COVERED * area(body)).any())
