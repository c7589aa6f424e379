"""The runtime folder removed under a running pipeline, as a login manager removes it at logout: said, made again, and nobody let in."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from pipeline_run import poselift, running
from service_manager import Service

from poselift.app.config import Config
from poselift.app.dataflow.messages import Health, Message, Pose3D
from poselift.app.dataflow.session import FILE, join
from poselift.app.processes.process import SUPERVISOR_LOCK, lock, run_folder
from poselift.common.errors import UserError

WORKERS = ("capture", "detect", "lift")


def poses(messages: list[Message]) -> int:
    return sum(isinstance(message, Pose3D) for message in messages)


def words(messages: list[Message]) -> int:
    """How often the one who spoke least has said how it is."""
    said = [message.worker for message in messages if isinstance(message, Health)]
    return min(map(said.count, WORKERS))


def test_it_is_made_again_with_all_that_belongs_there(configure, tmp_path: Path) -> None:
    path, config = configure()
    folder = config.runtime_path()
    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.until(lambda messages: poses(messages) > 5, "poses")
        pids = {worker: pipeline.pid(worker) for worker in WORKERS}
        before = {file.name for file in folder.iterdir() if file.suffix != ".ring"}
        session = join(folder)
        shutil.rmtree(folder)
        here = len(pipeline.messages)
        pipeline.until(lambda messages: words(messages[here:]) > 2, "everybody to have noticed")
        assert {file.name for file in folder.iterdir() if file.suffix != ".ring"} == before
        assert folder.stat().st_mode & 0o777 == 0o700
        assert join(folder) == session

        second = poselift("up", "test:320x240@15", "--config", path)
        assert second.returncode == 2 and f"already running here (process {pipeline.process.pid}" in second.stderr
        shown = poselift("status", "--config", path).stdout
        assert all(any(worker in line and "running" in line for line in shown.splitlines()) for worker in WORKERS), shown
        assert {worker: pipeline.pid(worker) for worker in WORKERS} == pids, "nobody had to be started again"

        for victim in ("lift", "detect"):
            pipeline.kill(victim)
            here = len(pipeline.messages)
            pipeline.until(
                lambda messages, here=here: poses(messages[here:]) > 5, "poses of one who finds the others' new sockets and ring"
            )
        assert poselift("stop", "--config", path).returncode == 0
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert sum("supervisor: the runtime folder" in line and "was removed" in line for line in output.splitlines()) == 1
    assert "not accounted for" not in output
    assert not folder.exists()


def test_a_run_whose_place_was_taken_meanwhile_ends_and_leaves_the_other_alone(configure) -> None:
    path, config = configure(supervisor={"stop_timeout_s": 1.0})
    folder = config.runtime_path()
    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.until(lambda messages: poses(messages) > 5, "poses")
        pipeline.process.send_signal(signal.SIGSTOP)  # so that the other is faster for sure
        shutil.rmtree(folder)
        folder.mkdir()
        descriptor = lock(folder, SUPERVISOR_LOCK)
        (folder / "others.yaml").touch()
        pipeline.process.send_signal(signal.SIGCONT)
        output = pipeline.output()
    assert pipeline.process.returncode == 1
    assert f"poselift: the runtime folder was removed: poselift is already running here (process {os.getpid()}" in output
    assert (folder / "others.yaml").exists() and (folder / f"{SUPERVISOR_LOCK}.lock").exists()
    os.close(descriptor)


def test_a_service_makes_it_again(configure, runtime_folder: Path) -> None:
    path, config = configure()
    folder = config.runtime_path()
    with Service(runtime_folder, "-m", "poselift", "run", "lift", "--config", path) as service:
        service.until_said("READY=1")
        session = (folder / FILE).read_text()
        shutil.rmtree(folder)
        here = len(service.said)
        service.until(lambda said: len(said) > here + 2, "its next words")
        assert {"lift.lock", "lift.Control", "lift.Pose3D", "lift.Health"} <= {file.name for file in folder.iterdir()}
        assert (folder / FILE).read_text() == session
        with pytest.raises(UserError, match=f"process {service.process.pid}"):
            lock(folder, "lift")


def test_a_service_that_cannot_make_it_again_may_be_started_again(configure, runtime_folder: Path) -> None:
    path, config = configure()
    folder = config.runtime_path()
    with Service(runtime_folder, "-m", "poselift", "run", "lift", "--config", path) as service:
        service.until_said("READY=1")
        shutil.rmtree(folder)
        folder.touch()
        assert service.left() == 1
        assert service.process.stderr is not None
        assert "the runtime folder was removed: " in service.process.stderr.read().splitlines()[-1]


@pytest.mark.parametrize("name", ["run-old", "run-", "run-12a", "run-²", "run--1"])
def test_what_is_no_runs_folder_is_left_alone(runtime_folder: Path, name: str) -> None:
    (runtime_folder / name).mkdir()
    (runtime_folder / "run-999999999").mkdir()
    with run_folder(Config().changed(runtime_folder=str(runtime_folder))):
        assert [path.name for path in runtime_folder.iterdir()] == [name]
