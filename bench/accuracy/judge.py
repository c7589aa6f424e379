"""The judge's data: an evaluation kept apart from this repository is asked for held-out people before its cameras and its detector.

The feet that it shows beside Human3.6M's 17 joints are in `steps` alone. But for the size that its noise is measured in, nothing of it
is written anew here. Its cameras come from its own code and its own seeds; as they turn and move the body as a whole, the motion between
its frames is moved along with the frames themselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from poselift.common.errors import UserError
from poselift.common.skeleton import H36M_JOINTS

Floats = npt.NDArray[np.float64]

DEFAULT_JUDGE = Path(__file__).parents[3] / "shared" / "evaluate_lifter.py"
FPS = 30
"""The judge's own rate."""
SEED = 7_000
"""What the judge adds to a held-out clip's number to draw its camera and its noise."""
TRAINING_SEED = 50_000
"""The same for the first of its views of the training people."""
SAME_M = 1e-6
JOINTS = len(H36M_JOINTS)


def load_judge(path: Path, motion: Path | None) -> ModuleType:
    """The judge as a module, reading its own motion or that in `motion`. Raises UserError where either is missing."""
    spec = importlib.util.spec_from_file_location("evaluate_lifter", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(
            f"{path.name} is missing at {path.parent}: it judges the lifter and is no part of this project; --judge says where it is"
        )
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    if motion is not None:
        vars(judge)["MOTION"] = motion
    if not Path(judge.MOTION).is_file():
        raise UserError(
            f"{Path(judge.MOTION).name} is missing at {Path(judge.MOTION).parent}: the motion of the judge; --motion says where it is"
        )
    return judge


def datasets(judge: ModuleType, folder: Path) -> Path:
    """The judge's datasets and what it compares with, in a folder of their own; made where judge or motion are others than before.

    Beside what the judge writes, `baselines.npz`: `ridge` [35, 51], and `mean` [17, 3], the mean of the training people's poses before its
    cameras, metres.
    """
    key = hashlib.sha256(Path(str(judge.__file__)).read_bytes() + Path(judge.MOTION).read_bytes()).hexdigest()[:12]
    made = folder / f"judge-{key}"
    if not made.is_dir():
        part = folder / f".{made.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        ridge = judge.ridge()
        mean = np.concatenate([truth for _, truth, *_ in judge.seen(False, TRAINING_SEED)]).mean(0)[:JOINTS]
        np.savez(part / "baselines.npz", ridge=ridge, mean=mean)
        vars(judge)["ridge"] = lambda: ridge  # it takes most of the time, and `make` would do it again
        with contextlib.redirect_stdout(io.StringIO()):
            judge.make(part)
        part.rename(made)
    return made


def score(judge: ModuleType, made: Path, poses: Path) -> str:
    """What the judge says of the poses in a folder."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        judge.score(made, poses)
    return said.getvalue()


@dataclass(frozen=True)
class Scene:
    """A held-out clip before the judge's camera, at any time."""

    judge: ModuleType
    name: str
    joints_m: Floats
    """[F, 17, 3] at the clip's own rate; camera axes, from the camera's centre."""
    rate_hz: float
    """The clip's own."""
    focal_px: float
    width_px: int
    height_px: int
    after_view: dict[str, Any]
    """The state of the judge's generator of random numbers when the camera is drawn and the noise is not."""

    def times_s(self, fps: float) -> Floats:
        """The times [T] of a clip's frames at that rate."""
        return np.arange(int((len(self.joints_m) - 1) / self.rate_hz * fps + 1e-6) + 1) / fps

    def cut(self, times_s: Floats) -> Floats:
        """The joints [T, 17, 3] at those times, linear between the clip's own frames; camera axes, from the camera's centre."""
        at = np.clip(times_s * self.rate_hz, 0, len(self.joints_m) - 1)
        before = np.minimum(at.astype(int), len(self.joints_m) - 2)
        part = (at - before)[:, None, None]
        between: Floats = self.joints_m[before] * (1 - part) + self.joints_m[before + 1] * part
        return between

    def truth_m(self, times_s: Floats) -> Floats:
        """The joints [T, 17, 3] from the root, as the judge gives them."""
        joints_m = self.cut(times_s)
        return joints_m - joints_m[:, :1]

    def clean_px(self, joints_m: Floats) -> Floats:
        """COCO keypoints [T, 17, 2] of joints [T, 17, 3] that are given from the camera's centre."""
        points_m = self.judge.coco(joints_m)
        clean: Floats = points_m[..., :2] / points_m[..., 2:] * self.focal_px + np.array([self.width_px, self.height_px]) / 2
        return clean

    def noisy_px(self, clean_px: Floats, seed: int | None = None) -> Floats:
        """The same keypoints as the judge's detector sees them: with its own random numbers, or with others."""
        rng = np.random.default_rng(seed)
        if seed is None:
            rng.bit_generator.state = self.after_view
        size_px = np.ptp(clean_px, axis=1).max(-1).mean()
        noisy: Floats = self.judge.noise(clean_px, rng, size_px)
        return noisy


class Steps(NamedTuple):
    """A clip with feet before the judge's camera, at the judge's rate."""

    name: str
    joints_m: Floats
    """[T, 21, 3]: camera axes, from the camera's centre."""
    contact: npt.NDArray[np.bool_]
    """[T, 4]: which parts of the feet are on the floor."""
    seen_px: dict[str, Floats]
    """Keypoints [T, 21, 2], clean and noisy."""
    width_px: int
    height_px: int


def steps(judge: ModuleType, held_out: bool, seed: int, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[Steps]:
    """The clips of the judge's held-out people, or of the others, whose names are wanted and whose feet are known, as it shows them."""
    shown = judge.seen(held_out, seed)
    for number, ((name, every, contact), (_, truth_m, clean_px, noisy_px, _, width_px, height_px)) in enumerate(
        zip(judge.clips(held_out), shown)
    ):
        if wanted(name) and np.isfinite(every).all():
            joints_m, *_ = judge.view(every, np.random.default_rng(seed + number))
            if np.abs(joints_m - joints_m[:, :1] - truth_m).max() > SAME_M:
                raise UserError(f"{name}: the judge draws its cameras in another way than bench/accuracy/judge.py relies on")
            yield Steps(name, joints_m, contact, {"clean": clean_px, "noisy": noisy_px}, width_px, height_px)


def scenes(judge: ModuleType) -> list[Scene]:
    """All held-out clips, in the judge's order."""
    with np.load(judge.MOTION) as file:
        motion = dict(file)
    numbers = {str(name).replace("/", "-"): number for number, name in enumerate(motion["clip_name"])}
    return [
        _scene(judge, name, _own_rate(motion, numbers[name]), joints_m[:, :JOINTS], SEED + order)
        for order, (name, joints_m, *_) in enumerate(judge.clips(True))
    ]


def _own_rate(motion: dict[str, Any], number: int) -> tuple[Floats, int]:
    """A clip's every frame, and how many of them the judge counts as one of its own."""
    start, length = motion["clip_start"][number], motion["clip_length"][number]
    return motion["joints_m"][start : start + length].astype(np.float64), max(1, round(float(motion["fps"][number]) / FPS))


def _scene(judge: ModuleType, name: str, own: tuple[Floats, int], frames: Floats, seed: int) -> Scene:
    every, step = own
    rng = np.random.default_rng(seed)
    seen, focal_px, width_px, height_px = judge.view(frames, rng)
    after_view = dict(rng.bit_generator.state)
    move, *_ = np.linalg.lstsq(_with_one(frames), seen.reshape(-1, 3), rcond=None)
    joints_m = (_with_one(every) @ move).reshape(-1, 17, 3)
    if np.abs(joints_m[::step] - seen).max() > SAME_M:
        raise UserError(f"{name}: the judge's camera does more than turn and move the body, which bench/accuracy/judge.py relies on")
    return Scene(judge, name, joints_m, float(FPS * step), float(focal_px), int(width_px), int(height_px), after_view)


def _with_one(joints_m: Floats) -> Floats:
    flat = joints_m.reshape(-1, 3)
    return np.concatenate([flat, np.ones((len(flat), 1))], 1)
