"""`poselift service`: what is written, what is refused, and that uninstalling takes away exactly what installing brought."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from poselift.app.cli import service
from poselift.app.cli.doctor.service_npu import MOUNTS
from poselift.app.cli.service import Place, cann_environment, install, uninstall
from poselift.app.cli.units import CANN, EVERY, SERVICE, SYSTEM, TARGET, instance, mounts, quoted, unit_files
from poselift.app.config import Config
from poselift.app.dataflow.streams import WORKERS
from poselift.common.errors import UserError

METRICS = {"address": "127.0.0.1:9570"}
SCRIPT = Path("/opt/poselift/bin/poselift")
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def make(**sections: Any) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(sections))
        return path

    return make


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """A systemd of this user that takes every command; a function that gives those it was told."""
    told = tmp_path / "told"
    told.touch()
    command = tmp_path / "bin" / "systemctl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(told))}\n')
    command.chmod(0o755)
    (tmp_path / "run" / "systemd").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return lambda: told.read_text().splitlines()


def made(config: Config, **options: Any) -> dict[str, str]:
    return unit_files(config, options.pop("path", None), SCRIPT, **{"system": True, "groups": ("video",), "cann": {}, **options})


def values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def refusal(call: Callable[[], None]) -> str:
    with pytest.raises(UserError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_services_of_a_system_with_a_recorder_and_an_npu() -> None:
    serve, npu = {"address": "127.0.0.1:5570"}, {"folder": "/opt/om", "device": 2}
    config = Config().changed(record={"folder": "/data/rec"}, serve=serve, metrics=METRICS, npu=npu)
    files = made(config, path=Path("/etc/pose lift%.yaml"), groups=("video", "HwHiAiUser"), cann={"ASCEND_OPP_PATH": "/a b"})
    assert set(files) == {*EVERY} - {mounts("detect"), mounts("lift")}
    light = {worker for worker in WORKERS if values(files[instance(worker)], "CPUWeight")}
    assert light == {"record", "serve", "metrics"}
    assert not re.search("@[A-Z]+@", "".join(files.values()))
    assert values(files[SERVICE], "ExecStart") == [f'{SCRIPT} run %i --config "/etc/pose lift%%.yaml"']
    assert values(files[TARGET], "Wants") == [" ".join(f"poselift@{worker}.service" for worker in WORKERS)]
    assert values(files[TARGET], "WantedBy") == ["multi-user.target"]
    assert values(files[SYSTEM], "SupplementaryGroups") == ["video HwHiAiUser"]
    assert values(files[SYSTEM], "DeviceAllow") == ["char-video4linux rw"]
    assert {"/dev/davinci2 rw", "/dev/davinci_manager rw"} <= {*values(files[instance("detect")], "DeviceAllow")}
    assert values(files[instance("record")], "ReadWritePaths") == ["/data/rec"]
    assert values(files[CANN], "Environment") == ['"ASCEND_OPP_PATH=/a b"']


def test_a_user_has_neither_account_nor_devices_to_give() -> None:
    files = made(Config(), system=False)
    assert set(files) == {SERVICE, TARGET, instance("capture"), instance("detect")}
    assert values(files[SERVICE], "ExecStart") == [f"{SCRIPT} run %i"]
    assert values(files[TARGET], "Wants") == ["poselift@capture.service poselift@detect.service poselift@lift.service"]
    assert values(files[TARGET], "WantedBy") == ["default.target"]


def test_each_worker_starts_behind_those_that_take_from_it() -> None:
    files = made(Config().changed(record={"folder": "/var/lib/poselift/rec"}, serve={"address": "127.0.0.1:5570"}, metrics=METRICS))
    after = {worker: {*values(files.get(instance(worker), ""), "After")} for worker in WORKERS}
    assert after == {
        "capture": {"poselift@detect.service", "poselift@record.service", "poselift@serve.service"},
        "detect": {"poselift@lift.service", "poselift@record.service", "poselift@serve.service", "poselift@metrics.service"},
        "lift": {"poselift@record.service", "poselift@serve.service", "poselift@metrics.service"},
        "record": set(),
        "serve": set(),
        "metrics": set(),
    }
    assert "ReadWritePaths" not in "".join(files.values())  # the state folder is writable as it is


@pytest.mark.parametrize(
    ("uses", "workers"),
    [
        ({}, set()),
        ({"npu": {"folder": "/m"}}, {"detect", "lift"}),
        ({"npu": {"folder": "/m"}, "lift": {"model": "/m/x.onnx"}}, {"detect"}),
        ({"lift": {"model": "/m/x.om"}}, {"lift"}),
        ({"capture": {"source": "csi:0"}}, {"capture"}),
    ],
)
def test_who_opens_the_npu_may_and_has_no_mount_namespace_of_its_own(uses: dict[str, Any], workers: set[str]) -> None:
    config = Config().changed(**uses, record={"folder": "/var/lib/poselift/rec"})
    files = made(config)
    assert {worker for worker in WORKERS if "/dev/davinci0 rw" in values(files.get(instance(worker), ""), "DeviceAllow")} == workers
    assert {worker for worker in WORKERS if mounts(worker) not in files} == workers
    assert "davinci" not in "".join(made(config, system=False).values())


def test_what_makes_a_mount_namespace_is_in_a_file_of_its_own() -> None:
    """Of those settings that the doctor looks for; a real systemd is asked in tests/processes."""
    files = made(Config().changed(npu={"folder": "/m"}))
    apart = {name: value for name, _, value in (line.partition("=") for line in files[mounts("capture")].splitlines()) if name in MOUNTS}
    assert {"ProtectSystem", "ProtectHome", "PrivateTmp", "ProtectProc"} <= {*apart} and "no" not in apart.values()
    for name in (SERVICE, SYSTEM, instance("detect")):
        assert not [line for line in files.get(name, "").splitlines() if line.partition("=")[0] in MOUNTS], name
    assert "MemoryMax" not in files[SYSTEM] + files[instance("detect")] and values(files[mounts("capture")], "MemoryMax") == ["1G"]


@pytest.mark.parametrize(
    ("word", "written"), [("/a/b", "/a/b"), ("a b", '"a b"'), ("100%", "100%%"), ('a"b\\', '"a\\"b\\\\"'), ("", '""'), ("a;b", '"a;b"')]
)
def test_words_are_quoted(word: str, written: str) -> None:
    assert quoted(word) == written


def test_canns_environment_is_taken_where_it_was_sourced() -> None:
    paths = {"LD_LIBRARY_PATH": "/usr/local/Ascend/lib64", "PYTHONPATH": "/usr/local/Ascend/python"}
    ours = {"ASCEND_OPP_PATH": "/usr/local/Ascend/opp", **paths}
    assert cann_environment({**ours, "HOME": "/root", "SECRET": "x"}) == ours
    assert cann_environment({**paths, "HOME": "/root"}) == {}


@pytest.mark.parametrize("sourced", ["/usr/local/Ascend/lib64", ""])
def test_the_200_dks_driver_stays_beside_what_set_env_has_set(tmp_path: Path, sourced: str) -> None:
    """Its ~/.bashrc alone has the driver's folder, and a sudo or a set_env.sh in another order loses it."""
    environment = {"ASCEND_OPP_PATH": "/usr/local/Ascend/opp", "LD_LIBRARY_PATH": sourced}
    assert cann_environment(environment, tmp_path).get("LD_LIBRARY_PATH", "") == sourced, "another board"
    (tmp_path / "libmedia_mini.so").touch()
    both = f"{sourced}:{tmp_path}".lstrip(":")
    assert cann_environment(environment, tmp_path)["LD_LIBRARY_PATH"] == both
    assert cann_environment({**environment, "LD_LIBRARY_PATH": both}, tmp_path)["LD_LIBRARY_PATH"] == both
    assert cann_environment({"LD_LIBRARY_PATH": sourced}, tmp_path) == {}, "set_env.sh was not sourced"


def test_what_is_installed_is_removed_and_nothing_else(
    systemctl: Callable[[], list[str]], tmp_path: Path, save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "config" / "systemd" / "user" / "poselift@.service.d" / "override.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[Service]\nWatchdogSec=60\n")
    before = sorted(tmp_path.rglob("*"))
    path = save(record={"folder": str(tmp_path)})
    install(True, False, path)
    folder = own.parent.parent
    assert str(path) in (folder / SERVICE).read_text()
    assert (folder / instance("lift")).exists()
    assert systemctl() == ["--user daemon-reload"]
    assert "systemctl --user enable --now poselift.target" in capsys.readouterr().err
    install(True, False, save())  # again, without a recorder
    assert not (folder / instance("lift")).parent.exists()
    assert "record" not in (folder / TARGET).read_text()
    uninstall(True, False)
    assert systemctl()[2:] == [
        "--user disable --now poselift.target",
        "--user stop poselift@*.service",
        "--user daemon-reload",
        "--user reset-failed poselift@*.service",
    ]
    path.unlink()
    assert sorted(tmp_path.rglob("*")) == before
    assert "not installed as a service" in refusal(lambda: uninstall(True, False))


def test_services_are_as_patient_as_the_supervisor() -> None:
    config = Config().changed(supervisor={"start_timeout_s": 1_000_000.0, "silent_timeout_s": 2.5})
    text = unit_files(config, None, Path("/x/poselift"), system=False, groups=(), cann={})[SERVICE]
    assert "TimeoutStartSec=1000000000ms\n" in text and "WatchdogSec=2500ms\n" in text


def test_a_dry_run_prints_all_and_changes_nothing(
    systemctl: Callable[[], list[str]], tmp_path: Path, save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save()
    before = sorted(tmp_path.rglob("*"))
    install(True, True, path)
    printed = capsys.readouterr().out
    for name, text in unit_files(
        Config(), path, Path(service.sys.executable).with_name("poselift"), system=False, groups=(), cann={}
    ).items():
        assert f"# write {tmp_path / 'config' / 'systemd' / 'user' / name}\n{text}" in printed
    assert printed.endswith("# run systemctl --user daemon-reload\n")
    install(True, False, path)
    capsys.readouterr()
    uninstall(True, True)
    assert f"# remove {tmp_path / 'config' / 'systemd' / 'user' / SERVICE}\n" in capsys.readouterr().out
    uninstall(True, False)
    assert sorted(tmp_path.rglob("*")) == sorted((*before, tmp_path / "config", *(tmp_path / "config").rglob("*")))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"mode": "file"}, "mode is file; services run live"),
        ({"workers": ["record"]}, "nothing to run"),
        ({"record": {"folder": "rec"}}, "record.folder: rec is relative"),
        ({"capture": {"source": "clip.mp4"}}, "capture.source: clip.mp4 is relative"),
        ({"lift": {"model": "a.onnx"}}, "lift.model: a.onnx is relative"),
        ({"detect": {"model": "a.onnx"}}, "detect.model: a.onnx is relative"),
        ({"fps": 3}, "unknown key fps"),
    ],
)
def test_a_config_that_no_service_can_run_with(
    systemctl: Callable[[], list[str]], save: Save, sections: dict[str, Any], words: str
) -> None:
    path = save(**sections)
    line = refusal(lambda: install(True, False, path))
    assert words in line and str(path) in line
    assert systemctl() == []


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({}, "runtime_folder is null; services of the system have theirs in /run/poselift"),
        ({"runtime_folder": "/dev/shm/x"}, "runtime_folder is /dev/shm/x"),
        ({"runtime_folder": "/run/poselift"}, "models_folder is null"),
        ({"runtime_folder": "/run/poselift", "models_folder": "/home/me/models"}, "do not see /"),
    ],
)
def test_a_config_that_no_service_of_the_system_can_run_with(save: Save, sections: dict[str, Any], words: str) -> None:
    path = save(**sections)
    assert words in refusal(lambda: install(False, True, path))
    assert "--config FILE is needed" in refusal(lambda: install(False, True, None))


def test_the_services_user_must_be_able_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "HIDDEN", ())
    monkeypatch.setattr(service, "ACCOUNT", "nobody-of-this-name")
    tmp_path.chmod(0o755)
    ask = service._may
    monkeypatch.setattr(service, "_may", lambda path, need: path in tmp_path.parents or ask(path, need))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert f"{closed}: the services' user, nobody-of-this-name, may not enter it" in refusal(lambda: service._check_open(closed / "x", 4))
    file = tmp_path / "c.yaml"
    file.touch(0o600)
    assert "may not read it" in refusal(lambda: service._check_open(file, 4))
    file.chmod(0o644)
    service._check_open(file, 4)
    assert "may not write in it" in refusal(lambda: service._check_open(tmp_path, 2))
    assert "does not exist" in refusal(lambda: service._check_open(tmp_path / "nothing", 4))


def test_only_root_may_change_the_system_and_only_where_systemd_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = Place(True, tmp_path, ("systemctl",), tmp_path, False)
    monkeypatch.setattr(service.shutil, "which", lambda name: "/bin/" + name)
    monkeypatch.setattr(service.os, "geteuid", lambda: 1000)
    assert "root's: sudo, or --user" in refusal(here.ready)
    monkeypatch.setattr(service.os, "geteuid", lambda: 0)
    here.ready()
    assert "systemd does not run this machine" in refusal(here._replace(run=tmp_path / "none").ready)
    assert "runs no services for this user" in refusal(here._replace(run=tmp_path / "none", system=False).ready)
    monkeypatch.setattr(service.shutil, "which", lambda name: None)
    assert "systemd does not run this machine" in refusal(here.ready)
    here._replace(dry_run=True).ready()


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    place = Place(True, tmp_path, ("systemctl",), tmp_path, False)
    assert refusal(lambda: place.call("sh", "-c", "echo one >&2; echo two >&2; exit 3")).endswith(": two")
    assert refusal(lambda: place.call("false")) == "false: exit code 1"
    place.call("false", optional=True)
