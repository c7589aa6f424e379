"""Starts the workers as processes of their own, watches them, brings back what dies, and stops them in order."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence

from poselift.app.config import Config, save
from poselift.app.dataflow.bus_clients import OrderSender, Subscriber
from poselift.app.dataflow.messages import Health, Message
from poselift.app.dataflow.session import join
from poselift.app.dataflow.streams import WATCH, WORKERS, answer_to_a_frame, links
from poselift.app.processes.loop import EXIT_WITHIN_S
from poselift.app.processes.process import OWN_GROUP, RUNS_WITH, SUPERVISOR, SUPERVISOR_LOCK, held, lock, make_folder
from poselift.app.processes.process_states import DEAD, LEFT, RUNNING, SILENT, STARTING, ProcessState, write
from poselift.common.errors import UserError

USER_ERROR = 2
"""Exit code of a worker that cannot run before the user mends something."""
FATAL = "poselift: "
"""How the command's last line begins, with what the user must mend: it becomes this run's failure."""
KILL_AFTER_S = 3.0
SILENT_S = 3.0
"""Every worker says once a second how it is; one that has not for so long is shown as silent."""
LONGEST_LINE = 65536
"""Bytes of a line that are kept until its end comes."""


class Child:
    """One worker's process."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.restarts: deque[float] = deque()
        self.restarted = 0
        self.finished = False
        self.ready = False
        """Whether its process has said that it runs."""
        self.heard_s = 0.0
        """When its process said something last, or was started."""
        self.hung = ""
        """Why it had to be killed."""
        self.hurried = False
        """Whether it was ended, as it had not left in time or could not."""
        self.again_s = 0.0
        """Once it has left, it is not looked after before this time."""
        self.last_line = ""
        self._unended = b""
        self.process: subprocess.Popen[bytes]

    def start(self, command: Sequence[str]) -> None:
        """Spawn the process by this command; its stderr comes to us, so that its lines do not tear the table."""
        environment = {**os.environ, SUPERVISOR: str(os.getpid())}
        self.ready, self.heard_s, self.hung, self.last_line = False, time.monotonic(), "", ""
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, **OWN_GROUP
        )
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)

    def lines(self) -> list[str]:
        """The lines that the process has written since the last call; one that has left, or a very long line, may lack a line's end."""
        assert self.process.stderr is not None
        left, data = self.process.poll() is not None, self._unended
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.process.stderr.fileno(), 65536):
                data += chunk
        *whole, self._unended = data.split(b"\n")
        if left or len(self._unended) > LONGEST_LINE:
            whole, self._unended = [*whole, self._unended], b""
        lines = [line.decode(errors="replace") for line in whole if line.strip()]
        self.last_line = lines[-1] if lines else self.last_line
        return lines

    def end(self) -> None:
        """Have the process leave without what it has still to send."""
        self.hurried = True
        self.process.terminate()

    def kill(self, why: str) -> None:
        """End the process, which hangs."""
        self.hung, self.heard_s = why, math.inf
        self.process.kill()

    def process_state(self, now_s: float) -> ProcessState:
        """How the process stands."""
        if self.finished:
            return ProcessState(LEFT, self.restarted)
        if self.hung or self.process.poll() is not None:
            return ProcessState(DEAD, self.restarted)
        if not self.ready:
            return ProcessState(STARTING, self.restarted)
        return ProcessState(SILENT if now_s - self.heard_s > SILENT_S else RUNNING, self.restarted)

    def close(self) -> None:
        """Wait for the process, which must be ending, and let go of its pipe."""
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()

    def cause(self) -> str:
        """Why the process left, in words."""
        code = self.process.returncode
        if code < 0:
            return self.hung or f"killed by {_signal_name(-code)}"
        return f"exit code {code}: {self.reason}" if self.reason else f"exit code {code}"

    @property
    def reason(self) -> str:
        """What its user must mend first, as its last line has it; else empty."""
        return self.last_line[len(FATAL) :] if self.last_line.startswith(FATAL) else ""


class Supervisor:
    """All workers of one run. Use it in a `with`; call `step` often, until `done`.

    Live, a worker that dies is started again. One that does so too often ends the run, or, if it only looks on, is left alone for a while.
    From a file its death ends the run: its state is gone, so what came after would not be the same.
    """

    def _command(self, worker: str) -> list[str]:
        return [*self._poselift, "run", worker, "--config", str(self._config_path)]

    def __init__(self, config: Config, say: Callable[[str], None], poselift: Sequence[str]) -> None:
        """`say` takes the lines for people; `poselift` is the command whose `run WORKER` is a worker."""
        self.config, self._poselift = config, poselift
        self.folder = config.runtime_path()
        self.children = {worker: Child(worker) for worker in config.running}
        if not self.children:
            raise UserError(config.nothing_runs())
        self.failure: str | None = None
        self.user_error = False
        self._say_line = say
        self.process_states: dict[str, ProcessState] = {}
        """How each worker's process stands."""
        self._links = links(config.mode, config.running)
        self._watched = (Health, answer_to_a_frame(config.running))
        self._draining = False
        self._stop_asked_s: float | None = None
        self._lock = -1
        self._config_path = self.folder / RUNS_WITH

    def __enter__(self) -> Supervisor:
        make_folder(self.config)
        self._lock = lock(self.folder, SUPERVISOR_LOCK)
        for worker in self.children:  # those of a supervisor that was killed are still leaving
            os.close(lock(self.folder, worker, EXIT_WITHIN_S + 1))
        self._clean()
        self._session = join(self.folder)  # the run is one session, also if all its workers die at once
        save(self.config, self._config_path)
        self._watch = Subscriber(self.folder, tuple(link for link in self._links if link.taker == WATCH and link.message in self._watched))
        self._orders = OrderSender(self.folder)
        for child in self.children.values():
            child.start(self._command(child.worker))
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.children.values():
            if child.process.poll() is None:
                child.process.kill()
            child.process.wait()
            self._say_lines(child)
            child.close()
        self._watch.close()
        self._orders.close()
        if self._lock >= 0:
            if held(self.folder, SUPERVISOR_LOCK, self._lock):  # else it is another's by now
                self._clean()
                with contextlib.suppress(OSError):
                    (self.folder / f"{SUPERVISOR_LOCK}.lock").unlink()
                    self.folder.rmdir()
            os.close(self._lock)

    @property
    def done(self) -> bool:
        """Whether every worker has left."""
        return all(child.finished for child in self.children.values())

    def stop(self, why: str | None = None) -> None:
        """Stop everything in order: capture first, the others when what it sent is through. With `why`, the run has failed."""
        self.failure = self.failure or why
        if self._stop_asked_s is None:
            self._stop_asked_s = time.monotonic()
            self._draining = True
            self._order_stop(next(iter(self.children)))

    def poll(self) -> list[Message]:
        """Look after the workers; returns their reports and results since the last call.

        Call it a few times a second: waking up for every message would take CPU time from the workers.
        """
        self._look_after_folder()
        messages = self._watch.receive(0)
        now_s = time.monotonic()
        for health in (message for message in messages if isinstance(message, Health)):
            child = self.children.get(health.worker)
            if child and health.pid == child.process.pid:  # and not a last word of the one before
                child.heard_s, child.ready = now_s, health.state != STARTING
        for child in self.children.values():
            self._say_lines(child)
            if not child.finished and child.process.poll() is not None:
                self._say_lines(child)
                if self._draining or now_s >= child.again_s:
                    self._left(child, now_s)
            elif not child.finished and now_s - child.heard_s > (limit_s := self._patience_s(child)):
                why = f"said nothing for {limit_s:g} s{'' if child.ready else ' while it started'}"
                self._say(f"{child.worker} has {why}; killing it")
                child.kill(f"killed, as it had {why}")
        if self._stop_asked_s is not None:
            self._hurry(now_s - self._stop_asked_s)
        self._tell(now_s)
        return messages

    def _look_after_folder(self) -> None:
        """A login manager removes a user's files in shared memory when the user has logged out; the workers make anew what is theirs."""
        if self._lock < 0 or held(self.folder, SUPERVISOR_LOCK, self._lock):
            return
        self._say(f"the runtime folder {self.folder} was removed, such as by a login manager at logout; making it again")
        os.close(self._lock)
        self._lock = -1
        try:
            make_folder(self.config)
            self._lock = lock(self.folder, SUPERVISOR_LOCK)
            join(self.folder, self._session)
            save(self.config, self._config_path)
            write(self.folder, self.process_states)
        except (UserError, OSError) as error:
            self.stop(f"the runtime folder was removed: {error}")

    def _patience_s(self, child: Child) -> float:
        settings = self.config.supervisor
        return settings.silent_timeout_s if child.ready else settings.start_timeout_s

    def _tell(self, now_s: float) -> None:
        """For who asks from outside, where anything has changed."""
        process_states = {worker: child.process_state(now_s) for worker, child in self.children.items()}
        if process_states != self.process_states:
            self.process_states = process_states
            write(self.folder, process_states)

    def _left(self, child: Child, now_s: float) -> None:
        code = child.process.returncode
        if code == 0:
            self._draining = True
            self._finish(child)
        elif code == USER_ERROR and not child.restarted:
            self.user_error = True
            self.stop(child.reason or f"{child.worker}: {child.cause()}")
            self._finish(child)
            if not child.ready:
                for sender in self._senders_to(child.worker):  # they would wait until it listens
                    self.children[sender].end()
        elif self._draining or not self.config.live:
            if not self._draining:
                self.stop(f"{child.worker} died ({child.cause()}); the run ends here, because its state is gone")
            elif not child.hurried:
                self._died_at_the_end(child)
            self._finish(child)
        else:
            self._restart(child, now_s)

    def _died_at_the_end(self, child: Child) -> None:
        """What it had in hand is lost, and it is not worth while to bring it back."""
        why = f"{child.worker} died ({child.cause()}) while the run ended"
        if WORKERS[child.worker].only_looks_on:
            self._say(why)
        else:
            self.failure = self.failure or why

    def _finish(self, child: Child) -> None:
        """The child will not come back: those behind it, who may have missed its End, finish what waits and leave."""
        child.finished = True
        for taker in dict.fromkeys(link.taker for link in self._links if link.sender == child.worker):
            if taker in self.children and all(self.children[sender].finished for sender in self._senders_to(taker)):
                self._order_stop(taker)

    def _senders_to(self, taker: str) -> set[str]:
        return {link.sender for link in self._links if link.taker == taker and link.message is not Health}

    def _restart(self, child: Child, now_s: float) -> None:
        settings = self.config.supervisor
        child.restarts.append(now_s)
        while now_s - child.restarts[0] > settings.restart_window_s:
            child.restarts.popleft()
        if len(child.restarts) > settings.max_restarts:
            times = f"{child.worker} died {len(child.restarts)} times in {settings.restart_window_s:g} s"
            last = f"its last words: {child.reason or child.last_line or child.cause()}"
            if WORKERS[child.worker].only_looks_on:
                self._say(f"{times}; the others go on without it for as long; {last}")
                child.again_s = now_s + settings.restart_window_s
            else:
                self.stop(f"{times}, giving up; {last}")
                self._finish(child)
            return
        child.restarted += 1
        self._say(f"{child.worker} died ({child.cause()}); starting it again")
        child.close()
        child.start(self._command(child.worker))

    def _order_stop(self, worker: str) -> None:
        if not self.children[worker].finished:
            self._orders.send(worker, "stop")

    def _hurry(self, since_stop_s: float) -> None:
        late_s = since_stop_s - self.config.supervisor.stop_timeout_s
        for child in self.children.values():
            if late_s > 0 and child.process.poll() is None:
                if not child.hurried:
                    self._say(f"{child.worker} has not left {self.config.supervisor.stop_timeout_s:g} s after it was asked to; ending it")
                child.end() if late_s <= KILL_AFTER_S else child.process.kill()

    def _say_lines(self, child: Child) -> None:
        for line in child.lines():
            if not line.startswith(FATAL):
                self._say_line(line)

    def _say(self, line: str) -> None:
        self._say_line(f"{time.strftime('%H:%M:%S')} supervisor: {line}")

    def _clean(self) -> None:
        """Remove what an earlier run left in the folder."""
        for path in self.folder.iterdir():
            if path.is_socket() or path.suffix in (".ring", ".yaml") or (path.suffix == ".lock" and path.stem != SUPERVISOR_LOCK):
                path.unlink(missing_ok=True)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return f"signal {number}"
