"""When the finder looks, and where: rarely, but soon where something moves or somebody was lost.

The finder costs as much as two people who are followed. So it has a budget: one look in so many pictures, of which some can be saved up,
for the first pictures and for when somebody may have come. It sees nobody who is small in its input. So it looks at the whole picture, at
wide squares, and at narrow ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple, Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Pixels
from poselift.common.sizes import Size

BUDGET, BUDGET_LOST, BUDGET_ALONE = 60, 10, 3
"""One look in so many pictures, in the long run: for each person who is followed, so looks take 7 % of what it takes to follow; more, while
somebody was lost not long ago; and while nobody is followed."""
LOST_S = 5.0
"""So long somebody was lost not long ago."""
SAVED, RESERVE = 24.0, 5.0
"""So many looks are saved up at most, and there are so many at first; and so many of them are left to whoever is lost."""
EVERY, EVERY_SOON, EVERY_ALONE, EVERY_FULL = 60, 3, 4, 30
"""Pictures from one look to the next: while nothing happens; when somebody may have come or was lost; while nobody is followed; while no
more can be followed."""
QUIET = 300
"""Where nothing has moved in so many pictures, nobody has come: then the finder looks as rarely as while somebody is followed."""
LATER = 6.0
"""So many pictures more for each second since somebody was lost."""
SIDES = (1.0, 2 / 3)
"""Of wide and narrow squares, in the picture's shorter side."""
OVERLAP = 1 / 6
"""Of two squares side by side, at least: whoever is small enough for a square is in one of them as a whole."""
KINDS = 1 + len(SIDES)
"""Of looks: whole, wide, narrow; in turn."""
FIRST = 6 * KINDS
"""So many looks in a new scene come soon: to see everything once, narrow squares included."""
COLUMNS, ROWS, SAMPLES = 64, 36, 3
"""Motion is seen in so many cells of the picture, by so many pixels in each direction of a cell."""
MOVED, MOVED_CELLS = 12, 3
"""Grey levels, beyond what most cells change, that make motion of a cell's change; and so many cells that make somebody."""
AROUND = 1.4
"""Hair, hands and feet move outside of the box around a person's keypoints, but within one so many times as large."""
DULL = 2 * EVERY
"""For so many pictures, what moves where something moved at a look is no news: leaves, water, a screen."""

Cells = npt.NDArray[np.uint8]
Moved = npt.NDArray[np.bool_]


class Look(NamedTuple):
    """A part of a picture, px."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int

    def cut_out(self, picture: Pixels) -> Pixels:
        """What is there, in the picture's own memory."""
        return picture[self.top_px : self.top_px + self.height_px, self.left_px : self.left_px + self.width_px]


def whole(size_px: Size) -> Look:
    """All of a picture of this size."""
    return Look(0, 0, *size_px)


def squares(size_px: Size, side: float) -> list[Look]:
    """Squares that overlap and together are the picture, row by row; `side` in its shorter side."""
    side_px = max(1, round(side * min(size_px)))
    lefts, tops = (_starts(length_px, side_px) for length_px in size_px)
    return [Look(left_px, top_px, side_px, side_px) for top_px in tops for left_px in lefts]


def _starts(length_px: int, side_px: int) -> list[int]:
    steps = max(1, ceil((length_px - side_px) / ((1 - OVERLAP) * side_px)))
    return sorted({round(step * (length_px - side_px) / steps) for step in range(steps + 1)})


class Watch(NamedTuple):
    """What was seen and done so far."""

    cells: Optional[Cells] = None
    """uint8[36, 64]: the picture before, in grey."""
    dull: Optional[Cells] = None
    """uint8[36, 64]: for so many more pictures, what moves there is no news."""
    still: int = 0
    """In so many pictures nothing has moved."""
    pictures: int = EVERY
    """So many since the last look."""
    looks: int = 0
    """So many in turn."""
    saved: float = SAVED
    lost_ns: Optional[int] = None
    """When somebody was lost last."""
    news: Optional[Moved] = None
    """bool[36, 64]: where somebody may have come or was lost."""
    due: int = 0
    """So many looks there are still to come: the whole, then the squares around it."""

    def after(self, picture: Pixels, boxes: Iterable[npt.ArrayLike], t_ns: int, room: bool) -> tuple[Watch, Optional[Look]]:
        """What is known after a picture taken at `t_ns`, and where to look in it; None: nowhere.

        `boxes` of the people who are followed: centre x, centre y, width, height; px. What moves there is known. Where there is no `room`
        for more, the whole picture alone is looked at, to count the others.
        """
        boxes, size_px = list(boxes), (picture.shape[1], picture.shape[0])
        saved = self.saved + (len(boxes) / BUDGET if boxes else 1 / BUDGET_ALONE)
        saved += 1 / BUDGET_LOST if self.lost_ns is not None and t_ns - self.lost_ns < LOST_S * 1e9 else 0
        watch = self._replace(pictures=self.pictures + 1, saved=min(saved, SAVED))
        if not room:
            watch = watch._replace(cells=None, news=None, due=0)
            return (watch.spent(1), whole(size_px)) if watch.pictures >= EVERY_FULL else (watch, None)
        cells = _cells(picture)
        dull = np.zeros_like(cells) if self.dull is None else cv2.subtract(self.dull, 1)
        moved = np.zeros((ROWS, COLUMNS), np.bool_) if self.cells is None else _moved(self.cells, cells)
        for box in boxes:
            moved[_inside(np.multiply(box, (1, 1, AROUND, AROUND)), size_px)] = False
        watch = watch._replace(cells=cells, dull=dull, still=self.still + 1 if moved.sum() < MOVED_CELLS else 0)
        if (moved & (dull == 0)).sum() >= MOVED_CELLS:
            watch = watch._replace(news=moved, due=watch.due or KINDS)
        if not watch._now(bool(boxes), t_ns):
            return watch, None
        dull[moved] = DULL
        if watch.due:
            return watch.spent(1)._replace(due=watch.due - 1), _look(size_px, KINDS - watch.due, watch.news, 0)
        turn, kind = divmod(watch.looks, KINDS)
        where = moved if turn % 2 and moved.sum() >= MOVED_CELLS else None
        return watch.spent(1)._replace(looks=watch.looks + 1), _look(size_px, kind, where, turn)

    def lost(self, boxes: Iterable[npt.ArrayLike], size_px: Size, t_ns: int) -> Watch:
        """After a picture in which those are no longer seen who were in these boxes of the picture before."""
        news = np.zeros((ROWS, COLUMNS), np.bool_)
        for box in boxes:
            news[_inside(box, size_px)] = True
        return self._replace(lost_ns=t_ns, news=news, due=KINDS)

    def spent(self, looks: int) -> Watch:
        """After so many looks, or as much other work."""
        return self._replace(pictures=0, saved=self.saved - looks)

    def _now(self, somebody: bool, t_ns: int) -> bool:
        """Whether to look now."""
        every = EVERY if somebody or self.still >= QUIET else EVERY_ALONE
        lost = EVERY if self.lost_ns is None else EVERY_SOON + LATER * (t_ns - self.lost_ns) / 1e9
        if (self.looks < FIRST and self.saved > RESERVE) or (self.due and (self.saved > RESERVE or lost < EVERY)):
            every = EVERY_SOON if somebody or self.saved <= RESERVE else 1
        return self.pictures >= min(every, lost) and self.saved >= 1


def _cells(picture: Pixels) -> Cells:
    samples = cv2.resize(picture, (SAMPLES * COLUMNS, SAMPLES * ROWS), interpolation=cv2.INTER_NEAREST)
    cells: Cells = cv2.resize(cv2.cvtColor(samples, cv2.COLOR_BGR2GRAY), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return cells


def _moved(before: Cells, now: Cells) -> Moved:
    """Which cells changed much more than most, as they do not when the light changes or the camera trembles."""
    change = cv2.absdiff(before, now)
    moved: Moved = change > np.median(change) * 2 + MOVED
    return moved


def _inside(box: npt.ArrayLike, size_px: Size) -> tuple[slice, slice]:
    """The rows and columns of cells that a box touches: centre x, centre y, width, height; px."""
    centre, size = np.asarray(box, np.float64).reshape(2, 2) * (np.array([COLUMNS, ROWS]) / size_px)
    left, top = np.maximum(np.floor(centre - size / 2), 0).astype(int).tolist()
    right, bottom = np.maximum(np.ceil(centre + size / 2), 0).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _look(size_px: Size, kind: int, where: Optional[Moved], turn: int) -> Look:
    """The look of this kind: the square in which most of `where` is; or else the one whose turn it is."""
    if kind == 0:
        return whole(size_px)
    found = squares(size_px, SIDES[kind - 1])
    if where is None or not where.any():
        return found[turn % len(found)]
    rows, columns = np.nonzero(where)
    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / (COLUMNS, ROWS) * size_px

    def fits(look: Look) -> tuple[int, float]:
        """Of those that hold as much of it, the one has it best in its middle."""
        box = _box(look)
        return int(where[_inside(box, size_px)].sum()), -float(np.linalg.norm(middle - box[:2]))

    return max(found, key=fits)


def _box(look: Look) -> tuple[float, float, float, float]:
    return look.left_px + look.width_px / 2, look.top_px + look.height_px / 2, look.width_px, look.height_px
