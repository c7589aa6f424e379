"""A program lifts files: in any thread, with real workers, and Ctrl-C leaves whole files and no process behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from patience import PATIENCE_S

from poselift.app.dataflow.messages import Pose3D
from poselift.app.recording.reader import read

PROGRAM = """
import json, os, signal, sys, threading
import psutil
import poselift

signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where the tests run in a shell's background
config, signals = sys.argv[1], (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
handlers = [signal.getsignal(number) for number in signals]
results, pressed = [], []
thread = threading.Thread(target=lambda: results.append(poselift.lift("test:320x240@30,frames=5", "whole", config=config)))

def ctrl_c(progress):
    if progress.done > 9 and not pressed:
        pressed.append(True)
        os.kill(os.getpid(), signal.SIGINT)

thread.start()
try:
    poselift.lift("test:320x240@30,frames=100000", "interrupted", config=config, progress=ctrl_c)
    raise SystemExit("it was not interrupted")
except KeyboardInterrupt:
    thread.join()
assert handlers == [signal.getsignal(number) for number in signals]
assert not psutil.Process().children() and threading.enumerate() == [threading.main_thread()]
[result] = results
print(json.dumps([result.captured, result.lifted, result.dropped, result.failure, str(result.recording)]))
"""


def test_a_program_lifts_files(configure: Any, tmp_path: Path) -> None:
    path, config = configure()
    command = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=2 * PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert json.loads(done.stdout) == [5, 5, {}, "", "whole/poses.mcap"]
    assert [pose.frame for pose in read(tmp_path / "whole" / "poses.mcap", [Pose3D])] == list(range(5))
    frames = [pose.frame for pose in read(tmp_path / "interrupted" / "poses.mcap", [Pose3D])]
    assert 9 < len(frames) < 100_000 and frames == list(range(len(frames)))
    assert np.load(tmp_path / "interrupted" / "poses.npz")["fps"] == 30
    assert sorted(file.name for file in (tmp_path / "interrupted").iterdir()) == ["poses.mcap", "poses.npz"]
    assert not config.runtime_path().exists()
