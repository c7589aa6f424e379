"""IDF1, MOTA, switches and fragmentations, by the library motmetrics, and what of the truth counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import motmetrics
import numpy as np

from bench.identity.scenes import PLACES
from bench.identity.stage import Truth
from bench.identity.watch import Boxes
from poselift.common.arrays import Doubles
from poselift.models.tracking.assignment import pairs

MIN_OVERLAP = 0.5
"""Intersection over union from which on a box is somebody's."""
MIN_VISIBLE = 0.5
"""Who is hidden more than this neither counts nor costs."""


class Score(NamedTuple):
    """Of some clips together."""

    idf1: float
    boxes_f1: float
    """What IDF1 would be if every id were right."""
    mota: float
    switches: int
    fragmentations: int
    images: int
    """Boxes that follow a mirror image."""


def score(clips: Sequence[tuple[list[Truth], Boxes]]) -> Score:
    """How well the ids of the boxes are those of the people."""
    judged, images = [], 0
    for truths, boxes in clips:
        judge = motmetrics.MOTAccumulator(auto_id=True)
        for number, truth in enumerate(truths):
            here = boxes.frame == number
            images += _judge(judge, truth, boxes.box[here], boxes.tag[here])
        judged.append(judge)
    names = ["idf1", "mota", "num_switches", "num_fragmentations", "num_detections", "num_objects", "num_predictions"]
    table = motmetrics.metrics.create().compute_many(judged, metrics=names, generate_overall=True)
    idf1, mota, switches, fragmentations, matched, people, boxes = table.loc["OVERALL"][names]
    return Score(float(idf1), 2 * float(matched) / (people + boxes), float(mota), int(switches), int(fragmentations), images)


def _judge(judge: motmetrics.MOTAccumulator, truth: Truth, boxes: Doubles, ids: Doubles) -> int:
    """Add one picture; returns how many boxes follow a mirror image."""
    overlap = np.maximum(overlaps(truth.whole, boxes), overlaps(truth.seen, boxes))
    distance = np.where(overlap >= MIN_OVERLAP, 1 - overlap, np.inf)
    owner = {column: row for row, column in pairs(distance)}
    counts = [who >= 0 and visible >= MIN_VISIBLE for who, visible in zip(truth.who, truth.visible)]
    followed = set(owner.values())
    missed = sorted((row for row in range(len(counts)) if counts[row] and row not in followed), key=lambda row: -_area(truth.whole[row]))
    real = sum(truth.who[row] >= 0 for row in followed)
    rows = sorted([*(row for row in followed if counts[row]), *missed[: max(PLACES - real, 0)]])
    columns = [column for column in range(len(boxes)) if column not in owner or counts[owner[column]]]
    there = distance[np.ix_(rows, columns)]
    judge.update([truth.who[row] for row in rows], ids[columns], np.where(np.isfinite(there), there, np.nan))
    return sum(truth.who[row] < 0 for row in followed)


def _area(box: Doubles) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def overlaps(some: Doubles, others: Doubles) -> Doubles:
    """Intersection over union [N, M] of boxes [N, 4] and [M, 4]: left, top, right, bottom."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = np.maximum(high - low, 0).prod(-1)
    areas = [(of[:, 2:] - of[:, :2]).prod(-1) for of in (some, others)]
    found: Doubles = both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)
    return found
