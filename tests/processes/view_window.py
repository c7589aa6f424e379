"""A window of the viewer on a virtual display, in a process of its own: writes its picture, and what should be in it.

`python view_window.py OUT.npz WIDTH HEIGHT KEYS [dot]` shows made-up messages. KEYS are pressed one after the other; with `dot` the
camera's picture has a dot at one keypoint of each.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from bench.people import HEIGHT_PX, WIDTH_PX, jpeg_of, picture_of, pose_at
from bench.synthetic_client import SyntheticClient
from poselift.app.view.controller import Controller
from poselift.app.view.history import CompressedImage
from poselift.app.view.orbit_camera import project
from poselift.app.view.overlay import in_panel
from poselift.app.view.sources import LiveSource, Status
from poselift.app.view.window import Window
from poselift.common.skeleton import FEET, JOINTS

FRAME = 41
DOT = "left_wrist"
DOT_BGR, DOT_PX = (255, 0, 255), 18


def main(out: Path, width_px: int, height_px: int, keys: str, dotted: bool) -> None:
    source = LiveSource(SyntheticClient(), "made up")
    source.poll = lambda now_s: None  # type: ignore[method-assign]  # what is shown is put in here, and stays live
    source.status = lambda now_s: Status("live")  # type: ignore[method-assign]
    controller = Controller(source)
    for frame in range(FRAME + 1):
        pose = pose_at(frame)
        source.history.add(replace(pose, confidence=np.ones_like(pose.confidence)))
    picture = picture_of(pose)
    for x, y, _ in pose.keypoints[:, 9] if dotted else ():
        cv2.circle(picture, (round(float(x)), round(float(y))), DOT_PX, DOT_BGR, cv2.FILLED)
    source.history.add(CompressedImage(FRAME, pose.t_ns, WIDTH_PX, HEIGHT_PX, jpeg_of(picture)))
    window = Window(controller, (width_px, height_px), folder=out.parent)
    for key in keys.split(","):
        controller.press(key)
    for tick in range(60):
        controller.update(time.monotonic() + tick / 10)
    layout = controller.layout(*window.size_px)
    assert layout.picture and controller.snapshot and controller.snapshot.pose
    shown = window.grab()
    np.savez(
        out,
        picture=shown,
        joints=project(controller.rig.camera, layout.scene, controller.joints),
        keypoints=in_panel(pose.keypoints[..., :2], WIDTH_PX, HEIGHT_PX, layout.picture),
        contact=np.pad(pose.contact, ((0, 0), (len(JOINTS) - len(FEET), 0))),
        panel=np.array(layout.picture),
        scene=np.array(layout.scene),
        unit=layout.unit,
    )
    cv2.imwrite(str(out.with_suffix(".png")), shown)
    window.request_close()
    window.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], "dot" in sys.argv[5:])
