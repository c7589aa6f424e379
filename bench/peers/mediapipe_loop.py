"""MediaPipe Pose over a video in one plain loop, timed. Runs in an environment of its own (`make peer`).

    python mediapipe_loop.py VIDEO OUT.npz DECODING_THREADS

Threads 0: as OpenCV chooses. OUT.npz: `landmarks` float32 [N, 33, 2], px, NaN where nobody was found; `seconds`, from the first
picture in hand to the last pose.
"""

import sys
import time

import cv2
import mediapipe as mp
import numpy as np


def main(video, out, threads):
    """Warm up on the first picture, then run over all."""
    options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
    capture = cv2.VideoCapture(video, cv2.CAP_FFMPEG, options)
    answers = []
    with mp.solutions.pose.Pose(model_complexity=1) as pose:
        good, picture = capture.read()
        height, width = picture.shape[:2]
        pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        begin_s = time.monotonic()
        while good:
            answers.append(pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).pose_landmarks)
            good, picture = capture.read()
        seconds = time.monotonic() - begin_s
    nobody = [(np.nan, np.nan)] * 33
    landmarks = [nobody if answer is None else [(point.x * width, point.y * height) for point in answer.landmark] for answer in answers]
    np.savez(out, landmarks=np.array(landmarks, np.float32), seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
