"""The services under a real systemd: installed, started, killed, hung, stopped, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from systemd_box import COMMAND, MODELS, SOURCE, Box, booted

WORKERS = ("capture", "detect", "lift", "record")
CONFIG = Path("/etc/poselift.yaml")
RECORDINGS = Path("/var/lib/poselift/recordings")
SETTINGS = {
    "runtime_folder": "/run/poselift",
    "models_folder": str(MODELS),
    "capture": {"source": "test:320x240@15"},
    "record": {"folder": str(RECORDINGS), "min_free_mb": 0},
}
RUNS = {"ActiveState": "active", "SubState": "running"}
CLEAN = {"ActiveState": "inactive", "SubState": "dead", "Result": "success"}


@pytest.fixture
def box(tmp_path: Path, pulled: None) -> Iterator[Box]:
    """A real systemd with the services installed, and a watchdog that is less patient than theirs."""
    with booted(tmp_path) as box:
        install(box, SETTINGS, "WatchdogSec=5")
        yield box


def install(box: Box, settings: dict[str, Any], *lines: str) -> None:
    """Install the services with that config, and lines of each that a user may have added."""
    box.write(CONFIG, yaml.safe_dump(settings))
    box.run(COMMAND, "service", "install", "--config", CONFIG)
    box.write(Path("/run/systemd/system/poselift@.service.d/test.conf"), "\n".join(("[Service]", *lines, "")))
    box.run("systemctl", "daemon-reload")


def mount_namespace(box: Box, pid: str) -> str:
    return box.run("stat", "-Lc", "%i", f"/proc/{pid}/ns/mnt").stdout.strip()


def service(worker: str) -> str:
    return f"poselift@{worker}.service"


def listing(box: Box) -> str:
    return box.run("sh", "-c", "find /etc /run/poselift | sort; cat /etc/passwd /etc/group", check=False).stdout


def poses(box: Box) -> list[int]:
    """How many poses each recording holds, all its parts together, the oldest first, without a complaint about any of them."""
    code = (
        "from pathlib import Path; from poselift.app.dataflow.messages import Pose3D; "
        "from poselift.app.recording.reader import read; notes = []; "
        f"found = [path for path in sorted(Path('{RECORDINGS}').glob('session*.mcap'), key=lambda path: path.stat().st_mtime) "
        "if not path.stem.rpartition('.')[0]]; "
        "print(*(sum(1 for _ in read(path, [Pose3D], note=notes.append)) for path in found)); assert not notes, notes"
    )
    return [int(count) for count in box.run(COMMAND.with_name("python"), "-c", code).stdout.split()]


def test_a_pipeline_of_services(box: Box) -> None:
    box.run(COMMAND, "service", "uninstall")
    before = listing(box)
    box.run(COMMAND, "service", "install", "--config", CONFIG)
    box.run("systemctl", "enable", "--now", "poselift.target")
    first = {worker: box.until(service(worker), **RUNS) for worker in WORKERS}
    for worker, state in first.items():
        assert (state["User"], state["NRestarts"], state["Type"]) == ("poselift", "0", "notify")
        assert box.run("stat", "-c", "%U", f"/proc/{state['MainPID']}").stdout.strip() == "poselift", worker
    while "running, " not in box.state(service("record"))["StatusText"]:
        pass

    # whoever is in the group may look on, others not
    look = ("setpriv", "--reuid=4321", "--clear-groups")
    shown = box.run(*look, "--regid=poselift", COMMAND, "status", "--config", CONFIG).stdout
    assert all(worker in shown for worker in WORKERS) and "starting" not in shown  # it hears them too
    assert box.run(*look, "--regid=4321", COMMAND, "status", "--config", CONFIG, check=False).returncode != 0

    # one that is killed comes back, the others go on
    box.run("kill", "-KILL", first["lift"]["MainPID"])
    back = box.until(service("lift"), NRestarts="1", **RUNS)
    assert back["MainPID"] != first["lift"]["MainPID"]

    # one that stands still is ended by the watchdog, and comes back
    box.run("kill", "-STOP", first["detect"]["MainPID"])
    box.until(service("detect"), NRestarts="1", **RUNS)
    assert "Watchdog timeout" in box.run("journalctl", "-o", "cat", "-u", service("detect")).stdout
    assert {worker: box.state(service(worker))["MainPID"] for worker in ("capture", "record")} == {
        worker: first[worker]["MainPID"] for worker in ("capture", "record")
    }

    # stopped alone and started again, while the others go on
    box.run("systemctl", "stop", service("lift"))
    assert CLEAN.items() <= box.state(service("lift")).items()
    box.run("systemctl", "start", service("lift"))

    # the order to stop ends all, and nobody is brought back
    assert box.run(COMMAND, "stop", "--config", CONFIG).stderr == "capture: stopping\n"
    for worker in WORKERS:
        assert box.until(service(worker), **CLEAN)["ExecMainStatus"] == "0"
    recorded = poses(box)
    assert len(recorded) == 1 and recorded[0] > 0

    # started once more, which is another session, and stopped by systemd: capture first, the recorder last
    box.run("systemctl", "start", "poselift.target")
    for worker in WORKERS:
        box.until(service(worker), **RUNS)
    while "running, " not in box.state(service("record"))["StatusText"]:
        pass
    box.run("systemctl", "stop", "poselift.target")
    states = {worker: box.until(service(worker), **CLEAN) for worker in WORKERS}
    ended = [int(states[worker]["ExecMainExitTimestampMonotonic"]) for worker in WORKERS]
    assert ended == sorted(ended)
    first_count, second_count = poses(box)
    assert [first_count] == recorded and second_count > 0

    box.run(COMMAND, "service", "uninstall")
    assert listing(box) == before


NPU = Path("/opt/om")
STAND_INS = (SOURCE / "tests/sim_acl", SOURCE / "tests/unit/fake_acllite")


def test_the_npu_is_shared_by_the_services_that_open_it(tmp_path: Path, npu_networks: Path) -> None:
    """Its driver takes who has another mount namespace than process 1 for a container, and one container has the device."""
    with booted(tmp_path, {NPU: npu_networks}) as box:
        host = mount_namespace(box, "1")
        board = {
            "PYTHONPATH": ":".join(map(str, STAND_INS)),
            "SIM_ACL_RUN_MODE": "DEVICE",
            "SIM_ACL_HOST_NAMESPACE": host,
            "SIM_ACL_FAULTS": "/var/lib/poselift/faults.json",
        }
        settings = {**SETTINGS, "capture": {"source": "csi:0"}, "npu": {"folder": str(NPU)}, "detect": {"people": 1}}
        install(box, settings, *(f"Environment={name}={value}" for name, value in board.items()))
        box.run("systemctl", "start", "poselift.target")
        states = {worker: box.until(service(worker), **RUNS) for worker in WORKERS}
        assert {worker: state["NRestarts"] for worker, state in states.items()} == dict.fromkeys(WORKERS, "0")
        spaces = {worker: mount_namespace(box, state["MainPID"]) for worker, state in states.items()}
        assert spaces == {**dict.fromkeys(("capture", "detect", "lift"), host), "record": spaces["record"]}
        assert spaces["record"] != host and states["record"]["ProtectSystem"] == "strict"
        assert {worker for worker in WORKERS if "/dev/davinci0 rw" in states[worker]["DeviceAllow"]} == {"capture", "detect", "lift"}
        box.run("systemctl", "stop", "poselift.target")

        # whoever gives them one again is told by the doctor
        install(box, settings, "PrivateTmp=yes")
        said = box.run(COMMAND, "doctor", "--config", CONFIG, check=False).stdout
        assert (
            "PrivateTmp" in said and "poselift@detect" in said and "poselift@record" not in said.replace("poselift@record.service is", "")
        )


def test_services_of_a_user(box: Box) -> None:
    """Without root, and beside the services of the system: a manager of their own, folders of their own."""
    home, runtime = Path("/home/somebody"), Path("/run/user/4321")
    box.run("useradd", "--create-home", "--home-dir", home, "--uid", "4321", "somebody")
    box.run("install", "-d", "-o", "somebody", "-m", "700", runtime)
    manager = (
        f"[Service]\nType=notify\nUser=somebody\nDelegate=yes\nEnvironment=XDG_RUNTIME_DIR={runtime}\nExecStart=/lib/systemd/systemd --user"
    )
    box.write(Path("/run/systemd/system/somebody.service"), f"{manager} --unit=basic.target\n")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", "somebody")
    config = home / "config.yaml"
    box.write(config, yaml.safe_dump({"models_folder": str(MODELS), "capture": {"source": "test:320x240@15"}}))

    def run(*command: object) -> str:
        who = ("setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", "env", f"HOME={home}", f"XDG_RUNTIME_DIR={runtime}")
        return box.run(*who, *command).stdout

    run(COMMAND, "service", "install", "--user", "--config", config)
    run("systemctl", "--user", "enable", "--now", "poselift.target")
    run("systemctl", "--user", "start", *map(service, WORKERS[:3]))  # which waits until they are ready
    assert run("systemctl", "--user", "is-active", *map(service, WORKERS[:3])).split() == ["active"] * 3
    assert all(worker in run(COMMAND, "status", "--config", config) for worker in WORKERS[:3])
    for worker in WORKERS[:3]:
        pid = run("systemctl", "--user", "show", "--value", "--property=MainPID", service(worker)).strip()
        assert mount_namespace(box, pid) == mount_namespace(box, "1"), f"the NPU's driver would take {worker} for a container"
    run(COMMAND, "service", "uninstall", "--user")
    assert run("find", home / ".config", "-not", "-type", "d") == ""
    assert "poselift" not in run("systemctl", "--user", "list-units", "--all", "--plain", "poselift@*")


def test_what_the_user_must_mend_is_not_tried_again(box: Box) -> None:
    box.write(CONFIG, yaml.safe_dump({**SETTINGS, "lift": {"model": "/opt/nothing.onnx"}}))
    box.run("systemctl", "start", service("lift"), check=False)
    state = box.until(service("lift"), ActiveState="failed")
    assert (state["Result"], state["ExecMainStatus"], state["NRestarts"]) == ("exit-code", "2", "0")
    assert "poselift: /opt/nothing.onnx: no such" in box.run("journalctl", "-o", "cat", "-u", service("lift")).stdout


def test_what_dies_again_and_again_stays_down(box: Box) -> None:
    box.write(Path("/run/systemd/system/poselift@.service.d/test.conf"), "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=0\n")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", service("lift"), check=False)
    assert box.until(service("lift"), ActiveState="failed", NRestarts="5")["Result"] in ("exit-code", "start-limit-hit")
