"""A viewer without a window: `python -m bench.viewer ADDRESS` decodes everything, and tells twice a second what it received."""

from __future__ import annotations

import json
import os
import sys
import time

import cv2
import numpy as np

from app.messages import Pose3D
from app.remote.client import remote
from app.remote.wire import Picture

TELL_S = 0.5
WIDTH_PX, QUALITY, RATE_HZ = 640, 80, 15.0


def look(address: str) -> None:
    """Until killed. It stands for another machine, so it computes only when nobody else on this one wants to."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    cv2.setNumThreads(1)
    board = remote(address)
    board.want(WIDTH_PX, QUALITY, RATE_HZ)
    poses = pictures = 0
    while True:
        ages_ms = []
        until_s = time.monotonic() + TELL_S
        while (left_s := until_s - time.monotonic()) > 0:
            for message in board.receive(left_s):
                if isinstance(message, Pose3D) and np.isfinite(message.joints_m).all():
                    poses += 1
                    ages_ms.append((time.monotonic_ns() - message.trace[0].received_ns) / 1e6)
                elif isinstance(message, Picture):
                    picture = cv2.imdecode(np.frombuffer(message.jpeg, np.uint8), cv2.IMREAD_COLOR)
                    pictures += picture is not None and picture.shape[:2] == (message.height_px, message.width_px)
        print(json.dumps({"at_s": time.monotonic(), "poses": poses, "pictures": pictures, "ages_ms": ages_ms}), flush=True)


if __name__ == "__main__":
    look(sys.argv[1])
