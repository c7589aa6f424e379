"""The viewer without its window: what is shown, and what keys and mouse do. Nothing is drawn here; the time is passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np

from poselift.app.export.scene import Floor
from poselift.app.view.camera_rig import CameraRig
from poselift.app.view.frame_stats import FrameStats
from poselift.app.view.geometry import TRAIL_S, Lines, ground_m_below, trails
from poselift.app.view.history import Snapshot
from poselift.app.view.hud import Hud, SeekBar, compose, seek_bar_track
from poselift.app.view.hud_text import HudData, PersonRow, person_rows, time_text, total_drops
from poselift.app.view.layout import Layout, Rect, arrange
from poselift.app.view.placement import Placement
from poselift.app.view.playhead import Playhead
from poselift.app.view.sources import Source
from poselift.common.arrays import Floats
from poselift.common.camera import focal_length_px
from poselift.common.skeleton import JOINTS

NOTICE_S = 3.5
"""A notice is shown for so long."""
REFRESH_S = 0.25
"""The text changes no more often than this, so that it can be read."""
OTHER_GROUND_M = 0.8
"""New people whose feet are so far from the ground stand on another one."""
WINDOW_ACTIONS = {"S": "screenshot", "F": "fullscreen", "Q": "quit", "ESCAPE": "leave_fullscreen"}
VIEWS = {"1": "front", "2": "side", "3": "top", "4": "follow"}


class Controller:
    """The state of the viewer that shows a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rig = CameraRig()
        self.playhead = Playhead(source.live)
        self.picture_on, self.trails_on, self.keys_open = True, True, False
        self.snapshot: Optional[Snapshot] = None
        self.joints: Floats = np.zeros((0, len(JOINTS), 3), np.float32)
        """float32 [K, 21, 3]: those of `snapshot.pose`, as `Placement` places them."""
        self.trail: Lines = trails([], [], 0)
        """The trails of hands and feet."""
        self.stale = False
        """Whether what is shown is old; then it is drawn grey."""
        self._floor, self._stats, self._placement = Floor(), FrameStats(), Placement()
        self._ground_m = self.rig.ground_m
        self._people_on_ground: set[int] = set()
        self._hud_data = HudData(source.name, "connecting" if source.live else "playing")
        self._person_rows: list[PersonRow] = []
        self._notice: tuple[str, float] = ("", 0.0)
        self._now_s: Optional[float] = None
        self._refreshed_s = -REFRESH_S
        self._changed = True

    @property
    def picture_size(self) -> Optional[tuple[int, int]]:
        """The size of the real camera's picture, px. The images may be smaller; theirs is used while no pose tells it."""
        snapshot = self.snapshot
        if snapshot is None:
            return None
        message = snapshot.overlay or snapshot.pose or snapshot.image
        return (message.width_px, message.height_px) if message else None

    @property
    def focal_px(self) -> float:
        """The real camera's focal length, set or assumed."""
        return focal_length_px(self.source.focal_px, *(self.picture_size or (1280, 720)))

    def layout(self, width_px: int, height_px: int) -> Layout:
        """The layout of a window of that size."""
        size = self.picture_size or (16, 9)
        seek_bar = not self.playhead.live or self.playhead.paused
        return arrange(width_px, height_px, size[0] / size[1] if self.picture_on else None, seek_bar)

    def update(self, now_s: float) -> bool:
        """Take in what has arrived and go on to this time of the monotonic clock. Whether the window has to be redrawn."""
        seconds = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), 0.25)
        self._now_s = now_s
        self.source.poll(now_s)
        before = self.snapshot
        self.playhead.advance(self.source.history.span_ns, seconds)
        if self.playhead.t_ns is not None:
            self._show(self.source.history.at(self.playhead.t_ns), now_s)
        moved = self.rig.update(self.snapshot.pose if self.snapshot else None, self.joints, self._ground_m, seconds)
        if notice := self.source.take_notice():
            self.notify(notice)
        new_text = self._refresh_text(now_s)
        changed = self._changed or moved or new_text or _differ(before, self.snapshot)
        self._changed = False
        return changed

    def hud(self, layout: Layout, width: Callable[[str, str], float]) -> Hud:
        """The head-up display; `width` tells how wide a text is in a style, px."""
        return compose(layout, self._hud_data, self._person_rows, self._seek_bar(), self.keys_open, width)

    def press(self, key: str, shift: bool = False) -> Optional[str]:
        """Handle a key, by its name ('R', '1', 'LEFT', '?', ...). What the window itself has to do: a value of WINDOW_ACTIONS."""
        self._changed = True
        if key == "ESCAPE" and self.keys_open:
            self.keys_open = False
            return None
        if key in WINDOW_ACTIONS:
            return WINDOW_ACTIONS[key]
        if key == "?" or (key == "/" and shift):
            self.keys_open = not self.keys_open
        elif key in VIEWS:
            self.rig.select_view(VIEWS[key])
        elif key == "TAB":
            self.rig.follow_next(self.snapshot.pose.person.tolist() if self.snapshot and self.snapshot.pose else [])
            self._refreshed_s = -REFRESH_S
        elif key == "P":
            self.picture_on = not self.picture_on
        elif key == "T":
            self.trails_on = not self.trails_on
        elif key == "R":
            self.notify(self.source.toggle_recording())
        else:
            self._seek_by_key(key, shift)
        return None

    def seek_at(self, layout: Layout, x_px: float, y_px: float) -> bool:
        """Handle the mouse on the seek bar. False if it is not on the seek bar."""
        if layout.seek_bar is None or not layout.seek_bar.contains(x_px, y_px):
            return False
        bar, span = seek_bar_track(layout.seek_bar, layout.unit), self.source.history.span_ns
        if span is not None:
            progress = min(max((x_px - bar.left) / bar.width, 0.0), 1.0)
            self.playhead.seek(round(span[0] + progress * (span[1] - span[0])), span)
        self._changed = True
        return True

    def orbit(self, panel: Rect, right_px: float, down_px: float) -> None:
        """Handle the mouse that turns the scene."""
        scale = np.pi / panel.height
        self.rig.orbit(float(-right_px * scale), float(down_px * scale))
        self._changed = True

    def pan(self, panel: Rect, right_px: float, down_px: float) -> None:
        """Handle the mouse that moves the scene."""
        self.rig.pan(panel, right_px, down_px)
        self._changed = True

    def zoom(self, notches: float) -> None:
        """Handle the mouse wheel: forwards is nearer."""
        self.rig.zoom(0.88**notches)
        self._changed = True

    def notify(self, text: str) -> None:
        """Show a line for a few seconds."""
        self._notice = text, (self._now_s or 0.0) + NOTICE_S
        self._changed = True
        self._refreshed_s = -REFRESH_S

    def _seek_by_key(self, key: str, shift: bool) -> None:
        history, span = self.source.history, self.source.history.span_ns
        if span is None:
            return
        if key == "SPACE":
            self.playhead.toggle_pause(span)
            self.source.freeze(self.playhead.paused)
            return
        if key not in ("LEFT", "RIGHT", "HOME", "END"):
            return
        if not self.playhead.paused:
            self.source.freeze(True)
        now_ns = self.playhead.t_ns if self.playhead.t_ns is not None else span[1]
        direction = 1 if key == "RIGHT" else -1
        if key in ("HOME", "END"):
            goal_ns = span[0] if key == "HOME" else span[1]
        else:
            goal_ns = now_ns + direction * 10**9 if shift else history.neighbour(now_ns, direction)
        self.playhead.seek(goal_ns, span)
        self._refreshed_s = -REFRESH_S

    def _show(self, snapshot: Snapshot, now_s: float) -> None:
        pose = snapshot.pose
        shown = self.snapshot.pose if self.snapshot else None
        self.snapshot = snapshot
        if pose is None:
            self.joints, self.trail, self._stats = self.joints[:0], trails([], [], 0), FrameStats()
            return
        if pose is shown:
            return
        recent = [*self.source.history.poses(pose.t_ns - round(TRAIL_S * 1e9), pose.t_ns - 1), pose]
        placed = self._placement.place(recent)
        self.joints, self.trail = placed[-1], trails(recent, placed, pose.t_ns)
        if len(self.joints):
            self._update_ground(set(pose.person.tolist()), ground_m_below(self.joints), pose.t_ns / 1e9)
        if not self.playhead.paused:
            self._stats.add(now_s, self.source.age_ns(pose))

    def _update_ground(self, people: set[int], ground_m: float, t_s: float) -> None:
        """Put the ground below the people. If all of them are new, it may be another one."""
        if people.isdisjoint(self._people_on_ground) and abs(ground_m - self._ground_m) > OTHER_GROUND_M:
            self._floor = Floor()
        self._people_on_ground = people
        self._ground_m = self._floor.under(ground_m, t_s)

    def _refresh_text(self, now_s: float) -> bool:
        """Update the text, if it is time to. Whether it has changed."""
        if now_s - self._refreshed_s < REFRESH_S:
            return False
        self._refreshed_s = now_s
        before = self._hud_data, self._person_rows, self.stale
        status = self.source.status(now_s)
        self.stale = status.mode in ("stale", "connecting", "waiting", "ended") and not self.playhead.paused
        pose = self.snapshot.pose if self.snapshot else None
        mode, behind_s = status.mode, 0.0
        span = self.source.history.span_ns
        if not self.playhead.live:
            mode = "paused" if self.playhead.paused else "playing"
        elif self.playhead.paused and span and self.playhead.t_ns is not None:
            mode, behind_s = "frozen", (span[1] - self.playhead.t_ns) / 1e9
        health = self.snapshot.health if self.snapshot else {}
        drops = total_drops(health)
        self._person_rows = person_rows(pose, self.rig.followed, self.stale)
        self._hud_data = HudData(
            source=self.source.name,
            mode=mode,
            age_s=status.age_s,
            behind_s=behind_s,
            why=status.why,
            rate_hz=None if self.playhead.paused or self.stale else self._stats.rate_hz(now_s),
            ages_ms=None if self.stale else self._stats.ages_ms(now_s),
            age_error_ms=status.age_error_ms,
            drops=None if drops is None else drops + self.source.missed,
            recording=status.recording,
            people=len(self._person_rows),
            left_out=pose.left_out if pose else 0,
            delay_s=pose.delay_ns / 1e9 if pose else 0.0,
            notice=self._notice[0] if now_s < self._notice[1] else "",
        )
        return (self._hud_data, self._person_rows, self.stale) != before

    def _seek_bar(self) -> Optional[SeekBar]:
        span = self.source.history.span_ns
        if span is None or self.playhead.t_ns is None:
            return None
        progress = self.playhead.progress(span)
        length_s, at_s = (span[1] - span[0]) / 1e9, (self.playhead.t_ns - span[0]) / 1e9
        if self.playhead.live:
            return SeekBar(progress, time_text(at_s - length_s), "now", not self.playhead.paused)
        return SeekBar(progress, time_text(at_s), time_text(length_s), not self.playhead.paused)


def _differ(before: Optional[Snapshot], now: Optional[Snapshot]) -> bool:
    """Whether two snapshots look different."""
    if before is None or now is None:
        return before is not now
    return before.pose is not now.pose or before.image != now.image or before.overlay is not now.overlay
