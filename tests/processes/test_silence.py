"""Workers that hang, at the start and later: they are killed, brought back, and shown as what they are."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from patience import PATIENCE_S
from pipeline_run import poselift, running
from viewers import free_port

from poselift.app.config import Config
from poselift.app.dataflow.messages import Message, Pose3D
from poselift.app.processes import supervisor as supervising
from poselift.app.processes.command import COMMAND
from poselift.app.processes.process_states import DEAD, RUNNING, SILENT, read
from poselift.app.processes.supervisor import Supervisor


class Watched:
    """A supervisor, whose clock the test puts forward, and what it said."""

    def __init__(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        self.skew_s, self.said = 0.0, []
        self.messages: list[Message] = []
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + self.skew_s, strftime=time.strftime)
        monkeypatch.setattr(supervising, "time", clock)
        self.supervisor = Supervisor(config, self.said.append, COMMAND)

    def until(self, what: Callable[[], Any]) -> None:
        """Look after the workers until something holds."""
        end_s = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < end_s, self.said
            self.messages += self.supervisor.poll()
            time.sleep(0.01)

    @contextmanager
    def run(self) -> Iterator[Supervisor]:
        """The workers, until the end of the block."""
        with self.supervisor:
            yield self.supervisor
            self.supervisor.stop()
            self.until(lambda: self.supervisor.done)


def test_a_worker_that_hangs_before_its_first_word_is_killed_each_time(configure, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"start_timeout_s": 1000.0, "silent_timeout_s": 10_000.0}
    _, config = configure(mode="live", capture={"source": "test:320x240@15"}, supervisor=limits)
    watched = Watched(config, monkeypatch)
    with watched.run() as supervisor:
        lift, others = supervisor.children["lift"], [supervisor.children[worker] for worker in ("capture", "detect")]
        for times in (1, 2):
            pid = lift.process.pid
            os.kill(pid, signal.SIGSTOP)  # long before its interpreter has come up
            watched.until(lambda: all(child.ready for child in others))
            watched.skew_s += 800.0  # it may take its time, as this machine may
            supervisor.poll()
            assert lift.process.pid == pid and lift.process.poll() is None
            watched.skew_s += 200.0
            watched.until(lambda pid=pid: lift.process.pid != pid)
            assert lift.restarted == times
        watched.until(lambda: lift.ready)
    assert sum("lift has said nothing for 1000 s while it started; killing it" in line for line in watched.said) == 2
    assert sum("lift died (killed, as it had said nothing for 1000 s while it started)" in line for line in watched.said) == 2
    assert [child.restarted for child in others] == [0, 0]


def test_a_camera_that_blocks_while_it_is_opened(configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acl.py").write_text("import threading\nthreading.Event().wait()\n")  # as a driver does
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    alone = {"workers": ["capture"]}  # on a busy machine others may take as long to start
    path, _ = configure(supervisor={"start_timeout_s": 3.0, "max_restarts": 1}, **alone)
    done = poselift("up", "csi:0", "--config", path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("capture has said nothing for 3 s while it started; killing it") == 2
    assert done.stderr.splitlines()[-1] == (
        "poselift: capture died 2 times in 60 s, giving up; its last words: killed, as it had said nothing for 3 s while it started"
    )


def test_the_last_words_of_one_who_died_are_not_glued_to_those_of_the_next(configure, tmp_path: Path, monkeypatch) -> None:
    died = tmp_path / "died"
    (tmp_path / "acl.py").write_text(
        "import os, pathlib, signal, sys\n"
        f"died = pathlib.Path({str(died)!r})\n"
        "if not died.exists():\n"
        "    died.touch()\n"
        "    os.write(2, b'half a li')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path, _ = configure(supervisor={"max_restarts": 1})
    done = poselift("up", "csi:0", "--config", path)
    lines = done.stderr.splitlines()
    assert "half a li" in lines, done.stderr
    assert lines[-1].startswith("poselift: capture died 2 times in 60 s, giving up; its last words: csi:0: "), lines[-1]
    own = [line for line in lines if " supervisor: " in line]
    assert len(own) == 1 and re.fullmatch(r"\d\d:\d\d:\d\d supervisor: capture died \(killed by SIGKILL\); starting it again", own[0])


def test_status_tells_who_hangs_who_is_dead_and_who_was_started_again(configure) -> None:
    address = {"address": f"127.0.0.1:{free_port()}"}
    path, config = configure(serve=address, supervisor={"max_restarts": 1, "silent_timeout_s": 1000.0})
    folder = config.runtime_path()

    def stands(worker: str, state: str) -> None:
        pipeline.until(lambda _: read(folder)[worker].state == state, f"{worker} to be {state}")

    with running(config, path, "test:320x240@15") as pipeline:
        pipeline.kill("detect")
        pipeline.kill("serve")
        os.kill(pipeline.pid("serve"), signal.SIGKILL)
        stands("serve", DEAD)
        lift = pipeline.pid("lift")
        os.kill(lift, signal.SIGSTOP)
        stands("lift", SILENT)
        stands("detect", RUNNING)
        shown = poselift("status", "--config", path).stdout
        rows = {worker: rest for worker, *rest in (line.strip("│").replace("│", " ").split() for line in shown.splitlines() if "│" in line)}
        assert rows["lift"] == ["silent", "0"]
        assert (rows["serve"][0], rows["serve"][-1]) == ("dead", "1")
        assert (rows["detect"][0], rows["detect"][-1]) == ("running", "1")
        os.kill(lift, signal.SIGCONT)
        stands("lift", RUNNING)
        pipeline.process.send_signal(signal.SIGINT)
        output = pipeline.output()
    assert pipeline.process.returncode == 0, output
    assert "│" not in output and "serve: dead" in output and "lift: silent" in output
    assert " lift: running" in output


def test_who_dies_while_the_run_ends_is_told(configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"folder": str(tmp_path / "rec"), "min_free_mb": 0}
    _, config = configure(mode="file", capture={"source": "test:320x240@30,frames=60"}, record=record)
    watched = Watched(config, monkeypatch)
    with watched.run() as supervisor:
        lift = supervisor.children["lift"]
        watched.until(lambda: any(isinstance(message, Pose3D) for message in watched.messages))
        os.kill(lift.process.pid, signal.SIGSTOP)  # capture and detect leave nothing to it but their ends
        watched.until(lambda: supervisor.children["capture"].finished)
        supervisor.children["record"].process.kill()
        watched.until(lambda: supervisor.children["record"].finished)
        os.kill(lift.process.pid, signal.SIGCONT)
        watched.until(lambda: supervisor.done)
    assert supervisor.failure == "record died (killed by SIGKILL) while the run ended"


def test_who_does_not_leave_is_ended_and_told(configure, monkeypatch: pytest.MonkeyPatch) -> None:
    _, config = configure(mode="live", capture={"source": "test:320x240@15"}, supervisor={"stop_timeout_s": 0.5})
    watched = Watched(config, monkeypatch)
    with watched.run() as supervisor:
        watched.until(lambda: all(child.ready for child in supervisor.children.values()))
        os.kill(supervisor.children["lift"].process.pid, signal.SIGSTOP)
        supervisor.stop()
        watched.until(lambda: supervisor.done)
    assert sum("lift has not left 0.5 s after it was asked to; ending it" in line for line in watched.said) == 1
    assert supervisor.failure is None
