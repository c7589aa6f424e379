"""All clips through poselift's tracker and ByteTrack, against the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from bench.identity.actors import Actor, Takes, takes_of
from bench.identity.scenes import CLIPS, PLACES, Scene, scenes_of
from bench.identity.scores import Score, score
from bench.identity.stage import Truth, pictures_of
from bench.identity.watch import PYTHON, Boxes, Seen, by_bytetrack, watched
from bench.part import Goal, Grid, Result
from bench.rendered.clips import FPS
from poselift.common.arrays import Pixels
from poselift.models.backends.backend import open_model
from poselift.models.store import path_of
from poselift.models.training.rendered.body import fetched

GOAL = 0.95
METHOD = (
    f"{CLIPS} clips of each kind. Rendered people (960x540, {FPS} fps, 190 to 340 px tall) are drawn once, moving in place, and pasted"
    " into a room by their depth, pixel by pixel; somebody who turns round is their own mirror image. Their motion is recorded and "
    "held out (CMU subjects 05 and 135: dance and martial arts). Nothing in the tracker was chosen by these clips, but by those of "
    "other motions, clothes and paths (`python -m bench.identity --others`). Hidden: behind a wall, for so long not to be seen at "
    "all. Leaving: 1.5 to 4 s out of the picture. IDF1, MOTA, switches and fragmentations are those of the library motmetrics; F1 of "
    "the boxes is what IDF1 would be if every id were right. A box is somebody's from an intersection over union of 0.5 on, with the "
    "box around all keypoints or with that around the visible pixels. Who is hidden by more than half neither counts nor costs, nor "
    f"does a mirror image. {PLACES} people are followed at most: where there are more, those who are followed count, and the largest "
    f"of the others up to {PLACES}. ByteTrack is that of the library trackers 2.6.1 with its defaults, except that it keeps a track "
    "for 6.5 s, as poselift does. It is given the boxes around the very keypoints that our tracker was given in each picture; and, in"
    " the third table, the finder's boxes of every picture with their scores."
)
SHEET_COLUMNS, SHEET_WIDTH_PX = 8, 360
COLOURS = ((60, 60, 230), (60, 200, 60), (230, 120, 40), (30, 200, 230), (220, 60, 200), (200, 200, 60))


class Watched(NamedTuple):
    """What was made of one scene."""

    scene: Scene
    seen: Seen
    shown: list[Pixels]
    """Some of its pictures, one after the other."""


def watch(cast: Sequence[Actor], kinds: Sequence[str], every: int, motion: Path, folder: Path, say: Callable[[str], None]) -> list[Watched]:
    """Draw the people who are not in `folder` yet, and follow them through all scenes. Raises WrongOutput, ModelError."""
    archive = fetched(folder)
    takes = {actor: takes_of(actor, archive, motion, folder, say) for actor in cast}
    clips = []
    with ExitStack() as opened:
        finder, landmarks = (
            opened.enter_context(closing(open_model(path_of(name)))) for name in ("efficientdet_lite0", "blazepose_landmarks")
        )
        for kind in kinds:
            for scene in scenes_of(kind, cast):
                say(scene.name)
                shown: list[Pixels] = []
                seen = watched(finder, landmarks, _noting(scene, takes, shown), every)
                clips.append(Watched(scene, seen, shown))
    return clips


def _noting(scene: Scene, takes: Mapping[Actor, Takes], shown: list[Pixels]) -> Iterator[tuple[Pixels, int, Truth]]:
    """The scene's pictures; some of them are noted."""
    step = round(scene.seconds * FPS / SHEET_COLUMNS)
    for number, (picture, t_ns, truth) in enumerate(pictures_of(scene, takes)):
        if number % step == step // 2:
            shown.append(picture)
        yield picture, t_ns, truth


def compare(clips: Sequence[Watched], folder: Path) -> Result:
    """The tables of all kinds, and whether the goal is met."""
    kinds = list(dict.fromkeys(clip.scene.kind for clip in clips))
    of = {
        "poselift": {clip.scene.name: clip.seen.ours for clip in clips},
        "ByteTrack, same boxes": by_bytetrack({clip.scene.name: clip.seen.given for clip in clips}, folder),
        "ByteTrack, finder": by_bytetrack({clip.scene.name: clip.seen.found for clip in clips}, folder),
    }
    scores = {name: {kind: _score(clips, kind, boxes) for kind in kinds} for name, boxes in of.items() if boxes is not None}
    grids = [_grid(name, by_kind) for name, by_kind in scores.items()]
    if len(scores) == 1:
        grids.append(Grid(("", ""), [("ByteTrack", f"not measured: no {PYTHON}; type: make trackers")]))
    return Result(METHOD, grids, [goal for kind in kinds for goal in _goals(kind, {name: of[kind] for name, of in scores.items()})])


def _score(clips: Sequence[Watched], kind: str, boxes: Mapping[str, Boxes]) -> Score:
    return score([(clip.seen.truth, boxes[clip.scene.name]) for clip in clips if clip.scene.kind == kind])


def _grid(name: str, by_kind: Mapping[str, Score]) -> Grid:
    columns = (name, "IDF1", "F1 of the boxes", "MOTA", "switches", "fragmentations", "boxes on mirror images")
    rows = []
    for kind, of in by_kind.items():
        figures = (f"{of.idf1:.3f}", f"{of.boxes_f1:.3f}", f"{of.mota:.3f}", f"{of.switches}", f"{of.fragmentations}", f"{of.images}")
        rows.append((kind, *figures))
    return Grid(columns, rows)


def _goals(kind: str, scores: Mapping[str, Score]) -> list[Goal]:
    ours, *others = (of.idf1 for of in scores.values())
    best = max(others, default=0.0)
    beside = f", ByteTrack's best {best:.3f}" if others else ""
    return [Goal(f"IDF1, {kind}", f"{ours:.3f}{beside}", f"{GOAL:g} and above ByteTrack's", ours >= GOAL and ours > best)]


def sheets(clips: Sequence[Watched], folder: Path, every: int) -> None:
    """Pictures of each clip with the ids that were given, SCENE.jpg."""
    for scene, seen, shown in clips:
        step = round(scene.seconds * FPS / SHEET_COLUMNS)
        pictures = []
        for place, picture in enumerate(shown):
            canvas, frame = picture.copy(), (step // 2 + place * step) // every
            for box, person in zip(seen.ours.box[seen.ours.frame == frame], seen.ours.tag[seen.ours.frame == frame]):
                left, top, right, bottom = map(int, box)
                colour = COLOURS[int(person) % len(COLOURS)]
                cv2.rectangle(canvas, (left, top), (right, bottom), colour, 3)
                cv2.putText(canvas, f"{int(person)}", (left, max(top - 6, 40)), cv2.FONT_HERSHEY_SIMPLEX, 1.6, colour, 4)
            pictures.append(cv2.resize(canvas, (SHEET_WIDTH_PX, SHEET_WIDTH_PX * 9 // 16), interpolation=cv2.INTER_AREA))
        half = len(pictures) // 2
        cv2.imwrite(str(folder / f"{scene.name}.jpg"), np.vstack([np.hstack(pictures[:half]), np.hstack(pictures[half : 2 * half])]))
