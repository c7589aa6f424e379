"""The settings: the file shows the defaults, and a mistake is one line that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from poselift.app.config import Config, Section, load, parse, redacted, save
from poselift.common.errors import UserError

FILE = Path(__file__).parents[2] / "config.yaml"


def mistake(tree: object) -> str:
    with pytest.raises(UserError) as caught:
        parse(tree, "here")
    line = str(caught.value)
    assert line.startswith("here: ") and "\n" not in line
    return line


def mistake_in_file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


def leaves(tree: dict, prefix: str = "") -> set[str]:
    return {
        leaf for key, value in tree.items() for leaf in (leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key})
    }


def test_the_file_holds_every_key_with_its_default() -> None:
    assert load(FILE) == Config() == load(None)
    assert leaves(yaml.safe_load(FILE.read_text())) == leaves(Config().model_dump())


def test_every_setting_in_the_file_has_a_comment() -> None:
    settings = [line for line in FILE.read_text().splitlines() if re.match(r" *\w+: *\S", line)]
    assert len(settings) == len(leaves(Config().model_dump()))
    assert [line for line in settings if len(line.partition("# ")[2].split()) < 3] == []


def test_every_number_has_limits() -> None:
    """A number that may be anything is a mistake that is noticed late; the exposure is in the driver's own unit."""
    sections = [Config, *(field.annotation for field in Config.model_fields.values())]
    free = [
        f"{section.__name__}.{name}"
        for section in sections
        if isinstance(section, type) and issubclass(section, Section)
        for name, field in section.model_fields.items()
        if ("int" in str(field.annotation) or "float" in str(field.annotation)) and not field.metadata
    ]
    assert free == ["CaptureConfig.exposure"]


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert load(tmp_path / "empty.yaml") == Config()


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mode: file\nlift: {body_height_m: 2}\n")
    assert load(tmp_path / "mine.yaml") == Config().changed(mode="file", lift={"body_height_m": 2.0})


@pytest.mark.parametrize(
    ("tree", "parts"),
    [
        ({"captrue": {}}, ("unknown key captrue", "known here: mode", "capture")),
        ({"lift": {"slotts": 3}}, ("unknown key lift.slotts", "3", "known here: model", "threads")),
        ({"detect": {"threads": "two"}}, ("detect.threads", "'two'", "valid integer")),
        ({"detect": {"threads": 1.5}}, ("detect.threads", "1.5", "integer")),
        ({"detect": {"threads": True}}, ("detect.threads", "True", "integer")),
        ({"detect": {"threads": 0}}, ("detect.threads", "0", "greater than or equal to 1")),
        ({"detect": {"min_detection_score": 1}}, ("detect.min_detection_score", "1", "less than 1")),
        ({"detect": {"min_detection_score": 0}}, ("detect.min_detection_score", "0", "greater than 0")),
        ({"detect": {"min_presence": 1.01}}, ("detect.min_presence", "1.01", "less than or equal to 1")),
        ({"lift": {"body_heights_m": {2: 17}}}, ("lift.body_heights_m.2: 17 ", "less than or equal to 3")),
        ({"lift": {"body_heights_m": {0: 1.8}}}, ("lift.body_heights_m.0: 0", "greater than or equal to 1")),
        ({"lift": {"body_heights_m": {"Anna": 1.8}}}, ("lift.body_heights_m.Anna: 'Anna'", "valid integer")),
        ({"lift": {"body_heights_m": [1.8]}}, ("lift.body_heights_m: [1.8]", "valid dictionary")),
        ({"capture": {"source": 0}}, ("capture.source", "0", "valid string")),
        ({"capture": {"pixel_format": "MJPEG"}}, ("capture.pixel_format", "'MJPEG'", "at most 4")),
        ({"capture": {"fps": float("nan")}}, ("capture.fps", "nan", "finite")),
        ({"bus": {"wait_for_takers_s": float("inf")}}, ("bus.wait_for_takers_s", "inf", "finite")),
        ({"capture": None}, ("capture", "None", "valid dictionary")),
        ({"mode": "fast"}, ("mode", "'fast'", "'live' or 'file'")),
        ({"workers": ["capture", "show"]}, ("workers.1", "'show'", "'capture', 'detect', 'lift', 'record', 'serve' or 'metrics'")),
        ({"workers": []}, ("workers", "[]", "at least 1 item")),
        ({"record": {"name": "../x"}}, ("record.name", "'../x'", "pattern")),
        ({"metrics": {"address": "0.0.0.0:9570"}}, ("metrics.address", "'0.0.0.0:9570'", "this machine's own", "127.0.0.1:9570")),
        ({"record": {"pictures": "webp"}}, ("record.pictures", "'webp'", "'jpeg', 'png' or 'none'")),
        ({1: 2}, ("1", "keys should be strings")),
        (["mode"], ("the file", "['mode']", "dictionary")),
        ("mode", ("the file", "'mode'", "dictionary")),
    ],
)
def test_a_mistake_names_the_key_the_value_and_what_is_allowed(tree: object, parts: tuple[str, ...]) -> None:
    line = mistake(tree)
    assert [part for part in parts if part not in line] == []


def test_all_mistakes_are_told_at_once() -> None:
    line = mistake({"mode": "fast", "detect": {"people": 99}})
    assert "mode" in line and "detect.people" in line


def test_whole_numbers_may_stand_for_others() -> None:
    assert parse({"lift": {"body_height_m": 2}}, "here").lift.body_height_m == 2.0


@pytest.mark.parametrize("content", [b"mode: [live", b"\tmode: live", b"mode: live\nlift: a: b", b"&a [*b]", b"a: \x00"])
def test_what_is_not_yaml(tmp_path: Path, content: bytes) -> None:
    assert "not valid YAML" in mistake_in_file(tmp_path / "c.yaml", content)


def test_where_the_yaml_breaks(tmp_path: Path) -> None:
    assert "line 2, column 8" in mistake_in_file(tmp_path / "c.yaml", b"mode: live\nlift: a: b\n")


def test_a_date_that_does_not_exist(tmp_path: Path) -> None:
    assert "month must be in 1..12" in mistake_in_file(tmp_path / "c.yaml", b"record: {name: 2024-13-45}")


def test_what_is_not_text(tmp_path: Path) -> None:
    assert "not UTF-8" in mistake_in_file(tmp_path / "c.yaml", "mode: \xe9".encode("latin-1"))


def test_files_are_utf8_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ascii")
    (tmp_path / "c.yaml").write_bytes("capture: {source: /vidéos/é.mp4}".encode())
    assert load(tmp_path / "c.yaml").capture.source == "/vidéos/é.mp4"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.yaml: cannot read this config file \(No such file"):
        load(tmp_path / "missing.yaml")
    with pytest.raises(UserError, match=r"cannot read this config file .*directory"):
        load(tmp_path)


@pytest.mark.parametrize("source", ["rtsp://me:hunter2@cam/1", "rtsp://cam/1?password=hunter2", "RTSP://me:hunt/er@hunter2@cam:554/1"])
def test_no_password_leaves_through_redacted(source: str) -> None:
    text = redacted(Config().changed(capture={"source": source}))
    assert "hunter2" not in text and "cam" in text and "***" in text
    assert leaves(yaml.safe_load(text)) == leaves(Config().model_dump())


@pytest.mark.parametrize(
    "content",
    [
        b"capture: rtsp://me:hunter2@cam/1",
        b"capture: {source: [rtsp://me:hunter2@cam/1]}",
        b"capture: {surce: rtsp://me:hunter2@cam/1}",
        b"capture: {source: rtsp://me:hunter2@cam/" + b"x" * 200 + b", fps: no}",
        b"source: 'rtsp://me:hunter2@cam/1",
        b"capture:\n  source: rtsp://me: hunter2@cam/1\n",
        b'capture:\n  source: "rtsp://me:\\hunter2@cam/1"\n',
    ],
)
def test_no_password_leaves_through_an_error(tmp_path: Path, content: bytes) -> None:
    assert "hunter2" not in mistake_in_file(tmp_path / "c.yaml", content)


def test_a_saved_config_is_read_back_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("something longer that was there before, readable by all" * 100)
    path.chmod(0o644)
    lift = {"body_heights_m": {1: 1.83, 12: 1.2}}
    config = Config().changed(mode="file", capture={"source": "rtsp://é:pw@cam", "fps": 29.97}, lift=lift, workers=["lift"])
    save(config, path)
    assert load(path) == config
    assert path.stat().st_mode & 0o777 == 0o600


def test_changes_are_checked_like_a_file() -> None:
    with pytest.raises(UserError, match=r"settings: detect\.people: 0 is not allowed"):
        Config().changed(detect={"people": 0})


def test_record_runs_only_where_it_has_a_folder() -> None:
    assert Config().running == ("capture", "detect", "lift")
    assert Config().changed(record={"folder": "out"}, workers=["record", "lift", "capture"]).running == ("capture", "lift", "record")


def test_a_worker_that_does_not_run_says_what_it_lacks() -> None:
    assert [Config().lacks(worker) for worker in ("capture", "record", "serve")] == ["", "record.folder", "serve.address"]
    assert Config().changed(mode="file").lacks("metrics") == "metrics.address and mode: live"
    config = Config().changed(workers=["record", "serve"], mode="file", serve={"address": "127.0.0.1:5570"})
    assert config.lacks("lift") == "a place in workers"
    assert config.nothing_runs() == "nothing to run: record needs record.folder; serve needs mode: live" and Config().nothing_runs() == ""


def test_the_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config().changed(runtime_folder="/run/x").runtime_path() == Path("/run/x")
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("os.getuid", lambda: 7)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert Config().runtime_path() == Path("/run/user/7/poselift-7")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert Config().runtime_path().name == "poselift-7"
