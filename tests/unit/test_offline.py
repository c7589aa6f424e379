"""Lifting a file as a function: it reports, returns and raises; it prints nothing, and what interrupts it passes."""

from __future__ import annotations

import ast
import inspect
import logging
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import poselift
from poselift.app.cli import stopping
from poselift.app.config import Config
from poselift.app.keypoints.files import Clip, write_keypoints
from poselift.app.processes.pipeline import run_pipeline

FRAMES = 12


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    """Two videos."""
    walk = np.random.default_rng(0).uniform(100, 400, (FRAMES, 21, 3)).astype(np.float32).clip(None, (400, 400, 1))
    write_keypoints(tmp_path / "k.npz", [Clip("walk", walk, 640, 480, 30.0), Clip("run", walk[:3], 640, 480)])
    return tmp_path / "k.npz"


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]):
    """Nothing is printed, whatever happens."""
    yield
    assert capfd.readouterr() == ("", "")


def test_keypoints_are_lifted_reported_and_returned(keypoints: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "poselift")
    told: list[poselift.Progress] = []
    result = poselift.lift(keypoints, tmp_path / "out", render=True, progress=told.append)
    assert [(progress.stage, progress.done, progress.total) for progress in told] == [("lifting", n, FRAMES + 3) for n in range(FRAMES + 4)]
    folders = [tmp_path / "out" / name for name in ("walk", "run")]
    assert (result.poses, result.videos) == ([it / "poses.npz" for it in folders], [it / "poses.mp4" for it in folders])
    assert (result.captured, result.lifted, result.dropped, result.failure) == (FRAMES + 3, FRAMES + 3, {}, "")
    with np.load(result.poses[0]) as poses:
        assert poses["joints_m"].shape == (FRAMES, 21, 3) and poses["source"] == str(keypoints)
    assert caplog.messages == [f"wrote 2 videos' poses to {tmp_path / 'out'}"]


def test_a_result_of_another_source_is_kept_and_told(keypoints: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = tmp_path / "other.npz"
    other.write_bytes(keypoints.read_bytes())
    caplog.set_level(logging.INFO, "poselift")
    for source in (other, keypoints):
        poselift.lift(str(source), str(tmp_path / "out"))
    assert f"kept the result of {other} as {tmp_path / 'out' / 'walk' / 'poses-1.npz'}" in caplog.messages


def test_what_is_wrong_is_raised(keypoints: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.yaml").write_text("capture: {sauce: 1}")
    for words, source, options in [
        ("none.mp4", "none.mp4", {}),
        ("has no end", "/dev/video0", {}),
        ("empty", "", {}),
        ("text.mp4", tmp_path / "text.mp4", {}),
        ("capture.fps: -1", keypoints, {"fps": -1}),
        ("unknown key capture.sauce", keypoints, {"config": tmp_path / "text.yaml"}),
        ("no such lifter", keypoints, {"lifter": "none.onnx"}),
        ("only a symmetric lifter can flip", keypoints, {"flip": True}),
    ]:
        with pytest.raises(poselift.UserError, match=words):
            poselift.lift(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_what_interrupts_it_passes_and_what_is_done_is_there(keypoints: Path, tmp_path: Path, error: type[BaseException]) -> None:
    calls: list[poselift.Progress] = []

    def interrupt(progress: poselift.Progress) -> None:
        calls.append(progress)
        if progress.done == 5:
            raise error

    with pytest.raises(error):
        poselift.lift(keypoints, tmp_path / "out", render=True, progress=interrupt)
    assert [file.relative_to(tmp_path / "out") for file in (tmp_path / "out").rglob("*.*")] == [Path("walk/poses.npz")]
    assert np.load(tmp_path / "out" / "walk" / "poses.npz")["frame"].tolist() == list(range(5))
    assert calls[-1].done == 5 and calls[-1].result.lifted == 5, "once it has raised it is not called any more"


class Workers:
    """Stands in for the supervisor: workers that take some turns to leave after they were asked to."""

    def __init__(self, *_: object) -> None:
        self.asked = False
        self.turns = 3
        self.failure, self.user_error, self.process_states = "it died", False, {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        SEEN.append(self.done)

    @property
    def done(self) -> bool:
        return self.turns == 0

    def poll(self) -> list[object]:
        self.turns -= self.asked and self.turns > 0
        return []

    def stop(self) -> None:
        self.asked = True


SEEN: list[bool] = []
"""Whether the workers had left in order, for each run."""


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    monkeypatch.setattr("poselift.app.processes.pipeline.Supervisor", Workers)
    monkeypatch.setattr("poselift.app.processes.pipeline.TICK_S", 0.001)
    SEEN.clear()
    return SEEN


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError()])
def test_an_interrupted_pipeline_ends_in_order(workers: list[bool], error: BaseException) -> None:
    updates = []

    def watch(*update: object) -> None:
        updates.append(update)
        if len(updates) == 4:
            raise error

    run = run_pipeline(Config(), watch, print)
    assert (run.interrupted, run.failure, workers) == (error, "it died", [True])
    assert len(updates) > 4, "it is watched to its end"


def test_one_that_is_interrupted_twice_ends_at_once(workers: list[bool]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(Config(), lambda *_: (_ for _ in ()).throw(KeyboardInterrupt), print)
    assert workers == [False]


def test_a_signal_that_comes_twice_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, kinds = [100.0], (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    before = [signal.getsignal(kind) for kind in kinds]
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        stopping.stop_on_signals()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        with pytest.raises(stopping.Stopped, match="stopped by SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        clock[0] += 2 * stopping.TWICE_S
        with pytest.raises(stopping.Stopped, match="stopped by SIGINT"):
            signal.raise_signal(signal.SIGINT)
    finally:
        for kind, handler in zip(kinds, before):
            signal.signal(kind, handler)


def test_type_checkers_are_told_the_names_that_there_are() -> None:
    tree = ast.parse(inspect.getsource(poselift))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    told = {alias.asname: f"{node.module}.{alias.name}" for node in block.body for alias in node.names}
    assert sorted(told) == poselift.__all__
    for name, place in told.items():
        value = getattr(poselift, name)
        assert place.endswith(f".{name}") and getattr(__import__(place.rpartition(".")[0], fromlist=[name]), name) is value
        assert not callable(value) or inspect.getdoc(value), name
