"""Viewers for tests: one in this process, and `python viewers.py ADDRESS KEYS`, a real process that tells what it sees, line by line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from patience import PATIENCE_S

from poselift.app.dataflow.messages import Pose3D
from poselift.app.remote.client import Client, connect
from poselift.app.remote.wire import Picture


def free_port() -> int:
    """A TCP port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Watcher:
    """A viewer in this process, and all that it received."""

    def __init__(self, address: str, **options: Any) -> None:
        self.client: Client = connect(address, **options)
        self.messages: list[Any] = []

    def until(self, what: Callable[[list[Any]], Any], why: str) -> Any:
        """Wait until `what` holds of the messages so far; its value."""
        end_s = time.monotonic() + PATIENCE_S
        while not (value := what(self.messages)):
            assert time.monotonic() < end_s, f"waited too long for {why}; {self.client.state}"
            self.messages += self.client.receive(0.2)
        return value

    def more(self, kind: type, count: int = 10) -> list[Any]:
        """Wait for so many new messages of a kind; these."""
        here = len(self.messages)
        self.until(lambda messages: sum(isinstance(it, kind) for it in messages[here:]) >= count, f"{count} of {kind.__name__}")
        return [it for it in self.messages[here:] if isinstance(it, kind)]


@contextmanager
def looking(address: str, **options: Any) -> Iterator[Watcher]:
    """A viewer in this process, until the end of the block."""
    watcher = Watcher(address, **options)
    try:
        yield watcher
    finally:
        watcher.client.close()


def pixels(picture: Picture) -> Any:
    """The picture, decoded."""
    return cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)


class Process:
    """A viewer in a process of its own."""

    def __init__(self, address: str, keys_folder: str = "", before: tuple[str, ...] = ()) -> None:
        """`before`: a command that runs the process, such as `ip netns exec NAME`."""
        root = Path(__file__).parents[2]
        command = [*before, sys.executable, __file__, address, keys_folder]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(Path(__file__).parent)))}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root)

    def until(self, what: Callable[[dict[str, Any]], Any], why: str) -> dict[str, Any]:
        """Wait for a line of which `what` holds; that line."""
        assert self.process.stdout is not None
        end_s = time.monotonic() + PATIENCE_S
        for line in self.process.stdout:
            seen = json.loads(line)
            if what(seen):
                return seen
            assert time.monotonic() < end_s, f"waited too long for {why}; the last: {seen}"
        raise AssertionError(f"the viewer left before {why}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def tell(address: str, keys_folder: str | None) -> None:
    """Look, and print several times a second what was seen meanwhile, and how the connection is."""
    board = connect(address, keys_folder)
    board.request_pictures(320, 70, 15.0)
    poses = pictures = 0
    while True:
        errors_ms, true_ages_ms = [], []
        until_s = time.monotonic() + 0.2
        while time.monotonic() < until_s:
            for message in board.receive(0.05):
                if isinstance(message, Pose3D):
                    poses += 1
                    true_ns = time.monotonic_ns() - message.trace[0].received_ns
                    age_ns = board.age_ns(message)
                    true_ages_ms.append(true_ns / 1e6)
                    errors_ms += [abs(age_ns - true_ns) / 1e6] if age_ns is not None else []
                if isinstance(message, Picture):
                    pictures += pixels(message) is not None
        state = board.state
        facts = {"poses": poses, "pictures": pictures, "connected": state.connected, "why": state.why, "missed": board.missed}
        facts |= {"error_ms": max(errors_ms, default=None), "age_ms": max(true_ages_ms, default=None)}
        facts |= {"bound_ms": None if state.offset_error_ns is None else state.offset_error_ns / 1e6}
        facts |= {"off_ms": None if state.offset_ns is None else abs(state.offset_ns) / 1e6}
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    tell(sys.argv[1], sys.argv[2] or None)
