"""A camera, against the stand-in: no test here has run on hardware."""

from __future__ import annotations

import itertools
import os
import time

import cv2
import pytest
from fake_camera import FakeCapture, FakeMachine

from app.config import CaptureConfig
from app.errors import UserError
from workers.sources import SourceLost, open_source
from workers.sources.v4l2 import V4l2Source, is_camera


@pytest.fixture
def machine(tmp_path):
    machine = FakeMachine(tmp_path)
    machine.device = machine.plug(0, "HD Webcam")
    return machine


def opened(machine, prepare=lambda capture: None, lost_after_s=0.2, **settings):
    """(source, the capture behind it)."""
    captures = []

    def capture(path, backend):
        captures.append(FakeCapture(path, backend))
        prepare(captures[-1])
        return captures[-1]

    try:
        source = V4l2Source(CaptureConfig(**{"source": "0", **settings}), capture, machine.folders, lost_after_s)
    except UserError:
        assert all(capture.released for capture in captures)
        raise
    return source, captures[0]


def refusal(machine, **settings):
    with pytest.raises(UserError) as error:
        opened(machine, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def numbers(pictures):
    return [int(picture.pixels[0, 0, 0]) for picture in pictures]


def test_pictures_in_order(machine):
    source, capture = opened(machine)
    assert (source.live, source.fps, source.frames, source.note) == (True, 30.0, None, "")
    assert source.name == f"{machine.device} (HD Webcam)"
    assert numbers(itertools.islice(source, 5)) == [0, 1, 2, 3, 4]
    source.close()
    assert capture.released


def test_by_the_path_of_the_device(machine):
    link = machine.folders.dev / "by-id"
    link.symlink_to(machine.device)
    source, _ = opened(machine, source=str(link))
    assert source.name == f"{link} (HD Webcam)"


def test_what_is_asked_for_is_set(machine):
    source, capture = opened(machine, width_px=1280, height_px=720, fps=15.0, pixel_format="MJPG", exposure=80.0, buffers=2)
    assert capture.size == (1280, 720)
    assert capture.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert capture.values[cv2.CAP_PROP_FPS] == 15
    assert capture.values[cv2.CAP_PROP_BUFFERSIZE] == 2
    assert (capture.values[cv2.CAP_PROP_AUTO_EXPOSURE], capture.values[cv2.CAP_PROP_EXPOSURE]) == (1, 80)
    assert source.fps == 15
    assert next(iter(source)).pixels.shape == (720, 1280, 3)
    assert source.note == ""


def test_an_exposure_that_was_left_manual_becomes_automatic(machine):
    _, capture = opened(machine, lambda capture: capture.values.update({cv2.CAP_PROP_AUTO_EXPOSURE: 1.0}))
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"width_px": 1920, "height_px": 1080}, "size 1920x1080: it gives 1280x720"),
        ({"fps": 60.0}, "fps 60: it gives 30"),
        ({"pixel_format": "H264"}, "pixel_format H264: it gives YUYV"),
    ],
)
def test_what_the_driver_did_not_take_is_told(machine, settings, note):
    source, _ = opened(machine, **settings)
    assert source.note == f"{machine.device} (HD Webcam) did not take {note}"


def test_a_refused_exposure_is_told(machine):
    def without_manual_mode(capture):
        accept = capture.set
        capture.set = lambda key, value: key != cv2.CAP_PROP_AUTO_EXPOSURE and accept(key, value)

    source, _ = opened(machine, without_manual_mode, exposure=80.0)
    assert source.note.endswith("did not take exposure 80.0: refused")


def test_half_a_size_is_refused(machine):
    assert "width_px is 640, height_px is None; give both or neither" in refusal(machine, width_px=640)


def test_the_drivers_timestamps(machine):
    source, capture = opened(machine, lambda capture: setattr(capture, "clock", lambda: time.monotonic() - 0.05))
    pictures = list(itertools.islice(source, 20))
    assert [picture.t_ns for picture in pictures] == [round(stamp * 1e6) * 1000 for stamp in capture.stamps_s]


@pytest.mark.parametrize("clock", [time.time, lambda: 0.0, lambda: time.monotonic() - 3600, lambda: time.monotonic() + 60])
def test_timestamps_of_another_clock_give_way_to_the_arrival(machine, clock):
    source, _ = opened(machine, lambda capture: setattr(capture, "clock", clock))
    before_ns = time.monotonic_ns()
    times = [picture.t_ns for picture in itertools.islice(source, 1, 20)]
    assert before_ns <= times[0] < times[-1] <= time.monotonic_ns()
    assert all(a < b for a, b in zip(times, times[1:]))


def test_a_timestamp_that_stands_still_does_not_stop_time(machine):
    now = time.monotonic() - 0.001
    source, _ = opened(machine, lambda capture: setattr(capture, "clock", lambda: now))
    times = [picture.t_ns for picture in itertools.islice(source, 5)]
    assert all(a < b for a, b in zip(times, times[1:]))


def test_damaged_pictures_are_left_out(machine):
    source, _ = opened(machine, lambda capture: capture.damaged.update({0, 1, 4}))
    assert numbers(itertools.islice(source, 4)) == [2, 3, 5, 6]


def test_unplugged(machine):
    source, _ = opened(machine, lambda capture: setattr(capture, "unplug_after", 3))
    pictures = iter(source)
    assert numbers(itertools.islice(pictures, 3)) == [0, 1, 2]
    with pytest.raises(SourceLost, match=r"\(HD Webcam\): the camera is gone \(unplugged\)"):
        next(pictures)
    source.close()
    assert "no such camera; there is no camera on this machine" in refusal(machine)
    machine.device.touch()
    source, _ = opened(machine)
    assert numbers(itertools.islice(source, 2)) == [0, 1]


def test_a_camera_that_falls_silent_is_lost(machine):
    source, _ = opened(machine, lambda capture: setattr(capture, "silent_after", 3))
    with pytest.raises(SourceLost, match=r"no picture for 0\.2 s"):
        list(source)


def test_an_interrupted_wait_is_no_loss(machine):
    def interrupted(capture):
        grab, calls = capture.grab, itertools.count()
        capture.grab = lambda: next(calls) % 2 == 1 and grab()  # as a signal ends OpenCV's wait

    source, _ = opened(machine, interrupted)
    assert numbers(itertools.islice(source, 4)) == [0, 1, 2, 3]


def test_no_such_index_names_those_there_are(machine):
    machine.plug(2, "Depth Camera")
    machine.plug(10, "Capture Card")
    dev = machine.folders.dev
    expected = (
        f"{dev}/video1: no such camera; there are {dev}/video0 (HD Webcam), {dev}/video2 (Depth Camera), {dev}/video10 (Capture Card)"
    )
    assert refusal(machine, source="1") == expected


def test_no_permission(machine, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root, which tests may run as, may use everything
    assert "no permission for this camera; add yourself to its group" in refusal(machine)


@pytest.mark.parametrize("how", [lambda capture: setattr(capture, "opened", False), lambda capture: setattr(capture, "silent_after", 0)])
def test_busy(machine, how):
    machine.use(machine.device, 4711, "zoom")
    assert refusal(machine, prepare=how) == f"{machine.device} (HD Webcam): busy, in use by zoom (process 4711); stop that first"


def test_no_pictures_and_nobody_to_blame(machine):
    machine.use(machine.plug(1, "HD Webcam"), 4711, "zoom")
    machine.use(machine.device, os.getpid(), "poselift")
    text = refusal(machine, prepare=lambda capture: setattr(capture, "opened", False))
    assert "gives no pictures; it is in use by another user's program, or no camera itself" in text
    assert "/video1 (HD Webcam)" in text


def test_what_is_a_camera():
    assert is_camera("0")
    assert is_camera("/dev/video3")
    assert is_camera("/dev/v4l/by-id/usb-cam-index0")
    assert is_camera("/dev/null")  # a device, if not one that gives pictures
    assert not is_camera("0.mp4")
    assert not is_camera("/dev/shm/video.mp4")
    assert not is_camera("²")


def test_a_camera_that_does_not_exist_on_this_very_machine():
    with pytest.raises(UserError, match=r"^/dev/video9876: no such camera; there "):
        open_source(CaptureConfig(source="9876"))
    with pytest.raises(UserError, match=r"^/dev/full: gives no pictures"):
        open_source(CaptureConfig(source="/dev/full"))
