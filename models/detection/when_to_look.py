"""When the finder looks, and where: rarely, but soon where something moves or somebody was lost.

The finder costs as much as a person who is followed. So it has a budget: one look in so many pictures, of which some can be saved up, for
the first pictures and for when somebody may have come.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

import cv2
import numpy as np
import numpy.typing as npt

from poselift.common.arrays import Pixels

BUDGET = 10
"""One look in so many pictures, in the long run, while somebody is followed."""
SAVED, RESERVE = 12.0, 5.0
"""So many looks are saved up at most, and there are so many at first; and so many of them are left to whoever is lost."""
EVERY, EVERY_SOON, EVERY_ALONE, EVERY_FULL = 15, 3, 3, 30
"""Pictures from one look to the next: while nothing happens; when somebody may have come or was lost; while nobody is followed; while no
more can be followed."""
LATER = 6.0
"""So many pictures more for each second since somebody was lost."""
PART = 0.6
"""Width and height of a part of the picture, in those of the whole."""
WHOLE, PARTS = (0.0, 0.0, 1.0), [(x, y, PART) for y in (0.0, 1 - PART) for x in (0.0, 1 - PART)]
FIRST = 2 * len(PARTS)
"""So many looks in a new scene come soon: to see everything once."""
COLUMNS, ROWS, SAMPLES = 64, 36, 3
"""Motion is seen in so many cells of the picture, by so many pixels in each direction of a cell."""
MOVED, MOVED_CELLS = 12, 3
"""Grey levels, beyond what most cells change, that make motion of a cell's change; and so many cells that make somebody."""
DULL = 60
"""For so many pictures, what moves where something moved at a look is no news: leaves, water, a screen."""

Look = tuple[float, float, float]
"""Left and top in widths and heights of the picture, and how large a part of it."""
Cells = npt.NDArray[np.uint8]


class Watch(NamedTuple):
    """What was seen and done so far."""

    cells: Optional[Cells] = None
    """uint8[36, 64]: the picture before, in grey."""
    dull: Optional[Cells] = None
    """uint8[36, 64]: for so many more pictures, what moves there is no news."""
    pictures: int = EVERY
    """So many since the last look."""
    looks: int = 0
    saved: float = SAVED
    lost_ns: Optional[int] = None
    """When somebody was lost last."""

    def after(self, picture: Pixels, boxes: Iterable[npt.ArrayLike], t_ns: int, room: bool) -> tuple[Watch, Optional[Look]]:
        """What is known after a picture taken at `t_ns`, and where to look in it; None: nowhere.

        `boxes` of the people who are followed: centre x, centre y, width, height; px. What moves there is known. Where there is no `room`
        for more, the whole picture alone is looked at, to count the others.
        """
        if not room:
            if self.pictures + 1 < EVERY_FULL:
                return self._replace(cells=None, pictures=self.pictures + 1, saved=min(self.saved + 1 / BUDGET, SAVED)), None
            return self._replace(cells=None, pictures=0, saved=max(self.saved - 1, 0.0)), WHOLE
        cells, boxes = _cells(picture), list(boxes)
        dull = np.zeros_like(cells) if self.dull is None else cv2.subtract(self.dull, 1)
        moved = np.zeros((ROWS, COLUMNS), np.bool_) if self.cells is None else _moved(self.cells, cells)
        for box in boxes:
            _clear(moved, np.asarray(box), picture)
        lost = EVERY if self.lost_ns is None else EVERY_SOON + LATER * (t_ns - self.lost_ns) / 1e9
        news = int((moved & (dull == 0)).sum()) >= MOVED_CELLS
        watch = self._replace(cells=cells, dull=dull, pictures=self.pictures + 1, saved=min(self.saved + 1 / BUDGET, SAVED))
        if not watch._due(bool(boxes), lost, news):
            return watch, None
        dull[moved] = DULL
        look = WHOLE if self.looks % 2 == 0 else _part(moved, self.looks // 2)
        return watch._replace(pictures=0, looks=self.looks + 1, saved=max(watch.saved - 1, 0.0)), look

    def _due(self, somebody: bool, lost: float, news: bool) -> bool:
        """Whether to look now. `lost`: so many pictures after the last look for whoever was lost."""
        if not somebody:
            return self.pictures >= EVERY_ALONE or self.saved > RESERVE
        soon = self.looks < FIRST or (news and (self.saved > RESERVE or lost < EVERY))
        every = min(EVERY, lost, EVERY_SOON if soon else EVERY)
        return self.pictures >= every and self.saved >= 1


def _cells(picture: Pixels) -> Cells:
    samples = cv2.resize(picture, (SAMPLES * COLUMNS, SAMPLES * ROWS), interpolation=cv2.INTER_NEAREST)
    cells: Cells = cv2.resize(cv2.cvtColor(samples, cv2.COLOR_BGR2GRAY), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return cells


def _moved(before: Cells, now: Cells) -> npt.NDArray[np.bool_]:
    """Which cells changed much more than most, as they do not when the light changes or the camera trembles."""
    change = cv2.absdiff(before, now)
    moved: npt.NDArray[np.bool_] = change > np.median(change) * 2 + MOVED
    return moved


def _clear(moved: npt.NDArray[np.bool_], box: npt.NDArray[np.float64], picture: Pixels) -> None:
    """Nothing that is new moves in this box."""
    scale = np.array([COLUMNS, ROWS]) / picture.shape[1::-1]
    low = np.maximum(np.floor((box[:2] - box[2:] / 2) * scale), 0).astype(int)
    high = np.maximum(np.ceil((box[:2] + box[2:] / 2) * scale), 0).astype(int)
    moved[low[1] : high[1], low[0] : high[0]] = False


def _part(moved: npt.NDArray[np.bool_], turn: int) -> Look:
    """The part of the picture in which most moves; where nothing does, the one whose turn it is."""
    counts = []
    for left, top, size in PARTS:
        x, y = round(left * COLUMNS), round(top * ROWS)
        counts.append(int(moved[y : y + round(size * ROWS), x : x + round(size * COLUMNS)].sum()))
    return PARTS[int(np.argmax(counts)) if max(counts) >= MOVED_CELLS else turn % len(PARTS)]
