"""What serve and a viewer say to each other: the pipeline's own messages, and these, of the same form as in `app/dataflow/messages.py`.

A viewer says Hello and is answered Welcome or Refused. From then on poses and health come by themselves, pictures where it Wants them. It
tells with Taken what has arrived: what may be on its way to a viewer is limited, so a slow one gets fewer messages, not older ones. A Ping
is answered by a Pong; a viewer that says nothing for a while is forgotten. Both sides must have the same schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, Health, Pose2D, Pose3D, Stamp, decode_as, made, plain
from poselift.app.dataflow.session import Session

PORT = 5570
MAX_FROM_VIEWER_BYTES = 4096
"""No message from a viewer is longer."""
MAX_FROM_BOARD_BYTES = 1 << 20
"""No message from the board is longer; a picture comes in pieces."""
MAX_PICTURE_BYTES = 16 << 20
PING_S = 0.5
"""A viewer says so often that it is there."""
SILENT_S = 5.0
"""Who has said nothing for so long is gone."""


class ModelCard(NamedTuple):
    """A network in use, for people."""

    name: str
    licence: str
    receptive_field: int
    """How many of its steps a result depends on: 1 where it is the picture alone, 0 where nobody knows."""


class Camera(NamedTuple):
    """What the pictures are taken with, as far as it is known."""

    width_px: int
    """0 until the first picture."""
    height_px: int
    fps: float
    """The source's nominal rate; 0 where it has none."""
    focal_px: float
    """The focal length in use; 0 until the first picture."""
    focal_assumed: bool
    """Whether nobody set it."""
    body_height_m: float
    """The height that people are taken to have."""


def _tuple_of(kind: Any, *types: type) -> Any:
    """A converter: a list of so many values of these types becomes a `kind`."""

    def convert(values: Any) -> Any:
        if len(values) != len(types):
            raise TypeError(f"{values!r:.80} is no {kind.__name__}")
        found = map(plain, values, types)
        return kind(found) if kind is tuple else kind(*found)

    return convert


def _plain(kind: type) -> Any:
    return lambda value: plain(value, kind)


def _each(convert: Any) -> Any:
    return made(lambda values: tuple(map(convert, values)))


@dataclass(frozen=True)
class Hello:
    """A viewer's first message, and its next where nothing came back. The schema goes with every message."""

    version: str
    """The viewer's poselift."""
    name: str
    """Who it is, for people: its host's name."""
    instance: int
    """A random number, the same as long as this viewer lives: it takes the place of its own earlier connection."""


@dataclass(frozen=True)
class Welcome:
    """The board's answer to Hello; sent again when the camera's facts have changed."""

    session: int
    """Who gets one with another number than before starts counting anew what it has Taken, from the next message on."""
    board: str
    """The board's host name."""
    version: str
    """The board's poselift."""
    may_control: bool
    """Whether this viewer's orders are heard."""
    max_width_px: int
    """The limits of what may be Wanted."""
    max_quality: int
    max_rate_hz: float
    camera: Camera = made(_tuple_of(Camera, int, int, float, float, bool, float))
    models: tuple[ModelCard, ...] = _each(_tuple_of(ModelCard, str, str, int))
    keypoints: tuple[str, ...] = _each(_plain(str))
    """Names of the COCO keypoints."""
    keypoint_bones: tuple[tuple[int, int], ...] = _each(_tuple_of(tuple, int, int))
    """Pairs of keypoints that a drawing joins."""
    joints: tuple[str, ...] = _each(_plain(str))
    """Names of the Human3.6M joints."""
    joint_parents: tuple[int, ...] = _each(_plain(int))
    """For each joint, the joint it hangs from; -1 at the root."""
    pipeline: Session = made(_tuple_of(Session, int, str, str), default=Session(0, "", ""))
    """The session that frame numbers and times are of; empty from a board that does not tell."""


@dataclass(frozen=True)
class Refused:
    """The board's other answer to Hello."""

    why: str
    """For people, one line."""


@dataclass(frozen=True)
class Want:
    """What pictures a viewer would like; until it says so, none."""

    width_px: int
    """Of the board's pictures, those that are wider are made so wide; less where the board's limit is less."""
    quality: int
    """Of JPEG, 1 to 100; less where the board's limit is less."""
    rate_hz: float
    """At most so many a second; 0 for none."""


@dataclass(frozen=True)
class Taken:
    """What a viewer has received in a session: room for more."""

    session: int
    messages: int
    """How many messages, pieces of pictures and everything else, since the session's Welcome; that one does not count."""
    pictures: int
    """How many whole pictures. Two that are not yet taken are the most that are on their way."""


@dataclass(frozen=True)
class Picture:
    """One picture, or a piece of it: they come in order, those of one picture before those of the next."""

    frame: int
    t_ns: int
    width_px: int
    """Of this JPEG, not of the camera's picture."""
    height_px: int
    total_bytes: int
    """Length of the whole JPEG."""
    offset_bytes: int
    """Where in it this piece begins."""
    jpeg: bytes
    trace: tuple[Stamp, ...]
    """That of the frame."""


@dataclass(frozen=True)
class Missed:
    """What this viewer did not get, in this session."""

    drops: dict[str, int]
    """How many messages and pictures, by reason."""


@dataclass(frozen=True)
class Ping:
    """A viewer is there, and asks for the board's time."""

    sent_ns: int
    """The viewer's monotonic clock."""


@dataclass(frozen=True)
class Pong:
    """The answer to a Ping."""

    sent_ns: int
    """The Ping's."""
    board_ns: int
    """The board's monotonic clock between the two: that in which traces are stamped."""


FromViewer = Union[Hello, Want, Taken, Ping, Control]
FromBoard = Union[Welcome, Refused, Picture, Missed, Pong, Pose2D, Pose3D, Health, Answer, End]
FROM_VIEWER: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Hello, Want, Taken, Ping, Control)}
FROM_BOARD: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Welcome, Refused, Picture, Missed, Pong, Pose2D, Pose3D, Health, Answer, End)
}


def from_viewer(data: bytes) -> FromViewer:
    """What a viewer sent. Raises MessageError where it is nothing that a viewer may say; OtherSchema where its schema is another."""
    return decode_as(data, FROM_VIEWER, oldest=SCHEMA)  # type: ignore[no-any-return]


def from_board(data: bytes) -> FromBoard:
    """What a board sent. Raises as `from_viewer` does."""
    return decode_as(data, FROM_BOARD, oldest=SCHEMA)  # type: ignore[no-any-return]
