"""The colours of every drawing, and which joint and bone has which. BGR, 0 to 255."""

from __future__ import annotations

from poselift.common.skeleton import JOINTS, KEYPOINT_BONES, KEYPOINTS, PARENTS

Colour = tuple[int, int, int]

LEFT: Colour = (64, 150, 255)
RIGHT: Colour = (235, 185, 60)
TRUNK: Colour = (232, 226, 220)
HELD: Colour = (168, 160, 154)
BACKGROUND: Colour = (30, 24, 21)
SHADE: Colour = (20, 15, 13)
TEXT: Colour = (176, 166, 158)
CONTACT: Colour = (255, 255, 255)
"""Of a heel or toe that is on the floor."""

PEOPLE: tuple[Colour, ...] = (
    (250, 143, 168),
    (133, 209, 120),
    (184, 128, 240),
    (92, 212, 242),
    (102, 107, 242),
    (76, 230, 184),
    (242, 115, 217),
)
"""One for each person, by their ids, then again from the first; none is that of a side."""

_LIMBS = ("elbow", "wrist", "knee", "ankle", "heel", "toe")


def _bone_colour(outer: str) -> Colour:
    """The colour of the bone that ends in a joint: limbs by the person's own side, all else is trunk."""
    if not outer.endswith(_LIMBS):
        return TRUNK
    return LEFT if outer.startswith("left") else RIGHT


def _joint_colour(name: str) -> Colour:
    return LEFT if name.startswith("left") else RIGHT if name.startswith("right") else TRUNK


KEYPOINT_BONE_COLOURS = tuple(_bone_colour(KEYPOINTS[outer]) for _, outer in KEYPOINT_BONES)
KEYPOINT_COLOURS = tuple(_joint_colour(name) for name in KEYPOINTS)
_SOLES = tuple((JOINTS.index(f"{side}_heel"), JOINTS.index(f"{side}_toe")) for side in ("left", "right"))
JOINT_BONES = (*((parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0), *_SOLES)
"""Pairs of joints that a drawing joins."""
JOINT_BONE_COLOURS = tuple(_bone_colour(JOINTS[outer]) for _, outer in JOINT_BONES)


def colour_of(person: int) -> Colour:
    """The colour of the person with that id, in every drawing."""
    return PEOPLE[person % len(PEOPLE)]


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with that share (0 to 1) of `other` in it."""
    blue, green, red = (round(own + (its - own) * share) for own, its in zip(colour, other))
    return blue, green, red
