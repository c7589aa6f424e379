"""What half precision makes of keypoints and poses on the simulated NPU. No time is measured: a simulator tells nothing of speed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import cv2
import numpy as np
import numpy.typing as npt

from bench.clip import FPS, FRAMES, demo_clip
from bench.part import Goal, Grid, Result, Setup, require
from poselift.app.config import Config
from poselift.app.dataflow.messages import Frame, Pose2D
from poselift.common.arrays import Array, Pixels
from poselift.common.people import Detected2D
from poselift.models.backends.backend import Model
from poselift.models.detection import blazepose_person
from poselift.models.detection.blazepose import BlazePose
from poselift.models.detection.blazepose_landmarks import decode
from poselift.models.detection.blazepose_regions import cut_out, transform
from poselift.models.tracking.pose_tracker import PoseTracker
from poselift.workers.detect import detecting
from poselift.workers.lift import new_lift, open_lifter
from poselift.workers.networks import open_networks

TESTS = Path(__file__).parents[1] / "tests"
Floats = npt.NDArray[np.float64]
QUICK_FRAMES, SEVERAL = 20, 4
SEEN = 0.5
"""Confidence from which a keypoint counts as seen."""
KEYPOINT_PX, JOINT_MM = 0.5, 2.0
SAME_PX, SAME_PLACE_PX = 0.01, 50.0
WIDTH_PX, HEIGHT_PX = 1768, 994
PERCENTS = (50, 90, 95, 99, 100)
METHOD = (
    f"The demo clip ({FRAMES} pictures of 1768x994), with the networks as `poselift models atc` prepares them, on the simulated NPU of the "
    "tests: weights and the result of every operator are rounded to float16. They are compared with the same networks on ONNX Runtime in "
    f"float32. Landmarks: both networks look at the regions that the float32 one chose; keypoints of confidence {SEEN:g} and more. Lifter: "
    "both lifters answer the same keypoints. Whole detection: each follows the person by itself, which magnifies the least difference. "
    "How much, the row in float32 shows: there the simulated NPU runs in float32, and differs from ONNX Runtime at most in the order of "
    f"additions. Checked: in float32 and on the same regions all keypoints agree to {SAME_PX:g} px. Several people: "
    f"`detect.people: {SEVERAL}`, the finder on the simulated NPU, too; keypoints are those of an id that both sides see in a picture. "
    f"Somebody is in the same place where the median of the keypoints' distances is below {SAME_PLACE_PX:g} px, a fifth of a body."
)


def measure(setup: Setup) -> Result:
    """How far keypoints and joints lie apart, and whether several people have the same ids."""
    sys.path[:0] = [str(TESTS), str(TESTS / "sim_acl")]
    from sim_acl.networks import convert

    folders = {name: setup.scratch / name for name in ("half", "single", "several")}
    for folder in folders.values():
        folder.mkdir()
    one, several = (setup.config.changed(detect={"people": people}) for people in (1, SEVERAL))
    half = one.changed(npu={"folder": str(convert(folders["half"], {}, [1]))})
    single = one.changed(npu={"folder": str(convert(folders["single"], {"SIM_ATC_EXACT": "yes"}, [1]))})
    several_half = several.changed(npu={"folder": str(convert(folders["several"], {}, [SEVERAL]))})
    pictures = list(_pictures(demo_clip(setup.config.models_path()), QUICK_FRAMES if setup.quick else FRAMES))
    with ExitStack() as opened:
        cpu, rounded, exact = (_Networks.open(config, opened) for config in (one, half, single))
        looks: list[_Look] = []
        seen = cpu.follow(pictures, looks)
        control = _landmarks_apart(exact, looks)
        require(float(control.max()) < SAME_PX, f"npu: in float32 a keypoint is {control.max():.3f} px off")
        on_regions = _landmarks_apart(rounded, looks)
        joints_mm = _joints_apart(cpu.lifter, rounded.lifter, one, seen)
        lifter, rounded_lifter = (opened.enter_context(closing(open_lifter(config))) for config in (several, several_half))
        people, rounded_people = (_everybody(config, pictures) for config in (several, several_half))
        several_mm = _joints_apart(lifter, rounded_lifter, several, people)
        rows = [
            ("landmarks, same regions, px", *_figures(on_regions)),
            ("lifter, same keypoints, mm", *_figures(joints_mm)),
            ("whole detection, px", *_figures(_people_apart(seen, rounded.follow(pictures)))),
            ("whole detection in float32, px", *_figures(_people_apart(seen, exact.follow(pictures)))),
            ("several people, whole detection, px", *_figures(_people_apart(people, rounded_people))),
            ("several people, lifter, same keypoints, mm", *_figures(several_mm)),
        ]
    near, worst_mm = float(np.mean(on_regions <= KEYPOINT_PX)), float(max(joints_mm.max(), several_mm.max()))
    alike = sum(a.person.tolist() == b.person.tolist() for a, b in zip(people, rounded_people))
    switched = sum(map(_switched, people, rounded_people))
    goals = [
        Goal("keypoints in float16, same regions, within 0.5 px", f"{100 * near:.1f} %", "all", near == 1),
        Goal("joints in float16, same keypoints, the worst", f"{worst_mm:.2f} mm", f"within {JOINT_MM:g} mm", worst_mm <= JOINT_MM),
        Goal("several people: pictures with somebody under another id", str(switched), "none", not switched),
    ]
    whom = Grid(("several people", "pictures"), [("both see the same ids", str(alike)), ("they do not", str(len(people) - alike))])
    return Result(METHOD, [Grid(("apart", *(f"p{percent}" for percent in PERCENTS[:-1]), "most"), rows), whom], goals)


class _Look(NamedTuple):
    """What the landmark network was given, where that lies in the picture, and what it answered."""

    region: Pixels
    matrix: Floats
    answer: Mapping[str, Array]


class _Networks(NamedTuple):
    """The three networks of one config."""

    detector: Model
    landmarks: Model
    lifter: Model

    @classmethod
    def open(cls, config: Config, opened: ExitStack) -> _Networks:
        networks = (it for worker in ("detect", "lift") for it in open_networks(worker, config, threads=1))
        return cls(*(opened.enter_context(closing(it)) for it in networks))

    def follow(self, pictures: Sequence[Pixels], looks: list[_Look] | None = None) -> list[Detected2D]:
        """Whom BlazePose sees in each picture; where it looked with success is appended to `looks`."""
        matrices: list[Floats] = []

        def cut(picture: Pixels, matrix: Floats, size: int, border: int) -> Pixels:
            matrices.append(matrix)
            return cut_out(picture, matrix, size, border)

        detector = BlazePose(self.detector, _Noted(self.landmarks, matrices, [] if looks is None else looks))
        with mock.patch.object(blazepose_person, "cut_out", cut):
            return list(PoseTracker(detector).follow(((picture, _t_ns(frame)) for frame, picture in enumerate(pictures))))


class _Noted:
    """A landmark network whose looks are noted."""

    def __init__(self, model: Model, matrices: list[Floats], looks: list[_Look]) -> None:
        self._model, self._matrices, self._looks = model, matrices, looks
        self.device, self.inputs, self.outputs, self.metadata = model.device, model.inputs, model.outputs, model.metadata
        self.carrying, self.close = model.carrying, model.close

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        answer = self._model.run(tensors)
        if answer["flag"].item() >= SEEN:
            region: Pixels = tensors["picture"].astype(np.uint8)
            self._looks.append(_Look(region, self._matrices[-1], answer))
        return answer


def _pictures(clip: Path, frames: int) -> Iterator[Pixels]:
    capture = cv2.VideoCapture(str(clip))
    for _ in range(frames):
        there, picture = capture.read()
        require(there, f"npu: {clip.name} has fewer than {frames} pictures")
        yield picture


def _t_ns(frame: int) -> int:
    return round(frame * 1e9 / FPS)


def _everybody(config: Config, pictures: Sequence[Pixels]) -> list[Detected2D]:
    """Whom the pipeline's detection sees in each picture."""
    found = []
    with detecting(config) as detect:
        for number, picture in enumerate(pictures):
            frame = Frame(number, _t_ns(number), WIDTH_PX, HEIGHT_PX, FPS, 0, 0, 0, "ring", b"", 0, ())
            pose = detect.step(frame, nullcontext(picture))
            found.append(Detected2D(pose.person, pose.keypoints, pose.depth_px))
    return found


def _switched(one: Detected2D, other: Detected2D) -> bool:
    """Whether somebody whom both see in the same place has another id."""
    apart = np.linalg.norm((one.keypoints[:, None] - other.keypoints)[..., :2], axis=-1)
    same_place = np.median(apart, -1) < SAME_PLACE_PX
    return bool((same_place & (one.person[:, None] != other.person)).any())


def _landmarks_apart(networks: _Networks, looks: Sequence[_Look]) -> Floats:
    """Pixels of the picture between the keypoints that were seen and those that these networks see there."""
    apart = []
    for look in looks:
        (expected, confidence, _), (found, *_) = decode(look.answer), decode(networks.landmarks.run({"picture": look.region}))
        between = transform(found, look.matrix) - transform(expected, look.matrix)
        apart.append(np.linalg.norm(between, axis=-1)[: len(confidence)][confidence >= SEEN])
    return np.concatenate(apart)


def _joints_apart(one: Model, other: Model, config: Config, seen: Sequence[Detected2D]) -> Floats:
    """Millimetres between the joints that both lifters give."""
    apart = []
    with closing(new_lift(one, config)) as first, closing(new_lift(other, config)) as second:
        for frame, people in enumerate(seen):
            pose = Pose2D(frame, _t_ns(frame), WIDTH_PX, HEIGHT_PX, **vars(people))
            apart.append(1000 * np.linalg.norm(first.step(pose).joints_m - second.step(pose).joints_m, axis=-1).ravel())
    between: Floats = np.concatenate(apart)
    told: Floats = between[np.isfinite(between)]
    return told


def _people_apart(one: Sequence[Detected2D], other: Sequence[Detected2D]) -> Floats:
    """Pixels between the keypoints of whom both see in a picture."""
    apart = []
    for a, b in zip(one, other):
        _, rows, its = np.intersect1d(a.person, b.person, return_indices=True)
        keypoints = a.keypoints[rows]
        apart.append(np.linalg.norm((keypoints - b.keypoints[its])[..., :2], axis=-1)[keypoints[..., 2] >= SEEN])
    return np.concatenate(apart)


def _figures(apart: Floats) -> tuple[str, ...]:
    return tuple(f"{value:.2f}" for value in np.percentile(apart, PERCENTS))
