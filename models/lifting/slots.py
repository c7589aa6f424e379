"""Who of the people in the picture has which slot of the lifter's state, and what was last seen of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Floats
from poselift.common.people import with_feet
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINTS
from poselift.models.lifting.filters import new_filters
from poselift.models.lifting.occlusion import OcclusionFiller
from poselift.models.lifting.sides import Sides

_BODY = len(COCO_KEYPOINTS)
PLAUSIBLE_PICTURES = 10
"""A keypoint that lies more than so many picture sizes away is no keypoint; its square would leave float32's range."""


class Person:
    """A person with a slot: two measurements of them, the newest and the one before it."""

    def __init__(self, slot: int, t_ns: int, points: Floats) -> None:
        self.slot = slot
        self.filters = new_filters()
        self.columns = 0
        """How many columns of theirs the network's state holds; at 0 the slot's past is someone else's."""
        self._sides = Sides()
        self._occlusion = OcclusionFiller()
        self._known_px = np.full((len(points), 2), np.nan, np.float32)
        self.keypoints = points[:, :3]
        """[21, 3]: as they were seen last, sides put right; at confidence 0 where a keypoint probably is that was not seen. Those of feet
        that were never seen are (0, 0, 0)."""
        self._observed = points
        self.see(t_ns, points)

    def see(self, t_ns: int, points: Floats) -> None:
        """A new measurement [21, 4] (x px, y px, confidence; 0: missing; depth px; NaN: unknown).

        Sides that the detector exchanged are undone (`sides.py`), what is missing is guessed for a while (`occlusion.py`) and then
        stays where it was known last. A keypoint that was never known stands in the middle of the others but the feet, and one of these
        at least has to be there.
        """
        seen = self._sides.undo(t_ns, points[:, :3])
        depth_px = np.where(seen[:, 2:] > 0, self._sides.righted(points[:, 3:]), np.float32(np.nan))
        guessed = self._occlusion.fill(t_ns, seen)
        present = guessed[:, 2:] > 0
        self._known_px = np.where(present, guessed[:, :2], self._known_px)
        box = guessed[:_BODY, :2][present[:_BODY, 0]]
        middle_px = (box.min(0) + box.max(0)) / 2
        filled_px = np.where(np.isnan(self._known_px), middle_px, self._known_px)
        self.keypoints = np.concatenate([filled_px, seen[:, 2:]], 1)
        self.keypoints[_BODY:][np.isnan(self._known_px[_BODY:]).any(1)] = 0
        self._move_on(np.concatenate([filled_px, guessed[:, 2:], depth_px], 1))
        self.seen_ns = t_ns
        self.held = False

    def miss(self) -> None:
        """A measurement without them: all stays where it was, at confidence 0, and nobody tells a depth."""
        unsure = np.array([1, 1, 0, np.nan], np.float32)
        self.keypoints = self.keypoints * unsure[:3]
        self._move_on(self._observed * unsure)
        self.held = True

    def at(self, part: float) -> Floats:
        """What the network is to see [21, 4], that part of the way from the last measurement but one (0) to the last (1), linearly.

        A keypoint that was missing and is there again has been where it is; its confidence alone goes up. So it is with a depth.
        """
        start = self._previous.copy()
        start[:, 3] = np.where(np.isnan(start[:, 3]), self._observed[:, 3], start[:, 3])
        found = (start[:, 2] == 0) & (self._observed[:, 2] > 0)
        start[found, :2] = self._observed[found, :2]
        between: Floats = (1 - part) * start + part * self._observed
        return between

    def _move_on(self, observed: Floats) -> None:
        self._previous, self._observed = self._observed, observed


class Slots:
    """A fixed number of slots for the people of a stream. A person keeps theirs until not seen for longer than `hold_ns`.

    When a new person comes and none is vacant, the one who has been away longest gives theirs up. Where all are in the
    picture, the new person is left out; `left_out` counts, by reason, the people of all frames who got no pose.
    """

    def __init__(self, count: int, hold_ns: int) -> None:
        self.count = count
        self.left_out: Counter[str] = Counter()
        self._hold_ns = hold_ns
        self.people: dict[int, Person] = {}
        """Who has a slot, by id."""

    def clear(self) -> None:
        """All slots become vacant."""
        self.people.clear()

    def update(self, t_ns: int, persons: Sequence[int], points: Floats) -> dict[int, Floats]:
        """Tell who has a slot what was seen of them, free the slots of who is gone; return the people without a slot.

        `points` [K, 21, 4] hold confidence 0 for what is missing, and no NaN but in depths (`plausible`). A person of whom all is
        missing, or all but the feet, is not seen.
        """
        seen: dict[int, Floats] = {}
        for person, of_person in zip(persons, points):
            if person in seen:
                self.left_out["the same id twice"] += 1
            elif of_person[:_BODY, 2].any():
                seen[person] = of_person
            elif person not in self.people:
                self.left_out["no keypoints"] += 1
        for person, known in list(self.people.items()):
            if person in seen:
                known.see(t_ns, seen.pop(person))
            elif t_ns - known.seen_ns > self._hold_ns:
                del self.people[person]
            else:
                known.miss()
        return seen

    def admit(self, t_ns: int, arrived: dict[int, Floats]) -> None:
        """Give slots to the people whom `update` returned, as far as there are any."""
        for person, points in arrived.items():
            slot = self._vacant_slot()
            if slot is None:
                self.left_out["no free slot"] += 1
            else:
                self.people[person] = Person(slot, t_ns, points)

    def _vacant_slot(self) -> int | None:
        vacant = set(range(self.count)) - {known.slot for known in self.people.values()}
        if vacant:
            return min(vacant)
        away = [person for person, known in self.people.items() if known.held]
        return self.people.pop(min(away, key=lambda person: self.people[person].seen_ns)).slot if away else None


def plausible(keypoints: npt.ArrayLike, depth_px: npt.ArrayLike | None, width_px: float, height_px: float) -> Floats:
    """Keypoints and depths, [K, 21, 4], with confidence clipped to 0..1; what is not finite or far outside is missing: (0, 0, 0, NaN).

    The keypoints may come without feet, [K, 17, 3], and without depths, which are [K, 21].
    """
    points = np.array(keypoints, np.float32)
    points = with_feet(points) if len(points) else np.empty((0, len(KEYPOINTS), 3), np.float32)
    limit_px = PLAUSIBLE_PICTURES * max(width_px, height_px)
    missing = ~((np.abs(points[..., :2]) <= limit_px).all(-1) & (points[..., 2] > 0) & np.isfinite(points[..., 2]))
    points[missing] = 0
    points = np.minimum(points, np.array([np.inf, np.inf, 1], np.float32))
    depths = np.full(missing.shape, np.nan) if depth_px is None else np.array(depth_px, np.float32).reshape(missing.shape)
    depths[missing | ~(np.abs(depths) <= limit_px)] = np.nan
    return np.concatenate([points, depths[..., None]], -1, dtype=np.float32)
