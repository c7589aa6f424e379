from __future__ import annotations

import pytest
from made_video import numbered, write_video

from app.config import CaptureConfig
from app.errors import UserError
from workers.sources import KINDS, open_source
from workers.sources.pictures import PictureFolder
from workers.sources.video import VideoFile


def kind_of(source: str) -> str:
    return next(kind.what for kind in KINDS if kind.claims(source))


def test_each_source_is_opened_by_its_kind(tmp_path):
    assert kind_of("test:640x480@30") == "test:WIDTHxHEIGHT@FPS"
    assert kind_of("rtsp://cam/live") == kind_of("RTSPS://cam/live") == "rtsp://HOST/PATH"
    assert kind_of("0") == kind_of("/dev/video2") == "a camera's index or /dev path"
    assert kind_of(str(tmp_path)) == "a folder of pictures"
    assert kind_of(str(tmp_path / "a.mp4")) == kind_of("concat:a.mp4") == "a video file"


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
    assert text.startswith("http://***@cam/video.mjpg: no such kind of source; give one of: ")
    assert all(kind.what in text for kind in KINDS)
    assert "secret" not in text


def test_a_strange_name_is_a_file_that_is_not_there():
    for source in ("", "\0", "x" * 5000, "~nobody-of-this-name/a.mp4"):
        with pytest.raises(UserError) as error:
            open_source(CaptureConfig(source=source))
        assert "\n" not in str(error.value)
