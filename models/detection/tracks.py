"""Who is who: ids that stay with a person and are never used again."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple, Optional

from poselift.models.detection.detector import Detections

MAX_MOVE = 0.5
"""A person found again is one who was lost when the box's centre moved less than this, in sides of the box..."""
MAX_GROWTH = 1.5
"""...and the side grew or shrank less than this many times. A side is the longer one."""


class Box(NamedTuple):
    """Where a person is in a picture."""

    x_px: float
    """Of the centre, as y."""
    y_px: float
    width_px: float
    height_px: float

    @property
    def side_px(self) -> float:
        """The longer side."""
        return max(self.width_px, self.height_px)

    def scaled(self, factor: float) -> Box:
        """The same in a picture so many times as large; (0, 0) is the middle of a pixel in both."""
        shift_px = (factor - 1) / 2
        return Box(factor * self.x_px + shift_px, factor * self.y_px + shift_px, factor * self.width_px, factor * self.height_px)


class Track(NamedTuple):
    """A person, where they were seen last, and in how many pictures not since."""

    person: int
    box: Box
    missed: int = 0


class Tracks(NamedTuple):
    """Everybody with an id: first those of the picture before, in its order, then those who were missed and may come back."""

    next_person: int = 1
    """The id of whoever is new: one counts on, so none comes back."""
    tracks: tuple[Track, ...] = ()

    def update(self, found: Detections, keep_pictures: int) -> Tracks:
        """The tracks after a picture with these people; the first of them are theirs, in the same order.

        Who was followed keeps the id. Of the others each has that of the nearest one who was missed, in at most `keep_pictures`, at nearly
        the same place and size; or a new one.
        """
        left = dict(enumerate(self.tracks))
        boxes = [Box(*box) for box in found.boxes.tolist()]
        persons = [left.pop(before).person if before >= 0 else None for before in found.followed]
        next_person = self.next_person
        for place, box in enumerate(boxes):
            if persons[place] is None:
                same = _nearest(box, left)
                persons[place] = next_person if same is None else left.pop(same).person
                next_person += same is None
        seen = tuple(Track(person, box) for person, box in zip(persons, boxes) if person is not None)
        missed = (track._replace(missed=track.missed + 1) for track in left.values() if track.missed < keep_pictures)
        return Tracks(next_person, (*seen, *missed))

    def scaled(self, factor: float) -> Tracks:
        """The same people in a picture so many times as large."""
        return self._replace(tracks=tuple(track._replace(box=track.box.scaled(factor)) for track in self.tracks))

    def forgotten(self) -> Tracks:
        """Whoever is found next is another person, also in the same place."""
        return Tracks(self.next_person)


def _nearest(box: Box, tracks: dict[int, Track]) -> Optional[int]:
    """Which of these tracks may well be the person in this box; None where none may."""
    moved_px = {place: hypot(track.box.x_px - box.x_px, track.box.y_px - box.y_px) for place, track in tracks.items()}
    alike = (place for place, track in tracks.items() if _alike(box.side_px, track.box.side_px, moved_px[place]))
    return min(alike, key=moved_px.__getitem__, default=None)


def _alike(one_px: float, other_px: float, moved_px: float) -> bool:
    smaller_px, larger_px = sorted((one_px, other_px))
    return moved_px < MAX_MOVE * larger_px and larger_px < MAX_GROWTH * smaller_px
