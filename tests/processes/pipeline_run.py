"""Runs the real command in processes of its own, and waits for events, never for a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml
from patience import PATIENCE_S

from poselift.app.config import Config
from poselift.app.dataflow.bus_clients import Subscriber
from poselift.app.dataflow.messages import Health, Message, Pose3D
from poselift.app.dataflow.streams import WATCH, links
from poselift.app.processes.process_states import STARTING
from poselift.app.recording.reader import read


def write_config(path: Path, tree: dict[str, Any]) -> Path:
    """A config file with these settings."""
    path.write_text(yaml.safe_dump(tree))
    return path


def poselift(*arguments: object, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "poselift", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)


class Running:
    """A pipeline that runs in the background, and what its workers said."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, config: Config) -> None:
        self.process = process
        self.messages: list[Message] = []
        self._folder, self._links = folder, tuple(link for link in links("live", config.running) if link.taker == WATCH)
        folder.mkdir(exist_ok=True)
        self._watch = Subscriber(folder, self._links)

    def until(self, what: Callable[[list[Message]], Any], why: str) -> Any:
        """Wait until `what` holds of the messages so far; its value."""
        end_s = time.monotonic() + PATIENCE_S
        while not (value := what(self.messages)):
            assert time.monotonic() < end_s, (
                f"waited too long for {why}; the pipeline said: {self.output() if self.left() else 'still runs'}"
            )
            assert not self.left() or self._watch_more(0.2), f"the pipeline left before {why}: {self.output()}"
            self._watch_more(0.2)
        return value

    def pid(self, worker: str) -> int:
        """The process of a worker, as its last word has it."""
        return self.until(lambda messages: _last_pid(messages, worker), f"a word from {worker}")

    def kill(self, worker: str) -> int:
        """End a worker with no chance to clean up, and wait until it is back; its new process."""
        before = self.pid(worker)
        os.kill(before, signal.SIGKILL)
        self.until(lambda messages: _last_pid(messages, worker) != before, f"{worker} to come back")
        return _last_pid(self.messages, worker)

    def left(self) -> bool:
        """Whether the command has ended."""
        return self.process.poll() is not None

    def output(self) -> str:
        """What the command printed, once it has ended."""
        return "".join(filter(None, self.process.communicate(timeout=PATIENCE_S)))

    def close(self) -> None:
        """Leave nothing behind."""
        self._watch.close()
        if not self.left():
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def _watch_more(self, timeout_s: float) -> bool:
        more = self._watch.receive(timeout_s)
        self.messages += more
        return bool(more)


@contextmanager
def running(config: Config, config_path: Path, *arguments: object) -> Iterator[Running]:
    """`poselift up` with these arguments, until the end of the block."""
    command = [sys.executable, "-m", "poselift", "up", *map(str, arguments), "--config", str(config_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    pipeline = Running(process, config.runtime_path(), config)
    try:
        yield pipeline
    finally:
        pipeline.close()


@contextmanager
def running_lift(
    config_path: Path, source: object, out: Path, draw: str = "--no-render"
) -> Iterator[tuple[subprocess.Popen[str], Callable[[str], int]]]:
    """`poselift lift` of a source, and a function that waits for a worker's process and gives its id."""
    command = [sys.executable, "-m", "poselift", "lift", str(source), "-o", str(out), draw, "--config", str(config_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    log = out / "poses.mcap"

    def worker(name: str) -> int:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s and process.poll() is None:
            if log.exists() and sum(isinstance(message, Pose3D) for message in read(log)) > 0:
                for child in psutil.Process(process.pid).children():
                    if name in child.cmdline():
                        return child.pid
            time.sleep(0.05)  # the log is a file: nothing tells of its growth
        raise AssertionError(f"{name} never ran; the command said: {process.communicate(timeout=1)}")

    try:
        yield process, worker
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _last_pid(messages: list[Message], worker: str) -> int | None:
    said = (message for message in reversed(messages) if isinstance(message, Health) and message.worker == worker)
    return next((message.pid for message in said if message.state != STARTING), None)
