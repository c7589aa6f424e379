"""`poselift detect`: 2D keypoints of a video, in VideoPose3D's format."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np

from poselift.app.cli.lift import finish, given, run_file
from poselift.app.cli.outputs import claim
from poselift.app.cli.results import make_folder, rate_of
from poselift.app.cli.screen import say
from poselift.app.cli.stopping import ended
from poselift.app.config import load
from poselift.app.dataflow.messages import Pose2D
from poselift.app.keypoints.files import Clip, clip_name, write_keypoints
from poselift.app.recording.reader import Recording
from poselift.common.atomic import scratch
from poselift.common.errors import UserError
from poselift.common.sizes import fitted
from poselift.workers.sources import file_source


def detect(source: str, out: Path, fps: Optional[float], overwrite: bool, config_path: Optional[Path]) -> None:
    """Write the keypoints of the most prominent person of each frame."""
    source = file_source(source)
    if out.suffix.lower() != ".npz":
        raise UserError(f"{out}: keypoints go into a file that ends in .npz")
    others = claim([out], source, config_path, overwrite=overwrite)
    make_folder(out.parent)
    with scratch(out.parent) as folder:
        config = load(config_path).changed(
            workers=["capture", "detect", "record"],
            capture={"source": source, **given(fps)},
            record={"folder": str(folder.absolute()), "pictures": "none"},
        )
        run = run_file(config, folder, "detecting", fps, others)
        recording = Recording(folder / f"{config.record.name}.mcap")
        poses = list(recording.of(Pose2D))
        if not any(len(pose.person) for pose in poses):
            ended(run.stopped, "")
        if not poses:
            raise UserError(f"{source}: no frame was processed{f': {run.failure}' if run.failure else ''}")
        frames = poses[-1].frame + 1 if run.failure or run.stopped is not None else run.tally.captured
        keypoints = np.full((frames, 17, 3), np.nan, np.float32)
        first_px = poses[0].width_px, poses[0].height_px
        for pose in poses:
            if len(pose.person):
                keypoints[pose.frame] = fitted(pose.keypoints[0], (pose.width_px, pose.height_px), first_px)
        clip = Clip(clip_name(Path(source)), keypoints, *first_px, rate_of(recording) or None)
        write_keypoints(out, [clip], source)
    others_px = {(pose.width_px, pose.height_px) for pose in poses} - {first_px}
    if others_px:
        say(f"warning: pictures of {1 + len(others_px)} sizes; all keypoints are in pixels of the first, {first_px[0]}x{first_px[1]}")
    say(f"wrote {out}: {len(poses)} frames, somebody seen in {sum(len(pose.person) > 0 for pose in poses)}")
    finish(run, f"the {len(poses)} frames done until then")
