"""The viewer without its window: which moment is shown, from where, and what keys do. A clock's seconds come in; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np

from poselift.app.export.scene import Floor
from poselift.app.view.bodies import TRAIL_S, Lines, lowest, trails
from poselift.app.view.camera import Panel
from poselift.app.view.director import Director
from poselift.app.view.figures import Figures
from poselift.app.view.layout import Layout, arrange
from poselift.app.view.moments import Moment
from poselift.app.view.page import Line, Page, compose, track
from poselift.app.view.places import Places
from poselift.app.view.playhead import Playhead
from poselift.app.view.sources import Source
from poselift.app.view.words import Facts, Tracked, clock, dropped, tracked
from poselift.common.arrays import Floats
from poselift.common.camera import focal_length_px

SAID_S = 3.5
"""An answer is shown so long."""
REFRESH_S = 0.25
"""Figures change so often at most: they are to be read."""
OTHER_GROUND_M = 0.8
"""Somebody else whose feet are so far from the ground stands on another one."""
WINDOW_ACTIONS = {"S": "screenshot", "F": "fullscreen", "Q": "quit", "ESCAPE": "leave"}
VIEWS = {"1": "front", "2": "side", "3": "top", "4": "follow"}


class Show:
    """What there is to see of a source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.director = Director()
        self.playhead = Playhead(source.follows)
        self.picture_on, self.trails_on, self.keys_open = True, True, False
        self.moment: Optional[Moment] = None
        self.joints: Floats = np.zeros((0, 17, 3), np.float32)
        """float32 [K, 17, 3] of `moment.pose`, where the people stand."""
        self.trail: Lines = trails([], [], 0)
        """The ways of hands and feet."""
        self.stale = False
        self._floor, self._figures, self._places = Floor(), Figures(), Places()
        self._ground_m = self.director.ground_m
        self._standing: set[int] = set()
        self._facts = Facts(source.name, "connecting" if source.follows else "playing")
        self._people: list[Tracked] = []
        self._says: tuple[str, float] = ("", 0.0)
        self._now_s: Optional[float] = None
        self._refreshed_s = -REFRESH_S
        self._touched = True

    @property
    def picture_size(self) -> Optional[tuple[int, int]]:
        """The camera's picture, px: its own size, or that of the shot where no pose tells it."""
        moment = self.moment
        if moment is None:
            return None
        told = moment.overlay or moment.pose or moment.shot
        return (told.width_px, told.height_px) if told else None

    @property
    def focal_px(self) -> float:
        """The camera's focal length, set or assumed."""
        return focal_length_px(self.source.focal_px, *(self.picture_size or (1280, 720)))

    def layout(self, width_px: int, height_px: int) -> Layout:
        """Where everything is in a window of that size."""
        size = self.picture_size or (16, 9)
        lined = not self.playhead.follows or self.playhead.still
        return arrange(width_px, height_px, size[0] / size[1] if self.picture_on else None, lined)

    def step(self, now_s: float) -> bool:
        """Go on to this time of the clock; whether there is anything new to see."""
        seconds = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), 0.25)
        self._now_s = now_s
        self.source.poll(now_s)
        before = self.moment
        self.playhead.advance(self.source.moments.span_ns, seconds)
        if self.playhead.t_ns is not None:
            self._look(self.source.moments.at(self.playhead.t_ns), now_s)
        moved = self.director.step(self.moment.pose if self.moment else None, self.joints, self._ground_m, seconds)
        said = self.source.said()
        if said:
            self.say(said)
        fresh = self._refreshed(now_s)
        changed = self._touched or moved or fresh or _other(before, self.moment)
        self._touched = False
        return changed

    def page(self, layout: Layout, width: Callable[[str, str], float]) -> Page:
        """Everything that is written."""
        return compose(layout, self._facts, self._people, self._line(), self.keys_open, width)

    def press(self, key: str, shift: bool = False) -> Optional[str]:
        """A key by its name ('R', '1', 'LEFT', '?', ...); what the window itself has to do: an action of WINDOW_ACTIONS."""
        self._touched = True
        if key == "ESCAPE" and self.keys_open:
            self.keys_open = False
            return None
        if key in WINDOW_ACTIONS:
            return WINDOW_ACTIONS[key]
        if key == "?" or (key == "/" and shift):
            self.keys_open = not self.keys_open
        elif key in VIEWS:
            self.director.choose(VIEWS[key])
        elif key == "TAB":
            self.director.next_person(self.moment.pose.person.tolist() if self.moment and self.moment.pose else [])
            self._refreshed_s = -REFRESH_S
        elif key == "P":
            self.picture_on = not self.picture_on
        elif key == "T":
            self.trails_on = not self.trails_on
        elif key == "R":
            self.say(self.source.record())
        else:
            self._travel(key, shift)
        return None

    def point(self, layout: Layout, x_px: float, y_px: float) -> bool:
        """The mouse on the time line: go there; whether it was on it."""
        if layout.timeline is None or not layout.timeline.holds(x_px, y_px):
            return False
        bar, span = track(layout.timeline, layout.unit), self.source.moments.span_ns
        if span is not None:
            share = min(max((x_px - bar.left) / bar.width, 0.0), 1.0)
            self.playhead.go(round(span[0] + share * (span[1] - span[0])), span)
        self._touched = True
        return True

    def turn(self, panel: Panel, right_px: float, down_px: float) -> None:
        """The mouse turns the scene."""
        scale = np.pi / panel.height
        self.director.turn(float(-right_px * scale), float(down_px * scale))
        self._touched = True

    def move(self, panel: Panel, right_px: float, down_px: float) -> None:
        """The mouse moves the scene."""
        self.director.move(panel, right_px, down_px)
        self._touched = True

    def zoom(self, notches: float) -> None:
        """The wheel: forwards is nearer."""
        self.director.zoom(0.88**notches)
        self._touched = True

    def say(self, text: str) -> None:
        """Show a line for a few seconds."""
        self._says = text, (self._now_s or 0.0) + SAID_S
        self._touched = True
        self._refreshed_s = -REFRESH_S

    def _travel(self, key: str, shift: bool) -> None:
        moments, span = self.source.moments, self.source.moments.span_ns
        if span is None:
            return
        if key == "SPACE":
            self.playhead.toggle(span)
            self.source.freeze(self.playhead.still)
            return
        if key not in ("LEFT", "RIGHT", "HOME", "END"):
            return
        if not self.playhead.still:
            self.source.freeze(True)
        now_ns = self.playhead.t_ns if self.playhead.t_ns is not None else span[1]
        way = 1 if key == "RIGHT" else -1
        if key in ("HOME", "END"):
            goal_ns = span[0] if key == "HOME" else span[1]
        else:
            goal_ns = now_ns + way * 10**9 if shift else moments.neighbour(now_ns, way)
        self.playhead.go(goal_ns, span)
        self._refreshed_s = -REFRESH_S

    def _look(self, moment: Moment, now_s: float) -> None:
        pose = moment.pose
        known = self.moment.pose if self.moment else None
        self.moment = moment
        if pose is None:
            self.joints, self.trail, self._figures = self.joints[:0], trails([], [], 0), Figures()
            return
        if pose is known:
            return
        lately = [*self.source.moments.poses(pose.t_ns - round(TRAIL_S * 1e9), pose.t_ns - 1), pose]
        places = self._places.of(lately)
        self.joints, self.trail = places[-1], trails(lately, places, pose.t_ns)
        if len(self.joints):
            self._stand(set(pose.person.tolist()), lowest(self.joints), pose.t_ns / 1e9)
        if not self.playhead.still:
            self._figures.shown(now_s, self.source.age_ns(pose))

    def _stand(self, people: set[int], lowest_m: float, t_s: float) -> None:
        """Put the ground under the people. Where there are only others than before it may be another one."""
        if people.isdisjoint(self._standing) and abs(lowest_m - self._ground_m) > OTHER_GROUND_M:
            self._floor = Floor()
        self._standing = people
        self._ground_m = self._floor.under(lowest_m, t_s)

    def _refreshed(self, now_s: float) -> bool:
        """Bring figures and words up to date, now and then; whether they changed."""
        if now_s - self._refreshed_s < REFRESH_S:
            return False
        self._refreshed_s = now_s
        before = self._facts, self._people, self.stale
        status = self.source.status(now_s)
        self.stale = status.mode in ("stale", "connecting", "waiting", "ended") and not self.playhead.still
        pose = self.moment.pose if self.moment else None
        mode, behind_s = status.mode, 0.0
        span = self.source.moments.span_ns
        if not self.playhead.follows:
            mode = "paused" if self.playhead.still else "playing"
        elif self.playhead.still and span and self.playhead.t_ns is not None:
            mode, behind_s = "frozen", (span[1] - self.playhead.t_ns) / 1e9
        health = self.moment.health if self.moment else {}
        missed = dropped(health)
        self._people = tracked(pose, self.director.followed, self.stale)
        self._facts = Facts(
            source=self.source.name,
            mode=mode,
            old_s=status.old_s,
            behind_s=behind_s,
            why=status.why,
            rate_hz=None if self.playhead.still or self.stale else self._figures.rate_hz(now_s),
            ages_ms=None if self.stale else self._figures.ages_ms(now_s),
            age_error_ms=status.age_error_ms,
            drops=None if missed is None else missed + self.source.drops(health),
            recording=status.recording,
            people=len(self._people),
            delay_s=pose.delay_ns / 1e9 if pose else 0.0,
            says=self._says[0] if now_s < self._says[1] else "",
        )
        return (self._facts, self._people, self.stale) != before

    def _line(self) -> Optional[Line]:
        span = self.source.moments.span_ns
        if span is None or self.playhead.t_ns is None:
            return None
        share = self.playhead.share(span)
        length_s, at_s = (span[1] - span[0]) / 1e9, (self.playhead.t_ns - span[0]) / 1e9
        if self.playhead.follows:
            return Line(share, clock(at_s - length_s), "now", not self.playhead.still)
        return Line(share, clock(at_s), clock(length_s), not self.playhead.still)


def _other(before: Optional[Moment], now: Optional[Moment]) -> bool:
    """Whether two moments look different."""
    if before is None or now is None:
        return before is not now
    return before.pose is not now.pose or before.shot != now.shot or before.overlay is not now.overlay
