from __future__ import annotations

import pytest

from poselift.app.redact import display_name, printable


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.9:554/live", "rtsp://***@10.0.0.9:554/live"),
        ("rtsp://admin:se%40cret%2F@cam/live", "rtsp://***@cam/live"),
        ("rtsp://admin@cam/live", "rtsp://***@cam/live"),
        ("RTSPS://admin:secret@cam/live?x=1", "RTSPS://***@cam/live?x=1"),
        ("rtsp://admin:se@cret/word@cam/live", "rtsp://***@cam/live"),
        ("rtsp:/admin:secret@cam/live", "rtsp:/***@cam/live"),
        ("rtsp//admin:secret@cam/live", "***@cam/live"),
        ("admin:secret@cam", "***@cam"),
        ("'rtsp://admin:secret@cam/token=secret'", "'rtsp://***@cam/token=***"),
        ("rtsp://cam/user=admin&password=secret&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("rtsp://cam/user=admin_password=secret_channel=1", "rtsp://cam/user=***"),
        ("rtsp://cam/live?Token=secret&stream=2", "rtsp://cam/live?Token=***&stream=2"),
    ],
)
def test_user_and_password_are_not_shown(source, shown):
    assert display_name(source) == shown
    assert "secret" not in display_name(source)


@pytest.mark.parametrize(
    "source",
    [
        "0",
        "/dev/video0",
        "rtsp://10.0.0.9:554/live",
        "test:640x480@30",
        "test:640x480@30,frames=9",
        "/data/user=bob/a.mp4",
        "a@b.mp4",
        "/data/me@home 12:30/a.mp4",
    ],
)
def test_a_source_without_secrets_stays_as_it_is(source):
    assert display_name(source) == source


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("rtsp://me:secret@cam/live: gone; type: up rtsp://me:secret@cam", "rtsp://***@cam/live: gone; type: up rtsp://***@cam"),
        ("No such command 'rtsp:/me:se cret@cam'.", "No such command 'rtsp:/***@cam'."),
        ("rtsp://***@cam/live: refused; write @ as %40", "rtsp://***@cam/live: refused; write @ as %40"),
        ("rtsp://cam/live?password=secret: gone", "rtsp://cam/live?password=*** gone"),
        ("a\nb\x1b[31m\udcff.mp4: gone", r"a\nb\x1b[31m\udcff.mp4: gone"),
        ("视频 a@b.mp4: see 127.0.0.1:5570", "视频 a@b.mp4: see 127.0.0.1:5570"),
    ],
)
def test_a_line_is_one_line_without_secrets(line, shown):
    assert printable(line) == shown
