"""Keypoints in, 3D poses out, causally: `Pose2D` -> `Pose3D`."""

from __future__ import annotations

from pathlib import Path

from app.bus import Bus
from app.config import Config
from app.loop import Loop
from app.messages import Pose2D, Pose3D
from models.backend import open_model
from models.lifter import Lifter
from models.store import path_of

REST_S = 0.02
"""From a file nobody waits for a single pose, and to wake for every one alone would cost the detector time."""


class Lift:
    """Lifts people, each with a history of their own. What it gives depends on the sequence of keypoints and times alone."""

    def __init__(self, lifter: Lifter) -> None:
        self._lifter = lifter

    def step(self, pose: Pose2D) -> Pose3D:
        """The same people in 3D, and those who are held."""
        lifted = self._lifter.step(pose.t_ns, pose.person, pose.keypoints, pose.width_px, pose.height_px)
        return Pose3D(pose.frame, pose.t_ns, pose.width_px, pose.height_px, **lifted._asdict())


def open_lift(config: Config) -> Lift:
    """The lifter that the config names. Raises ModelError."""
    settings = config.lift
    path = Path(settings.model) if settings.model else path_of("lifter", config.models_path())
    lifter = Lifter(
        open_model(path, settings.threads),
        slots=settings.slots,
        body_height_m=settings.body_height_m,
        focal_px=settings.focal_px,
        hold_s=settings.hold_s,
        gap_s=settings.max_gap_s,
    )
    return Lift(lifter)


def run(config: Config, bus: Bus) -> None:
    """Every Pose2D, in order."""
    loop = Loop(bus, rest_s=0.0 if config.live else REST_S)
    loop.on_signals()
    lift = open_lift(config)
    loop.wait_for_takers(config.bus.wait_for_takers_s)
    for message in loop.inputs():
        if isinstance(message, Pose2D):
            loop.send(lift.step(message), after=message)
    loop.end()
