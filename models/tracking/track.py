"""One person who has an id: where they were, how they moved, how they look, and where that makes them be later."""

from __future__ import annotations

from math import exp, hypot
from typing import NamedTuple, Optional

import numpy as np

from poselift.common.arrays import Doubles, Floats
from poselift.models.detection.boxes import scaled
from poselift.models.tracking.looks import Looks

LIMBS_SLOW_S, BODY_SLOWS_S = 0.15, 1.0
"""Times in which a motion that is not seen any more fades: a limb's against the body, and the body's."""
LIMBS_OVER_S, BODY_OVER_S, LOOKS_OVER_S = 0.1, 0.3, 1.0
"""Times over which speeds and looks are averaged."""


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
        return Box(*scaled(self, factor))


class Seen(NamedTuple):
    """Somebody whom the detector found in a picture."""

    box: Box
    keypoints: Floats
    """float32[17, 3]: COCO order; x px, y px, confidence."""
    looks: Optional[Looks] = None
    clear: bool = True
    """Nobody else is before or behind their torso."""
    inside: bool = True
    """They are not at the left or right of the picture, where people leave and come."""


class Track(NamedTuple):
    """A person as they were when they were seen last."""

    person: int
    box: Box
    keypoints: Floats
    """float32[17, 3]: COCO order; x px, y px, confidence."""
    born_ns: int
    seen_ns: int
    limbs: Doubles
    """float64[17, 2]: the keypoints' speeds, px/s."""
    body: Doubles
    """float64[2]: the speed of the box's centre, px/s."""
    looks: Optional[Looks] = None
    """Over the last second or more in which they were seen well."""
    jumped_ns: Optional[int] = None
    """When they were last found where they could not be expected."""
    inside: bool = True
    """See `Seen`."""
    doubts: int = 0
    """So many pictures, up to this one, in which they look like somebody else."""

    @classmethod
    def new(cls, person: int, seen: Seen, t_ns: int) -> Track:
        """Somebody of whom nothing was known before this picture."""
        looks = seen.looks if seen.clear else None
        return cls(person, seen.box, seen.keypoints, t_ns, t_ns, np.zeros((len(seen.keypoints), 2)), np.zeros(2), looks, inside=seen.inside)

    def predicted(self, t_ns: int) -> Floats:
        """The keypoints [17, 3] at this time if nothing happens: speeds stay at first, and fade."""
        elapsed_s = (t_ns - self.seen_ns) / 1e9
        moved_px = (self.limbs - self.body) * _lasting(elapsed_s, LIMBS_SLOW_S) + self.body * _lasting(elapsed_s, BODY_SLOWS_S)
        keypoints = self.keypoints.copy()
        keypoints[:, :2] += moved_px.astype(np.float32)
        return keypoints

    def away(self, box: Box, t_ns: int) -> float:
        """How far a box is from where the person was, or from where they would be by now if that is nearer; in sides of the larger box."""
        x_px, y_px = (self.body * _lasting((t_ns - self.seen_ns) / 1e9, BODY_SLOWS_S)).tolist()
        x_away_px, y_away_px = box.x_px - self.box.x_px, box.y_px - self.box.y_px
        away_px = min(hypot(x_away_px, y_away_px), hypot(x_away_px - x_px, y_away_px - y_px))
        return away_px / max(box.side_px, self.box.side_px, 1e-9)

    def growth(self, box: Box) -> float:
        """How many times the larger of both boxes is as large as the smaller one; at least 1."""
        smaller_px, larger_px = sorted((box.side_px, self.box.side_px))
        return larger_px / max(smaller_px, 1e-9)

    def followed(self, seen: Seen, t_ns: int) -> Track:
        """The person after one more picture, followed from the one before."""
        elapsed_s, box = (t_ns - self.seen_ns) / 1e9, seen.box
        limbs = (seen.keypoints[:, :2].astype(np.float64) - self.keypoints[:, :2]) / elapsed_s
        body = np.array([box.x_px - self.box.x_px, box.y_px - self.box.y_px]) / elapsed_s
        limbs = self.limbs + (limbs - self.limbs) * (elapsed_s / (elapsed_s + LIMBS_OVER_S))
        body = self.body + (body - self.body) * (elapsed_s / (elapsed_s + BODY_OVER_S))
        return self._replace(box=box, keypoints=seen.keypoints, inside=seen.inside, seen_ns=t_ns, limbs=limbs, body=body)

    def back(self, seen: Seen, t_ns: int) -> Track:
        """The person found again: how they moved before tells nothing now."""
        return Track.new(self.person, seen, t_ns)._replace(looks=self.looks, born_ns=self.born_ns)

    def looking(self, looks: Optional[Looks], elapsed_s: float) -> Track:
        """The person who was seen well, with these looks, so long after the picture before."""
        if looks is None or self.looks is None:
            return self._replace(looks=self.looks if looks is None else looks)
        known_s = min((self.seen_ns - self.born_ns) / 1e9 - elapsed_s, LOOKS_OVER_S)
        return self._replace(looks=self.looks + (looks - self.looks) * (elapsed_s / (elapsed_s + max(known_s, 0.0))))

    def scaled(self, factor: float) -> Track:
        """The same person in a picture so many times as large."""
        shift = np.array([factor, factor, 1], np.float32), np.array([(factor - 1) / 2] * 2 + [0], np.float32)
        keypoints = self.keypoints * shift[0] + shift[1]
        return self._replace(box=self.box.scaled(factor), keypoints=keypoints, limbs=self.limbs * factor, body=self.body * factor)


def _lasting(elapsed_s: float, slows_s: float) -> float:
    """For so many seconds of its first speed a motion has gone by then that fades within `slows_s`."""
    return slows_s * (1 - exp(-elapsed_s / slows_s))
