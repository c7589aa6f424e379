"""A symmetric lifter on whole files: as published, every frame a column, none late, with and without the mirror image; in commands too."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import h36m_files
import numpy as np
import onnx
import pytest
from published_network import lifted_with_flip, normalised_screen, published
from random_lifter import random_lifter
from torch_files import FORMS, checkpoint, random_model, write
from typer.testing import CliRunner

from poselift.app.cli import cli
from poselift.app.config import Config
from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.evaluation import h36m
from poselift.app.keypoints.files import Clip, write_keypoints
from poselift.app.offline.sequences import lift_sequences, record_with_poses
from poselift.app.recording.reader import Recording, read
from poselift.app.recording.writer import RecordingWriter
from poselift.common.errors import ModelError, UserError
from poselift.common.people import with_feet
from poselift.models.backends.backend import open_model
from poselift.models.convert.lifter import build
from poselift.models.convert.videopose3d import convert
from poselift.models.lifting.person_camera import FEATURES
from poselift.models.lifting.whole_sequence import WholeSequence
from poselift.workers.lift import new_lift, open_lifter

WIDTHS, REACH = (3, 3), 4
MODEL = random_model(WIDTHS, 16)
WIDTH, HEIGHT = 640, 480
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lifter")
    onnx.save(convert(write(folder / "c.bin", checkpoint(MODEL)), WIDTHS, False, Fraction(50)), folder / "lifter.onnx")
    return folder / "lifter.onnx"


@pytest.fixture
def lifter(path: Path) -> WholeSequence:
    return WholeSequence(open_model(path))


def walk(frames: int, seed: int = 0) -> Any:
    """Keypoints [T, 17, 3] that wander through the picture, all seen."""
    steps = np.random.default_rng(seed).normal(size=(frames, 17, 3)).cumsum(0) * (8, 8, 0) + (300, 200, 0.9)
    return steps.astype(np.float32)


def network(keypoints: Any, flip: bool = False, widths: Any = WIDTHS, model: Any = MODEL) -> Any:
    """The published network's root-relative poses for keypoints in pixels."""
    screen = normalised_screen(np.array(keypoints)[..., :2], WIDTH, HEIGHT)
    poses = lifted_with_flip(model, widths, screen) if flip else published(model, widths, False, screen)
    return poses - poses[:, :1]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("frames", [1, 2, 5, 40])
def test_the_poses_are_the_published_network_s(path: Path, frames: int, flip: bool) -> None:
    lifter = WholeSequence(open_model(path), flip)
    for seed in range(2):  # a second sequence knows nothing of the first
        keypoints = walk(frames, seed)
        poses = np.array(list(lifter.poses(keypoints, WIDTH, HEIGHT)))
        assert np.abs(poses[:, :17] - network(keypoints, flip)).max() < TOLERANCE and np.isnan(poses[:, 17:]).all()
    assert flip == (np.abs(poses[:, :17] - network(keypoints)).max() > 0.01)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("flip", [False, True])
def test_a_frame_that_is_lifted_to_no_numbers_has_no_pose(path: Path, flip: bool, value: float) -> None:
    lifter, frames = WholeSequence(open_model(path), flip), 12
    commit = lifter._network.commit
    steps = iter(range(frames + REACH))

    def broken(features: Any, reset: Any) -> Any:
        outputs = commit(features, reset)
        if next(steps) == REACH + 5:
            outputs.pose.reshape(len(outputs.pose), -1)[-1, 20] = value
        return outputs

    lifter._network.commit = broken
    keypoints = walk(frames)
    answers = lift_sequences(lifter, [message(frame, {7: keypoints[frame]}) for frame in range(frames)], 0.5, lambda _: None)
    assert [len(answer.person) for answer in answers] == [int(frame != 5) for frame in range(frames)]
    poses = np.array([answer.joints_m[0, :17] for answer in answers if len(answer.person)])
    assert np.abs(poses - np.delete(network(keypoints, flip), 5, 0)).max() < TOLERANCE


def message(number: int, people: dict[int, Any], fps: float = 30) -> Pose2D:
    keypoints = with_feet(np.array(list(people.values()), np.float32).reshape(-1, 17, 3))
    return Pose2D(number, round(number * 1e9 / fps), WIDTH, HEIGHT, np.array(list(people), np.int64), keypoints)


def lifted(lifter: WholeSequence, messages: list[Pose2D], hold_s: float = 0.5) -> list[Pose3D]:
    poses = lift_sequences(lifter, messages, hold_s, lambda frames: None)
    assert [(pose.frame, pose.t_ns, pose.delay_ns) for pose in poses] == [(pose.frame, pose.t_ns, 0) for pose in messages]
    return poses


def test_everyone_has_a_sequence_of_their_own_and_the_measurement_s_order(lifter: WholeSequence) -> None:
    walks = {7: walk(30, 1), 3: walk(30, 2)}
    messages = [message(i, {7: walks[7][i], **({3: walks[3][i]} if 5 <= i < 20 else {})}) for i in range(30)]
    poses = lifted(lifter, messages)
    expected = {7: network(walks[7]), 3: network(walks[3][5:20])}
    for number, pose in enumerate(poses):
        assert pose.person.tolist() == ([7, 3] if 5 <= number < 20 else [7])
        assert np.abs(pose.joints_m[0, :17] - expected[7][number]).max() < TOLERANCE
        np.testing.assert_array_equal(pose.keypoints[0, :17], walks[7][number])
        assert not pose.held.any() and pose.warming[0] == (min(number, 29 - number) < REACH)
        if len(pose.person) == 2:
            assert np.abs(pose.joints_m[1, :17] - expected[3][number - 5]).max() < TOLERANCE


def test_who_is_away_shortly_is_held_and_who_is_away_long_starts_anew(lifter: WholeSequence) -> None:
    keypoints = walk(60)
    away = {*range(10, 14), *range(30, 50)}
    poses = lifted(lifter, [message(i, {} if i in away else {1: keypoints[i]}) for i in range(60)])
    filled = keypoints.copy()
    part = np.arange(1, 5)[:, None, None] / 5
    filled[10:14] = (keypoints[9] + (keypoints[14] - keypoints[9]) * part) * (1, 1, 0)
    expected = np.concatenate([network(filled[:30]), np.zeros((20, 17, 3)), network(filled[50:])])
    for number, pose in enumerate(poses):
        assert len(pose.person) == (number not in range(30, 50))
        if len(pose.person):
            assert pose.held[0] == (number in away)
            np.testing.assert_allclose(pose.keypoints[0, :17], filled[number], atol=1e-4)
            assert np.abs(pose.joints_m[0, :17] - expected[number]).max() < TOLERANCE
            assert pose.confidence.any() != pose.held[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_a_keypoint_that_is_missing_is_interpolated(lifter: WholeSequence, bad: float) -> None:
    keypoints = walk(20)
    spoilt = keypoints.copy()
    spoilt[5:8, 3, 0] = bad
    keypoints[5:8, 3] = keypoints[4, 3] + (keypoints[8, 3] - keypoints[4, 3]) * np.arange(1, 4)[:, None] / 4
    poses = lifted(lifter, [message(i, {1: spoilt[i]}) for i in range(20)])
    found = np.stack([pose.joints_m[0, :17] for pose in poses])
    assert np.abs(found - network(keypoints)).max() < TOLERANCE
    assert (poses[6].keypoints[0, 3, 2], poses[8].keypoints[0, 3, 2]) == (0, np.float32(0.9))


def test_nobody_and_nothing_are_answers(lifter: WholeSequence) -> None:
    assert lifted(lifter, []) == []
    blind = np.full((17, 3), np.nan)
    for pose in lifted(lifter, [message(0, {}), message(1, {1: blind}), message(2, {2: walk(1)[0] * (1, 1, 0)})]):
        assert pose.joints_m.shape == (0, 21, 3) and pose.keypoints.shape == (0, 21, 3) and pose.confidence.shape == (0, 21)


def test_an_id_given_twice_and_another_picture_size(lifter: WholeSequence) -> None:
    keypoints = walk(3)
    twice = Pose2D(0, 0, WIDTH, HEIGHT, np.array([1, 1]), with_feet(keypoints[:2]))
    larger = Pose2D(1, 10, WIDTH, 2 * HEIGHT, np.array([1]), with_feet(keypoints[2:]))
    poses = lifted(lifter, [twice, larger])
    assert [pose.person.tolist() for pose in poses] == [[1], [1]]
    assert np.abs(poses[0].joints_m[0, :17] - network(keypoints[:1])[0]).max() < TOLERANCE
    assert poses[1].warming[0] and np.isfinite(poses[1].joints_m[0, :17]).all()
    alone = lifted(lifter, [larger])
    np.testing.assert_array_equal(poses[1].joints_m, alone[0].joints_m)


def test_pictures_of_another_size_with_the_same_view_are_of_one_sequence(lifter: WholeSequence) -> None:
    keypoints = walk(20)
    plain = [message(frame, {1: keypoints[frame]}) for frame in range(20)]
    mixed = list(plain)
    for frame in range(1, 20, 3):
        larger = keypoints[frame : frame + 1] * (2, 2, 1) + (0.5, 0.5, 0)
        mixed[frame] = replace(plain[frame], width_px=2 * WIDTH, height_px=2 * HEIGHT, keypoints=with_feet(larger))
    for one, other, given in zip(lifted(lifter, plain), lifted(lifter, mixed), mixed):
        np.testing.assert_allclose(other.joints_m, one.joints_m, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(other.root_m, one.root_m, rtol=1e-3)
        np.testing.assert_allclose(other.keypoints[:, :17], given.keypoints[:, :17], rtol=0, atol=1e-3)
        assert (other.width_px, other.warming.tolist()) == (given.width_px, one.warming.tolist())


def test_the_answers_stand_behind_their_messages_in_the_log(lifter: WholeSequence, tmp_path: Path) -> None:
    messages = [message(i, {1: keypoints}) for i, keypoints in enumerate(walk(5))]
    with RecordingWriter(tmp_path / "two.mcap", {}) as writer:
        for pose in messages:
            writer.write(pose)
    record_with_poses(Recording(tmp_path / "two.mcap"), lifted(lifter, messages), tmp_path / "both.mcap")
    kinds = [(type(found), found.frame) for found in read(tmp_path / "both.mcap")]
    assert kinds == [(kind, frame) for frame in range(5) for kind in (Pose2D, Pose3D)]


def test_a_causal_one_is_refused(tmp_path: Path) -> None:
    graph = build(random_lifter((3, 3), 16, FEATURES[17]), {"rate_hz": "30", "normalisation": "person_camera"})
    onnx.save(graph, tmp_path / "causal.onnx")
    with pytest.raises(ModelError, match="causal"):
        WholeSequence(open_model(tmp_path / "causal.onnx"))


def run(*arguments: object) -> Any:
    """The command in this process; errors that `main` makes one line of come as they are."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_keypoints(tmp_path / "k.npz", [Clip("walk", walk(50), WIDTH, HEIGHT, 30.0), Clip("run", walk(3, 1), WIDTH, HEIGHT)])
    return tmp_path / "k.npz"


def loaded(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_from_a_checkpoint_to_poses_by_two_commands(tmp_path: Path, dataset: Path, form: str, flip: bool) -> None:
    model, widths = random_model((3, 5, 3), 24, seed=4), (3, 5, 3)
    bin_file = write(tmp_path / "some.bin", checkpoint(model), form)
    assert run("models", "convert", bin_file, "--architecture", "3,5,3", "-o", tmp_path / "some.onnx").exit_code == 0
    options = ["--flip"] if flip else []
    done = run("lift", dataset, "--lifter", tmp_path / "some.onnx", "-o", tmp_path / "out", "--no-render", *options)
    assert done.exit_code == 0
    for name, keypoints in (("walk", walk(50)), ("run", walk(3, 1))):
        found = loaded(tmp_path / "out" / name / "poses.npz")
        assert np.abs(found["joints_m"][:, :17] - network(keypoints, flip, widths, model)).max() < TOLERANCE
        assert found["frame"].tolist() == list(range(len(keypoints))) and not found["delay_s"].any()


@pytest.mark.parametrize("flip", [False, True])
def test_the_published_protocols_take_it_as_a_whole(path: Path, tmp_path: Path, flip: bool) -> None:
    files = h36m_files.write(tmp_path, *h36m_files.contents())
    options = ["--flip"] if flip else []
    arguments = ("--keypoints", files[0], "--positions", files[1], "--lifter", path, "--json", tmp_path / "figures.json", *options)
    assert run("evaluate", *arguments).exit_code == 0
    found = json.loads((tmp_path / "figures.json").read_text())["actions"]["Walking"]["mpjpe_mm"]
    off, count = 0.0, 0
    for trial in h36m.read(*files, ["S9", "S11"]).trials:
        if trial.action == "Walking":
            screen = normalised_screen(trial.keypoints_px, trial.camera.width_px, trial.camera.height_px)
            poses = lifted_with_flip(MODEL, WIDTHS, screen) if flip else published(MODEL, WIDTHS, False, screen)
            errors = np.linalg.norm(poses - poses[:, :1] - trial.joints_m(), axis=-1)
            off, count = off + errors.mean(-1).sum(), count + len(errors)
    assert found == pytest.approx(1000 * off / count, rel=1e-4)


def test_a_causal_checkpoint_on_a_file_is_as_live(tmp_path: Path, dataset: Path) -> None:
    bin_file = write(tmp_path / "some.bin", checkpoint(MODEL))
    assert run("models", "convert", bin_file, "--architecture", "3,3", "--causal", "-o", tmp_path / "some.onnx").exit_code == 0
    assert run("lift", dataset, "--lifter", tmp_path / "some.onnx", "-o", tmp_path / "out", "--no-render").exit_code == 0
    config = Config().changed(lift={"model": str(tmp_path / "some.onnx")})
    live = new_lift(open_lifter(config), config)
    poses = [live.step(message(number, {0: keypoints})) for number, keypoints in enumerate(walk(50))]
    found = loaded(tmp_path / "out" / "walk" / "poses.npz")
    np.testing.assert_array_equal(found["joints_m"], np.concatenate([pose.joints_m for pose in poses]))


def test_commands_say_what_they_cannot_do(tmp_path: Path, dataset: Path) -> None:
    bin_file = write(tmp_path / "some.bin", checkpoint(MODEL))
    good = ("models", "convert", bin_file, "--architecture", "3,3", "-o", tmp_path / "some.onnx")
    assert run(*good, "--causal").exit_code == 0
    lift = ("lift", dataset, "-o", tmp_path / "out", "--no-render", "--lifter")
    for error, words, arguments in [
        (UserError, "some.onnx is causal, .* only a symmetric lifter can flip", (*lift, tmp_path / "some.onnx", "--flip")),
        (UserError, "none.onnx: no such lifter", (*lift, tmp_path / "none.onnx")),
        (ModelError, "no backend runs a '.npz' file", (*lift, dataset)),
        (UserError, "--architecture 3,4: odd filter widths are needed", (*good[:4], "3,4", *good[5:])),
        (UserError, "--architecture : odd filter widths", (*good[:4], "", *good[5:])),
        (UserError, "--rate never: columns a second", (*good, "--rate", "never")),
        (UserError, "a lifter goes into a file that ends in .onnx", (*good[:6], tmp_path / "some.bin")),
        (UserError, "cannot be written", (*good[:6], bin_file / "some.onnx")),
        (ModelError, "cannot read this file", (*good[:2], tmp_path / "none.bin", *good[3:])),
        (ModelError, "try --architecture 3,3, not 3,3,3", (*good[:4], "3,3,3", *good[5:])),
    ]:
        with pytest.raises(error, match=words):
            run(*arguments)
    assert not (tmp_path / "out").exists()


def test_without_the_packages_for_it_the_conversion_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "poselift.models.convert.videopose3d", None)
    with pytest.raises(ModelError, match=r"needs the package .*pip install 'poselift\[convert\]'"):
        run("models", "convert", tmp_path / "c.bin", "--architecture", "3,3", "-o", tmp_path / "c.onnx")
