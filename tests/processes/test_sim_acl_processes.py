"""The simulated NPU across processes: reports, faults while a program runs, a hang that only SIGKILL ends, forks, packages of its own."""

import ctypes
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from sim_acl.faults import Faults
from sim_acl.fixtures import environment, reports
from sim_acl.tiny import ROWS, tiny_om

RUN = """
import sys
import acl
from program import Loaded, device
with device(acl) as stream, Loaded(acl, sys.argv[1]) as model:
    print(acl.mdl.execute_async(model.id, model.inputs, model.outputs, stream), acl.rt.synchronize_stream(stream))
"""


@pytest.fixture
def om(tmp_path):
    return tiny_om(tmp_path)


@pytest.fixture
def board(tmp_path):
    folder = tmp_path / "board"
    folder.mkdir()
    return folder


@pytest.fixture
def faults(board):
    faults = Faults(board / "faults.json")
    yield faults
    faults.end()


@pytest.fixture
def start(board, om):
    """Starts a program on the board; what still runs in the end is killed."""
    processes = []

    def start(program, before=(), **settings):
        command = [*before, sys.executable, "-c", program, om]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=environment(board, **settings), **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def said(process):
    """All that it printed."""
    text, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return text.split()


@pytest.mark.parametrize("run_mode", ["HOST", "DEVICE"])
def test_a_process_reports_what_it_did(start, board, run_mode):
    process = start(RUN + "    model.get(0)\n", run_mode=run_mode)
    assert said(process) == ["0", "0"]
    report = reports(board)[process.pid]
    assert report["violations"] == []
    assert report["calls"]["mdl.execute_async"] == 1 and report["applied"]["memory"] == 4
    assert not any(report["held"].values())
    assert report["copied_bytes"] == {"h2h": 0, "h2d": 0, "d2h": ROWS * 12, "d2d": 0}


def test_a_process_that_ends_without_finalize_reports_so(start, board):
    process = start("import acl; acl.init()")
    assert said(process) == []
    assert reports(board)[process.pid]["violations"] == ["the process ended without acl.finalize"]


def test_the_board_is_told_by_the_environment(start, om):
    show = "import acl; print(acl.rt.get_run_mode()[0], acl.get_soc_name(), acl.rt.get_device_count()[0], acl.rt.get_mem_info(0)[:2])"
    program = f"import acl; acl.init(); acl.rt.set_device(0); {show}; acl.rt.reset_device(0); acl.finalize()"
    given = {"run_mode": "DEVICE", "soc": "Ascend310", "devices": 3, "memory_bytes": 5000}
    assert said(start(program, **given)) == ["0", "Ascend310", "3", "(5000,", "5000)"]


def test_a_fault_strikes_one_process_and_not_its_successor(start, faults):
    fault = faults.begin(507015, on="rt.synchronize_stream", model="tiny")
    first = start(RUN)
    assert said(first) == ["0", "507015"]
    assert fault.hits == [first.pid]
    assert said(start(RUN)) == ["0", "0"]


def test_a_device_disappears_while_a_program_runs_and_comes_back(start, board, faults):
    process = start("""
import acl
from program import device
with device(acl):
    print("ready", flush=True)
    while acl.rt.malloc(0, 0)[1] == 100000: pass
    print(acl.rt.malloc(0, 0)[1], acl.rt.get_device_count()[0])
""")
    assert process.stdout.readline() == "ready\n"
    with faults.begin("gone"):
        assert said(process) == ["507899", "0"]
    assert reports(board)[process.pid]["violations"] == []
    assert said(start(RUN)) == ["0", "0"]


def test_a_hang_keeps_signal_handlers_from_running_and_can_be_killed(start, board, faults):
    fault = faults.begin("hang", on="rt.synchronize_stream")
    process = start("import signal; signal.signal(signal.SIGTERM, lambda *_: print('handled', flush=True))\n" + RUN)
    fault.wait()
    until(lambda: signal.SIGTERM in signals_of(process, "SigBlk"))
    assert ctypes.CDLL(None).tgkill(process.pid, process.pid, signal.SIGTERM) == 0  # to its main thread: any other would take it at once
    until(lambda: signal.SIGTERM in signals_of(process, "SigPnd"))
    process.kill()
    assert process.communicate() == ("", None)
    assert process.returncode == -signal.SIGKILL
    assert process.pid not in reports(board)


def test_a_hang_that_ends_lets_the_program_go_on(start, faults):
    fault = faults.begin("hang", on="rt.synchronize_stream", model="tiny")
    process = start(RUN)
    fault.wait()
    fault.end()
    assert said(process) == ["0", "0"]


def test_two_processes_use_one_device_at_the_same_time(start):
    first = start("import acl; from program import device\nwith device(acl): print('ready', flush=True); input()")
    assert first.stdout.readline() == "ready\n"
    assert said(start(RUN)) == ["0", "0"]
    first.communicate("\n", timeout=PATIENCE_S)
    assert first.returncode == 0


HOLD = "import acl; from program import device\nwith device(acl): print('ready', flush=True); input()"
TRY = "import acl; acl.init(); print(acl.rt.set_device(0), flush=True); acl.finalize()"


@pytest.fixture
def apart():
    """The words before a command that give it a mount namespace of its own, and another user than root. Skips where that is not allowed."""
    words = ["unshare", "--user", "--map-user=1000", "--mount"]
    if not shutil.which(words[0]):
        pytest.skip("no unshare here")
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no mount namespaces to be had here: {done.stderr.strip()}")
    return words


def test_a_device_has_one_container(start, apart):
    """Huawei's driver takes every mount namespace but process 1's for a container."""
    host = Path("/proc/self/ns/mnt").stat().st_ino
    first = start(HOLD, before=apart, host_namespace=host)
    assert first.stdout.readline() == "ready\n"
    assert said(start(TRY, before=apart, host_namespace=host)) == ["507033"]
    namespaces = [f"--{kind}=/proc/{first.pid}/ns/{file}" for kind, file in (("user", "user"), ("mount", "mnt"))]
    assert said(start(TRY, before=["nsenter", "--preserve-credentials", *namespaces], host_namespace=host)) == ["0"]
    first.communicate("\n", timeout=PATIENCE_S)
    assert said(start(TRY, before=apart, host_namespace=host)) == ["0"]
    holder = start(HOLD, before=apart)
    assert holder.stdout.readline() == "ready\n"
    assert said(start(TRY, before=apart)) == ["0"], "there are no containers unless the board is told of them"
    holder.communicate("\n", timeout=PATIENCE_S)


def test_a_fork_is_told_and_the_child_cannot_use_pyacl(start, board):
    process = start("""
import os, acl
acl.init()
child = os.fork()
if not child:
    try:
        acl.rt.set_device(0)
    except Exception as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
acl.finalize()
""")
    assert " ".join(said(process)) == "pyACL was used in a forked process"
    assert reports(board)[process.pid]["violations"] == ["a fork while pyACL is initialised"]


def test_the_simulator_brings_onnxruntime_of_its_own_and_the_program_has_none(start, tmp_path, monkeypatch):
    """The program's Python has numpy and nothing else."""
    packages = Path(np.__file__).parents[1]
    site = tmp_path / "site"
    site.mkdir()
    for name in ("numpy", "numpy.libs"):
        (site / name).symlink_to(packages / name)
    monkeypatch.setenv("PYTHONPATH", str(site))
    program = f"""
import sys
sys.path[:] = [folder for folder in sys.path if folder != {str(packages)!r}]
try:
    import onnxruntime
except ModuleNotFoundError:
    print("none")
"""
    known = f"assert {str(packages)!r} not in sys.path\n"
    assert said(start(program + RUN + known, packages=packages)) == ["none", "0", "0"]
    (site / "onnxruntime.py").write_text("raise SystemExit(77)")
    last = start(RUN, packages=packages)  # the program's own packages come first
    last.communicate(timeout=PATIENCE_S)
    assert last.returncode == 77


def signals_of(process, kind):
    """Those that a process blocks, or that wait."""
    bits = int(Path(f"/proc/{process.pid}/status").read_text().split(f"{kind}:")[1].split()[0], 16)
    return {number for number in signal.Signals if bits & 1 << number - 1}


def until(happens):
    """Wait for what another process does; it is looked for, as it gives no sign of its own."""
    deadline = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
