"""Who is who: ids that stay with a person and are never used again.

A detector says whom it has followed from the picture before. That is believed but for two cases: two who are followed show one person, or
somebody who is followed has come to look like somebody else, since the detector has slid to a neighbour. Of the others, each has the id of
one who was lost not long ago, if place, size and looks allow; else a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import inf, log
from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models.detection.detector import Detections
from poselift.models.tracking.assignment import pairs
from poselift.models.tracking.looks import Looks, likeness, likeness_in_other_light
from poselift.models.tracking.oks import similarity
from poselift.models.tracking.track import Box, Seen, Track

KEEP_S = 6.5
"""So long somebody who was lost may come back: who is out of the picture for 5 s is not followed for longer, until they are found."""
UNLIKE = 0.35
"""Likeness in another light below which nobody is the same."""
NEAR, NEAR_GROWTH = 0.5, 1.5
"""Somebody found so near to where one was lost, in sides of the box, and so nearly as large, is that one."""
SPEED, GROWTH, MAX_GROWTH = 1.5, 1.0, 3.0
"""So is somebody so much farther away for each second, in sides of the box, and so many times more as large for each second, up to this:
within the picture, where nobody comes from nowhere."""
MARGIN = 0.03
"""Of the picture's width at its left and right: there people leave and come."""
FAST = 2.5
"""Elsewhere, sides of the box in a second..."""
ALIKE, ALIKE_FAR, MAX_ALIKE = 0.25, 0.1, 0.6
"""...if they look so much alike, and more for each side of the box, up to this."""
SAME = 0.7
"""Object keypoint similarity above which two poses in one picture are one person's."""
CLEAR = 0.2
"""Such a difference in place (similarity) and looks (likeness) tells whose pose it is; below it, it is that of the older id."""
EXPECTED = 0.5
"""A pose with less similarity to the predicted one is a jump."""
JUMP_S = 0.5
"""So long after a jump, looks that change mean that somebody else is followed now."""
STRANGE, BETTER = 0.3, 0.25
"""Looks that change are less alike than this, or so much less than another person's."""
MAX_DOUBTS = 4
"""In so many pictures one after the other."""
UNKNOWN = 0.5
"""What counts as likeness where looks are not known."""
TORSO = [5, 6, 11, 12]
"""Shoulders and hips among the COCO keypoints."""


class Tracks(NamedTuple):
    """Everybody with an id: first those of the picture before, in its order, then those who were lost and may come back."""

    next_person: int = 1
    """The id of whoever is new: one counts on, so none comes back."""
    tracks: tuple[Track, ...] = ()
    kept: tuple[int, ...] = ()
    """The places of those of the picture before among the detections: without those who were found twice."""

    def update(self, found: Detections, looks: Sequence[Optional[Looks]], t_ns: int, width_px: int) -> Tracks:
        """The tracks after a picture of such a width with these people, who look so."""
        without_feet = found.keypoints[:, : len(COCO_KEYPOINTS)]
        people = [Seen(Box(*box), pose, look) for box, pose, look in zip(found.boxes.tolist(), without_feet, looks)]
        people = [seen._replace(inside=_inside(seen.keypoints, width_px)) for seen in people]
        people = [seen._replace(clear=_clear(seen, people)) for seen in people] if len(people) > 1 else people
        followed = self._without_doubles(found.followed, people, t_ns)
        doubts = {place: self._doubts(place, followed, people, t_ns) for place, before in followed.items() if before >= 0}
        sure = {place: followed[place] for place, count in doubts.items() if count < MAX_DOUBTS}
        lost = [before for before in range(len(self.tracks)) if before not in sure.values()]
        others = [place for place in followed if place not in sure]
        costs = [[_cost(self.tracks[of], people[place], t_ns) if of != followed[place] else inf for of in lost] for place in others]
        again = {others[row]: lost[column] for row, column in pairs(np.array(costs).reshape(len(others), len(lost)))}
        now, next_person = [], self.next_person
        for place in followed:
            seen = people[place]
            if place in sure:
                now.append(_followed(self.tracks[sure[place]], seen, doubts[place], t_ns))
            elif place in again:
                now.append(self.tracks[again[place]].back(seen, t_ns))
            else:
                now.append(Track.new(next_person, seen, t_ns))
                next_person += 1
        missed = [self.tracks[of] for of in lost if of not in again.values() and t_ns - self.tracks[of].seen_ns <= KEEP_S * 1e9]
        return Tracks(next_person, (*now, *missed), tuple(followed))

    def _without_doubles(self, followed: Sequence[int], people: Sequence[Seen], t_ns: int) -> dict[int, int]:
        """Place of each person -> that of their track, or -1; of two who are one, that of whom it fits best."""
        left = dict(enumerate(followed))
        for one, other in combinations(range(len(people)), 2):
            if one in left and other in left and _same_pose(people[one], people[other]):
                one_fits, other_fits = (self._fit(left[place], people[place], t_ns) for place in (one, other))
                older = one if self._age(left[one]) <= self._age(left[other]) else other
                clear = abs(one_fits - other_fits) > CLEAR
                stays = (one if one_fits > other_fits else other) if clear else older
                del left[one + other - stays]
        return left

    def _fit(self, before: int, seen: Seen, t_ns: int) -> float:
        """0 to 2: how far this is the person of the track in place and looks; -1 for somebody new."""
        if before < 0:
            return -1.0
        track = self.tracks[before]
        alike = UNKNOWN if track.looks is None or seen.looks is None else likeness(track.looks, seen.looks)
        return similarity(track.predicted(t_ns), seen.keypoints) + alike

    def _age(self, before: int) -> int:
        """The smaller the older."""
        return self.tracks[before].person if before >= 0 else self.next_person

    def _doubts(self, place: int, followed: Mapping[int, int], people: Sequence[Seen], t_ns: int) -> int:
        """In how many pictures up to this one the person at `place` has looked like somebody else than who is followed there."""
        seen, track = people[place], self.tracks[followed[place]]
        if len(self.tracks) < 2 or not seen.clear or seen.looks is None or track.looks is None:
            return track.doubts
        own, places = likeness(track.looks, seen.looks), {before: at for at, before in followed.items()}
        if own < STRANGE and (track.doubts or (track.jumped_ns is not None and t_ns - track.jumped_ns < JUMP_S * 1e9)):
            return track.doubts + 1
        for before, rival in enumerate(self.tracks):
            if before == followed[place] or rival.looks is None:
                continue
            gain = likeness(rival.looks, seen.looks) - own
            if before in places:  # the rival is followed, too: have the two changed places?
                its = people[places[before]].looks
                gain = -inf if its is None else gain + likeness(track.looks, its) - likeness(rival.looks, its)
            if gain > BETTER and _cost(rival, seen, t_ns) < inf:
                return track.doubts + 1
        return 0

    def scaled(self, factor: float) -> Tracks:
        """The same people in a picture so many times as large."""
        return self._replace(tracks=tuple(track.scaled(factor) for track in self.tracks))

    def forgotten(self) -> Tracks:
        """Whoever is found next is another person, also in the same place."""
        return Tracks(self.next_person)


def _clear(seen: Seen, people: Sequence[Seen]) -> bool:
    """Whether nobody else's keypoints are around the middle of this person's torso."""
    x_px, y_px = seen.keypoints[TORSO, :2].mean(0)
    return not any(
        other is not seen
        and other.keypoints[:, 0].min() <= x_px <= other.keypoints[:, 0].max()
        and other.keypoints[:, 1].min() <= y_px <= other.keypoints[:, 1].max()
        for other in people
    )


def _same_pose(one: Seen, other: Seen) -> bool:
    near_px = NEAR * max(one.box.side_px, other.box.side_px)
    apart_px = abs(one.box.x_px - other.box.x_px), abs(one.box.y_px - other.box.y_px)
    return max(apart_px) < near_px and similarity(one.keypoints, other.keypoints) > SAME


def _inside(keypoints: Floats, width_px: int) -> bool:
    """Whether a person is not at the left or right of the picture."""
    x_px = keypoints[:, 0]
    return bool(x_px.min() > MARGIN * width_px and x_px.max() < (1 - MARGIN) * width_px)


def _followed(track: Track, seen: Seen, doubts: int, t_ns: int) -> Track:
    """The person of this track, seen again."""
    after = track.followed(seen, t_ns)._replace(doubts=doubts)
    if similarity(track.predicted(t_ns), seen.keypoints) < EXPECTED:
        after = after._replace(jumped_ns=t_ns)
    return after.looking(seen.looks, (t_ns - track.seen_ns) / 1e9) if seen.clear and not doubts else after


def _cost(track: Track, seen: Seen, t_ns: int) -> float:
    """How little it is likely that this is the person who was lost; infinity where it is another."""
    elapsed_s, away, growth = (t_ns - track.seen_ns) / 1e9, track.away(seen.box, t_ns), track.growth(seen.box)
    alike = UNKNOWN if track.looks is None or seen.looks is None else likeness(track.looks, seen.looks)
    if elapsed_s > KEEP_S or not (_near(away, growth) or _may_come_back(track, seen, elapsed_s, away, growth, alike)):
        return inf
    if track.looks is not None and seen.looks is not None and likeness_in_other_light(track.looks, seen.looks) < UNLIKE:
        return inf
    return away / (NEAR + FAST * elapsed_s) + log(growth) + 2 * (1 - alike)


def _near(away: float, growth: float) -> bool:
    return away < NEAR and growth < NEAR_GROWTH


def _may_come_back(track: Track, seen: Seen, elapsed_s: float, away: float, growth: float, alike: float) -> bool:
    """Whether a person may be so far from where they were lost so long ago."""
    if track.looks is None or seen.looks is None:
        return False
    if growth >= min(NEAR_GROWTH + GROWTH * elapsed_s, MAX_GROWTH):
        return False
    if track.inside and seen.inside and away < NEAR + SPEED * elapsed_s:
        return True
    return away < NEAR + FAST * elapsed_s and alike >= min(ALIKE + ALIKE_FAR * away, MAX_ALIKE)
