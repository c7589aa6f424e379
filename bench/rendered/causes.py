"""Where the error comes from: the lifter on the same pictures with one thing put right, and what the 2D detector does."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bench.part import Grid
from bench.rendered import detections
from bench.rendered.chain import lifted
from bench.rendered.detections import Clip
from bench.rendered.errors import BODY, GROUPS, swapped
from bench.rendered.study import Seen, mean_errors
from poselift.app.config import Config
from poselift.common.arrays import Floats
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINT_MIRROR, KEYPOINTS

UNSURE = 0.5
"""A keypoint of less confidence is mostly hidden, and guessed."""
TRUNK = [number for number, name in enumerate(COCO_KEYPOINTS) if name.endswith(("shoulder", "hip"))]


def causes(config: Config, seen: list[Seen], say: Callable[[str], None] = lambda line: None) -> Grid:
    """Errors in mm of the same pictures when one thing at a time is put right."""
    offsets_m = detections.bias_m([of.clip for of in seen])
    held_out = [of for of in seen if of.shot.held_out]
    rows = []
    for name, told, keypoints in (
        ("as it is", False, _detected),
        ("focal length told", True, _detected),
        ("swaps undone", False, _unswapped),
        ("all keypoints sure", False, _sure),
        ("unsure keypoints put right", False, _unsure_right),
        ("shoulders and hips put right", False, _trunk_right),
        ("the detector's constant bias taken off", False, lambda of: _unbiased(of, offsets_m)),
        ("true keypoints", False, _true),
        ("true keypoints, focal length told", True, _true),
        ("true keypoints with the detector's confidence", False, _true_unsure),
        ("true keypoints with the detector's bias", False, lambda of: _biased(of, offsets_m)),
    ):
        say(f"the lifter, {name}")
        joints = {}
        for of in seen:
            changed = config.changed(lift={"focal_px": of.truth.focal_px}) if told else config
            joints[of.shot.name] = lifted(changed, keypoints(of))
        errors = [*mean_errors(held_out, _of(joints)), *mean_errors(seen, _of(joints))]
        rows.append((name, *(f"{error:.0f}" for error in errors)))
    return Grid(("the lifter's input", "held out N", "held out PA", "all N", "all PA"), rows)


def _of(joints: Mapping[str, Floats]) -> Callable[[Seen], Floats]:
    return lambda of: joints[of.shot.name]


def _detected(of: Seen) -> Floats:
    return of.ours.keypoints


def _sure(of: Seen) -> Floats:
    keypoints: Floats = of.ours.keypoints.copy()
    keypoints[of.ours.seen, :, 2] = 1
    return keypoints


def _unsure_right(of: Seen) -> Floats:
    keypoints: Floats = of.ours.keypoints.copy()
    unsure = keypoints[..., 2] < UNSURE
    keypoints[unsure] = _true(of)[unsure]
    return keypoints


def _trunk_right(of: Seen) -> Floats:
    keypoints: Floats = of.ours.keypoints.copy()
    keypoints[:, TRUNK] = _true(of)[:, TRUNK]
    return keypoints


def _unswapped(of: Seen) -> Floats:
    keypoints: Floats = of.ours.keypoints.copy()
    groups = swapped(of.truth.points_px[:, BODY], np.nan_to_num(keypoints[:, BODY, :2]))
    for name, joints in GROUPS.items():
        feet = range(len(COCO_KEYPOINTS), len(KEYPOINTS)) if name == "legs" else ()
        here = np.ix_(groups[name] & of.ours.seen, [*(joints + BODY.start), *feet])
        keypoints[here] = keypoints[:, KEYPOINT_MIRROR][here]
    return keypoints


def _true(of: Seen) -> Floats:
    sure = np.ones((*of.truth.points_px.shape[:2], 1))
    return _where_seen(of, np.concatenate([of.truth.points_px, sure], -1, dtype=np.float32)[of.ours.seen])


def _true_unsure(of: Seen) -> Floats:
    keypoints = _true(of)
    keypoints[..., 2] = of.ours.keypoints[..., 2]
    return keypoints


def _unbiased(of: Seen, offsets_m: Floats) -> Floats:
    return _where_seen(of, detections.unbiased(of.clip, offsets_m))


def _biased(of: Seen, offsets_m: Floats) -> Floats:
    return _where_seen(of, detections.biased_truth(of.clip, offsets_m))


def _where_seen(of: Seen, keypoints: Floats) -> Floats:
    whole = np.full_like(of.ours.keypoints, np.nan)
    whole[of.ours.seen] = keypoints
    return whole


def detector_errors(clips: list[Clip]) -> Grid:
    """The 2D detector's errors, in per cent of the person's size, without its bias."""
    offsets_m = detections.bias_m(clips)
    left = [detections.residuals(clip, offsets_m) for clip in clips]
    confidence = np.concatenate([clip.found[..., 2] for clip in clips])
    rows = []
    for keypoint, name in enumerate(KEYPOINTS):
        errors = [error[:, keypoint] for error in left]
        off = np.linalg.norm(np.concatenate(errors), axis=-1)
        off = off[np.isfinite(off)]
        offset = " ".join(f"{100 * value:+.1f}" for value in offsets_m[keypoint])
        correlations = " ".join(f"{detections.correlation(errors, lag):.2f}" for lag in detections.LAGS)
        figures = (f"{np.median(off):.1f}", f"{np.percentile(off, 90):.1f}", f"{100 * (off > 5).mean():.1f}")
        rows.append((name, offset, *figures, f"{confidence[:, keypoint].mean():.2f}", correlations))
    lags = ", ".join(map(str, detections.LAGS))
    columns = (
        "keypoint",
        "bias left, up, forward, cm",
        "rest: median %",
        "p90 %",
        "over 5 %: %",
        "confidence",
        f"correlation after {lags} pictures",
    )
    return Grid(columns, rows)
