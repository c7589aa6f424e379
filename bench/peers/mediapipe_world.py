"""MediaPipe Pose over videos: its landmarks in the picture and in space. Runs in an environment of its own (`make peer`).

    python mediapipe_world.py VIDEO OUT.npz [VIDEO OUT.npz ...]

OUT.npz: `landmarks` float32 [N, 33, 3]: x px, y px, visibility; `world_m` float32 [N, 33, 3]: metres from the middle of the hips, x right,
y down, z away from the camera; NaN where nobody was found. Model and settings are its defaults: model_complexity 1 (full), smoothed.
"""

import sys

import cv2
import mediapipe as mp
import numpy as np


def main(video, out):
    """Run over all pictures, as one stream."""
    capture = cv2.VideoCapture(video, cv2.CAP_FFMPEG)
    nobody = np.full((33, 3), np.nan)
    landmarks, world_m = [], []
    with mp.solutions.pose.Pose(model_complexity=1) as pose:
        good, picture = capture.read()
        while good:
            height, width = picture.shape[:2]
            answer = pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            found = answer.pose_landmarks is not None
            landmarks.append([(at.x * width, at.y * height, at.visibility) for at in answer.pose_landmarks.landmark] if found else nobody)
            world_m.append([(at.x, at.y, at.z) for at in answer.pose_world_landmarks.landmark] if found else nobody)
            good, picture = capture.read()
    np.savez(out, landmarks=np.array(landmarks, np.float32), world_m=np.array(world_m, np.float32))


if __name__ == "__main__":
    for pair in zip(sys.argv[1::2], sys.argv[2::2]):
        main(*pair)
