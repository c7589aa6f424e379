"""Keypoints in, 3D poses out, causally: `Pose2D` -> `Pose3D`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from poselift.app.config import Config
from poselift.app.dataflow.bus import Bus
from poselift.app.dataflow.messages import Pose2D, Pose3D
from poselift.app.processes.loop import FROM_FILE, Loop
from poselift.common.errors import UserError
from poselift.models.backends.backend import Model
from poselift.models.lifting.lifter import Lifter
from poselift.models.lifting.lifter_metadata import LifterMetadata
from poselift.models.lifting.whole_sequence import WholeSequence
from poselift.workers.networks import Timed, open_networks


class Lift:
    """Lifts people, each with a history of their own. What it gives depends on the sequence of keypoints and times alone."""

    def __init__(self, lifter: Lifter) -> None:
        self._lifter = lifter

    def close(self) -> None:
        """Forget everybody; the network itself stays open."""
        self._lifter.close()

    def step(self, pose: Pose2D) -> Pose3D:
        """The same people in 3D, and those who are held."""
        return Pose3D(
            pose.frame, pose.t_ns, *pose.size_px, **vars(self._lifter.step(pose.t_ns, pose, pose.size_px)), left_out=pose.left_out
        )


def open_lifter(config: Config) -> Model:
    """The network that the config names; close it in the end. Raises ModelError, UserError, DeviceError."""
    own = config.lift.model
    if own and not Path(own).is_file():
        raise UserError(f"{own}: no such lifter; give an .onnx file, such as 'poselift models convert' makes, or an .om file")
    (network,) = open_networks("lift", config, config.lift.threads)
    return network


def new_lift(network: Model, config: Config) -> Lift:
    """A stream's lifting with that network; close it before the network. Raises ModelError."""
    settings = config.lift
    lifter = Lifter(
        network,
        slots=config.detect.people,
        body_height_m=settings.body_height_m,
        body_heights_m=settings.body_heights_m or {},
        focal_px=settings.focal_px,
        hold_s=settings.hold_s,
        gap_s=settings.max_gap_s,
        filtered=settings.steady,
    )
    return Lift(lifter)


def new_whole(network: Model, config: Config, flip: bool) -> WholeSequence | None:
    """The lifting of whole files, where the network is a symmetric one; None where it is causal: then a file is as live.

    `flip` is whether to lift the mirror image too. Close it before the network. Raises ModelError, and UserError where a causal one is
    to `flip`.
    """
    settings = config.lift
    if LifterMetadata.read(network.metadata).delay_columns:
        return WholeSequence(network, flip, settings.body_height_m, settings.focal_px)
    if flip:
        name = settings.model or "poselift's own lifter"
        raise UserError(f"--flip: {name} is causal, and lifts a file as it does live; only a symmetric lifter can flip")
    return None


def run(config: Config, bus: Bus) -> None:
    """Every Pose2D, in order."""
    loop = Loop(bus, None if config.live else FROM_FILE)
    loop.on_signals()
    with closing(Timed(open_lifter(config), loop.meter)) as network, closing(new_lift(network, config)) as lift:
        loop.wait_for_takers(config.bus.wait_for_takers_s)
        for message in loop.inputs():
            if isinstance(message, Pose2D):
                loop.send(lift.step(message), after=message)
    loop.end()
