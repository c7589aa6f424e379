"""`poselift evaluate`: the published protocols, on a dataset that the user has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from rich.table import Table

from app.atomic import replacing
from app.cli.results import make_folder
from app.cli.screen import ProgressBar, console, say
from app.config import Config, load
from app.errors import UserError
from app.evaluation.h36m import ACTIONS, Trial, read
from app.evaluation.h36m_cameras import RATE_HZ
from app.evaluation.protocols import Errors, Scored, average, by_action
from app.messages import Pose2D
from models import score
from models.skeleton import COCO_KEYPOINTS, COCO_MIRROR, H36M_MIRROR
from workers.lift import open_lift

DATASETS = ("h36m",)
TITLES = ("MPJPE\n(protocol 1)", "PA-MPJPE\n(protocol 2)", "N-MPJPE\n(protocol 3)", "MPJVE\n(velocity)")
"""Of the table's columns, in the order of `Errors`."""

Floats = npt.NDArray[np.float32]


def evaluate(
    dataset: str,
    keypoints: Path,
    positions: Path,
    subjects: str,
    lifter: Optional[Path],
    flip: bool,
    json_path: Optional[Path],
    config_path: Optional[Path],
) -> None:
    """Lift every trial, and print its errors by action; write them to `json_path` too."""
    if dataset not in DATASETS:
        raise UserError(f"--dataset {dataset}: this dataset is not known; known are: {', '.join(DATASETS)}")
    config = load(config_path)
    if lifter:
        config = config.changed(lift={"model": str(lifter)})
    chosen = list(dict.fromkeys(subject.strip() for subject in subjects.split(",")))
    found = read(keypoints, positions, chosen)
    if found.keypoint_names != COCO_KEYPOINTS:
        raise UserError(f"{keypoints}: holds Human3.6M's own joints, but this lifter takes COCO's keypoints; give a file of those")
    if json_path:
        make_folder(json_path.parent)
    frames = sum(len(trial.world_m) for trial in found.trials)
    with ProgressBar("lifting", frames * (2 if flip else 1)) as bar:
        table = by_action((_scored(trial, config, flip, bar) for trial in found.trials), ACTIONS)
    facts = {
        "dataset": dataset,
        "subjects": chosen,
        "keypoints": str(keypoints),
        "lifter": config.lift.model or "poselift's own",
        "flip": flip,
        "body_height_m": config.lift.body_height_m,
    }
    _show(table, facts)
    if json_path:
        _write(json_path, table, facts)


def errors(truth_m: Floats, lifted_m: Floats) -> Errors:
    """Of a sequence [F, 17, 3] of root-relative joints."""
    measures = (score.mpjpe, score.pa_mpjpe, score.n_mpjpe, score.mpjve)
    return Errors(*(1000 * measure(truth_m, lifted_m) for measure in measures))


def _scored(trial: Trial, config: Config, flip: bool, bar: ProgressBar) -> Scored:
    views = [_lifted(trial, trial.keypoints_px, config, bar)]
    if flip:
        mirrored_px = trial.keypoints_px[:, COCO_MIRROR] * (-1, 1) + (trial.camera.width_px, 0)
        views.append(_lifted(trial, mirrored_px, config, bar)[:, H36M_MIRROR] * np.array([-1, 1, 1], np.float32))
    return Scored(trial.action, len(trial.world_m), errors(trial.joints_m(), np.mean(views, 0)))


def _lifted(trial: Trial, keypoints_px: npt.NDArray[Any], config: Config, bar: ProgressBar) -> Floats:
    """The joints [F, 17, 3] in metres and the camera's axes, of keypoints [F, 17, 2] one after another, with a history of their own."""
    lift, camera, person = open_lift(config), trial.camera, np.zeros(1, np.int64)
    keypoints = np.concatenate([keypoints_px, np.ones_like(keypoints_px[..., :1])], -1).astype(np.float32)
    poses = []
    for frame, of_frame in enumerate(keypoints):
        pose = lift.step(Pose2D(frame, round(frame * 1e9 / RATE_HZ), camera.width_px, camera.height_px, person, of_frame[None]))
        if not len(pose.person):
            raise UserError(f"{trial.name}: no keypoint of frame {frame} is anywhere near the picture")
        poses.append(pose.joints_m[0])
        bar.advance(1)
    return np.stack(poses)


def _show(table: Mapping[str, Scored], facts: Mapping[str, Any]) -> None:
    shown = Table("action", title=f"Human3.6M {', '.join(facts['subjects'])}: errors in mm", title_justify="left")
    for title in ("frames", *TITLES):
        shown.add_column(title, justify="right")
    for action, row in table.items():
        shown.add_row(action, str(row.frames), *map(_mm, row.errors))
    shown.add_section()
    shown.add_row("average", str(sum(row.frames for row in table.values())), *map(_mm, average(table)))
    console.print(shown)
    flipped = ", averaged with its mirror image" if facts["flip"] else ""
    say(f"lifter: {facts['lifter']}{flipped}; its metres are those of a body of {facts['body_height_m']} m (lift.body_height_m)")
    missing = [action for action in ACTIONS if action not in table]
    if missing:
        say(f"warning: the files have no {', '.join(missing)}, so this average is not the published one")


def _write(path: Path, table: Mapping[str, Scored], facts: Mapping[str, Any]) -> None:
    rows = {action: {"frames": row.frames, **row.errors._asdict()} for action, row in table.items()}
    with replacing(path) as part:
        part.write_text(json.dumps({**facts, "actions": rows, "average": average(table)._asdict()}, indent=2) + "\n")
    say(f"wrote {path}")


def _mm(error_mm: float) -> str:
    return f"{error_mm:.1f}"
