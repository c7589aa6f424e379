"""Runs MediaPipe Pose over a video, in an environment of its own (mediapipe 0.10.14 wants numpy 1).

    python mediapipe_pose.py VIDEO OUT.npz [FRAMES]

OUT.npz: `raw` and `smooth` (smooth_landmarks off and on), float32[N, 33, 3]: x px, y px, visibility; NaN where nobody was found.
"""

import sys
from itertools import islice

import cv2
import mediapipe as mp
import numpy as np


def pictures(video):
    """The video's pictures, RGB."""
    capture = cv2.VideoCapture(video)
    while True:
        good, picture = capture.read()
        if not good:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def landmarks(video, count, smooth):
    """float32[N, 33, 3] of the first `count` pictures (all where None)."""
    rows = []
    with mp.solutions.pose.Pose(model_complexity=1, smooth_landmarks=smooth) as pose:
        for picture in islice(pictures(video), count):
            height, width = picture.shape[:2]
            found = pose.process(picture).pose_landmarks
            if found is None:
                rows.append(np.full((33, 3), np.nan))
            else:
                rows.append([(point.x * width, point.y * height, point.visibility) for point in found.landmark])
    return np.array(rows, np.float32)


if __name__ == "__main__":
    video, out = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else None
    np.savez(out, raw=landmarks(video, count, False), smooth=landmarks(video, count, True))
