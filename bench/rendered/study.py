"""Both systems on all videos, against the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from bench.part import Goal, Grid, Result, require
from bench.rendered.chain import PYTHON, Found, ours, theirs
from bench.rendered.clips import ROLLED, SHOTS, Shot, Truth, video_of
from bench.rendered.detections import Clip
from bench.rendered.errors import BODY, OF_FEET, feet_error, n_mpjpe, pa_mpjpe, runs, swapped
from poselift.app.config import Config
from poselift.common.arrays import Bools, Floats
from poselift.models.training.rendered.body import fetched

GOAL = 0.8
SEEN = 0.9
"""A detector that sees less of the pictures does not take the people for people, and then nothing here means anything."""
METHOD = (
    "Videos of rendered people (960x540, 30 fps), moved by recorded motion that no training reads, before cameras chosen once. Their "
    "joints are known: the truth is the rendered skeleton's own. Ours is `poselift lift VIDEO`, the whole command, without the focal "
    "length. MediaPipe is Pose 0.10.14 with model_complexity 1 and otherwise its defaults, its pose_world_landmarks. Scored are "
    "shoulders, elbows, wrists, hips, knees and ankles, in the pictures in which both saw somebody, swaps of left and right included. N: "
    "N-MPJPE, relative to the middle of the hips, best scale per picture. PA: PA-MPJPE. Both are in mm. Held out: CMU subjects 05 and "
    "135, before cameras that are upright and once more before cameras that are rolled by 20 to 40 degrees. The others, 02 and 08, choose "
    "between recipes. The three skeletons define their joints differently, and nothing is done about "
    "it."
)


class Seen(NamedTuple):
    """One video: what is true, and what both systems say."""

    shot: Shot
    truth: Truth
    ours: Found
    theirs: Optional[Found]

    @property
    def both(self) -> Bools:
        """[T]: pictures in which both saw somebody."""
        return self.ours.seen & (self.theirs.seen if self.theirs else True)

    @property
    def joints_m(self) -> Floats:
        """The truth of the scored joints, [T, 12, 3]."""
        return self.truth.points_m[:, BODY]

    def swaps(self, found: Found) -> Bools:
        """[T]: where arms or legs are exchanged."""
        groups = swapped(self.truth.points_px[:, BODY], np.nan_to_num(found.keypoints[:, BODY, :2]))
        return np.asarray(np.any(list(groups.values()), axis=0) & found.seen)

    @property
    def clip(self) -> Clip:
        """The detector's side of it."""
        seen, truth = self.ours.seen, self.truth
        return Clip(truth.points_m[seen], truth.points_px[seen], truth.trunk[seen], truth.focal_px, self.ours.keypoints[seen])


def watch(config: Config, motion: Path, folder: Path, say: Callable[[str], None]) -> list[Seen]:
    """Render what is not in `folder` yet, and run both systems. Raises WrongOutput, ModelError."""
    archive = fetched(folder)
    seen = []
    for shot in (*SHOTS, *ROLLED):
        say(shot.name)
        video, truth = video_of(shot, archive, motion, folder)
        count = len(truth.points_m)
        peer = theirs(video, count, folder / f"{shot.name}.mediapipe.npz")
        seen.append(Seen(shot, truth, ours(config, video, count, folder / "poselift" / shot.name), peer))
    part = float(np.concatenate([of.ours.seen for of in seen]).mean())
    require(part >= SEEN, f"rendered: the detector sees somebody in {100 * part:.0f} % of the pictures only")
    return seen


def compare(seen: list[Seen]) -> Result:
    """The tables of errors and of swaps, and whether the goal is met."""
    grids = [_errors(seen), _feet(seen), _left_and_right(seen)]
    if not all(of.theirs for of in seen):
        return Result(METHOD, [*grids, Grid(("", ""), [("MediaPipe", f"not measured: no {PYTHON}; type: make peer")])], [])
    return Result(METHOD, grids, [goal for name, videos in _held_out(seen).items() for goal in _goals(name, videos)])


def _held_out(seen: list[Seen]) -> dict[str, list[Seen]]:
    """Videos of held-out motion, before upright cameras and before rolled ones."""
    groups = {"held out": False, "held out, rolled": True}
    return {name: [of for of in seen if of.shot.held_out and bool(of.shot.roll_deg) == rolled] for name, rolled in groups.items()}


def _goals(group: str, seen: list[Seen]) -> list[Goal]:
    ratios = np.divide(mean_errors(seen, _of_ours), mean_errors(seen, _of_theirs))
    return [
        Goal(f"{name} on rendered people ({group}), divided by MediaPipe's", f"{ratio:.2f}", f"{GOAL:g} or less", bool(ratio <= GOAL))
        for name, ratio in zip(("N-MPJPE", "PA-MPJPE"), ratios)
    ]


def _of_ours(of: Seen) -> Floats:
    return of.ours.joints_m


def _of_theirs(of: Seen) -> Floats:
    return of.theirs.joints_m if of.theirs else np.full_like(of.ours.joints_m, np.nan)


def mean_errors(seen: list[Seen], joints: Callable[[Seen], Floats], calm: bool = False) -> tuple[float, float]:
    """N-MPJPE and PA-MPJPE in mm, over all pictures alike; where `calm`, only those in which nobody took left for right."""
    pairs = []
    for of in seen:
        kept = _scored(of, calm)
        pairs.append((of.joints_m[kept], joints(of)[kept]))
    truth, found = (np.concatenate(side) for side in zip(*pairs))
    return 1000 * float(n_mpjpe(truth, found).mean()), 1000 * float(pa_mpjpe(truth, found).mean())


def _scored(of: Seen, calm: bool) -> Bools:
    swaps = of.swaps(of.ours) | (of.swaps(of.theirs) if of.theirs else False)
    return of.both & ~(calm & swaps)


def _errors(seen: list[Seen]) -> Grid:
    rows = [_row(of.shot.name, [of]) for of in seen]
    for name, videos in _held_out(seen).items():
        rows += [_row(name, videos), _row(f"{name}, no swaps", videos, calm=True)]
    rows += [_row("others", [of for of in seen if not of.shot.held_out]), _row("all", seen)]
    columns = (
        "video",
        "pictures",
        "person px",
        "2D error, median %",
        "ours N",
        "ours PA",
        "MediaPipe N",
        "MediaPipe PA",
        "ratio N",
        "ratio PA",
    )
    return Grid(columns, rows)


def _feet(seen: list[Seen]) -> Grid:
    rows = []
    for name, which in (("ours", _found_by_us), ("MediaPipe", _found_by_them)):
        for group, videos in {**_held_out(seen), "all": seen}.items():
            errors = [1000 * _feet_errors(of, found) for of in videos if (found := which(of))]
            if errors and np.isfinite(np.concatenate(errors)).all():
                rows.append((f"feet, {name}, {group}", f"{np.concatenate(errors).mean():.0f}"))
    return Grid(("heels and toes, at the scale of the others", "mm"), rows)


def _feet_errors(of: Seen, found: Found) -> Floats:
    kept = _scored(of, calm=False)
    return feet_error(of.joints_m[kept], of.truth.points_m[kept, OF_FEET], found.joints_m[kept], found.feet_m[kept])


def _row(name: str, seen: list[Seen], calm: bool = False) -> tuple[str, ...]:
    clips = [of.clip for of in seen]
    off = np.concatenate([np.linalg.norm(clip.found[..., :2] - clip.truth_px, axis=-1).reshape(-1) / clip.size_px for clip in clips])
    own, peer = mean_errors(seen, _of_ours, calm), mean_errors(seen, _of_theirs, calm)
    figures = (*(f"{value:.0f}" for value in (*own, *peer)), *(f"{one / other:.2f}" for one, other in zip(own, peer)))
    pictures = sum(int(_scored(of, calm).sum()) for of in seen)
    return (name, f"{pictures}", f"{np.mean([clip.size_px for clip in clips]):.0f}", f"{100 * np.median(off):.1f}", *figures)


def _left_and_right(seen: list[Seen]) -> Grid:
    rows = []
    for name, which in (("ours", _found_by_us), ("MediaPipe", _found_by_them)):
        there = [(of, found) for of in seen if (found := which(of))]
        if not there:
            continue
        swaps = [of.swaps(found) for of, found in there]
        lengths = [length for swap in swaps for length in runs(swap)]
        pictures = sum(len(swap) for swap in swaps)
        lost = sum(int((~found.seen).sum()) for _, found in there)
        longest = f"{max(lengths, default=0)}"
        rows.append((name, f"{pictures}", f"{lost}", f"{sum(lengths)}", f"{len(lengths)}", f"{np.median(lengths or [0]):.0f}", longest))
    return Grid(("", "pictures", "nobody seen", "with a swap", "swaps", "median length", "longest"), rows)


def _found_by_us(of: Seen) -> Optional[Found]:
    return of.ours


def _found_by_them(of: Seen) -> Optional[Found]:
    return of.theirs
