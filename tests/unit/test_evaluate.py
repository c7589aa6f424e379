"""`poselift evaluate`: each protocol reports what a formula of its own says of lifters whose errors are known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np
import pytest
from h36m_files import FRAMES, H36M, contents, write

from poselift.app.dataflow.messages import Pose2D
from poselift.app.evaluation.h36m import Trial, read
from poselift.app.offline import evaluate as work
from poselift.common.errors import UserError
from poselift.common.people import with_feet
from poselift.common.skeleton import H36M_JOINTS

command = import_module("poselift.app.cli.evaluate")  # in app.cli, the name is that of the command line's own function

Poses = np.ndarray
SUBJECTS = "S9,S11"
TURN = np.array([[math.cos(0.4), 0, math.sin(0.4)], [0, 1, 0], [-math.sin(0.4), 0, math.cos(0.4)]])


class FakeLifter:
    """Knows the truth of every frame, and gives it changed; looks at the keypoints alone, as a real one. Causal, or for whole sequences."""

    def close(self) -> None:
        pass

    def __init__(self, truth: dict[bytes, Poses], change: Callable[[Poses], Poses]) -> None:
        self._truth, self._change = truth, change

    def step(self, pose: Pose2D) -> Any:
        assert pose.keypoints.shape == (1, 21, 3) and (pose.keypoints[:, :17, 2] == 1).all() and (pose.keypoints[:, 17:] == 0).all()
        assert pose.t_ns == pose.frame * 20_000_000
        true_m = self._truth[pose.keypoints[0, :17, :2].tobytes()]
        return SimpleNamespace(person=pose.person, joints_m=with_feet(np.float32(self._change(true_m))[None], np.nan))

    def poses(self, keypoints: Poses, width_px: int, height_px: int) -> Iterator[Poses]:
        assert (width_px, height_px) in {(1000, 1000), (1000, 1002)} and (keypoints[:, :17, 2] == 1).all()
        true_m = np.stack([self._truth[seen_px.tobytes()] for seen_px in keypoints[:, :17, :2]])
        yield from with_feet(self._change(true_m), np.nan)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Evaluates a lifter that gives `change` of the truth: its figures, and every trial."""
    keypoints, positions = write(tmp_path, *contents())
    trials = read(keypoints, positions, SUBJECTS.split(",")).trials
    truth: dict[bytes, Poses] = {}
    for trial in trials:
        truth.update(zip(map(np.ndarray.tobytes, trial.keypoints_px), trial.joints_m()))

    def evaluated(change: Callable[[Poses], Poses], flip: bool = False) -> tuple[dict[str, Any], tuple[Trial, ...]]:
        lifter = FakeLifter(truth, change)
        monkeypatch.setattr(work, "open_lifter", lambda config: lifter)
        monkeypatch.setattr(work, "new_lift", lambda network, config: None if flip else lifter)
        monkeypatch.setattr(work, "new_whole", lambda network, config, flip: lifter if flip else None)
        command.evaluate("h36m", keypoints, positions, SUBJECTS, None, flip, tmp_path / "new" / "figures.json", False, None)
        return json.loads((tmp_path / "new" / "figures.json").read_text()), trials

    return evaluated


def of_actions(trials: tuple[Trial, ...], error: Callable[[Poses], list[float]]) -> dict[str, float]:
    """Millimetres by action: of each trial the mean, of an action the mean over its trials' frames."""
    sums: dict[str, list[float]] = {}
    for trial in trials:
        errors = error(trial.joints_m().astype(np.float64))
        total = sums.setdefault(trial.action, [0.0, 0.0])
        total[0] += 1000 * sum(errors) / len(errors) * len(trial.world_m)
        total[1] += len(trial.world_m)
    return {action: total / frames for action, (total, frames) in sums.items()}


def distances(a: Poses, b: Poses) -> list[float]:
    return [math.dist(p, q) for frame_a, frame_b in zip(a, b) for p, q in zip(frame_a, frame_b)]


def check(figures: dict[str, Any], protocol: str, expected: dict[str, float]) -> None:
    found = {action: row[protocol] for action, row in figures["actions"].items()}
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert figures["average"][protocol] == pytest.approx(sum(expected.values()) / len(expected), rel=1e-4, abs=1e-3)


NOTHING = {"Photo": 0.0, "Sitting": 0.0, "Walking": 0.0}
PROTOCOLS = ("mpjpe_mm", "pa_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm")


def test_the_truth_has_no_error_and_every_frame_counts(run: Any) -> None:
    figures, _ = run(lambda true_m: true_m)
    for protocol in PROTOCOLS:
        check(figures, protocol, NOTHING)
    assert list(figures["actions"]) == ["Photo", "Sitting", "Walking"]  # as published tables have them
    takes = [(take, frames) for takes in FRAMES.values() for take, frames in takes.items()]
    assert figures["actions"]["Walking"]["frames"] == 4 * sum(frames for take, frames in takes if take.startswith("Walking"))
    assert (figures["dataset"], figures["subjects"], figures["body_height_m"], figures["flip"]) == ("h36m", ["S9", "S11"], 1.7, False)


def test_a_wrong_scale_counts_for_position_and_velocity_alone(run: Any) -> None:
    figures, trials = run(lambda true_m: 1.2 * true_m)
    check(figures, "mpjpe_mm", of_actions(trials, lambda true: distances(1.2 * true, true)))
    check(figures, "mpjve_mm", of_actions(trials, lambda true: distances(0.2 * true[1:], 0.2 * true[:-1])))
    check(figures, "pa_mpjpe_mm", NOTHING)
    check(figures, "n_mpjpe_mm", NOTHING)


def test_a_turned_pose_counts_except_after_alignment(run: Any) -> None:
    figures, trials = run(lambda true_m: true_m @ TURN.T)

    def best_scale(true: Poses) -> list[float]:
        turned = true @ TURN.T
        scales = [np.linalg.lstsq(turned[f].reshape(-1, 1), true[f].ravel(), rcond=None)[0][0] for f in range(len(true))]
        return distances(np.array(scales)[:, None, None] * turned, true)

    check(figures, "pa_mpjpe_mm", NOTHING)
    check(figures, "mpjpe_mm", of_actions(trials, lambda true: distances(true @ TURN.T, true)))
    check(figures, "n_mpjpe_mm", of_actions(trials, best_scale))
    check(figures, "mpjve_mm", of_actions(trials, lambda true: distances(np.diff(true @ TURN.T, axis=0), np.diff(true, axis=0))))


def jittered(true_m: Poses) -> Poses:
    """With errors of about 5 cm that depend on the pose alone."""
    return true_m + 0.05 * np.sin(1e3 * true_m[..., ::-1])


def aligned(pose: Poses, true: Poses) -> Poses:
    """`pose` turned, scaled and moved onto `true` by Horn's unit quaternions (1987)."""
    a, b = pose - pose.mean(0), true - true.mean(0)
    s = a.T @ b
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = s
    matrix = [
        [xx + yy + zz, yz - zy, zx - xz, xy - yx],
        [yz - zy, xx - yy - zz, xy + yx, zx + xz],
        [zx - xz, xy + yx, yy - xx - zz, yz + zy],
        [xy - yx, zx + xz, yz + zy, zz - xx - yy],
    ]
    w, x, y, z = np.linalg.eigh(matrix)[1][:, -1]
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    turned = a @ turn.T
    return (turned * b).sum() / (turned * turned).sum() * turned + true.mean(0)


def test_jitter_is_measured_as_naive_formulas_do(run: Any) -> None:
    figures, trials = run(jittered)
    check(figures, "mpjpe_mm", of_actions(trials, lambda true: distances(jittered(true), true)))
    check(figures, "mpjve_mm", of_actions(trials, lambda true: distances(np.diff(jittered(true) - true, axis=0), np.zeros_like(true[1:]))))
    check(figures, "pa_mpjpe_mm", of_actions(trials, lambda true: distances([aligned(jittered(pose), pose) for pose in true], true)))


def test_a_lifter_that_looks_ahead_has_the_whole_sequence(run: Any) -> None:
    def late(true_m: Poses) -> Poses:
        assert len(true_m) in {frames for takes in FRAMES.values() for frames in takes.values()}
        return np.concatenate([true_m[:1], true_m[:-1]])

    figures, trials = run(late, flip=True)
    check(figures, "mpjpe_mm", of_actions(trials, lambda true: distances(late(true), true)))
    assert figures["flip"] and figures["average"]["mpjpe_mm"] > 1


def test_the_shipped_lifter_does_not_flip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--flip: poselift's own lifter is causal"):
        command.evaluate("h36m", tmp_path, tmp_path, SUBJECTS, None, True, None, False, None)


def test_the_table_has_every_action_the_height_and_what_is_missing(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(lambda true_m: 1.2 * true_m)
    shown = capsys.readouterr()
    rows = {line.split()[1]: line.split() for line in shown.out.splitlines() if line.startswith("│")}
    assert {"Photo", "Sitting", "Walking", "average"} <= set(rows) and "PA-MPJPE" in shown.out
    assert "body height: 1.7 m (lift.body_height_m)" in shown.err
    assert "the files have no Directions, Discussion, " in shown.err and "not the published one" in shown.err


def test_keypoints_that_the_lifter_does_not_take(tmp_path: Path) -> None:
    keypoints, positions = write(tmp_path, *contents(names=H36M_JOINTS), metadata=H36M)
    with pytest.raises(UserError, match=r"holds Human3\.6M's own joints, but lifters here take COCO's"):
        command.evaluate("h36m", keypoints, positions, SUBJECTS, None, False, None, False, None)


def test_a_dataset_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--dataset humaneva15: this dataset is not known; known are: h36m"):
        command.evaluate("humaneva15", tmp_path, tmp_path, SUBJECTS, None, False, None, False, None)


def test_a_frame_far_from_its_picture(tmp_path: Path) -> None:
    seen, true = contents()
    seen["S9"]["Walking"][2][:] = 1e6
    with pytest.raises(UserError, match=r"S9 Walking \(camera 58860488\): no keypoint of frame 0 is anywhere near the picture"):
        command.evaluate("h36m", *write(tmp_path, seen, true), SUBJECTS, None, False, None, False, None)
