"""From a video to 2D keypoints, in VideoPose3D's format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from poselift.app.config import load
from poselift.app.dataflow.messages import Pose2D
from poselift.app.keypoints.files import Clip, clip_name, write_keypoints
from poselift.app.offline.export import rate_of
from poselift.app.offline.file_run import TO_POSE_2D, run_on_file, source_settings
from poselift.app.offline.job import Job, Report, Result
from poselift.app.offline.outputs import claim, make_folder
from poselift.common.atomic import scratch
from poselift.common.errors import UserError
from poselift.common.sizes import with_depths_fitted
from poselift.common.skeleton import COCO_KEYPOINTS, KEYPOINTS
from poselift.workers.sources import file_source


def detect(
    source: str,
    out: Path,
    *,
    fps: Optional[float] = None,
    overwrite: bool = False,
    config: Optional[Path] = None,
    progress: Optional[Report] = None,
) -> Result:
    """Write one person's keypoints in each frame to `out`; it reports, is interrupted and raises as `lift` does.

    Where several are followed (`detect.people`), that is the one seen in most frames. Where one is, it is whoever that is in each frame.
    """
    source = file_source(source)
    if out.suffix.lower() != ".npz":
        raise UserError(f"{out}: keypoints go into a file that ends in .npz")
    others = claim([out], source, config, overwrite=overwrite)
    make_folder(out.parent)
    settings = load(config).changed(capture=source_settings(source, fps))
    job = Job(source, out.parent, settings, fps, others=others, report=progress)
    with scratch(out.parent) as folder:
        run, recording = run_on_file(job, "detecting", folder, workers=TO_POSE_2D)
        poses, rate = list(recording.of(Pose2D)), rate_of(recording)
    job.result.captured, job.result.dropped = run.tally.captured, run.tally.dropped
    if run.interrupted and not any(len(pose.person) for pose in poses):
        raise run.interrupted
    if not poses:
        raise UserError(f"{source}: no frame was processed{f': {run.failure}' if run.failure else ''}")
    frames = poses[-1].frame + 1 if run.failure or run.interrupted else run.tally.captured
    keypoints = np.full((frames, len(KEYPOINTS), 3), np.nan, np.float32)
    depths = np.full(keypoints.shape[:2], np.nan, np.float32)
    first_px = poses[0].width_px, poses[0].height_px
    chosen = most_seen(poses) if settings.detect.people > 1 else None
    seen = 0
    for pose in poses:
        for person, points in zip(pose.person.tolist(), np.concatenate([pose.keypoints, pose.depth_px[..., None]], -1)):
            if chosen in (None, person):
                points = with_depths_fitted(points, pose.size_px, first_px)
                keypoints[pose.frame], depths[pose.frame] = points[:, :3], points[:, 3]
                seen += 1
    write_keypoints(out, [Clip(clip_name(Path(source)), keypoints, *first_px, rate or None, depths)], source)
    job.result.keypoints, job.result.lifted = out, len(poses)
    others_px = {(pose.width_px, pose.height_px) for pose in poses} - {first_px}
    if others_px:
        job.warn(f"pictures of {1 + len(others_px)} sizes; all keypoints are in pixels of the first, {first_px[0]}x{first_px[1]}")
    job.note(f"wrote {out}: {len(poses)} frames, {f'person {chosen}' if chosen else 'somebody'} seen in {seen}")
    left_out = {person for pose in poses for person in pose.person.tolist()} - {chosen}
    if chosen and left_out:
        job.warn(f"{out} holds person {chosen} alone, who was seen in most frames, and not the {len(left_out)} others")
    job.end(run)
    return job.result


def most_seen(poses: Sequence[Pose2D]) -> Optional[int]:
    """The id of who was seen in most frames, of equals the larger one, feet left aside; None where nobody was."""
    frames: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for pose in poses:
        sides_px = np.ptp(pose.keypoints[:, : len(COCO_KEYPOINTS), :2], axis=1)
        for person, side_px in zip(pose.person.tolist(), np.hypot(*sides_px.T).tolist()):
            frames[person] += 1
            sizes[person] += side_px
    return max(frames, key=lambda person: (frames[person], sizes[person]), default=None)
