"""The window: a vispy canvas on PySide6 that hands keys, mouse and time to the Show, and has the Stage draw it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Optional

import cv2
import numpy as np
from vispy import app, gloo
from vispy.app import Canvas, Timer

from app.pixels import Picture
from app.view.show import Show
from app.view.stage import Stage

app.use_app("pyside6")

TICK_S = 1 / 60
"""So often is looked whether there is anything new to see; only then is it drawn."""
SIZE = (1280, 720)
LEAST = (480, 320)


class Window:
    """Shows `show` until it is closed. `size` in logical px; `folder` is where screenshots go."""

    def __init__(self, show: Show, size: tuple[int, int] = SIZE, folder: Optional[Path] = None, full: bool = False) -> None:
        self.show = show
        self.drawn = 0
        """Pictures of the window so far."""
        self.always = False
        """Draw at every tick, also where nothing changed."""
        self._folder = folder or Path.cwd()
        self._stage: Optional[Stage] = None
        self._pressed: Optional[tuple[float, float]] = None
        self._on_line = False
        self.canvas: Any = Canvas(title=f"poselift · {show.source.name}", size=size, keys=None, show=False, config={"samples": 0})
        self.canvas.native.setMinimumSize(*LEAST)
        for event in ("draw", "key_press", "mouse_press", "mouse_release", "mouse_move", "mouse_wheel", "close"):
            self.canvas.connect(getattr(self, f"on_{event}"))
        self._timer: Any = Timer(TICK_S, connect=self.on_tick, start=False)
        self._closed = self._leaving = False
        self._failure: Optional[BaseException] = None
        self.canvas.show()
        if full:
            self.canvas.fullscreen = True

    def run(self) -> None:
        """Until the window is closed. What goes wrong in it ends it, and is raised here."""
        self._timer.start()
        app.run()
        if self._failure:
            raise self._failure

    def leave(self) -> None:
        """Close it at the next tick: not while it draws, which Qt does not survive."""
        self._leaving = True

    def close(self) -> None:
        """Close it now."""
        if not self._closed:
            self.canvas.close()

    def picture(self) -> Picture:
        """What the window shows, BGR."""
        self.canvas.set_current()
        self._paint()
        shown = gloo.read_pixels((0, 0, *self.canvas.physical_size), alpha=False)
        return np.ascontiguousarray(shown[..., ::-1])

    def on_tick(self, _event: Any) -> None:
        """Look whether there is anything new."""
        with self._ending():
            if self._leaving or self._failure:
                self.close()
                return
            if self.show.step(time.monotonic()) or self.always:
                self.canvas.update()
            self._want()

    def on_draw(self, _event: Any) -> None:
        """The window wants to be drawn."""
        with self._ending():
            self._paint()
            self.drawn += 1

    def on_close(self, _event: Any) -> None:
        """It is closed: no more ticks."""
        self._closed = True
        self._timer.stop()
        app.quit()

    def on_key_press(self, event: Any) -> None:
        """A key."""
        name = event.text if event.text == "?" else event.key.name.upper() if event.key else event.text.upper()
        shift = any(modifier.name == "Shift" for modifier in event.modifiers)
        action = self.show.press(name.replace(" ", "SPACE"), shift)
        if action:
            actions: dict[str, Callable[[], None]] = {
                "quit": self.leave,
                "screenshot": self._screenshot,
                "fullscreen": lambda: self._fullscreen(not self.canvas.fullscreen),
                "leave": lambda: self._fullscreen(False),
            }
            actions[action]()

    def on_mouse_press(self, event: Any) -> None:
        """Take hold of the scene, or of the time line."""
        self._pressed = self._at(event)
        self._on_line = self.show.point(self._layout(), *self._pressed)

    def on_mouse_release(self, _event: Any) -> None:
        """Let go."""
        self._pressed, self._on_line = None, False

    def on_mouse_move(self, event: Any) -> None:
        """Turn or move the scene, or go along the time line."""
        if self._pressed is None or not event.is_dragging:
            return
        (x, y), before = self._at(event), self._pressed
        self._pressed = x, y
        layout = self._layout()
        if self._on_line and layout.timeline:
            self.show.point(layout, x, layout.timeline.top)
        elif event.button == 1 and not any(modifier.name == "Shift" for modifier in event.modifiers):
            self.show.turn(layout.scene, x - before[0], y - before[1])
        else:
            self.show.move(layout.scene, x - before[0], y - before[1])

    def on_mouse_wheel(self, event: Any) -> None:
        """Zoom."""
        self.show.zoom(float(event.delta[1]))

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Around what vispy calls: it would report an error and go on with the next."""
        try:
            yield
        except Exception as error:
            self._failure = error

    def _paint(self) -> None:
        if self._stage is None:
            self._stage = Stage()
        self._stage.draw(self.show, self.canvas.physical_size)

    def _layout(self) -> Any:
        return self.show.layout(*self.canvas.physical_size)

    def _at(self, event: Any) -> tuple[float, float]:
        x, y = event.pos[:2]
        return x * self.canvas.pixel_scale, y * self.canvas.pixel_scale

    def _want(self) -> None:
        panel = self._layout().picture
        # In steps, so that a window being resized does not ask for every size on the way.
        self.show.source.want(0 if panel is None else round(np.ceil(panel.width / 160) * 160))

    def _fullscreen(self, full: bool) -> None:
        self.canvas.fullscreen = full

    def _screenshot(self) -> None:
        path = self._folder / f"poselift-{datetime.now():%Y%m%d-%H%M%S}.png"
        try:
            path.write_bytes(cv2.imencode(".png", self.picture())[1].tobytes())
        except OSError as error:
            self.show.say(f"no screenshot: {path}: {error.strerror}")
            return
        self.show.say(f"saved {path}")
