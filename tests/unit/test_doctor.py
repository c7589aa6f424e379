"""`poselift doctor` finds what is missing on a machine, says what to do about it, and leaves out what the config does not need."""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from poselift.app.cli.doctor import camera, cann, driver, look, networks, packages, runtime, service_npu, viewers
from poselift.app.cli.doctor.finding import Finding, trouble
from poselift.app.cli.service import Place
from poselift.app.config import Config
from poselift.app.dataflow.sockets import MAX_PATH
from poselift.app.processes.process import lock
from poselift.app.remote import keys
from poselift.app.remote.authenticator import new_pair
from poselift.app.remote.key_strings import Role
from poselift.app.remote.keys import Permission


def only(findings) -> Finding:
    (finding,) = findings
    return finding


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """The root of a board with its driver."""
    touch(*(tmp_path / "dev" / name for name in ("davinci0", "davinci_manager", "svm0")))
    info = tmp_path / driver.VERSION_INFOS[0]
    touch(info)
    info.write_text("Version=23.0.rc2\nascendhal_version=7.0\n")
    return tmp_path


@pytest.fixture
def ascend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CANN's folder, and a shell that has not sourced its set_env.sh."""
    for name in cann.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "Ascend"
    info = folder / "ascend-toolkit/latest/aarch64-linux/ascend_toolkit_install.info"
    touch(info, folder / "ascend-toolkit/set_env.sh")
    info.write_text("package_name=Ascend-cann-toolkit\nversion=6.0.RC1.alpha003\n")
    return folder


def test_only_what_is_needed_and_not_there_is_missing():
    assert Finding("x", "y", False, "z").missing
    assert not Finding("x", "y", False).missing and not Finding("x", "y", True, "a hint").missing
    assert len({Finding("x", "y", *end).mark for end in ((True,), (False,), (False, "z"))}) == 3


def test_an_error_is_split_into_what_was_found_and_what_to_do():
    assert trouble("x", "a: b; c (d); do this") == Finding("x", "a: b; c (d)", False, "do this")
    assert trouble("x", "no remedy").missing


def test_packages_are_those_that_a_board_installs(monkeypatch: pytest.MonkeyPatch):
    assert {"numpy", "pyzmq", "opencv-python-headless", "av"} <= set(packages.needed())
    assert not {"onnxruntime", "onnx", "pytest"} & set(packages.needed())

    def version(package: str) -> str:
        if package == "av":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(packages, "version", version)
    missing = [finding for finding in packages.look() if finding.missing]
    assert missing == [Finding("av", "not installed", False, "pip install av")]


def test_python_must_be_new_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages.sys, "version_info", (3, 8, 20, "final", 0))
    assert "3.9" in next(packages.look()).remedy


def test_onnxruntime_is_needed_where_the_cpu_runs_a_network(monkeypatch: pytest.MonkeyPatch):
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(networks, "version", absent)
    cpu, npu = Config(), Config().changed(npu={"folder": "/models"})
    finding = next(networks.look(cpu, networks.wanted(cpu)))
    assert finding.missing and "poselift[cpu]" in finding.remedy
    assert only(networks.look(npu, networks.wanted(npu))).ok


@pytest.mark.parametrize("section", ["lift", "detect"])
def test_a_network_that_is_named_apart_has_to_be_there(section: str, tmp_path: Path):
    config = Config().changed(npu={"folder": "/models"}, **{section: {"model": str(tmp_path / "other.onnx")}})
    *_, finding = networks.look(config, networks.wanted(config))
    assert finding.missing and f"{section}.model" in finding.remedy
    touch(tmp_path / "other.onnx")
    *_, finding = networks.look(config, networks.wanted(config))
    assert finding.ok


@pytest.mark.parametrize(
    ("folder", "lifter", "cpu", "npu", "files"),
    [
        (None, None, True, False, []),
        ("/m", None, False, True, ["/m/efficientdet_lite0.om", "/m/blazepose_landmarks.om", "/m/lifter.om"]),
        ("/m", "/other.om", False, True, ["/m/efficientdet_lite0.om", "/m/blazepose_landmarks.om", "/other.om"]),
        ("/m", "/other.onnx", True, True, ["/m/efficientdet_lite0.om", "/m/blazepose_landmarks.om"]),
        (None, "/other.om", True, True, ["/other.om"]),
        (None, "/OTHER.OM", True, True, ["/OTHER.OM"]),
    ],
)
def test_the_config_says_what_runs_where(folder, lifter, cpu: bool, npu: bool, files: list[str]):
    config = Config().changed(npu={"folder": folder}, lift={"model": lifter})
    assert networks.wanted(config) == (cpu, npu)
    assert sorted(map(str, networks.om_files(config))) == sorted(files)


def test_a_detector_or_a_source_that_there_is_not(runtime_folder: Path):
    config = Config().changed(detect={"detector": "yolo"}, capture={"source": "http://me:secret@cam"}, runtime_folder=str(runtime_folder))
    missing = {finding.what: finding for finding in look(config) if finding.missing}
    assert "yolo: there is no such detector; known: blazepose" in missing["detector"].found
    assert missing["source"].found == "http://***@cam is no kind of source" and "rtsp://" in missing["source"].remedy


def test_the_driver_is_shown_with_its_version(board: Path):
    finding = next(driver.look(True, board))
    assert finding.ok and "davinci0" in finding.found and "version 23.0.rc2" in finding.found


def test_the_200_dks_driver_has_its_version_elsewhere(board: Path):
    (board / driver.VERSION_INFOS[0]).unlink()
    info = board / "var/davinci/driver/version.info"
    touch(info)
    info.write_text("Version=1.0.13.alpha\n")
    assert "version 1.0.13.alpha" in next(driver.look(True, board)).found


def test_a_driver_without_a_version_file_is_no_fault(board: Path):
    (board / driver.VERSION_INFOS[0]).unlink()
    assert next(driver.look(True, board)).ok


@pytest.mark.parametrize("node", ["davinci0", "davinci_manager"])
def test_without_a_node_the_driver_is_missing_where_the_npu_is_wanted(board: Path, node: str):
    (board / "dev" / node).unlink()
    wanted, unwanted = next(driver.look(True, board)), next(driver.look(False, board))
    assert wanted.missing and node in wanted.found
    assert not unwanted.ok and not unwanted.missing


@pytest.mark.parametrize("node", ["davinci0", "svm0"])
def test_a_node_that_may_not_be_opened_names_its_group(board: Path, node: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver.os, "access", lambda path, mode: path.name != node)
    monkeypatch.setattr(Path, "group", lambda path: "npu-users")
    finding = next(driver.look(True, board))
    assert finding.missing and node in finding.found and "usermod -aG npu-users" in finding.remedy


def test_npu_smi_is_useful_and_not_needed(board: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    *_, finding = driver.look(True, board)
    assert not finding.ok and not finding.missing
    touch(tmp_path / "npu-smi")
    (tmp_path / "npu-smi").chmod(0o755)
    *_, finding = driver.look(True, board)
    assert finding.ok


def test_npu_smi_is_found_off_the_path(board: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    tool = board / "usr/local/sbin/npu-smi"
    touch(tool)
    tool.chmod(0o755)
    *_, finding = driver.look(True, board)
    assert finding.ok and str(tool) in finding.found and "not on PATH" in finding.found


UNIT = "poselift@detect.service"
SYSTEM, USER = (Place(system, Path("/etc"), ("systemctl", *(["--user"] * (not system))), Path("/run"), True) for system in (True, False))
SHOWN = {
    "MainPID": "0",
    "User": "root",
    "Group": "",
    "SupplementaryGroups": "",
    "DevicePolicy": "closed",
    "DeviceAllow": "/dev/davinci0 rw",
}


def shown(**settings: str) -> str:
    """What `systemctl show` prints of a service with these settings; none of the others makes a mount namespace."""
    neutral = {"ProtectSystem": "no", "PrivateTmp": "no", "ProtectProc": "default", "ProcSubset": "all", "MountFlags": ""}
    return "".join(f"{name}={value}\n" for name, value in {**SHOWN, **neutral, **settings}.items())


def test_a_service_that_may_have_the_npu(board: Path):
    assert only(service_npu.look(UNIT, shown(), SYSTEM, 0, board)).ok
    assert list(service_npu.look(UNIT, "", SYSTEM, 0, board)) == [], "systemd tells nothing of it"


@pytest.mark.parametrize("setting", ["PrivateTmp=yes", "ProtectSystem=strict", "ReadWritePaths=/data", "ProtectProc=invisible"])
@pytest.mark.parametrize("place", [SYSTEM, USER])
def test_a_service_with_a_mount_namespace_is_a_container_to_the_driver(board: Path, place: Place, setting: str):
    finding = only(service_npu.look(UNIT, shown(**dict([setting.split("=")])), place, 0, board))
    assert finding.missing and setting in finding.found and "container" in finding.found and UNIT in finding.remedy


def test_a_service_that_was_started_before_it_was_mended(board: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "samefile", lambda path, other: str(path) != "/proc/77/ns/mnt")
    finding = only(service_npu.look(UNIT, shown(MainPID="77"), SYSTEM, 0, board))
    assert finding.missing and "mount namespace" in finding.found and "restart" in finding.remedy
    assert only(service_npu.look(UNIT, shown(MainPID="78"), SYSTEM, 0, board)).ok


def test_a_service_whose_device_list_lacks_the_npu(board: Path):
    finding = only(service_npu.look(UNIT, shown(DeviceAllow="char-video4linux rw"), SYSTEM, 0, board))
    assert finding.missing and "davinci0" in finding.found and "service install" in finding.remedy
    assert only(service_npu.look(UNIT, shown(DeviceAllow="", DevicePolicy="auto"), SYSTEM, 0, board)).ok


def test_a_service_whose_user_may_not_open_a_node(board: Path, monkeypatch: pytest.MonkeyPatch):
    account = pwd.struct_passwd(("poselift", "x", 4321, 4321, "", "/", "/"))
    monkeypatch.setattr(service_npu.pwd, "getpwnam", lambda name: account)
    monkeypatch.setattr(service_npu.os, "getgrouplist", lambda name, gid: [gid])
    monkeypatch.setattr(service_npu, "group_id", {"": None, "video": 44, "HwHiAiUser": (board / "dev/svm0").stat().st_gid}.get)
    for node in (board / "dev").iterdir():
        node.chmod(0o666 if node.name == "davinci_manager" else 0o660)
    finding = only(service_npu.look(UNIT, shown(User="poselift", SupplementaryGroups="video"), SYSTEM, 0, board))
    assert finding.missing and "davinci0" in finding.found and "svm0" in finding.found and "davinci_manager" not in finding.found
    assert "poselift" in finding.found
    assert only(service_npu.look(UNIT, shown(User="poselift", SupplementaryGroups="video HwHiAiUser"), SYSTEM, 0, board)).ok


def test_cann_that_is_not_set_up_names_the_script(ascend: Path):
    finding = only(cann.look(True, (ascend,)))
    assert finding.missing and "6.0.RC1.alpha003" in finding.found
    assert finding.remedy == f"source {ascend / 'ascend-toolkit/set_env.sh'}"
    assert not only(cann.look(False, (ascend,))).missing


@pytest.mark.parametrize("variable", cann.VARIABLES)
def test_cann_that_is_set_up(ascend: Path, monkeypatch: pytest.MonkeyPatch, variable: str):
    monkeypatch.setenv(variable, str(ascend / "ascend-toolkit/latest"))
    finding = only(cann.look(True, (ascend,)))
    assert finding.ok and "latest" in finding.found and "6.0.RC1.alpha003" in finding.found
    monkeypatch.setenv(variable, str(ascend / "gone"))
    finding = only(cann.look(True, (ascend,)))
    assert finding.missing and str(ascend / "ascend-toolkit/set_env.sh") in finding.remedy


@pytest.mark.parametrize("info", ["nnrt/latest/aarch64-linux/ascend_nnrt_install.info", "cann/aarch64-linux/ascend_toolkit_install.info"])
def test_other_kinds_of_cann_are_found(ascend: Path, tmp_path: Path, info: str):
    touch(tmp_path / "other" / info)
    finding = only(cann.look(True, (tmp_path / "other", ascend)))
    assert str(tmp_path / "other") in finding.found


def test_no_cann(ascend: Path, tmp_path: Path):
    finding = only(cann.look(True, (tmp_path / "nothing",)))
    assert finding.missing and "docs/board.md" in finding.remedy


def test_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    finding = only(camera.look("0", tmp_path))
    assert not finding.ok and not finding.missing
    touch(tmp_path / "video0", tmp_path / "video1")
    assert only(camera.look("0", tmp_path)).found == f"{tmp_path / 'video0'}, {tmp_path / 'video1'}"
    monkeypatch.setattr(camera.os, "access", lambda *_: False)
    finding = only(camera.look("0", tmp_path))
    assert finding.missing and "video" in finding.remedy


@pytest.mark.parametrize("place", ["acllite", ""])
def test_the_boards_own_camera_needs_acllite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    _, finding = camera.look("csi:0", tmp_path)
    assert finding.missing and "PYTHONPATH" in finding.found
    folder = tmp_path / "python" / place
    touch(folder / "cameracapture.py")
    (folder / "cameracapture.py").write_text("raise SystemExit('nobody may import this without the NPU')")
    monkeypatch.syspath_prepend(str(tmp_path / "python"))
    _, finding = camera.look("csi:0", tmp_path)
    assert finding.ok and str(folder) in finding.found


def test_the_runtime_folder_holds_sockets(runtime_folder: Path):
    findings = list(runtime.look(Config(runtime_folder=str(runtime_folder / "run"))))
    assert all(finding.ok for finding in findings) and list((runtime_folder / "run").iterdir()) == []


def test_a_runtime_folder_that_is_of_no_use(runtime_folder: Path):
    deep = runtime_folder / ("d" * (MAX_PATH - 19 - len(str(runtime_folder))))  # libzmq would take it, our bus does not
    finding = only(runtime.look(Config(runtime_folder=str(deep))))
    assert finding.missing and "too long" in finding.found and "short" in finding.remedy
    touch(runtime_folder / "file")
    finding = only(runtime.look(Config(runtime_folder=str(runtime_folder / "file"))))
    assert finding.missing and "file" in finding.found


def test_a_runtime_folder_without_room(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime, "RING_BYTES", 1 << 62)
    finding = next(runtime.look(Config(runtime_folder=str(runtime_folder))))
    assert finding.missing and "MB free" in finding.remedy


def test_the_services_folder_is_left_to_systemd(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch):
    folder = runtime_folder / "poselift"
    monkeypatch.setattr(runtime, "RUNTIME_FOLDER", folder)
    config = Config(runtime_folder=str(folder))
    assert "systemd" in only(runtime.look(config)).found and not folder.exists()
    folder.mkdir()
    os.close(lock(folder, "lift"))
    with (folder / "lift.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "running now: lift" in only(runtime.look(config)).found

    def shut(*_: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(runtime, "running", shut)
    finding = only(runtime.look(config))
    assert finding.ok and "usermod -aG poselift" in finding.remedy


def test_viewers_need_keys_and_somebody_who_is_admitted(runtime_folder: Path, tmp_path: Path):
    def found(address: str | None, folder: Path | None = tmp_path / "keys") -> list[Finding]:
        serve = {"address": address, "keys_folder": str(folder) if folder else None}
        return list(viewers.look(Config().changed(runtime_folder=str(runtime_folder), serve=serve)))

    assert found(None) == []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        address = f"127.0.0.1:{port}"
        other.listen()
        free, taken = found(address, None)
        assert free == Finding("viewers", f"{address}: everyone on this machine", True)
        assert taken.missing and "Address already in use" in taken.found and "serve.address" in taken.remedy
        descriptor = lock(runtime_folder, "serve")
        assert len(found(address, None)) == 1, "it is our own serve that has it"
        os.close(descriptor)
    missing = only(found(address))
    assert missing.missing and missing.remedy == "type: poselift keys new"
    keys.save_pair(tmp_path / "keys", new_pair("atlas"))
    assert only(found(address)).missing and "poselift keys new" in only(found(address)).remedy
    keys.admit(tmp_path / "keys", Role.VIEWER, "laptop", new_pair("laptop").public, Permission.CONTROL)
    assert only(found(address)) == Finding("viewers", f"{address}: laptop (control)", True)
    assert only(found("nowhere at all")).missing
