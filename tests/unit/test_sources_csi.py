"""The CSI camera, against a stand-in for acllite and the simulator of pyACL: no test here has run on hardware."""

from __future__ import annotations

import importlib
import itertools
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from poselift.app.config import CaptureConfig
from poselift.common.errors import DeviceError, UserError
from poselift.models import backends
from poselift.workers.sources import SourceLost, csi, open_source
from poselift.workers.sources.csi import CsiSource
from poselift.workers.sources.pattern import read_number

FOLDER = Path(__file__).parent / "fake_acllite"
SIMULATOR = Path(__file__).parent.parent / "sim_acl"
MODULES = ("acl", "acl_simulator", "acllite", "cameracapture", "poselift.models.backends.pyacl", "poselift.models.backends.ascend_device")


@pytest.fixture
def path(monkeypatch):
    """A function that puts a folder first on the path, where none of these modules has been imported yet; nor afterwards."""
    before = _forget()
    yield monkeypatch.syspath_prepend
    _forget()
    sys.modules.update(before)
    for name in before:
        if name.startswith("poselift.models."):
            setattr(backends, name.rpartition(".")[2], before[name])


def _forget():
    """Those of these modules that were imported."""
    imported = {name: sys.modules.pop(name) for name in list(sys.modules) if name in MODULES or name.split(".")[0] in MODULES}
    for name in imported:
        if name.startswith("poselift.models."):
            delattr(backends, name.rpartition(".")[2])
    return imported


@pytest.fixture
def npu(path):
    """The simulated NPU of the board, and in the end a look whether all was given back, in order."""
    path(str(SIMULATOR))
    npu = importlib.import_module("acl_simulator.npu").start(
        importlib.import_module("acl_simulator.settings").Settings(run_mode="DEVICE", soc="Ascend310")
    )
    yield npu
    csi.leave()
    assert npu.report.violations == []
    assert not any(npu.report.held.values())
    assert not npu.initialised


@pytest.fixture
def board(path, npu):
    """What hangs on the board's connectors."""
    path(str(FOLDER))
    board = importlib.import_module("cameracapture").BOARD
    yield board
    assert board.images == 0


def opened(lost_after_s=0.2, source="csi:0", **settings):
    return CsiSource(CaptureConfig(source=source, **settings), lost_after_s)


def refusal(**settings):
    with pytest.raises(UserError) as error:
        opened(**settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def naive_bgr(nv12):
    """The inverse of BT.601 for video levels (Y from 16 to 235, U and V from 16 to 240 around 128), from its weights of R and B alone."""
    height = len(nv12) * 2 // 3
    y = (nv12[:height].astype(float) - 16) / 219
    chroma = np.repeat(np.repeat((nv12[height:].astype(float) - 128) / 224, 2, axis=0), 2, axis=1)
    u, v = np.repeat(chroma[:, 0::4], 2, axis=1), np.repeat(chroma[:, 2::4], 2, axis=1)
    weight_r, weight_b = 0.299, 0.114
    r, b = y + 2 * (1 - weight_r) * v, y + 2 * (1 - weight_b) * u
    g = (y - weight_r * r - weight_b * b) / (1 - weight_r - weight_b)
    return np.clip(np.stack([b, g, r], axis=-1) * 255, 0, 255)


def test_pictures_in_order(board):
    source = open_source(CaptureConfig(source="csi:0"))
    assert (source.name, source.live, source.fps, source.frames, source.note) == ("csi:0", True, 20.0, None, "")
    assert board.opened == [(0, 20, (1280, 720))]
    assert [read_number(picture.pixels) for picture in itertools.islice(source, 5)] == [0, 1, 2, 3, 4]
    source.close()
    source.close()
    assert board.closed == [0, 0]  # by us, and by itself when it went


def test_the_other_connector_and_a_slower_rate(board):
    source = opened(source="csi:1", fps=15.0, width_px=1280, height_px=720, pixel_format="NV12")
    assert source.fps == 15
    assert board.opened == [(1, 15, (1280, 720))]
    source.close()


@pytest.mark.parametrize(("settings", "first"), [({}, "U"), ({"pixel_format": "NV12"}, "U"), ({"pixel_format": "NV21"}, "V")])
def test_something_red_is_red(board, settings, first):
    red = {"Y": 81, "U": 90, "V": 240}  # BT.601's, by its definition for video levels
    chroma = np.empty((360, 1280), np.uint8)
    chroma[:, 0::2], chroma[:, 1::2] = red[first], red["V" if first == "U" else "U"]
    board.pictures = [np.concatenate([np.full((720, 1280), red["Y"], np.uint8), chroma])]
    source = opened(**settings)
    blue, green, red_seen = next(iter(source)).pixels[360, 640].astype(int)
    assert blue < 5 and green < 5 and red_seen > 250
    source.close()


def test_colours_are_those_of_bt601(board):
    rng = np.random.default_rng(7)
    luma = rng.integers(16, 236, (720, 1280), np.uint8)
    chroma = rng.integers(16, 241, (360, 1280), np.uint8)
    chroma[:, 0::2] //= 2  # U and V apart, so that one taken for the other shows
    nv12 = np.concatenate([luma, chroma])
    board.pictures = [nv12]
    source = opened()
    pixels = next(iter(source)).pixels
    assert (pixels.shape, pixels.dtype) == ((720, 1280, 3), np.uint8)
    assert abs(pixels.astype(float) - naive_bgr(nv12)).max() < 1.5
    source.close()


def test_pictures_are_written_over_each_other_and_their_memory_is_given_back(board):
    source = opened()
    pictures = iter(source)
    first = next(pictures)
    for picture in itertools.islice(pictures, 3):
        assert picture.pixels is first.pixels
        assert board.images == 0
    source.close()


def test_another_thread_may_take_the_pictures(board):
    source = opened()
    with ThreadPoolExecutor(1) as thread:
        pictures = thread.submit(lambda: [read_number(picture.pixels) for picture in itertools.islice(source, 3)])
        assert pictures.result() == [0, 1, 2]
    source.close()


def test_times_are_those_of_arrival(board):
    source = opened()
    pictures = iter(source)
    next(pictures)
    last_ns = 0
    for _ in range(5):
        before_ns = time.monotonic_ns()
        t_ns = next(pictures).t_ns
        assert before_ns <= t_ns <= time.monotonic_ns()
        assert t_ns > last_ns
        last_ns = t_ns
    source.close()


def test_a_clock_that_stands_still_does_not_stop_time(board, monkeypatch):
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5)
    source = opened()
    assert [picture.t_ns for picture in itertools.islice(source, 3)] == [5, 6, 7]
    source.close()


def test_acllites_prints_do_not_tear_the_log(board, capfd, caplog):
    caplog.set_level("DEBUG")
    board.failing = {1}
    source = opened()
    list(itertools.islice(source, 2))
    source.close()
    assert capfd.readouterr() == ("", "")
    assert {record.getMessage() for record in caplog.records} == {"acllite: Read camera 0 failed", "acllite: Close camera 0"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width_px": 1920, "height_px": 1080}, "capture.width_px 1920: it has 1280; height_px 1080: it has 720"),
        ({"height_px": 480}, "capture.height_px 480: it has 720"),
        ({"fps": 30.0}, "capture.fps 30: it has 1 to 20, whole numbers"),
        ({"fps": 12.5}, "capture.fps 12.5: it has 1 to 20, whole numbers"),
        ({"fps": 0.5}, "capture.fps 0.5: it has 1 to 20, whole numbers"),
        ({"pixel_format": "MJPG"}, "capture.pixel_format MJPG: it has NV12 or NV21"),
        ({"exposure": 80.0}, "capture.exposure 80.0: it is automatic"),
        ({"buffers": 2}, "capture.buffers 2: its driver has its own"),
    ],
)
def test_what_the_camera_cannot_do_is_refused(board, settings, said):
    assert refusal(**settings) == f"csi:0: this camera cannot do {said}"
    assert board.opened == []


@pytest.mark.parametrize("source", ["csi:2", "csi:", "csi:00", "csi:front"])
def test_no_such_connector(board, source):
    assert refusal(source=source) == f"{source}: no such camera; the board's connectors are csi:0 and csi:1"


def test_a_camera_that_cannot_be_opened(board):
    board.connected = {0}
    text = refusal(source="csi:1")
    assert text.startswith("csi:1: the camera cannot be opened; it is in use by another program, there is none on this connector")
    assert "/var/log/npu/slog" in text
    opened().close()  # the other one


def test_a_camera_that_gives_no_first_picture(board):
    board.silent_after = 0
    text = refusal()
    assert text.startswith("csi:0: the camera has given no picture for 0.4 s; it is in use by another program")
    assert board.closed


def test_a_read_that_fails_now_and_then_is_no_loss(board):
    board.failing = {0, 2, 3}
    source = opened()
    assert [read_number(picture.pixels) for picture in itertools.islice(source, 3)] == [0, 1, 2]
    source.close()


def test_a_camera_that_falls_silent_is_lost_and_found_again(board):
    board.silent_after = 3
    source = opened()
    with pytest.raises(SourceLost, match=r"^csi:0: the camera has given no picture for 0\.2 s$"):
        list(source)
    source.close()
    board.silent_after = None
    again = opened()
    assert len(list(itertools.islice(again, 2))) == 2
    again.close()


def test_the_npu_is_let_go_at_the_end_of_the_process_alone(board, npu):
    for _ in range(2):
        opened().close()
        assert npu.initialised
    assert npu.report.applied["init"] == 1


def test_an_npu_that_is_not_let_go_leaves_a_word(board, npu, monkeypatch, caplog):
    opened().close()
    finalize = sys.modules["acl"].finalize
    monkeypatch.setattr(sys.modules["acl"], "finalize", lambda: finalize() or 500002)
    csi.leave()
    assert "acl.finalize answered 500002" in caplog.text


def test_an_npu_that_fails_is_no_lost_camera(board, monkeypatch):
    source = opened()
    pictures = iter(source)
    next(pictures)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["acl"].rt, "memcpy", lambda *_: 507018)
        with pytest.raises(DeviceError, match="memcpy") as error:
            next(pictures)
        source.close()
        assert error.value.__traceback__  # which keeps what the functions it went through had in hand
        assert board.images == 0


def test_no_pyacl(path):
    path(str(FOLDER))
    text = refusal()
    assert text.startswith("csi:0: this camera is an Atlas 200 DK's and needs CANN's pyACL, and there is no module 'acl' here")
    assert "set_env.sh" in text


def test_another_module_of_the_name_acl(path, tmp_path):
    (tmp_path / "acl.py").write_text("")
    path(str(tmp_path))
    assert "is not CANN's" in refusal()


def test_no_acllite(npu):
    text = refusal()
    assert text.startswith("csi:0: acllite is not on PYTHONPATH (no module 'cameracapture'); copy acllite to the board")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import PIL_", "csi:0: acllite is here, but needs the module 'PIL_': install that first"),
        ("import ctypes; ctypes.CDLL('libmedia_mini_.so')", "csi:0: acllite is here, but cannot be loaded (libmedia_mini_.so: cannot open"),
        ("from os import no_such_thing", "csi:0: acllite is here, but cannot be loaded (cannot import name"),
        ("CAMERA = 1", "csi:0: the module 'cameracapture' at "),
    ],
)
def test_an_acllite_that_does_not_work(path, npu, tmp_path, code, said):
    (tmp_path / "cameracapture.py").write_text(code)
    path(str(tmp_path))
    assert refusal().startswith(said)


def test_the_folder_above_acllite_will_do(path, npu, tmp_path):
    shutil.copytree(FOLDER, tmp_path / "acllite", ignore=shutil.ignore_patterns("__pycache__"))
    path(str(tmp_path))
    source = opened()
    assert read_number(next(iter(source)).pixels) == 0
    source.close()


def test_a_machine_whose_npu_has_a_memory_of_its_own(path, npu):
    path(str(FOLDER))
    npu.settings = npu.settings._replace(run_mode="HOST")
    assert refusal().startswith("csi:0: this is not an Atlas 200 DK: its NPU has a memory of its own")


def test_acllite_is_imported_by_nobody_else():
    names = "'acl', 'cameracapture', 'poselift.models.backends.pyacl'"
    code = f"import sys, poselift.workers.capture; sys.exit(any(name in sys.modules for name in ({names})))"
    environment = {"PYTHONPATH": f"{SIMULATOR}:{FOLDER}", "PATH": ""}
    assert subprocess.run([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2]).returncode == 0
