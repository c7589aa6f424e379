"""ByteTrack of the library `trackers`, run by its own Python: `bytetrack.py BOXES.npz IDS.npz`. It knows nothing of poselift.

BOXES has, for each clip NAME, NAME/frame [N], NAME/box [N, 4] (left, top, right, bottom, px), NAME/score [N] and NAME/count (pictures).
IDS gets NAME [N]: each box's id, -1 where it has none.
"""

import sys

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

LOST = 195
"""Pictures that a track is kept: 6.5 s at 30 fps, as long as poselift keeps one."""


def ids_of(frames: np.ndarray, boxes: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """The ids of one clip's boxes."""
    tracker = ByteTrackTracker(lost_track_buffer=LOST, frame_rate=30)
    ids = np.full(len(frames), -1)
    for frame in range(count):
        here = np.flatnonzero(frames == frame)
        given = sv.Detections(boxes[here], confidence=scores[here], data={"place": here}) if len(here) else sv.Detections.empty()
        answer = tracker.update(given)
        if len(answer):
            ids[answer.data["place"]] = answer.tracker_id
    return ids


def main(boxes: str, out: str) -> None:
    """All clips of a file."""
    with np.load(boxes) as file:
        names = [name[: -len("/count")] for name in file.files if name.endswith("/count")]
        found = {name: ids_of(*(file[f"{name}/{part}"] for part in ("frame", "box", "score", "count"))) for name in names}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
