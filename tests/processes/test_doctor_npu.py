"""`poselift doctor` asks the NPU in a process of its own: it tells the ways apart in which that fails, and survives all of them.

Checked against the simulator and against modules that are wrong on purpose; not run on hardware.
"""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from pipeline_run import poselift, write_config
from random_lifter import random_lifter
from sim_acl.fixtures import FOLDER
from sim_acl.om import make_om
from sim_acl.tiny import tiny_om

from poselift.app.cli.doctor import device, service
from poselift.app.cli.doctor.finding import Finding
from poselift.app.cli.units import TARGET
from poselift.app.config import Config
from poselift.models.backends.om_card import card_path
from poselift.models.convert.lifter import build

NAMES = ("efficientdet_lite0", "blazepose_landmarks", "lifter")


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    """A folder of networks for an Ascend310B4, small ones of the right names; the lifter is for four people."""
    folder = tmp_path / "npu"
    folder.mkdir()
    for name in NAMES[:-1]:
        tiny_om(folder, name)
    onnx.save(build(random_lifter((3,), 8, 67), {"rate_hz": "30", "normalisation": "person_camera"}, slots=4), folder / "lifter.onnx")
    make_om(folder / "lifter.onnx", folder / "lifter.om")
    return folder


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An Atlas 200I DK A2, for the processes that are started; the fixture sets its variables."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))
    return monkeypatch


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that puts another module called `acl` on the path."""

    def write(text: str) -> None:
        package = tmp_path / "wrong" / "acl"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return write


def look(folder: Path | None = None, number: int = 0, wanted: bool = True) -> dict[str, Finding]:
    config = Config().changed(npu={"folder": str(folder) if folder else None, "device": number})
    return {finding.what: finding for finding in device.look(config, device.ask(config), wanted)}


def test_a_board_on_which_all_is_well(simulator, networks: Path):
    findings = look(networks)
    assert list(findings) == ["module acl", "NPU", *(f"network {name}" for name in NAMES)]
    assert all(finding.ok for finding in findings.values()), findings
    assert "Ascend310B4, number 0 of 1" in findings["NPU"].found and "host" in findings["NPU"].found
    assert "the NPU loads it" in findings["network lifter"].found


def test_a_board_whose_programs_run_beside_the_npu(simulator, networks: Path):
    simulator.setenv("SIM_ACL_RUN_MODE", "DEVICE")
    assert "beside" in look()["NPU"].found


def test_no_module_acl(networks: Path):
    findings = look(networks)
    assert findings["module acl"].missing and "set_env.sh" in findings["module acl"].remedy
    assert "not tried" in findings["network lifter"].found
    assert not look(networks, wanted=False)["module acl"].missing


@pytest.mark.parametrize("text", ['class ACL: "An access control list."', 'print "An access control list."'], ids=["any", "PyPI's"])
def test_another_package_called_acl(module, text: str):
    module(text)
    finding = look()["NPU"]
    assert finding.missing and "not CANN's" in finding.found and "pip uninstall acl" in finding.remedy


def test_a_library_that_is_not_found(module):
    module("print('CANN says something')\nraise ImportError('libascendcl.so: cannot open shared object file')")
    finding = look()["NPU"]
    assert finding.missing and "libascendcl.so" in finding.found and "set_env.sh" in finding.remedy
    assert not look(wanted=False)["NPU"].missing


def test_a_module_that_fails_in_a_way_of_its_own(module):
    module("raise RuntimeError('half a driver')")
    finding = look()["NPU"]
    assert finding.missing and "RuntimeError: half a driver" in finding.found


def test_a_driver_that_crashes(module):
    module("import os\nos._exit(139)")
    finding = look()["NPU"]
    assert finding.missing and "139" in finding.found and "restart" in finding.remedy


def test_a_driver_that_hangs(module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    os.mkfifo(tmp_path / "never")
    module(f"open({str(tmp_path / 'never')!r}).read()")
    monkeypatch.setattr(device, "PATIENCE_S", 0.3)
    finding = look()["NPU"]
    assert finding.missing and "no answer for 0.3 s" in finding.found


def test_no_device(simulator, networks: Path):
    simulator.setenv("SIM_ACL_DEVICES", "0")
    findings = look(networks)
    assert findings["NPU"].missing and "no NPU" in findings["NPU"].found


def test_a_device_of_another_number(simulator):
    finding = look(number=3)["NPU"]
    assert finding.missing and "npu.device 3" in f"{finding.found} {finding.remedy}"


def test_a_network_for_another_chip(simulator, networks: Path):
    simulator.setenv("SIM_ACL_SOC", "Ascend310B1")
    assert look(networks)["network lifter"].ok, "310B1 and 310B4 are of one family"
    simulator.setenv("SIM_ACL_SOC", "Ascend310")
    finding = look(networks)["network lifter"]
    assert finding.missing and "for Ascend310B4, this is Ascend310" in finding.found and "--soc Ascend310" in finding.remedy


def test_a_lifter_for_another_number_of_people(simulator, networks: Path):
    config = Config().changed(npu={"folder": str(networks)}, detect={"people": 2})
    finding = next(found for found in device.look(config, device.ask(config), True) if found.what == "network lifter")
    assert finding.found == "this lifter was converted for detect.people: 4, and here it is 2"
    assert finding.remedy == "set 4, or convert it anew"


def test_networks_that_cannot_be_used(simulator, networks: Path):
    whole = (networks / "lifter.om").read_bytes()
    (networks / "lifter.om").write_bytes(whole[:-10])
    card_path(networks / "efficientdet_lite0.om").unlink()
    (networks / "blazepose_landmarks.om").unlink()
    findings = look(networks)
    assert findings["NPU"].ok
    assert findings["network lifter"].missing and "truncated" in findings["network lifter"].found
    assert findings["network efficientdet_lite0"].missing and "card" in findings["network efficientdet_lite0"].found
    assert findings["network blazepose_landmarks"].missing and "poselift models atc" in findings["network blazepose_landmarks"].remedy


def test_the_command_on_a_board(simulator, networks: Path, runtime_folder: Path, tmp_path: Path):
    """Where the NPU works, a driver and a CANN that are not where they are looked for are no fault."""
    tree = {"npu": {"folder": str(networks)}, "runtime_folder": str(runtime_folder / "run")}
    done = poselift("doctor", "--config", write_config(tmp_path / "config.yaml", tree))
    assert done.returncode == 0, done.stdout
    assert "Ascend310B4" in done.stdout and "missing" not in done.stdout and not done.stderr


def test_the_command_where_there_is_no_board(networks: Path, runtime_folder: Path, tmp_path: Path):
    tree = {"npu": {"folder": str(networks)}, "runtime_folder": str(runtime_folder / "run")}
    done = poselift("doctor", "--config", write_config(tmp_path / "config.yaml", tree))
    assert done.returncode == 1 and "module acl" in done.stdout and not done.stderr


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that makes a systemctl which says these states, and services of the user's that it may be asked about."""
    tool = tmp_path / "bin" / "systemctl"
    tool.parent.mkdir()
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    units = tmp_path / "systemd/user"
    units.mkdir(parents=True)
    (units / TARGET).touch()

    def says(script: str) -> None:
        tool.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "--user is-active {TARGET}" ] || exit 1\n{script}\n')
        tool.chmod(0o755)

    return says


@pytest.mark.parametrize(
    ("states", "ok", "words"),
    [
        ("active active active active inactive", True, "active"),
        ("inactive inactive inactive inactive inactive", True, "systemctl --user start poselift.target"),
        ("active active failed active inactive", False, "poselift@detect.service is failed"),
        ("active activating active active inactive", False, "poselift@capture.service is activating"),
    ],
)
def test_the_state_of_the_services(systemctl, states: str, ok: bool, words: str):
    systemctl(f"printf '%s\\n' {states}; exit 3")
    (finding,) = service.look(Config())
    assert (finding.ok, finding.missing) == (ok, not ok) and words in f"{finding.found} {finding.remedy}"


def test_a_systemd_that_does_not_answer(systemctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    os.mkfifo(tmp_path / "never")
    monkeypatch.setattr(service, "PATIENCE_S", 0.2)
    systemctl(f"exec cat {tmp_path / 'never'}")
    (finding,) = service.look(Config())
    assert not finding.ok and not finding.missing and "does not answer" in finding.found


def test_no_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert list(service.look(Config())) == []
