"""A camera, against the stand-in: no test here has run on hardware."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import shutil
import subprocess
import termios
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_camera import FakeKernel, FakeMachine

from poselift.app.config import CaptureConfig
from poselift.app.dataflow.ledger import CAMERA_DROPPED, DAMAGED
from poselift.common.errors import UserError
from poselift.workers.sources import CapturedPicture, Lost, SourceLost, open_source
from poselift.workers.sources import videodev2 as v4l2
from poselift.workers.sources.paths import is_camera
from poselift.workers.sources.pixel_formats import FORMATS, Decoder
from poselift.workers.sources.v4l2 import V4l2Source


@pytest.fixture
def machine(tmp_path):
    machine = FakeMachine(tmp_path)
    machine.device = machine.plug(0, "HD Webcam")
    return machine


def opened(machine, prepare=lambda kernel: None, lost_after_s=0.2, **settings):
    """(source, the camera behind it)."""
    settings = {"source": "0", **settings}
    device = Path(settings["source"])
    kernel = FakeKernel(device if device.is_absolute() else machine.folders.dev / f"video{device}")
    prepare(kernel)
    try:
        source = V4l2Source(CaptureConfig(**settings), kernel, machine.folders, lost_after_s)
    except UserError:
        assert not kernel.descriptor, "the camera was not given back"
        raise
    return source, kernel


def refusal(machine, **settings):
    with pytest.raises(UserError) as error:
        opened(machine, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def number(picture):
    """The number of a picture of the stand-in, by its brightness: in YUYV from 16 to 235, in a JPEG from 0 to 255."""
    return round(int(picture.pixels[0, 0, 0]) * 219 / 255)


def given(source, count):
    """So many of what comes: numbers of pictures, and what is lost between."""
    return [it if isinstance(it, Lost) else number(it) for it in itertools.islice(source, count)]


def test_pictures_in_order(machine):
    source, kernel = opened(machine)
    assert (source.live, source.fps, source.frames, source.note) == (True, 30.0, None, "")
    assert source.name == f"{machine.device} (HD Webcam)"
    assert given(source, 9) == [1, 2, 3, 4, 5, 6, 7, 8, 9], "the first was there to see whether pictures come"
    source.close()
    source.close()
    assert not kernel.descriptor and not kernel.streaming


def test_by_the_path_of_the_device(machine):
    link = machine.folders.dev / "by-id"
    link.symlink_to(machine.device)
    source, _ = opened(machine, source=str(link))
    assert source.name == f"{link} (HD Webcam)"


def test_what_is_asked_for_is_set(machine):
    source, kernel = opened(machine, width_px=1280, height_px=720, fps=15.0, pixel_format="MJPG", exposure=80.0, buffers=3)
    assert (kernel.size, kernel.format, kernel.rate) == ((1280, 720), "MJPG", 15)
    assert kernel.controls == {v4l2.EXPOSURE_MODE: v4l2.MANUAL, v4l2.EXPOSURE: 80}
    assert source.fps == 15
    picture = next(iter(source))
    assert isinstance(picture, CapturedPicture) and picture.pixels.shape == (720, 1280, 3)
    assert source.note == ""
    assert kernel.log.count(v4l2.QUERYBUF) == 3


def test_what_is_not_asked_for_is_not_what_another_program_left(machine):
    source, kernel = opened(machine)
    assert (kernel.size, kernel.format, kernel.rate, source.note) == ((640, 480), "YUYV", 30, "")


def test_without_a_wish_the_format_is_one_that_both_know(machine):
    for refuses in (False, True):
        _, kernel = opened(
            machine, lambda kernel, refuses=refuses: kernel.__dict__.update(formats=("H264", "MJPG"), refuses_other_formats=refuses)
        )
        assert kernel.format == "MJPG"
    text = refusal(machine, prepare=lambda kernel: setattr(kernel, "formats", ("H264",)))
    assert text.endswith("it gives H264") and "understood here are YUYV," in text


@pytest.mark.parametrize("modes", [(v4l2.MANUAL, v4l2.APERTURE_PRIORITY), (v4l2.AUTOMATIC, v4l2.MANUAL)])
def test_an_exposure_that_was_left_manual_becomes_automatic(machine, modes):
    _, kernel = opened(machine, lambda kernel: kernel.__dict__.update(auto_modes=modes, controls={v4l2.EXPOSURE_MODE: v4l2.MANUAL}))
    assert kernel.controls[v4l2.EXPOSURE_MODE] in set(modes) - {v4l2.MANUAL}


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"width_px": 1920, "height_px": 1080}, "size 1920x1080: it gives 1280x720"),
        ({"fps": 60.0}, "fps 60: it gives 30"),
        ({"pixel_format": "NV12"}, "pixel_format NV12: it gives YUYV"),
        ({"buffers": 1}, "buffers 1: it has 2"),
    ],
)
def test_what_the_driver_did_not_take_is_told(machine, settings, note):
    source, _ = opened(machine, **settings)
    assert source.note == f"{machine.device} (HD Webcam) did not take {note}"


def test_a_driver_that_refuses_a_format_gives_another(machine):
    source, _ = opened(machine, lambda kernel: setattr(kernel, "refuses_other_formats", True), pixel_format="NV12")
    assert source.note.endswith("pixel_format NV12: it gives YUYV")


def test_a_format_that_nobody_decodes_is_refused(machine):
    assert refusal(machine, pixel_format="H264").startswith("capture.pixel_format is H264, which is not understood here; give one of YUYV,")


def test_a_driver_without_a_rate(machine):
    source, _ = opened(machine, lambda kernel: setattr(kernel, "rates", ()))
    assert (source.fps, source.note) == (0.0, "")


@pytest.mark.parametrize("controls", [{}, {v4l2.EXPOSURE_MODE: 3}])
def test_a_refused_exposure_is_told(machine, controls):
    source, _ = opened(machine, lambda kernel: setattr(kernel, "controls", dict(controls)), exposure=80.0)
    assert source.note.endswith("did not take exposure 80.0: refused")


def test_half_a_size_is_refused(machine):
    assert "width_px is 640, height_px is None; give both or neither" in refusal(machine, width_px=640)


def times_of(source, count):
    return [it.t_ns for it in itertools.islice((it for it in source if isinstance(it, CapturedPicture)), count)]


def test_the_drivers_timestamps(machine):
    source, kernel = opened(machine, lambda kernel: setattr(kernel, "clock", lambda: time.monotonic() - 0.05))
    times = times_of(source, 20)
    assert times == [int(stamp_s) * 10**9 + int(stamp_s % 1 * 1e6) * 1000 for stamp_s in kernel.stamps_s[1:]]


@pytest.mark.parametrize(
    ("clock", "flag"),
    [
        (lambda: time.monotonic() - 0.05, 0),  # an unknown clock
        (lambda: time.monotonic() - 0.05, 0x4000),  # copied from somewhere
        (lambda: 0.0, v4l2.MONOTONIC),
        (lambda: time.monotonic() - 3600, v4l2.MONOTONIC),
        (lambda: time.monotonic() + 60, v4l2.MONOTONIC),
    ],
)
def test_timestamps_that_do_not_tell_give_way_to_the_arrival(machine, clock, flag):
    source, _ = opened(machine, lambda kernel: kernel.__dict__.update(clock=clock, clock_flag=flag))
    before_ns = time.monotonic_ns()
    times = times_of(source, 20)
    assert before_ns <= times[0] < times[-1] <= time.monotonic_ns()
    assert all(a < b for a, b in zip(times, times[1:]))


def test_a_timestamp_that_stands_still_does_not_stop_time(machine):
    now = time.monotonic() - 0.001
    source, _ = opened(machine, lambda kernel: setattr(kernel, "clock", lambda: now))
    times = times_of(source, 5)
    assert all(a < b for a, b in zip(times, times[1:]))


def test_what_the_driver_dropped_is_counted(machine):
    source, kernel = opened(machine)
    pictures = iter(source)
    assert given(pictures, 2) == [1, 2]
    kernel.expose(4 + 3)  # into four buffers
    assert given(pictures, 6) == [3, 4, 5, 6, Lost(3, CAMERA_DROPPED), 10]
    kernel.expose(5)
    assert given(pictures, 6) == [11, 12, 13, 14, Lost(1, CAMERA_DROPPED), 16]


def test_what_came_before_anybody_took_it_is_no_loss(machine):
    source, kernel = opened(machine)
    kernel.expose(50)
    assert given(source, 3) == [51, 52, 53]


def test_a_sequence_number_may_wrap_and_begin_anew(machine):
    source, kernel = opened(machine, lambda kernel: setattr(kernel, "exposed", 2**32 - 3))
    pictures = iter(source)
    assert all(isinstance(it, CapturedPicture) for it in itertools.islice(pictures, 5)), "32 bits wide"
    for begins_at in (0, 2**32 - 6):
        kernel.exposed = begins_at
        assert isinstance(next(pictures), CapturedPicture)
    kernel.expose(4 + 3)
    kinds = [it if isinstance(it, Lost) else "picture" for it in itertools.islice(pictures, 6)]
    assert kinds == [*["picture"] * 4, Lost(3, CAMERA_DROPPED), "picture"]


def test_a_driver_that_does_not_count_drops_nothing_that_is_known(machine):
    source, kernel = opened(machine, lambda kernel: setattr(kernel, "counts", False))
    pictures = iter(source)
    assert given(pictures, 2) == [1, 2]
    kernel.expose(9)
    assert given(pictures, 5) == [3, 4, 5, 6, 12]


def test_damaged_pictures_are_counted_and_left_out(machine):
    source, _ = opened(machine, lambda kernel: kernel.damaged.update({0, 1, 4}))
    lost = Lost(1, DAMAGED)
    assert given(source, 6) == [3, lost, 5, 6, 7, 8]


@pytest.mark.parametrize("pixel_format", ["YUYV", "MJPG"])
def test_pictures_that_come_short_are_damaged(machine, pixel_format):
    source, _ = opened(machine, lambda kernel: kernel.cut.update({2, 3, 5}), pixel_format=pixel_format)
    lost = Lost(1, DAMAGED)
    kinds = [it if isinstance(it, Lost) else "picture" for it in itertools.islice(source, 7)]
    assert kinds == ["picture", lost, lost, "picture", lost, "picture", "picture"]


def test_a_camera_whose_jpegs_never_have_an_end(machine):
    def without_end(kernel):
        picture = kernel._picture
        kernel._picture = lambda *what: picture(*what)[:-2]

    source, _ = opened(machine, without_end, pixel_format="MJPG")
    assert all(isinstance(it, CapturedPicture) for it in itertools.islice(source, 5))


def test_data_that_is_no_jpeg_is_damaged():
    decode = Decoder("MJPG", 64, 48, 0)
    for data in (b"", b"\xff\xd8\xff\xd9", b"\0" * 100):
        assert decode(np.frombuffer(data, np.uint8)) is None


def test_only_damaged_pictures_are_no_pictures(machine):
    source, _ = opened(machine, lambda kernel: kernel.damaged.update(range(3, 10**5)))
    with pytest.raises(SourceLost, match=r"no whole picture for 0\.2 s"):
        list(source)


def test_who_is_busy_for_long_has_not_lost_the_camera(machine):
    source, _ = opened(machine, lost_after_s=0.01)
    pictures = iter(source)
    for _ in range(3):
        assert isinstance(next(pictures), CapturedPicture)
        time.sleep(0.03)


def test_unplugged(machine):
    source, _ = opened(machine, lambda kernel: setattr(kernel, "unplug_after", 4))
    pictures = iter(source)
    assert given(pictures, 3) == [1, 2, 3]
    with pytest.raises(SourceLost, match=r"\(HD Webcam\): the camera is gone \(unplugged\)"):
        next(pictures)
    source.close()
    assert "no such camera; there is no camera on this machine" in refusal(machine)
    machine.device.touch()
    source, _ = opened(machine)
    assert given(source, 2) == [1, 2]


def test_a_camera_that_falls_silent_is_lost(machine):
    source, _ = opened(machine, lambda kernel: setattr(kernel, "silent_after", 3))
    with pytest.raises(SourceLost, match=r"no whole picture for 0\.2 s"):
        list(source)


def test_a_fault_that_passes_is_no_loss(machine):
    source, kernel = opened(machine)
    pictures = iter(source)
    kernel.fails[v4l2.DQBUF] = errno.EIO
    assert isinstance(next(pictures), CapturedPicture)
    kernel.fails[v4l2.DQBUF] = errno.EAGAIN
    assert isinstance(next(pictures), CapturedPicture)
    kernel.fails[v4l2.DQBUF] = errno.EINVAL
    with pytest.raises(SourceLost, match=r"the camera is gone \(Invalid argument\)"):
        next(pictures)


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


def no_stream(kernel):
    kernel.busy.add(v4l2.STREAMON)


@pytest.mark.parametrize(
    "how",
    [
        no_stream,
        lambda kernel: kernel.busy.add(v4l2.S_FMT),
        lambda kernel: kernel.busy.add(v4l2.REQBUFS),
        lambda kernel: setattr(kernel, "silent_after", 0),
        lambda kernel: kernel.damaged.update(range(10**5)),
    ],
)
def test_busy(machine, how):
    machine.use(machine.device, 4711, "zoom")
    assert refusal(machine, prepare=how) == f"{machine.device} (HD Webcam): busy, in use by zoom (process 4711); stop that first"


def test_a_device_that_cannot_be_opened_is_closed_no_more_than_it_was_opened(machine):
    def refuses(kernel):
        def refuse(path):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

        kernel.open = refuse

    assert "gives no pictures" in refusal(machine, prepare=refuses)


@pytest.mark.parametrize("can", [v4l2.CAN_STREAM, v4l2.CAN_CAPTURE, 0x00800000 | v4l2.CAN_STREAM])
def test_a_device_for_other_data_is_no_camera(machine, can):
    assert "or no camera itself" in refusal(machine, prepare=lambda kernel: setattr(kernel, "capabilities", can))


def test_a_device_for_something_else_is_no_camera(machine):
    machine.use(machine.device, 4711, "zoom")
    text = refusal(machine, prepare=lambda kernel: kernel.fails.update({v4l2.QUERYCAP: errno.ENOTTY}))
    assert text == f"{machine.device}: is no camera; there are {machine.device} (HD Webcam)"


def test_a_camera_of_another_interface_is_told_so(machine):
    text = refusal(machine, prepare=lambda kernel: setattr(kernel, "capabilities", v4l2.CAN_CAPTURE_PLANES | v4l2.CAN_STREAM))
    assert "multi-planar interface), which poselift does not know" in text


def test_no_pictures_and_nobody_to_blame(machine):
    machine.use(machine.plug(1, "HD Webcam"), 4711, "zoom")
    machine.use(machine.device, os.getpid(), "poselift")
    text = refusal(machine, prepare=no_stream)
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
    with pytest.raises(UserError, match=r"^/dev/full: is no camera; there "):
        open_source(CaptureConfig(source="/dev/full"))


def a_colourful_picture():
    """uint8 [48, 64, 3] BGR, the same for two by two pixels, as halved colours keep nothing finer."""
    small = np.random.default_rng(3).integers(40, 200, (24, 32, 3)).astype(np.uint8)
    return cv2.cvtColor(cv2.cvtColor(np.kron(small, np.ones((2, 2, 1), np.uint8)), cv2.COLOR_BGR2HSV), cv2.COLOR_HSV2BGR)


def coded(fourcc, picture, gap):
    """`picture` in this format, by the definition of BT.601 for video levels; with a gap behind each row."""
    blue, green, red = (picture[..., channel] / 255 for channel in range(3))
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = {"Y": 16 + 219 * y, "U": 128 + 224 * (blue - y) / 1.772, "V": 128 + 224 * (red - y) / 1.402}
    y, u, v = (np.rint(planes[name]).astype(np.uint8) for name in "YUV")
    height = len(y)

    def rows(plane, gap):
        return np.pad(plane, ((0, 0), (0, gap))).tobytes()

    if fourcc in ("YUYV", "UYVY", "YVYU"):
        pixels = np.empty((height, y.shape[1] * 2), np.uint8)
        channels = {"Y": y, "U": u[:, ::2], "V": v[:, ::2]}
        for letter in "UV":
            pixels[:, fourcc.index(letter) :: 4] = channels[letter]
        pixels[:, fourcc.index("Y") :: 2] = y
        return rows(pixels, gap)
    u, v = u[::2, ::2], v[::2, ::2]
    if fourcc in ("NV12", "NV21"):
        return rows(y, gap) + rows(np.stack([u, v] if fourcc == "NV12" else [v, u], axis=-1).reshape(height // 2, -1), gap)
    if fourcc in ("YU12", "YV12"):
        return rows(y, gap) + b"".join(rows(plane, gap // 2) for plane in ((u, v) if fourcc == "YU12" else (v, u)))
    if fourcc in ("BGR3", "RGB3"):
        return rows((picture if fourcc == "BGR3" else picture[..., ::-1]).reshape(height, -1), gap)
    assert fourcc == "GREY"
    return rows(np.rint(255 * (y.astype(float) - 16) / 219).astype(np.uint8), gap)


@pytest.mark.parametrize("gap", [0, 32])
@pytest.mark.parametrize("fourcc", sorted(set(FORMATS) - {"MJPG", "JPEG"}))
def test_the_colours_of_every_format(fourcc, gap):
    picture = a_colourful_picture()
    data = np.frombuffer(coded(fourcc, picture, gap), np.uint8)
    decode = Decoder(fourcc, 64, 48, len(data) // (72 if fourcc in ("NV12", "NV21", "YU12", "YV12") else 48))
    pixels = decode(data)
    expected = picture if fourcc != "GREY" else np.repeat(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    assert abs(pixels.astype(int) - expected).max() <= 4
    assert decode(data[: len(data) // 2]) is None, "half of it"


@pytest.mark.parametrize("fourcc", ["MJPG", "JPEG"])
def test_the_colours_of_a_jpeg(fourcc):
    picture = cv2.resize(a_colourful_picture(), (640, 480), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].ravel()
    pixels = Decoder(fourcc, 640, 480, 0)(np.concatenate([data, np.zeros(4000, np.uint8)]))  # the driver's buffer is larger
    assert abs(pixels.astype(int) - picture).mean() < 4


def test_the_real_kernel(tmp_path):
    """No camera is here: its requests are answered by a terminal, a pipe and a file."""
    us, them = os.openpty()
    window = (ctypes.c_uint16 * 4)(24, 80, 0, 0)
    v4l2.LINUX.ioctl(us, termios.TIOCSWINSZ, window)
    answer = (ctypes.c_uint16 * 4)()
    v4l2.LINUX.ioctl(them, termios.TIOCGWINSZ, answer)
    assert list(answer) == [24, 80, 0, 0]
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        v4l2.capabilities(v4l2.LINUX, us)
    reading, writing = os.pipe()
    assert not v4l2.LINUX.wait(reading, 0.001)
    os.write(writing, b"x")
    assert v4l2.LINUX.wait(reading, 60)
    path = tmp_path / "memory"
    path.write_bytes(bytes(range(256)) * 32)
    descriptor = v4l2.LINUX.open(path)
    assert bytes(v4l2.LINUX.map(descriptor, 4096, 4096)[:4]) == bytes(range(4))
    v4l2.LINUX.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    for each in (us, them, reading, writing):
        os.close(each)


STRUCTS = {
    "v4l2_capability": v4l2.Capability,
    "v4l2_pix_format": v4l2.PixFormat,
    "v4l2_format": v4l2.Format,
    "v4l2_captureparm": v4l2.CaptureParm,
    "v4l2_streamparm": v4l2.StreamParm,
    "v4l2_requestbuffers": v4l2.RequestBuffers,
    "v4l2_buffer": v4l2.Buffer,
    "v4l2_timecode": v4l2.Timecode,
    "v4l2_control": v4l2.Control,
}
NUMBERS = {
    **{f"VIDIOC_{name}": getattr(v4l2, name) for name in ("QUERYCAP", "G_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF")},
    **{f"VIDIOC_{name}": getattr(v4l2, name) for name in ("STREAMON", "STREAMOFF", "G_PARM", "S_PARM", "S_CTRL")},
    "V4L2_BUF_TYPE_VIDEO_CAPTURE": v4l2.CAPTURE,
    "V4L2_MEMORY_MMAP": v4l2.MMAP,
    "V4L2_CAP_VIDEO_CAPTURE": v4l2.CAN_CAPTURE,
    "V4L2_CAP_STREAMING": v4l2.CAN_STREAM,
    "V4L2_CAP_VIDEO_CAPTURE_MPLANE": v4l2.CAN_CAPTURE_PLANES,
    "V4L2_CAP_DEVICE_CAPS": v4l2.DEVICE_CAPS,
    "V4L2_CAP_TIMEPERFRAME": v4l2.HAS_RATE,
    "V4L2_BUF_FLAG_ERROR": v4l2.ERROR,
    "V4L2_BUF_FLAG_TIMESTAMP_MASK": v4l2.CLOCK,
    "V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC": v4l2.MONOTONIC,
    "V4L2_CID_EXPOSURE_AUTO": v4l2.EXPOSURE_MODE,
    "V4L2_CID_EXPOSURE_ABSOLUTE": v4l2.EXPOSURE,
    "V4L2_EXPOSURE_AUTO": v4l2.AUTOMATIC,
    "V4L2_EXPOSURE_MANUAL": v4l2.MANUAL,
    "V4L2_EXPOSURE_APERTURE_PRIORITY": v4l2.APERTURE_PRIORITY,
    **{f"V4L2_PIX_FMT_{name}": v4l2.number_of(fourcc) for name, fourcc in zip(("YUYV", "NV12", "MJPEG"), ("YUYV", "NV12", "MJPG"))},
    **{f"V4L2_PIX_FMT_{name}": v4l2.number_of(fourcc) for name, fourcc in zip(("BGR24", "YUV420", "GREY"), ("BGR3", "YU12", "GREY"))},
}
PUBLISHED = {  # of 64-bit machines
    "v4l2_capability": 104,
    "v4l2_format": 208,
    "v4l2_streamparm": 204,
    "v4l2_requestbuffers": 20,
    "v4l2_buffer": 88,
    "VIDIOC_QUERYCAP": 0x80685600,
    "VIDIOC_S_FMT": 0xC0D05605,
    "VIDIOC_REQBUFS": 0xC0145608,
    "VIDIOC_DQBUF": 0xC0585611,
    "VIDIOC_STREAMON": 0x40045612,
    "VIDIOC_S_PARM": 0xC0CC5616,
    "VIDIOC_S_CTRL": 0xC008561C,
}


def test_structures_and_numbers_are_those_that_are_published():
    ours = {**{name: ctypes.sizeof(struct) for name, struct in STRUCTS.items()}, **NUMBERS}
    assert {name: ours[name] for name in PUBLISHED} == PUBLISHED


@pytest.mark.skipif(
    not (shutil.which("cc") and Path("/usr/include/linux/videodev2.h").exists()), reason="needs a C compiler and linux/videodev2.h"
)
def test_structures_and_numbers_are_those_of_the_kernels_header(tmp_path):
    fields = [
        (name, field)
        for name, struct in STRUCTS.items()
        for field, _ in struct._fields_
        if field not in ("reserved", "reserved2", "raw_data")
    ]
    fields = [(name, field) for name, field in fields if (name, field) not in (("v4l2_buffer", "m"), ("v4l2_format", "fmt"))]
    lines = [f'printf("%zu\\n", sizeof(struct {name}));' for name in STRUCTS]
    lines += [f'printf("%zu\\n", offsetof(struct {name}, {field}));' for name, field in fields]
    lines += ['printf("%zu\\n", offsetof(struct v4l2_buffer, m.offset));', 'printf("%zu\\n", offsetof(struct v4l2_format, fmt.pix));']
    lines += [f'printf("%llu\\n", (unsigned long long)(unsigned int){name});' for name in NUMBERS]
    (tmp_path / "a.c").write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <linux/videodev2.h>\nint main(void) {" + "\n".join(lines) + "return 0;}"
    )
    subprocess.run(["cc", "-o", str(tmp_path / "a"), str(tmp_path / "a.c")], check=True)
    theirs = [int(line) for line in subprocess.run([str(tmp_path / "a")], check=True, capture_output=True, text=True).stdout.split()]
    ours = [ctypes.sizeof(struct) for struct in STRUCTS.values()]
    ours += [getattr(STRUCTS[name], field).offset for name, field in fields]
    ours += [v4l2.Buffer.m.offset, v4l2.Format.fmt.offset, *NUMBERS.values()]
    assert ours == theirs
