"""`poselift evaluate`: the published protocols, on a dataset that the user has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from rich.table import Table

from poselift.app.cli.console import console, say
from poselift.app.cli.reporting import reporting
from poselift.app.config import Config, load
from poselift.app.dataflow.messages import Pose2D
from poselift.app.evaluation.h36m import ACTIONS, Trial, read
from poselift.app.evaluation.h36m_cameras import RATE_HZ
from poselift.app.evaluation.protocols import Errors, Scored, average, by_action
from poselift.app.offline.job import Progress
from poselift.app.offline.outputs import claim, make_folder, set_aside
from poselift.common.arrays import Floats
from poselift.common.atomic import replacing
from poselift.common.errors import UserError
from poselift.common.skeleton import COCO_KEYPOINTS
from poselift.models import score
from poselift.models.backends.backend import Model
from poselift.models.lifting.whole_sequence import WholeSequence
from poselift.workers.lift import new_lift, new_whole, open_lifter

DATASETS = ("h36m",)
TITLES = ("MPJPE\n(protocol 1)", "PA-MPJPE\n(protocol 2)", "N-MPJPE\n(protocol 3)", "MPJVE\n(velocity)")
"""Of the table's columns, in the order of `Errors`."""


def evaluate(
    dataset: str,
    keypoints: Path,
    positions: Path,
    subjects: str,
    lifter: Optional[Path],
    flip: bool,
    json_path: Optional[Path],
    overwrite: bool,
    config_path: Optional[Path],
) -> None:
    """Lift every trial, and print its errors by action; write them to `json_path` too."""
    if dataset not in DATASETS:
        raise UserError(f"--dataset {dataset}: this dataset is not known; known are: {', '.join(DATASETS)}")
    config = load(config_path)
    if lifter:
        config = config.changed(lift={"model": str(lifter)})
    others: dict[Path, str] = {}
    if json_path:
        others = claim([json_path], str(keypoints.absolute()), positions, lifter, config_path, overwrite=overwrite)
    chosen = list(dict.fromkeys(subject.strip() for subject in subjects.split(",")))
    with closing(open_lifter(config)) as network:
        whole = new_whole(network, config, flip)
        with closing(whole) if whole else nullcontext():
            found = read(keypoints, positions, chosen)
            if found.keypoint_names != COCO_KEYPOINTS:
                raise UserError(f"{keypoints}: holds Human3.6M's own joints, but lifters here take COCO's keypoints; give a file of those")
            if json_path:
                make_folder(json_path.parent)
            frames, total = count(1), sum(len(trial.world_m) for trial in found.trials)
            with reporting() as bar:

                def advance() -> None:
                    bar(Progress("lifting", next(frames), total, bar.result))

                table = by_action((_scored(trial, _lifted(trial, config, network, whole), advance) for trial in found.trials), ACTIONS)
    facts = {
        "dataset": dataset,
        "subjects": chosen,
        "keypoints": str(keypoints),
        "source": str(keypoints.absolute()),
        "lifter": config.lift.model or "poselift's own",
        "flip": flip,
        "body_height_m": config.lift.body_height_m,
    }
    _show(table, facts)
    if json_path:
        for line in set_aside(others):
            say(line)
        _write(json_path, table, facts)


def errors(truth_m: Floats, lifted_m: Floats) -> Errors:
    """Of a sequence [F, 17, 3] of root-relative joints."""
    measures = (score.mpjpe, score.pa_mpjpe, score.n_mpjpe, score.mpjve)
    return Errors(*(1000 * measure(truth_m, lifted_m) for measure in measures))


def _scored(trial: Trial, poses: Iterable[Floats], advance: Callable[[], None]) -> Scored:
    joints_m = np.empty_like(trial.world_m)
    for frame, of_frame in enumerate(poses):
        joints_m[frame] = of_frame
        advance()
    return Scored(trial.action, len(joints_m), errors(trial.joints_m(), joints_m))


def _lifted(trial: Trial, config: Config, network: Model, whole: Optional[WholeSequence]) -> Iterator[Floats]:
    """The joints [17, 3] of every frame in metres and the camera's axes: of a lifter that looks ahead, or frame by frame as live."""
    camera = trial.camera
    keypoints = np.concatenate([trial.keypoints_px, np.ones_like(trial.keypoints_px[..., :1])], -1)
    if whole:
        yield from whole.poses(keypoints, camera.width_px, camera.height_px)
        return
    person = np.zeros(1, np.int64)
    with closing(new_lift(network, config)) as lift:
        for frame, of_frame in enumerate(keypoints):
            pose = lift.step(Pose2D(frame, round(frame * 1e9 / RATE_HZ), camera.width_px, camera.height_px, person, of_frame[None]))
            if not len(pose.person):
                raise UserError(f"{trial.name}: no keypoint of frame {frame} is anywhere near the picture")
            yield pose.joints_m[0]


def _show(table: Mapping[str, Scored], facts: Mapping[str, Any]) -> None:
    shown = Table("action", title=f"Human3.6M {', '.join(facts['subjects'])}: errors in mm", title_justify="left")
    for title in ("frames", *TITLES):
        shown.add_column(title, justify="right")
    for action, row in table.items():
        shown.add_row(action, str(row.frames), *map(_mm, row.errors))
    shown.add_section()
    shown.add_row("average", str(sum(row.frames for row in table.values())), *map(_mm, average(table)))
    console.print(shown)
    flipped = ", averaged with the mirror image" if facts["flip"] else ""
    say(f"lifter: {facts['lifter']}{flipped}")
    say(f"body height: {facts['body_height_m']} m (lift.body_height_m); one of VideoPose3D's networks has its own scale instead")
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
