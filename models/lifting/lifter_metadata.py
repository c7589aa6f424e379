"""What a lifter's file says of itself, and the normalisation that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS
from poselift.models.lifting import person_camera, screen_coordinates


class Normalisation(Protocol):
    """What stands between pixels and a network, and between a network and the camera's axes."""

    def observe(
        self, keypoints: Floats, width_px: float, height_px: float, focal_px: float | None, depth_px: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Features [K, ...] of the keypoints [K, 17 or 21, 3] that the network takes, and each person's view, for `to_camera`.

        A keypoint is x px, y px, confidence; all are finite, and at confidence 0 it is missing. A view is empty where poses do not depend
        on it. `focal_px` is None where nobody knows it. `depth_px` [K, 17 or 21] is as in `poselift.common.people.Detected2D`.
        """

    def to_camera(self, pose: Floats, view: Floats) -> Floats:
        """The network's pose [K, 17 or 21, 3] in the real camera's axes: x right, y down, z forward."""

    def sigma_to_camera(self, sigma: Floats, view: Floats) -> Floats:
        """The network's standard deviations [K, 17 or 21, 3] along the real camera's axes, which are taken as independent."""

    def body_scale_m(self, body_height_m: float) -> float:
        """How many metres the network's unit of length is, for a person of that height."""


NORMALISATIONS: Mapping[str, Normalisation] = {"person_camera": person_camera, "screen": screen_coordinates}
"""The normalisations that a file may name."""


class LifterMetadata(NamedTuple):
    """What has to be known beside the graph to use it."""

    rate_hz: Fraction
    """Columns per second."""
    receptive_field: int
    """How many columns a pose depends on."""
    normalisation: Normalisation
    delay_columns: int
    """How many columns before the newest the pose belongs to: 0 where causal, half the receptive field where symmetric."""
    flip: bool
    """Whether a pose is the mean of the network's answer to a person and of that to their mirror image, mirrored back."""
    keypoints: int
    """It takes so many: the first of KEYPOINTS."""
    joints: int
    """It gives so many: the first of JOINTS."""

    def rows(self, people: int) -> int:
        """How many rows the network needs for so many people."""
        return 2 * people if self.flip else people

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> LifterMetadata:
        """From the pairs in the file: `rate_hz` ("30" or "30000/1001"), `receptive_field`, `normalisation`, `delay` (0 without it),
        `flip` ("yes" or "no"; no without it), `keypoints` and `joints` (their names; those without the feet without it).

        Raises ModelError where one is missing, or is nothing that can be used.
        """
        name = _entry(metadata, "normalisation")
        if name not in NORMALISATIONS:
            raise ModelError(f"this lifter's normalisation '{name}' is unknown; known are: {', '.join(NORMALISATIONS)}")
        receptive_field = int(_positive(metadata, "receptive_field"))
        delay = metadata.get("delay", "0")
        if not delay.isdecimal() or int(delay) >= receptive_field:
            raise ModelError(
                f"this lifter's metadata says delay = '{delay}'; it must be below the receptive field, {receptive_field} columns"
            )
        flip = metadata.get("flip", "no")
        if flip not in ("yes", "no"):
            raise ModelError(f"this lifter's metadata says flip = '{flip}'; yes or no is needed; convert the model anew")
        keypoints, joints = _known(metadata, "keypoints", KEYPOINTS), _known(metadata, "joints", JOINTS)
        return cls(_positive(metadata, "rate_hz"), receptive_field, NORMALISATIONS[name], int(delay), flip == "yes", keypoints, joints)


def _known(metadata: Mapping[str, str], key: str, names: Sequence[str]) -> int:
    """How many of these names, with those of the feet or without, are the file's."""
    without_feet = names[: -len(FEET)]
    found = tuple(metadata.get(key, " ".join(without_feet)).split())
    if found not in (names, without_feet):
        raise ModelError(
            f"this lifter's metadata says {key} = '{' '.join(found):.200}'; '{' '.join(without_feet)}' is needed, "
            f"and perhaps '{' '.join(FEET)}' behind it"
        )
    return len(found)


def _positive(metadata: Mapping[str, str], key: str) -> Fraction:
    text = _entry(metadata, key)
    try:
        number = Fraction(text)
    except (ValueError, ZeroDivisionError):
        number = Fraction(0)
    if number <= 0:
        raise ModelError(f"this lifter's metadata says {key} = '{text}'; a number above 0 is needed; convert the model anew")
    return number


def _entry(metadata: Mapping[str, str], key: str) -> str:
    if key not in metadata:
        raise ModelError(f"this network's metadata says no {key}, so it is no lifter of this project; convert it with `build`")
    return metadata[key]
