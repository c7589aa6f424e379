"""The viewer's window, really drawn: joints and keypoints have their colours where they should be; what is missing is one line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from view_window import DOT_BGR, DOT_PX
from virtual_display import virtual_display

from bench.people import HEIGHT_PX, WIDTH_PX, jpeg_of, picture_of, pose_at
from poselift.app.cli.view import window
from poselift.app.config import Config, load
from poselift.app.dataflow.messages import Frame
from poselift.app.recording.writer import RecordingWriter
from poselift.app.view.colours import BACKGROUND, PEOPLE
from poselift.common.skeleton import PARENTS

ROOT = Path(__file__).parents[2]
SIZES = [(1280, 720), (3840, 2160)]


@pytest.fixture(scope="module")
def display() -> Iterator[dict[str, str]]:
    with virtual_display() as environment:
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        yield environment


def shown(display: dict[str, str], folder: Path, size: tuple[int, int], keys: str, *more: str) -> dict[str, Any]:
    """What the window showed, and what should be in it."""
    out = folder / "shown.npz"
    command = [sys.executable, str(Path(__file__).parent / "view_window.py"), str(out), *map(str, size), keys, *more]
    done = subprocess.run(command, env=display, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(np.load(out))


def hue_of(bgr: Any) -> Any:
    """Hue (0 to 180) and saturation (0 to 255)."""
    return cv2.cvtColor(np.asarray(bgr, np.uint8).reshape(1, -1, 3), cv2.COLOR_BGR2HSV)[0, :, :2].astype(int)


def people_hues() -> Any:
    return hue_of([[round(255 * value) for value in colour[::-1]] for colour in PEOPLE])[:, 0]


def along_bones(joints: Any) -> Any:
    """Points along everybody's limbs, [K, N, 3]."""
    shares = np.linspace(0, 1, 11)[:, None, None]
    start, end = joints[:, [0, *PARENTS[1:]]], joints
    return np.concatenate([start + share * (end - start) for share in shares], 1)


def around(picture: Any, x: float, y: float, reach: float) -> Any:
    """The pixels within a square, [N, 3]."""
    left, right = (int(np.clip(value, 0, picture.shape[1])) for value in (x - reach, x + reach + 1))
    top, bottom = (int(np.clip(value, 0, picture.shape[0])) for value in (y - reach, y + reach + 1))
    return picture[top:bottom, left:right].reshape(-1, 3)


@pytest.mark.parametrize("size", SIZES)
def test_joints_are_drawn_in_their_persons_colour_where_the_camera_of_the_scene_sees_them(
    display: dict[str, str], tmp_path: Path, size: tuple[int, int]
) -> None:
    found = shown(display, tmp_path, size, "4")
    picture, joints, unit = found["picture"], found["joints"], float(found["unit"])
    assert picture.shape == (size[1], size[0], 3)
    checked = on_floor = 0
    for person in range(4):
        others = along_bones(np.delete(joints, person, 0))
        for (x, y, away), contact in zip(joints[person], found["contact"][person]):
            near = np.linalg.norm(others[..., :2] - (x, y), axis=-1) < 45 * unit
            if (near & (others[..., 2] < away + 0.3)).any():
                continue  # somebody else is, or may be, before it
            pixels = around(picture, x, y, 6 * unit)
            hues, saturations = hue_of(pixels).T
            hue = np.median(hues[(saturations > 60) & (pixels.max(-1) > 90)])
            assert abs(hue - people_hues()[person]) <= 12, (person, x, y)
            checked += 1
            on_floor += contact and pixels.min(-1).max() > 220
    assert checked > 30
    assert on_floor > 0.6 * found["contact"].sum(), "a foot on the floor is a white ball, where no leg is before it"
    left, top, wide, high = found["scene"]
    corner = picture[int(top + 0.05 * high), int(left + 0.6 * wide)]
    assert np.abs(corner - 255 * np.array(BACKGROUND[::-1])).max() < 6, "above them there is nothing"


@pytest.mark.parametrize("size", SIZES)
def test_keypoints_are_drawn_where_they_are_in_the_picture(display: dict[str, str], tmp_path: Path, size: tuple[int, int]) -> None:
    """The picture has a dot at everybody's left wrist: the overlay's own mark lies in its middle."""
    found = shown(display, tmp_path, size, "4", "dot")
    picture, keypoints = found["picture"], found["keypoints"]
    scale = found["panel"][2] / WIDTH_PX
    marked = np.abs(picture.astype(int) - (0.94 * np.array(DOT_BGR))).max(-1) < 60
    for person, (x, y) in enumerate(keypoints[:, 9]):
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
        here = marked & (np.hypot(columns + 0.5 - x, rows + 0.5 - y) < 21 * scale)
        # The dot's own middle, from what is left of its rim: the mark and bones cover the rest.
        middle, radius = cv2.minEnclosingCircle(np.stack([columns[here], rows[here]], -1).astype(np.float32))
        assert abs(radius - DOT_PX * scale) < 2, person
        assert np.hypot(middle[0] + 0.5 - x, middle[1] + 0.5 - y) < 0.8 + 0.6 * scale, person
        hues, saturations = hue_of(around(picture, x, y, 1.0)).T
        # At the mark's rim its colour mixes with the dot's, whose hue is the opposite of one person's.
        assert (np.abs(hues - people_hues()[person]) <= 8).mean() > 0.3 and saturations.min() > 30, (person, hues)


def test_who_is_far_from_the_window_is_not_in_it(display: dict[str, str], tmp_path: Path) -> None:
    """The test above can fail: seen from above, joints are elsewhere."""
    front, top = shown(display, tmp_path, SIZES[0], "1"), shown(display, tmp_path, SIZES[0], "3")
    assert np.abs(front["joints"][..., :2] - top["joints"][..., :2]).max() > 50
    assert (front["picture"] != top["picture"]).any(-1).mean() > 0.02


@pytest.mark.parametrize("closed_by", ["signal", "key"])
def test_a_recording_opens_and_is_closed_by_a_signal_or_a_key(display: dict[str, str], tmp_path: Path, closed_by: str) -> None:
    with RecordingWriter(tmp_path / "session.mcap", {}) as writer:
        for number in (0, 1, 1800):
            pose = pose_at(number)
            jpeg = jpeg_of(picture_of(pose))
            writer.write(Frame(number, pose.t_ns, WIDTH_PX, HEIGHT_PX, 30.0, 0, 0, 0, "jpeg", jpeg, 1, ()))
            writer.write(pose)
    command = [sys.executable, "-c", _LEAVES, str(tmp_path / "session.mcap"), closed_by]
    done = subprocess.run(command, env=display, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "drawn, paused, drawn", "")


def test_qt_does_not_use_up_none(display: dict[str, str]) -> None:
    """Before Python 3.12 None is counted, and a binding that gives it back too often ends the process in the middle of a long look."""
    done = subprocess.run([sys.executable, "-c", _NONE], env=display, capture_output=True, text=True)
    assert done.returncode == 0 and int(done.stdout) > -100, done.stdout + done.stderr


_NONE = """
import sys
from PySide6.QtGui import QGuiApplication, QWindow
application, window = QGuiApplication([]), QWindow()
before = sys.getrefcount(None)
for _ in range(1000):
    window.setTitle("poselift")
print(sys.getrefcount(None) - before)
"""

_LEAVES = """
import os, signal, sys
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
import poselift.app.view.window as window
closed_by = sys.argv.pop()
drawn = window.Window.paintGL
def paint(self):
    drawn(self)
    if self.frames_drawn == 3:
        self.redraw_always = True
        press(self, Qt.Key.Key_Space, " ")
        print("drawn", "paused" if self.controller.playhead.paused else "playing", sep=", ", end=", ")
    if self.frames_drawn == 6:
        print("drawn")
        os.kill(os.getpid(), signal.SIGTERM) if closed_by == "signal" else press(self, Qt.Key.Key_Q, "q")
def press(self, key, text):
    QGuiApplication.sendEvent(self, QKeyEvent(QKeyEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier, text))
window.Window.paintGL = paint
sys.argv = ["poselift", "view", sys.argv[1]]
from poselift.app.cli import main
main()
"""


def test_a_window_beside_the_pipeline_is_gone_with_it(display: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in display.items():
        monkeypatch.setenv(name, value)
    with window(Config().changed(serve={"address": "127.0.0.1:5999"})):
        process, deadline = None, time.monotonic() + 30
        while process is None:  # a process has no command line yet for a moment after it was started
            assert time.monotonic() < deadline, "no window was started"
            process = next((child for child in psutil.Process().children() if "view" in child.cmdline()), None)
        assert load(Path(process.cmdline()[-1])).serve.address == "127.0.0.1:5999"
    assert not process.is_running()


def view(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "poselift", "view", *arguments], env=environment, capture_output=True, text=True, cwd=ROOT)


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}


def test_without_a_display_it_is_said_and_what_works_without_one() -> None:
    pytest.importorskip("vispy")
    pytest.importorskip("PySide6")
    done = view(plain())
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "no display" in done.stderr and "poselift status" in done.stderr


def test_a_display_that_is_not_there_and_one_without_opengl_are_one_line(display: dict[str, str]) -> None:
    gone = view({**display, "DISPLAY": ":64999"})
    assert gone.returncode == 2 and "the display :64999 cannot be opened" in gone.stderr and len(gone.stderr.strip().splitlines()) == 1
    flat = view({**display, "QT_XCB_GL_INTEGRATION": "none"})
    assert flat.returncode == 2 and "OpenGL 2.1" in flat.stderr and len(flat.stderr.strip().splitlines()) == 1


def test_without_the_extra_it_says_what_to_type() -> None:
    code = "import sys; sys.modules['vispy'] = None; from poselift.app.cli import main; sys.argv = ['poselift', 'view']; main()"
    done = subprocess.run([sys.executable, "-c", code], env=plain(), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and "pip install 'poselift[view]'" in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("target", "says"), [("nothing.mcap", "no such recording"), ("two words", "no address")])
def test_what_cannot_be_looked_at_is_one_line(display: dict[str, str], target: str, says: str) -> None:
    done = view(display, target)
    assert done.returncode == 2 and says in done.stderr and len(done.stderr.strip().splitlines()) == 1
