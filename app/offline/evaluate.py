"""The published protocols on a dataset that the user has: every trial lifted, and its errors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from poselift.app.config import Config, load
from poselift.app.dataflow.messages import Pose2D
from poselift.app.evaluation.h36m import ACTIONS, Trial, read
from poselift.app.evaluation.h36m_cameras import RATE_HZ
from poselift.app.evaluation.protocols import Errors, Scored, average, by_action
from poselift.app.offline.job import Progress, Report, Result
from poselift.app.offline.outputs import claim, make_folder, set_aside
from poselift.common.arrays import Floats
from poselift.common.atomic import replacing
from poselift.common.errors import UserError
from poselift.common.people import with_feet
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models import score
from poselift.models.backends.backend import Model
from poselift.models.lifting.whole_sequence import WholeSequence
from poselift.workers.lift import new_lift, new_whole, open_lifter

DATASETS = ("h36m",)


class Evaluation(NamedTuple):
    """What came of it."""

    table: Mapping[str, Scored]
    """By action."""
    facts: Mapping[str, Any]
    """What was evaluated: dataset, subjects, keypoints, source, lifter, flip, body_height_m."""
    others: Mapping[Path, str]
    """Results of other sources in the place of ours: see `claim`."""

    def write(self, path: Path) -> list[str]:
        """Write it as JSON; lines for people."""
        rows = {action: {"frames": row.frames, **row.errors._asdict()} for action, row in self.table.items()}
        said = set_aside(self.others)
        with replacing(path) as part:
            part.write_text(json.dumps({**self.facts, "actions": rows, "average": average(self.table)._asdict()}, indent=2) + "\n")
        return [*said, f"wrote {path}"]


def evaluate(
    dataset: str,
    keypoints: Path,
    positions: Path,
    subjects: Sequence[str],
    *,
    lifter: Optional[Path] = None,
    flip: bool = False,
    json_path: Optional[Path] = None,
    overwrite: bool = False,
    config: Optional[Path] = None,
    progress: Report = lambda progress: None,
) -> Evaluation:
    """Lift every trial of these subjects, and compare. `json_path` is where it will be written: whether that may be is looked at first.

    `lifter`, `flip`, `overwrite`, `config` and `progress` are as in `lift`. Raises UserError, ModelError, DeviceError.
    """
    if dataset not in DATASETS:
        raise UserError(f"--dataset {dataset}: this dataset is not known; known are: {', '.join(DATASETS)}")
    settings = load(config)
    if lifter:
        settings = settings.changed(lift={"model": str(lifter)})
    others: dict[Path, str] = {}
    if json_path:
        others = claim([json_path], str(keypoints.absolute()), positions, lifter, config, overwrite=overwrite)
    with closing(open_lifter(settings)) as network:
        whole = new_whole(network, settings, flip)
        with closing(whole) if whole else nullcontext():
            found = read(keypoints, positions, subjects)
            if found.keypoint_names != COCO_KEYPOINTS:
                raise UserError(f"{keypoints}: holds Human3.6M's own joints, but lifters here take COCO's keypoints; give a file of those")
            if json_path:
                make_folder(json_path.parent)
            frames, total = count(1), sum(len(trial.world_m) for trial in found.trials)

            def advance() -> None:
                progress(Progress("lifting", next(frames), total, Result()))

            table = by_action((_scored(trial, _lifted(trial, settings, network, whole), advance) for trial in found.trials), ACTIONS)
    facts = {
        "dataset": dataset,
        "subjects": subjects,
        "keypoints": str(keypoints),
        "source": str(keypoints.absolute()),
        "lifter": settings.lift.model or "poselift's own",
        "flip": flip,
        "body_height_m": settings.lift.body_height_m,
    }
    return Evaluation(table, facts, others)


def errors(truth_m: Floats, lifted_m: Floats) -> Errors:
    """Of a sequence [F, 17, 3] of root-relative joints."""
    measures = (score.mpjpe, score.pa_mpjpe, score.n_mpjpe, score.mpjve)
    return Errors(*(1000 * measure(truth_m, lifted_m) for measure in measures))


def _scored(trial: Trial, poses: Iterable[Floats], advance: Callable[[], None]) -> Scored:
    joints_m = np.empty_like(trial.world_m)
    for frame, of_frame in enumerate(poses):
        joints_m[frame] = of_frame[: len(H36M_JOINTS)]
        advance()
    return Scored(trial.action, len(joints_m), errors(trial.joints_m(), joints_m))


def _lifted(trial: Trial, config: Config, network: Model, whole: Optional[WholeSequence]) -> Iterator[Floats]:
    """The joints [21, 3] of every frame in metres and the camera's axes: of a lifter that looks ahead, or frame by frame as live."""
    camera = trial.camera
    keypoints = with_feet(np.concatenate([trial.keypoints_px, np.ones_like(trial.keypoints_px[..., :1])], -1))
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
