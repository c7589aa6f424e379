"""Nothing leaves the machine: the pipeline, and a program that reads its poses, in a network namespace without a route."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest
from patience import PATIENCE_S
from test_same_poses import by_hand, poses

from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.recording.reader import read
from poselift.common.skeleton import H36M_JOINTS

NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
"""Only loopback is in there. The kernel counts what it sends, and what finds no route."""
LOOPBACK_UP = "import socket, fcntl, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 1))"  # SIOCSIFFLAGS, IFF_UP
COUNTED = """
"$1" -I -c "$2" || exit
python=$1; shift 2
"$python" "$@"; code=$?
cat /proc/net/snmp /proc/net/snmp6 /proc/net/dev > "$0"
exit $code
"""
"""A shell's script: with loopback up, run Python, then write the counters of the namespace to a file."""

HOOK = """
import os, sys

log = os.open(os.environ["NETWORK_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def write(*words):
    os.write(log, " ".join(map(str, words)).replace("\\n", " ").encode() + b"\\n")

def note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if not isinstance(arguments[1], (str, bytes, type(None))):  # else a Unix socket's path, or one that is connected
            write(event, arguments[1])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"):
        write(event, arguments[0])

with open("/proc/self/cmdline") as words:
    write("process", *words.read().split("\\0"))
sys.addaudithook(note)
"""
"""Every Python process runs it first, as sitecustomize, and tells whom it calls; what libraries send, the kernel counts."""

LIVE = """
import json, subprocess, sys
import poselift

config, *up = sys.argv[1:]
with poselift.connect(config=config, wait=True, every=True) as poses:
    pipeline = subprocess.Popen([*up, "--config", config], stdout=sys.stderr)
    taken = [next(poses) for _ in range(5)]
print(json.dumps([[pose.t_ns, pose.joints_m[:, :17].tolist()] for pose in taken]))
sys.exit(pipeline.wait())
"""

LEAKS = {
    "TCP": ("import socket; socket.socket().connect(('192.0.2.1', 80))", "socket.connect ('192.0.2.1', 80)"),
    "UDP": ("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 80))", "socket.sendto ('192.0.2.1', 80)"),
    "a name": ("import socket; socket.getaddrinfo('example.com', 80)", "socket.getaddrinfo example.com"),
    "TCP, from a library": ("import zmq; s = zmq.Context().socket(zmq.PUSH); s.connect('tcp://192.0.2.1:80'); s.poll(100)", "OutNoRoutes"),
    "TCP over IPv6": ("import socket; socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))", "Ip6OutNoRoutes"),
    "loopback": ("import socket; socket.socket().connect(('127.0.0.1', 80))", "lo"),
}
"""Ways to reach for the network, and what shows each."""
IPV6_ADDRESSES = Path("/proc/net/if_inet6")


class Ran(NamedTuple):
    """What a command did in there."""

    done: subprocess.CompletedProcess[str]
    processes: list[str]
    """The command line of each Python process."""
    tried: list[str]
    """Whom they called, as Python tells it, and the kernel's counters that are not 0."""


@pytest.fixture
def isolated(tmp_path: Path) -> Callable[..., Ran]:
    """A function that runs Python in there."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare, to be without a network")
    possible = subprocess.run([*NAMESPACE, sys.executable, "-I", "-c", LOOPBACK_UP], capture_output=True, text=True)
    if possible.returncode:
        pytest.skip(f"this machine lets nobody make a network namespace: {possible.stderr.strip()}")
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    log, counters = tmp_path / "network.log", tmp_path / "counters"

    def run(*arguments: Any) -> Ran:
        command = [*NAMESPACE, "sh", "-c", COUNTED, counters, sys.executable, LOOPBACK_UP, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NETWORK_LOG": str(log)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        lines = log.read_text().splitlines()
        called = [line for line in lines if not line.startswith("process ")]
        return Ran(done, [line for line in lines if line not in called], called + _sent(counters.read_text()))

    return run


def _sent(counters: str) -> list[str]:
    """The counters of packets without a route, and of those that loopback sent, where they are not 0."""
    lines = [line.split() for line in counters.splitlines()]
    names, numbers = (line for line in lines if line[0] == "Ip:")
    found = {line[0]: line[1] for line in lines if line[0] == "Ip6OutNoRoutes"}
    found["OutNoRoutes"] = numbers[names.index("OutNoRoutes")]
    found["lo"] = next(line[10] for line in lines if line[0] == "lo:")
    return [f"{name} {number}" for name, number in found.items() if number != "0"]


def test_nothing_leaves_the_machine(isolated: Any, configure: Any, clip_pictures: Path, tmp_path: Path) -> None:
    room = {"capture": {"ring_slots": 64}, "bus": {"queue": 100}}  # for all pictures: a busy machine's recorder must not miss any
    path, config = configure(detect={}, record={"pictures": "none", "min_free_mb": 0}, **room)
    up = (sys.executable, "-m", "poselift", "up", clip_pictures, "--record", tmp_path / "live")
    ran = isolated("-c", LIVE, path, *up)
    assert ran.done.returncode == 0, ran.done.stderr
    assert ran.tried == []
    for worker in ("capture", "detect", "lift", "record"):
        assert any(f" run {worker} " in process for process in ran.processes), ran.processes

    session = tmp_path / "live" / "session.mcap"
    found = [[pose.t_ns, pose.joints_m[:, : len(H36M_JOINTS)].tolist()] for pose in read(session, [Pose3D])]
    assert all(pose in found for pose in json.loads(ran.done.stdout))
    assert sum(len(joints_m) for _, joints_m in found) > 5, "nobody in the pictures"
    assert poses(session) == by_hand(config, clip_pictures, [pose.t_ns for pose in read(session, [Pose2D])])


@pytest.mark.parametrize("leak", LEAKS)
def test_what_would_leave_is_seen(isolated: Any, leak: str) -> None:
    if "IPv6" in leak and not (IPV6_ADDRESSES.exists() and IPV6_ADDRESSES.read_text()):
        pytest.skip("this machine has no IPv6")
    code, seen = LEAKS[leak]
    assert any(line.startswith(seen) for line in isolated("-c", code).tried)
