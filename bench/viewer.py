"""A viewer without a window: `python -m bench.viewer ADDRESS` decodes everything, and tells twice a second what it received.

`python -m bench.viewer alone` decodes as much without a board: what a viewer costs the machine it runs on.
"""

from __future__ import annotations

import json
import os
import sys
import time

import cv2
import numpy as np

from bench.clip import FPS, demo_clip
from poselift.app.dataflow.messages import Pose3D, Stamp, decode, encode
from poselift.app.remote.client import connect
from poselift.app.remote.wire import Picture
from poselift.common.skeleton import H36M_JOINTS

TELL_S = 0.5
WIDTH_PX, QUALITY, RATE_HZ = 640, 80, 15.0


def look(address: str) -> None:
    """Look until killed."""
    board = connect(address)
    board.request_pictures(WIDTH_PX, QUALITY, RATE_HZ)
    poses = pictures = 0
    while True:
        ages_ms = []
        until_s = time.monotonic() + TELL_S
        while (left_s := until_s - time.monotonic()) > 0:
            for message in board.receive(left_s):
                if isinstance(message, Pose3D) and np.isfinite(message.joints_m[:, : len(H36M_JOINTS)]).all():
                    poses += 1
                    ages_ms.append((time.monotonic_ns() - message.trace[0].received_ns) / 1e6)
                elif isinstance(message, Picture):
                    picture = cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_COLOR)
                    pictures += picture is not None and picture.shape[:2] == (message.height_px, message.width_px)
        print(json.dumps({"at_s": time.monotonic(), "poses": poses, "pictures": pictures, "ages_ms": ages_ms}), flush=True)


def alone() -> None:
    """Decode a picture of the demo clip and a pose as often as a viewer does, until killed."""
    clip = cv2.VideoCapture(str(demo_clip(None)))
    _, picture = clip.read()
    height_px = round(picture.shape[0] * WIDTH_PX / picture.shape[1])
    _, jpeg = cv2.imencode(".jpg", cv2.resize(picture, (WIDTH_PX, height_px)), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    wide, flags = np.zeros((1, 21, 3), np.float32), np.zeros(1, bool)
    pose = Pose3D(
        0,
        0,
        1,
        1,
        np.zeros(1),
        wide,
        wide,
        wide,
        wide[:, 0],
        wide[..., 0],
        wide[:, :4, 0],
        flags,
        flags,
        trace=(Stamp("capture", 0, 0),) * 3,
    )
    data, begin_s, poses = encode(pose), time.monotonic(), 0
    print(json.dumps({"at_s": begin_s, "poses": 1, "pictures": 1, "ages_ms": []}), flush=True)
    while True:
        decode(data), decode(data)  # the Pose2D too
        if poses * RATE_HZ // FPS != (poses - 1) * RATE_HZ // FPS:
            cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        poses += 1
        time.sleep(max(0.0, begin_s + poses / FPS - time.monotonic()))


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # it stands for another machine: here it computes when nobody else wants to
    cv2.setNumThreads(1)
    alone() if sys.argv[1] == "alone" else look(sys.argv[1])
