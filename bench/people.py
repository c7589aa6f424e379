"""People who are not there: four of them walking in circles, as the messages that a board would send of them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from poselift.app.dataflow.messages import Health, Pose3D, Stamp
from poselift.common.arrays import Pixels
from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS, PARENTS

Points = npt.NDArray[np.float64]

WIDTH_PX, HEIGHT_PX, FOCAL_PX = 1280, 720, 1100.0
RATE_HZ = 30.0
LOOP_S, STEP_S = 8.0, 1.0
"""Once around the circle; two steps."""
CENTRES_M = ((-1.5, 4.8), (0.2, 6.2), (1.6, 4.6), (0.0, 4.0))
"""Where the circles' middles are: x, z."""
RADIUS_M, GROUND_M = 0.55, 1.25

_LEGS, _ARMS = (0.0, 0.44, 0.87), (-0.46, -0.18, 0.07)
"""Heights (y down, from the hip) of hip, knee, ankle; of shoulder, elbow, wrist."""
_FOOT = {"heel": (0.0, 0.07, -0.06), "toe": (0.0, 0.07, 0.16)}
"""From the ankle."""
_FACE = {"nose": (0.0, -0.62, 0.13), "eye": (0.033, -0.66, 0.10), "ear": (0.075, -0.64, 0.0)}


def joints_of(walked: float) -> Points:
    """float [21, 3]: a walker's joints from the hip, metres: x their left, y down, z forwards; `walked`: in double steps."""
    swing = np.sin(2 * np.pi * walked)
    found = {"hip": (0, 0, 0), "spine": (0, -0.23, 0), "thorax": (0, -0.47, 0.01), "neck": (0, -0.56, 0.04), "head": (0, -0.72, 0.03)}
    for side, sign in (("left", 1), ("right", -1)):
        leg, arm = 0.42 * sign * swing, -0.40 * sign * swing
        bend = 0.55 * max(0.0, float(np.cos(2 * np.pi * walked + (0 if sign > 0 else np.pi))))
        for names, heights, aside, angle, more in (
            (("hip", "knee", "ankle"), _LEGS, 0.12, leg, -bend),
            (("shoulder", "elbow", "wrist"), _ARMS, 0.18, arm, 0.45),
        ):
            place = np.array([aside * sign, heights[0], 0.0])
            found[f"{side}_{names[0]}"] = tuple(place)
            for number, name in enumerate(names[1:]):
                turn, length = angle + number * more, heights[number + 1] - heights[number]
                place = place + np.array([0.03 * sign * (names[0] == "shoulder"), length * np.cos(turn), length * np.sin(turn)])
                found[f"{side}_{name}"] = tuple(place)
        for part, from_ankle in _FOOT.items():
            found[f"{side}_{part}"] = tuple(np.add(found[f"{side}_ankle"], from_ankle))
    return np.array([found[name] for name in JOINTS], np.float64)


def pose_at(frame: int, people: int = 4, sent_ns: int = 0, rate_hz: float = RATE_HZ) -> Pose3D:
    """What the lifter would say of that frame."""
    t_s = frame / rate_hz
    joints, roots, keypoints = [], [], []
    for person in range(people):
        x, z = CENTRES_M[person % len(CENTRES_M)]
        angle = 2 * np.pi * (t_s / LOOP_S + person / 4) * (1 if person % 2 else -1)
        heading = angle + (0 if person % 2 else np.pi)
        body = joints_of(t_s / STEP_S + 0.3 * person)
        turned = _turned(body, heading)
        root = np.array([x + RADIUS_M * np.sin(angle), GROUND_M - turned[:, 1].max(), z + RADIUS_M * np.cos(angle)])
        joints.append(turned)
        roots.append(root)
        keypoints.append(_seen(turned + root, _turned(_face(), heading) + root))
    count = (people, len(JOINTS))
    moving = 0.5 + 0.5 * np.sin(2 * np.pi * t_s / LOOP_S + np.arange(people)[:, None] + np.arange(len(JOINTS)))
    sigma = np.where(np.arange(len(JOINTS)) == 0, 0, 0.02 + 0.035 * moving)
    return Pose3D(
        frame=frame,
        t_ns=round(t_s * 1e9),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        person=np.arange(people, dtype=np.int64),
        keypoints=np.array(keypoints, np.float32).reshape(-1, len(KEYPOINTS), 3),
        joints_m=np.array(joints, np.float32).reshape(-1, len(JOINTS), 3),
        sigma_m=np.repeat(sigma[..., None], 3, -1).astype(np.float32),
        root_m=np.array(roots, np.float32).reshape(-1, 3),
        confidence=np.full(count, 0.95, np.float32) - 0.5 * (sigma > 0.053).astype(np.float32),
        contact=np.array([of[-len(FEET) :, 1] > of[:, 1].max() - 0.02 for of in joints], np.bool_).reshape(-1, len(FEET)),
        warming=np.zeros(people, np.bool_),
        held=np.zeros(people, np.bool_),
        trace=(Stamp("capture", sent_ns, sent_ns),),
    )


def health_of(worker: str, now_ns: int, **more: Any) -> Health:
    """A worker's report."""
    plain = {"incarnation": 1, "state": "running", "note": "", "messages": 1, "rate_hz": RATE_HZ, "age_p50_ms": 9.0, "age_p95_ms": 14.0}
    return Health(worker=worker, pid=1, monotonic_ns=now_ns, **{**plain, "drops": {}, "memory_bytes": 10**8, **more})


def picture_of(pose: Pose3D) -> Pixels:
    """A plain room with a grey figure for everybody."""
    rows = np.linspace(70, 40, HEIGHT_PX)[:, None, None]
    picture: Pixels = np.broadcast_to(rows * (1.0, 0.95, 0.9), (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8).copy()
    cv2.rectangle(picture, (0, 470), (WIDTH_PX, HEIGHT_PX), (58, 52, 48), cv2.FILLED)
    for k in np.argsort(-pose.root_m[:, 2]):
        places = pose.joints_m[k] + pose.root_m[k]
        pixels = (places[:, :2] / places[:, 2:] * FOCAL_PX + (WIDTH_PX / 2, HEIGHT_PX / 2)).round().astype(int)
        thick = round(130 / float(pose.root_m[k, 2]))
        for joint, parent in enumerate(PARENTS):
            if parent >= 0:
                cv2.line(picture, pixels[parent].tolist(), pixels[joint].tolist(), (112, 108, 104), thick, cv2.LINE_AA)
    return picture


def jpeg_of(picture: Pixels) -> bytes:
    """The picture as a board would send it."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def _turned(points: Points, heading: float) -> Points:
    """Points of a body (x left, y down, z forwards) that heads there (0: away from the camera), in the camera's axes."""
    x, y, z = points.T
    sine, cosine = np.sin(heading), np.cos(heading)
    # Who walks away from the camera has their left on its left.
    return np.stack([-x * cosine + z * sine, y, x * sine + z * cosine], -1)


def _face() -> Points:
    sides = {"left": 1, "right": -1}
    return np.array(
        [np.array(_FACE[name.rpartition("_")[2]]) * (sides.get(name.partition("_")[0], 0) or 1, 1, 1) for name in KEYPOINTS[:5]]
    )


def _seen(joints: Points, face: Points) -> Points:
    """float [21, 3]: keypoints by the pinhole model, all of them sure."""
    named = dict(zip(JOINTS, joints))
    places = np.concatenate([face, [named[name] for name in KEYPOINTS[5:]]])
    pixels = places[:, :2] / places[:, 2:] * FOCAL_PX + (WIDTH_PX / 2, HEIGHT_PX / 2)
    return np.concatenate([pixels, np.full((len(places), 1), 0.95)], -1)
