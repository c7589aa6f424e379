"""The window: Qt's OpenGL window. It passes keys, mouse and time to the controller, and has the renderer draw with vispy.

It is no vispy canvas: that is a Qt widget, which copies every frame into its window. Without a graphics card copying takes longer than
drawing.
"""

# ruff: noqa: N802 - Qt's names

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QSurfaceFormat
from PySide6.QtOpenGL import QOpenGLWindow
from vispy import gloo
from vispy.gloo.context import FakeCanvas

from poselift.app.processes.heap import return_freed_memory
from poselift.app.view.controller import Controller
from poselift.app.view.layout import Layout
from poselift.app.view.renderer import Renderer
from poselift.common.arrays import Pixels

TICK_S = 1 / 60
"""How often the controller is asked whether anything has changed; only then is the window redrawn."""
SIZE = (1280, 720)
MIN_SIZE = (480, 320)
_KEYS = {
    Qt.Key.Key_Space: "SPACE",
    Qt.Key.Key_Left: "LEFT",
    Qt.Key.Key_Right: "RIGHT",
    Qt.Key.Key_Home: "HOME",
    Qt.Key.Key_End: "END",
    Qt.Key.Key_Tab: "TAB",
    Qt.Key.Key_Escape: "ESCAPE",
}


def application() -> Any:
    """Qt's application, made by the first call; it has to exist before a window does."""
    return QGuiApplication.instance() or QGuiApplication(["poselift"])


class Window(QOpenGLWindow):
    """Shows what the controller has until it is closed. `size` is in logical px; `folder` is where screenshots go."""

    def __init__(self, controller: Controller, size: tuple[int, int] = SIZE, folder: Optional[Path] = None, full: bool = False) -> None:
        return_freed_memory()
        self._application = application()
        super().__init__()
        self.controller = controller
        self.frames_drawn = 0
        self.redraw_always = False
        """Redraw at every tick, also if nothing has changed."""
        self._folder = folder or Path.cwd()
        self._canvas: Any = None
        self._renderer: Optional[Renderer] = None
        self._pressed: Optional[tuple[float, float]] = None
        self._on_seek_bar = self._closing = False
        self._failure: Optional[BaseException] = None
        surface = QSurfaceFormat()
        surface.setDepthBufferSize(24)
        self.setFormat(surface)
        self.setTitle(f"poselift · {controller.source.name}")
        self.setMinimumSize(QSize(*MIN_SIZE))
        self.resize(*size)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self.showFullScreen() if full else super().show()

    @property
    def size_px(self) -> tuple[int, int]:
        """Its size in physical pixels."""
        return round(self.width() * self.devicePixelRatio()), round(self.height() * self.devicePixelRatio())

    def run(self) -> None:
        """Run until the window is closed. An error in a callback closes it, and is raised here."""
        self._timer.start(round(1000 * TICK_S))
        self._application.exec()
        self._timer.stop()
        self._release()
        if self._failure:
            raise self._failure

    def request_close(self) -> None:
        """Close the window at the next tick, as it must not be closed while it draws."""
        self._closing = True

    def grab(self) -> Pixels:
        """Draw the window and return its pixels, BGR."""
        while not self.isExposed():
            self._application.processEvents()
        self.makeCurrent()
        self._paint()
        pixels = gloo.read_pixels((0, 0, *self.size_px), alpha=False)
        self._canvas.flush()
        return np.ascontiguousarray(pixels[..., ::-1])

    def initializeGL(self) -> None:
        """Qt: the OpenGL context exists."""
        with self._errors_close():
            self._canvas = FakeCanvas()
            self._renderer = Renderer()

    def paintGL(self) -> None:
        """Qt: draw the window."""
        with self._errors_close():
            self._paint()
            self.frames_drawn += 1

    def keyPressEvent(self, event: Any) -> None:
        """Qt: a key."""
        name = _KEYS.get(event.key(), event.text().upper())
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        action = self.controller.press(name, shift)
        if action:
            actions: dict[str, Callable[[], None]] = {
                "quit": self.request_close,
                "screenshot": self._screenshot,
                "fullscreen": lambda: self.showNormal() if self._is_full() else self.showFullScreen(),
                "leave_fullscreen": lambda: self.showNormal() if self._is_full() else None,
            }
            actions[action]()

    def mousePressEvent(self, event: Any) -> None:
        """Qt: the mouse begins to drag the scene or the seek bar."""
        self._pressed = self._at(event)
        self._on_seek_bar = self.controller.seek_at(self._layout(), *self._pressed)

    def mouseReleaseEvent(self, _event: Any) -> None:
        """Qt: the mouse lets go."""
        self._pressed, self._on_seek_bar = None, False

    def mouseMoveEvent(self, event: Any) -> None:
        """Qt: the mouse drags: orbit, pan, or seek."""
        if self._pressed is None:
            return
        (x, y), before = self._at(event), self._pressed
        self._pressed = x, y
        layout = self._layout()
        shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if self._on_seek_bar and layout.seek_bar:
            self.controller.seek_at(layout, x, layout.seek_bar.top)
        elif event.buttons() & Qt.MouseButton.LeftButton and not shift:
            self.controller.orbit(layout.scene, x - before[0], y - before[1])
        else:
            self.controller.pan(layout.scene, x - before[0], y - before[1])

    def wheelEvent(self, event: Any) -> None:
        """Qt: the wheel zooms."""
        self.controller.zoom(event.angleDelta().y() / 120)

    def _tick(self) -> None:
        """Update the controller, and redraw if it says so."""
        with self._errors_close():
            if self._closing or self._failure:
                self.close()
                return
            if self.controller.update(time.monotonic()) or self.redraw_always:
                self.update()
            self._request_pictures()

    @contextmanager
    def _errors_close(self) -> Iterator[None]:
        """Around each callback, because Qt prints an exception and goes on."""
        try:
            yield
        except Exception as error:
            self._failure = error

    def _paint(self) -> None:
        if self._renderer is not None:
            self._renderer.draw(self.controller, self.size_px)
            self._canvas.flush()

    def _release(self) -> None:
        """Delete the OpenGL objects while their context exists."""
        self.makeCurrent()
        self._renderer = None
        if self._canvas is not None:
            self._canvas.flush()
        self.doneCurrent()

    def _layout(self) -> Layout:
        return self.controller.layout(*self.size_px)

    def _at(self, event: Any) -> tuple[float, float]:
        scale = self.devicePixelRatio()
        return event.position().x() * scale, event.position().y() * scale

    def _request_pictures(self) -> None:
        panel = self._layout().picture
        # In steps of 160 px, so that a window that is being resized does not request every size in between.
        self.controller.source.request_pictures(0 if panel is None else round(np.ceil(panel.width / 160) * 160))

    def _is_full(self) -> bool:
        return bool(self.windowStates() & Qt.WindowState.WindowFullScreen)

    def _screenshot(self) -> None:
        path = self._folder / f"poselift-{datetime.now():%Y%m%d-%H%M%S}.png"
        try:
            path.write_bytes(cv2.imencode(".png", self.grab())[1].tobytes())
        except OSError as error:
            self.controller.notify(f"no screenshot: {path}: {error.strerror}")
            return
        self.controller.notify(f"saved {path}")
