"""The window: Qt's OpenGL window, drawn with vispy, that hands keys, mouse and time to the Show and has the Stage draw it.

No vispy canvas: that is a widget, which Qt copies into its window with each picture. In software that costs more than drawing.
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
from poselift.app.view.layout import Layout
from poselift.app.view.show import Show
from poselift.app.view.stage import Stage
from poselift.common.arrays import Pixels

TICK_S = 1 / 60
"""So often is looked whether there is anything new to see; only then is it drawn."""
SIZE = (1280, 720)
LEAST = (480, 320)
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
    """Qt's application, made when it is first asked for; a window has to be opened after that."""
    return QGuiApplication.instance() or QGuiApplication(["poselift"])


class Window(QOpenGLWindow):
    """Shows `show` until it is closed. `size` in logical px; `folder` is where screenshots go."""

    def __init__(self, show: Show, size: tuple[int, int] = SIZE, folder: Optional[Path] = None, full: bool = False) -> None:
        return_freed_memory()
        self._application = application()
        super().__init__()
        self.content = show
        self.drawn = 0
        """Pictures of the window so far."""
        self.always = False
        """Draw at every tick, also where nothing changed."""
        self._folder = folder or Path.cwd()
        self._canvas: Any = None
        self._stage: Optional[Stage] = None
        self._pressed: Optional[tuple[float, float]] = None
        self._on_line = self._leaving = False
        self._failure: Optional[BaseException] = None
        wanted = QSurfaceFormat()
        wanted.setDepthBufferSize(24)
        self.setFormat(wanted)
        self.setTitle(f"poselift · {show.source.name}")
        self.setMinimumSize(QSize(*LEAST))
        self.resize(*size)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self.showFullScreen() if full else super().show()

    @property
    def size_px(self) -> tuple[int, int]:
        """Its size in the screen's own pixels."""
        return round(self.width() * self.devicePixelRatio()), round(self.height() * self.devicePixelRatio())

    def run(self) -> None:
        """Until the window is closed. What goes wrong in it ends it, and is raised here."""
        self._timer.start(round(1000 * TICK_S))
        self._application.exec()
        self._timer.stop()
        self._forget()
        if self._failure:
            raise self._failure

    def leave(self) -> None:
        """Close it at the next tick: not while it draws."""
        self._leaving = True

    def picture(self) -> Pixels:
        """What the window shows, BGR."""
        while not self.isExposed():
            self._application.processEvents()
        self.makeCurrent()
        self._paint()
        shown = gloo.read_pixels((0, 0, *self.size_px), alpha=False)
        self._canvas.flush()
        return np.ascontiguousarray(shown[..., ::-1])

    def initializeGL(self) -> None:
        """The context is there: everything that is drawn with it can be made."""
        with self._ending():
            self._canvas = FakeCanvas()
            self._stage = Stage()

    def paintGL(self) -> None:
        """The window wants to be drawn."""
        with self._ending():
            self._paint()
            self.drawn += 1

    def keyPressEvent(self, event: Any) -> None:
        """A key."""
        name = _KEYS.get(event.key(), event.text().upper())
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        action = self.content.press(name, shift)
        if action:
            actions: dict[str, Callable[[], None]] = {
                "quit": self.leave,
                "screenshot": self._screenshot,
                "fullscreen": lambda: self.showNormal() if self._is_full() else self.showFullScreen(),
                "leave": lambda: self.showNormal() if self._is_full() else None,
            }
            actions[action]()

    def mousePressEvent(self, event: Any) -> None:
        """Take hold of the scene, or of the time line."""
        self._pressed = self._at(event)
        self._on_line = self.content.point(self._layout(), *self._pressed)

    def mouseReleaseEvent(self, _event: Any) -> None:
        """Let go."""
        self._pressed, self._on_line = None, False

    def mouseMoveEvent(self, event: Any) -> None:
        """Turn or move the scene, or go along the time line."""
        if self._pressed is None:
            return
        (x, y), before = self._at(event), self._pressed
        self._pressed = x, y
        layout = self._layout()
        plain = not event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if self._on_line and layout.timeline:
            self.content.point(layout, x, layout.timeline.top)
        elif event.buttons() & Qt.MouseButton.LeftButton and plain:
            self.content.turn(layout.scene, x - before[0], y - before[1])
        else:
            self.content.move(layout.scene, x - before[0], y - before[1])

    def wheelEvent(self, event: Any) -> None:
        """Zoom."""
        self.content.zoom(event.angleDelta().y() / 120)

    def _tick(self) -> None:
        """Look whether there is anything new."""
        with self._ending():
            if self._leaving or self._failure:
                self.close()
                return
            if self.content.step(time.monotonic()) or self.always:
                self.update()
            self._want()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Around what Qt calls: it would print an error and go on."""
        try:
            yield
        except Exception as error:
            self._failure = error

    def _paint(self) -> None:
        if self._stage is not None:
            self._stage.draw(self.content, self.size_px)
            self._canvas.flush()

    def _forget(self) -> None:
        """Give everything back while its context is still there."""
        self.makeCurrent()
        self._stage = None
        if self._canvas is not None:
            self._canvas.flush()
        self.doneCurrent()

    def _layout(self) -> Layout:
        return self.content.layout(*self.size_px)

    def _at(self, event: Any) -> tuple[float, float]:
        scale = self.devicePixelRatio()
        return event.position().x() * scale, event.position().y() * scale

    def _want(self) -> None:
        panel = self._layout().picture
        # In steps, so that a window being resized does not ask for every size on the way.
        self.content.source.want(0 if panel is None else round(np.ceil(panel.width / 160) * 160))

    def _is_full(self) -> bool:
        return bool(self.windowStates() & Qt.WindowState.WindowFullScreen)

    def _screenshot(self) -> None:
        path = self._folder / f"poselift-{datetime.now():%Y%m%d-%H%M%S}.png"
        try:
            path.write_bytes(cv2.imencode(".png", self.picture())[1].tobytes())
        except OSError as error:
            self.content.say(f"no screenshot: {path}: {error.strerror}")
            return
        self.content.say(f"saved {path}")
