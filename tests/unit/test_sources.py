from __future__ import annotations

import pytest
from made_video import numbered, write_video

from poselift.app.config import CaptureConfig
from poselift.common.errors import UserError
from poselift.workers.sources import KINDS, file_source, identity, kind_of, open_source
from poselift.workers.sources.pictures import PictureFolder
from poselift.workers.sources.video import VideoFile


def test_each_source_is_opened_by_its_kind(tmp_path):
    kinds = {
        "v4l2": ("0", "/dev/video2"),
        "csi": ("csi:0",),
        "rtsp": ("rtsp://cam/live", "RTSPS://cam/live"),
        "pattern": ("test:640x480@30",),
        "pictures": (str(tmp_path),),
        "replay": ("session.mcap", "SESSION.MCAP"),
        "video": (str(tmp_path / "a.mp4"), "concat:a.mp4"),
    }
    for file, sources in kinds.items():
        assert {kind_of(source).named.split(":")[0] for source in sources} == {file}
    assert [kind.named.split(":")[0] for kind in KINDS] == [*kinds]


def test_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_video(tmp_path / "a.mp4", numbered(2))
    (tmp_path / "folder").mkdir()
    write_video(tmp_path / "folder" / "a.png", numbered(1), codec="png", pixel_format="rgb24", update="1")
    assert isinstance(open_source(CaptureConfig(source="~/a.mp4")), VideoFile)
    assert isinstance(open_source(CaptureConfig(source="~/folder")), PictureFolder)


def test_an_unknown_kind_names_those_there_are_and_no_password():
    with pytest.raises(UserError) as error:
        open_source(CaptureConfig(source="http://me:secret@cam/video.mjpg"))
    text = str(error.value)
    assert text.startswith("http://***@cam/video.mjpg: no such kind of source; give ")
    assert all(kind.what in text for kind in KINDS)
    assert "secret" not in text


def test_a_strange_name_is_a_file_that_is_not_there():
    for source in ("", "\0", "x" * 5000, "~nobody-of-this-name/a.mp4"):
        with pytest.raises(UserError) as error:
            open_source(CaptureConfig(source=source))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["1", "./1", "1/", "csi:0", "test:a", "rtsp:x", "~a.mp4", "-o", "video 0", "a\nb", "x" * 255])
def test_for_commands_that_take_no_camera_what_is_there_is_meant(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / name
    place.touch() if place.suffix else place.mkdir()
    source = file_source(name)
    assert source == str(place)
    assert kind_of(source).named in ("pictures:PictureFolder", "video:VideoFile")


def test_for_commands_that_take_no_camera_a_home_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "1").mkdir()
    assert file_source("~/1") == str(tmp_path / "1")


@pytest.mark.parametrize("source", ["7", "rtsp://me:secret@cam/live", "RTSP://me:secret@cam", "csi:0", "/dev/video7", "/dev/null"])
def test_for_commands_that_take_no_camera_one_is_refused_unopened(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="this is a camera, and has no end; type: poselift up ") as error:
        file_source(source)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("opened", [file_source, lambda source: open_source(CaptureConfig(source=source))])
def test_nothing_is_not_this_folder(opened):
    with pytest.raises(UserError, match="the source is empty"):
        opened("")


def test_an_address_with_a_typo_shows_no_password_either():
    for source in ("rtsp:/me:secret@cam/live", "me:secret@cam/live.mp4"):
        assert file_source(source) == source
        with pytest.raises(UserError) as error:
            open_source(CaptureConfig(source=source))
        assert "secret" not in str(error.value)


def test_what_a_source_names_has_a_number_of_its_own(tmp_path):
    clip, folder = tmp_path / "a.mp4", tmp_path / "folder"
    clip.write_bytes(b"one")
    folder.mkdir()

    def numbers(**settings):
        sources = ("0", "rtsp://cam/live", "test:640x480@30", str(clip), str(folder), str(tmp_path / "missing"), "\0")
        return [identity(CaptureConfig(source=source, **settings)) for source in sources]

    before = numbers()
    assert len(set(before)) == len(before) and 0 not in before
    assert numbers() == before and numbers(reopen_pause_s=9.0) == before
    clip.unlink()
    clip.write_bytes(b"another")
    (folder / "a.png").touch()
    assert [a == b for a, b in zip(before, numbers())] == [True, True, True, False, False, True, True]
    assert [a == b for a, b in zip(numbers(), numbers(fps=12.0))] == [True, True, False, False, False, False, False], (
        "of a file, other times"
    )
    assert all(number < 2**63 for number in before)
