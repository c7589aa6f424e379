"""A real `poselift up` in a process of its own, and what it says on the bus."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.part import WrongOutput
from poselift.app.config import Config, save
from poselift.app.dataflow.bus_clients import Subscriber
from poselift.app.dataflow.messages import Message
from poselift.app.dataflow.streams import WATCH, links

POLL_S = 0.1
COMMAND = [sys.executable, "-m", "poselift"]


class Up:
    """A running pipeline, seen from outside."""

    def __init__(self, process: subprocess.Popen[str], watch: Subscriber) -> None:
        self.process, self._watch = process, watch

    def messages(self) -> Iterator[tuple[int, Message]]:
        """Each message with the time of its arrival, ns of the monotonic clock, until the pipeline has left."""
        running = True
        while running:
            running = self.process.poll() is None
            messages = self._watch.receive(POLL_S)
            now_ns = time.monotonic_ns()
            yield from ((now_ns, message) for message in messages)

    def stop(self) -> None:
        """As Ctrl-C does: everything that was captured is finished."""
        self.process.send_signal(signal.SIGINT)


@contextmanager
def up(config: Config, *kinds: type[Message]) -> Iterator[Up]:
    """Start the pipeline that the config describes and watch messages of these types. It is gone at the end of the `with`.

    Raises WrongOutput where it leaves with an error. One that is raised inside the `with` gets the pipeline's own words too.
    """
    with tempfile.TemporaryDirectory(prefix="poselift-bench-", dir=config.runtime_path().parent) as folder:
        config = config.changed(mode="live", runtime_folder=str(Path(folder) / "run"))
        (Path(folder) / "run").mkdir(mode=0o700)
        save(config, Path(folder) / "config.yaml")
        watched = tuple(link for link in links("live", config.running) if link.taker == WATCH and link.message in kinds)
        watch = Subscriber(Path(folder) / "run", watched)
        log = Path(folder) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [*COMMAND, "up", "--config", str(Path(folder) / "config.yaml")], stdout=subprocess.DEVNULL, stderr=file, text=True
            )
        try:
            yield Up(process, watch)
            if process.wait() != 0:
                raise WrongOutput(f"poselift up left with exit code {process.returncode}")
        except WrongOutput as wrong:
            raise WrongOutput(f"{wrong}; the pipeline said: {' | '.join(log.read_text().splitlines()) or 'nothing'}") from None
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            watch.close()
