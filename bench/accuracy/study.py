"""What every part is given, and what it hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

from bench.accuracy import judge as judging
from bench.accuracy.judge import Scene
from bench.accuracy.lifting import Poses, lift_by_command, read_poses
from bench.part import Goal, Grid
from poselift.models.backends.backend import Model

SETS = ("clean", "noisy")


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

    @cached_property
    def datasets(self) -> Path:
        """The folder of the judge's datasets."""
        return judging.datasets(self.judge, self.cache)

    @cached_property
    def lifted(self) -> Path:
        """A folder for each of SETS, as the command wrote them."""
        for kind in SETS:
            lift_by_command(self.datasets / f"{kind}.npz", self.scratch / "lifted" / kind, self.lifter)
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
