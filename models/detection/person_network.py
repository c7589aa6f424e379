"""What every network is that sees one person in a region of a picture, so that it can follow several behind one finder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Optional, Protocol, TypeVar

from poselift.common.arrays import Doubles, Floats, Pixels


class PersonState(Protocol):
    """What a network knows of a person: a value that nobody changes."""

    @property
    def box(self) -> Doubles:
        """float64[4]: where they are looked for in the next picture: centre x, centre y, width, height; px."""

    def scaled(self: Known, factor: float) -> Known:
        """The same in a picture so many times as large; (0, 0) is the middle of a pixel in both."""


Known = TypeVar("Known", bound=PersonState)


@dataclass(frozen=True)
class Seen(Generic[Known]):
    """A person as a network saw them in a picture."""

    known: Known
    """With it they are followed into the next picture."""
    keypoints: Floats
    """float32[21, 3]: as in `poselift.models.detection.detector.Detections`."""
    depth_px: Optional[Floats]
    """float32[21]: as in `poselift.models.detection.detector.Detections`; None of a network that does not tell."""
    body: Doubles
    """float64[4]: the box around their body: centre x, centre y, width, height; px."""


class PersonNetwork(Protocol[Known]):
    """Sees one person in a picture (uint8[H, W, 3], BGR). Both give None where the network says that nobody is there."""

    def confirm(self, picture: Pixels, box: Doubles) -> Optional[Seen[Known]]:
        """The person in a box [4] that a finder put around their body."""

    def follow(self, picture: Pixels, known: Known, elapsed_s: float) -> Optional[Seen[Known]]:
        """The person who was `known` in a picture so long before, above 0."""
