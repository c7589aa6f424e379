"""A loop over `poselift.connect()`, here and over the network: the newest pose, what was missed, and how it ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
import yaml
from patience import PATIENCE_S
from pipeline_run import running, write_config
from viewers import free_port

import poselift as public
from bench.people import pose_at
from poselift.app.config import load
from poselift.app.dataflow import session
from poselift.app.dataflow.messages import End, Pose3D
from poselift.app.dataflow.session import Session
from poselift.app.dataflow.streams import WATCH, links
from poselift.app.dataflow.zmq_bus import ZmqBus
from poselift.app.processes.process import lock
from poselift.app.program import api, pipelines, pose_queue
from poselift.app.program.poses import Poses
from poselift.common.errors import UserError


def eventually(condition: Callable[[], Any], why: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s, f"waited too long for {why}"
        time.sleep(0.005)


class Stage:
    """A pipeline of which this process is the lifter; over the network, a real serve is behind it."""

    def __init__(self, folder: Path, config_path: Optional[Path]) -> None:
        self._folder, self._config_path = folder, config_path
        self.serving: Optional[subprocess.Popen[bytes]] = None
        self.lift: Optional[ZmqBus] = None
        self._lock, self._incarnation = -1, 0
        self.frame = -1

    def up(self, serve: bool = True) -> None:
        """Begin a pipeline."""
        self.frame = -1
        if not self._config_path:  # else serve begins one
            told = Session(time.time_ns(), "this boot", "here").facts()
            (self._folder / session.FILE).write_text(yaml.safe_dump(told))
        self.lifter()
        if self._config_path and serve:
            command = [sys.executable, "-m", "poselift", "run", "serve", "--config", str(self._config_path)]
            self.serving = subprocess.Popen(command)
            assert self.lift
            eventually(lambda: "serve" in self.lift.takers(), "serve")

    def lifter(self) -> None:
        """Start a lifter, the first or another after one that died."""
        self._incarnation += 1
        self._lock = lock(self._folder, "lift")
        self.lift = ZmqBus(self._folder, "lift", links("live", ("lift", "serve") if self._config_path else ("lift",)), 16, False)

    def connect(self, **options: Any) -> Poses:
        where: Any = {"runtime_folder": self._folder}
        if self._config_path:
            where = {"host": load(self._config_path).serve.address}
        return public.connect(**where, **options)

    def send(self, frames: int = 1, skip: int = 0) -> None:
        """Poses of the next frames, of which the lifter leaves some out before each."""
        assert self.lift
        for _ in range(frames):
            self.frame += 1 + skip
            skipped = {"newer_frame": skip} if skip else {}
            self.lift.send(replace(pose_at(self.frame, 1), incarnation=self._incarnation, skipped=skipped))
            self.lift.takers()

    def send_until_heard(self, poses: Poses) -> None:
        """Send poses until the program's side has one, as when it connects while the pipeline runs; then until it has the newest."""
        before = newest(poses)
        assert self.lift
        eventually(lambda: self.send() or (newest(poses) is not before and newest(poses) is not None), "the first pose")
        self.heard(poses)

    def heard(self, poses: Poses) -> None:
        """Wait until the program's side has the newest pose: the program itself does nothing for that."""
        eventually(lambda: newest(poses).frame == self.frame, "the newest pose")

    def end(self, broken: str = "") -> None:
        """The pipeline ends in order, or because a worker died for good."""
        assert self.lift
        self.lift.send(End("lift", self.frame + 1, "", broken=broken))
        if self.serving:
            assert self.serving.wait(PATIENCE_S) == 0
        self.die()

    def die(self, serve: bool = True) -> None:
        """The lifter is gone without a word, and serve with it."""
        if self.serving and serve:
            self.serving.kill()
            self.serving.wait()
            self.serving = None
        if self.lift:
            self.lift.close()
            os.close(self._lock)
            self.lift = None


def newest(poses: Poses) -> Any:
    return poses._reader._queue.last


@pytest.fixture(params=["here", "elsewhere"])
def stage(request: pytest.FixtureRequest, runtime_folder: Path, tmp_path: Path) -> Iterator[Stage]:
    folder = runtime_folder / "run"
    folder.mkdir()
    path = None
    if request.param == "elsewhere":
        serve = {"address": f"127.0.0.1:{free_port()}"}
        path = write_config(tmp_path / "config.yaml", {"runtime_folder": str(folder), "workers": ["lift", "serve"], "serve": serve})
    stage = Stage(folder, path)
    yield stage
    stage.die()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "GONE_S", 1.0)


def test_a_slow_program_is_given_the_newest_pose_and_told_what_it_missed(stage: Stage) -> None:
    stage.up()
    with stage.connect() as poses:
        stage.send_until_heard(poses)
        last = next(poses)
        for frames, skip in ((3, 0), (2500, 0), (1, 0), (10, 2)):
            for _ in range(0, frames, 100):  # more at once than find room on the way
                stage.send(min(frames, 100), skip)
                stage.heard(poses)
            pose = next(poses)
            assert pose.frame == stage.frame and sum(pose.skipped.values()) == pose.frame - last.frame - 1
            assert pose.skipped.get("newer_pose", 0) >= frames - 1 and set(pose.skipped) <= {"newer_pose", "newer_frame"}
            last = pose


def test_a_program_that_wants_every_pose_gets_it(stage: Stage) -> None:
    stage.up()
    with stage.connect(every=True) as poses:
        stage.send_until_heard(poses)
        for _ in range(10):  # as many as find room on the way at once
            stage.send(3)
            stage.heard(poses)
        frames = [next(poses).frame for _ in range(31)]
        assert frames == [*range(frames[0], frames[0] + 31)]


def test_every_pose_is_bounded_and_what_is_lost_is_counted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pose_queue, "MAX_POSES", 5)
    stage.up()
    with stage.connect(every=True) as poses:
        stage.send_until_heard(poses)
        while next(poses).frame < stage.frame:
            pass
        first = stage.frame
        stage.send(20)
        stage.heard(poses)
        found = [next(poses)]
        while found[-1].frame < stage.frame:
            found.append(next(poses))
        assert len(found) <= 5 and {reason for pose in found for reason in pose.skipped} == {"queue_full"}
        assert len(found) + sum(sum(pose.skipped.values()) for pose in found) == stage.frame - first


def test_the_loop_ends_with_the_pipeline_behind_its_last_pose(stage: Stage) -> None:
    stage.up()
    poses = stage.connect()
    stage.send_until_heard(poses)
    stage.end()
    assert [pose.frame for pose in poses] == [stage.frame]
    assert next(poses, None) is None


def test_a_lifter_that_died_and_came_back_is_waited_for(stage: Stage, impatient: None) -> None:
    stage.up()
    with stage.connect() as poses:
        stage.send_until_heard(poses)
        last = next(poses)
        stage.die(serve=False)
        stage.lifter()
        stage.frame += 5
        stage.send_until_heard(poses)
        pose = next(poses)
        assert pose.skipped["worker_died"] >= 5 and sum(pose.skipped.values()) == pose.frame - last.frame - 1


def test_a_pipeline_that_is_gone_without_an_end_is_an_error(stage: Stage, impatient: None) -> None:
    stage.up()
    poses = stage.connect()
    stage.send_until_heard(poses)
    stage.die()
    assert next(poses).frame == stage.frame, "what came before"
    for _ in range(2):
        with pytest.raises(UserError, match=r"gone and has not said that it ends|nothing heard for \d+ s") as caught:
            next(poses)
        assert "wait=True" in str(caught.value) and "\n" not in str(caught.value)


def test_a_pipeline_that_ends_because_a_worker_died_has_not_ended(stage: Stage) -> None:
    stage.up()
    poses = stage.connect()
    stage.send_until_heard(poses)
    stage.end(broken="detect")
    assert next(poses).frame == stage.frame
    with pytest.raises(UserError, match="broken off: detect died"):
        next(poses)


@pytest.mark.parametrize("how", ["end", "die"])
def test_a_program_that_waits_goes_on_with_the_next_pipeline(stage: Stage, impatient: None, how: str) -> None:
    with stage.connect(wait=True) as poses:  # before there is any
        stage.up()
        stage.send_until_heard(poses)
        stage.send(5)
        stage.heard(poses)
        before = next(poses)
        getattr(stage, how)()
        stage.up()
        stage.send_until_heard(poses)
        after = next(poses)
        assert after.incarnation == before.incarnation + 1 and set(after.skipped) <= {"newer_pose"}
        assert sum(after.skipped.values()) <= after.frame


def test_a_pipeline_that_begins_anew_without_an_end_is_an_error(stage: Stage) -> None:
    stage.up()
    poses = stage.connect()
    stage.send_until_heard(poses)
    stage.die()
    stage.up()
    eventually(lambda: stage.send() or not poses._reader.is_alive(), "the second pipeline to be noticed")
    assert isinstance(next(poses), Pose3D)
    with pytest.raises(UserError, match="begun anew without having ended"):
        next(poses)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _never_started(stage: Stage) -> None:
    stage.connect()


def _broken_off(stage: Stage) -> None:
    poses = stage.connect()
    stage.send_until_heard(poses)
    for _ in poses:
        break


def _closed(stage: Stage) -> None:
    poses = stage.connect()
    poses.close()
    poses.close()
    assert next(poses, None) is None


def _in_a_with(stage: Stage) -> None:
    with stage.connect(wait=True):
        pass


def _ended(stage: Stage) -> None:
    poses = stage.connect()
    stage.send_until_heard(poses)
    stage.end()
    assert len(list(poses)) == 1
    stage.up()


@pytest.mark.parametrize("use", [_never_started, _broken_off, _closed, _in_a_with, _ended])
def test_nothing_is_left_open(stage: Stage, use: Callable[[Stage], None]) -> None:
    stage.up()
    use(stage)  # what is made once stays
    eventually(lambda: stage.lift and not stage.lift._poller.poll(0) and stage.lift.takers() <= {WATCH, "serve"}, "quiet")
    gc.collect()
    before, threads = descriptors(), threading.active_count()
    for _ in range(3):
        use(stage)
    gc.collect()
    eventually(lambda: stage.lift and stage.lift.takers() is not None and descriptors() <= before, "the sockets to be released")
    assert threading.active_count() == threads


def test_a_refused_connection_leaves_nothing_open(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "WELCOME_TIMEOUT_S", 0.3)
    for options in (
        {"host": f"127.0.0.1:{free_port()}"},
        {"runtime_folder": runtime_folder},
        {"runtime_folder": f"/{'x' * 120}", "wait": True},
    ):
        with pytest.raises(UserError):
            public.connect(**options)
    before = descriptors()
    for _ in range(3):
        with pytest.raises(UserError):
            public.connect(f"127.0.0.1:{free_port()}")
        with pytest.raises(UserError, match="too long a path"):
            public.connect(runtime_folder=f"/{'x' * 120}", wait=True)
    gc.collect()
    assert descriptors() <= before


_LEFT_OPEN = """
import sys, warnings
import poselift
poses = poselift.connect(runtime_folder=sys.argv[1], wait=True)
print("connected")
"""


def test_a_program_that_leaves_with_an_open_loop_just_leaves(runtime_folder: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", _LEFT_OPEN, str(runtime_folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "connected\n", "")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_poses_do_not_go_along_into_a_forked_process(runtime_folder: Path) -> None:
    with public.connect(runtime_folder=runtime_folder, wait=True) as poses:
        child = os.fork()
        if not child:
            try:
                next(poses)
            except UserError as error:
                os._exit(42 if "belong to the process that connected" in str(error) else 43)
            os._exit(44)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


@pytest.mark.parametrize("worker", ["detect", "lift"])
def test_a_real_pipeline_that_gives_up_on_a_worker_has_not_ended(configure: Any, monkeypatch: pytest.MonkeyPatch, worker: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    path, config = configure(serve={"address": address}, supervisor={"max_restarts": 0})
    with running(config, path, "test:320x240@30") as pipeline:
        assert pipeline.pid("serve")
        with public.connect(config=path) as here, public.connect(address, config=path, wait=False) as elsewhere:
            next(here), next(elsewhere)
            monkeypatch.setattr(pipelines, "GONE_S", 1.0)
            os.kill(pipeline.pid(worker), signal.SIGKILL)
            for poses in (here, elsewhere):
                with pytest.raises(UserError, match=rf"broken off: {worker} died|has not said that it ends|nothing heard"):
                    for _ in poses:
                        pass
        assert f"{worker} died" in pipeline.output()
