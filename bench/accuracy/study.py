"""What every part is given, and what it hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

from bench.accuracy import judge as judging
from bench.accuracy.judge import Scene
from bench.accuracy.lifting import Poses, leave_out_feet, lift_by_command, read_poses
from bench.part import Goal, Grid
from poselift.common.skeleton import JOINTS
from poselift.models.backends.backend import Model
from poselift.models.lifting.lifter_metadata import LifterMetadata

SETS = ("clean", "noisy")
WITH_FEET = {kind: f"{kind}21" for kind in SETS}
"""The judge's datasets whose keypoints have feet."""


@dataclass(frozen=True)
class Study:
    """A lifter, the judge, and places to write to."""

    judge: ModuleType
    scenes: list[Scene]
    model: Model
    lifter: Path | None
    """The file of `model` where it is not the shipped one."""
    cache: Path
    """A folder that outlives the run: the judge's datasets."""
    scratch: Path
    """A folder that is removed afterwards."""
    images: Path
    """The folder of the pictures."""

    @property
    def gives_feet(self) -> bool:
        """Whether the lifter does."""
        return LifterMetadata.read(self.model.metadata).joints == len(JOINTS)

    @cached_property
    def datasets(self) -> Path:
        """The folder of the judge's datasets."""
        return judging.datasets(self.judge, self.cache)

    @cached_property
    def lifted(self) -> Path:
        """A folder for each of SETS, and of WITH_FEET where the lifter gives feet, as the command wrote them."""
        for kind in (*SETS, *WITH_FEET.values()) if self.gives_feet else SETS:
            lift_by_command(self.datasets / f"{kind}.npz", self.scratch / "lifted" / kind, self.lifter)
            if not self.gives_feet:
                leave_out_feet(self.scratch / "lifted" / kind)
        return self.scratch / "lifted"

    @cached_property
    def poses(self) -> Mapping[str, Mapping[str, Poses]]:
        """The command's poses: of each of SETS, by clip."""
        return {kind: {scene.name: read_poses(self.lifted / kind, scene.name) for scene in self.scenes} for kind in SETS}


@dataclass(frozen=True)
class Finding:
    """What a part found."""

    method: str
    """What was measured and how."""
    goals: list[Goal]
    grids: list[tuple[str, Grid]] = field(default_factory=list)
    """Each table with what is to be said before it."""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    """File in the folder of pictures, and what it shows."""
    quote: str = ""
    """What the judge said, as it said it."""
