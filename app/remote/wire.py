"""The protocol between `serve` and a viewer: the pipeline's own messages and these, encoded as in `app/dataflow/messages.py`.

A viewer says Hello; the answer is Welcome or Refused. From then on it gets poses and health, and pictures if it Wants them. With Taken it
acknowledges what has arrived: as the bytes in flight to a viewer are limited, a slow one gets fewer messages, not older ones. A Ping is
answered by a Pong; a viewer that is silent for a while is forgotten. Both sides must have the same schema.
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
"""Between a viewer's Pings."""
SILENT_S = 5.0
"""After so long without a message a viewer's session ends."""


class ModelCard(NamedTuple):
    """A network in use, for the user."""

    name: str
    licence: str
    receptive_field: int
    """On how many of its steps a result depends: 1 if only on the picture itself, 0 if unknown."""


class Camera(NamedTuple):
    """The camera, as far as it is known."""

    width_px: int
    """0 until the first picture."""
    height_px: int
    fps: float
    """The source's nominal rate; 0 if it has none."""
    focal_px: float
    """The focal length in use; 0 until the first picture."""
    focal_assumed: bool
    """Whether it was assumed, not set."""
    body_height_m: float
    """The height that people are assumed to have, but for those of whom another is set."""


def _tuple_of(kind: Any, *types: type) -> Any:
    """A converter of a list of values of these types to a `kind`."""

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
    """A viewer's first message, repeated until there is an answer."""

    version: str
    """The viewer's poselift."""
    name: str
    """The viewer's host name."""
    instance: int
    """A random number of this viewer, by which a new connection replaces its own earlier one."""


@dataclass(frozen=True)
class Welcome:
    """The board's answer to Hello; sent again when something in it has changed."""

    session: int
    """If it is another number than before, the viewer counts what it has Taken from zero again, from the next message on."""
    board: str
    """The board's host name."""
    version: str
    """The board's poselift."""
    may_control: bool
    """Whether this viewer may give orders."""
    max_width_px: int
    """The limits of a Want."""
    max_quality: int
    max_rate_hz: float
    camera: Camera = made(_tuple_of(Camera, int, int, float, float, bool, float))
    models: tuple[ModelCard, ...] = _each(_tuple_of(ModelCard, str, str, int))
    keypoints: tuple[str, ...] = _each(_plain(str))
    """Their names, in the order of every `keypoints` array."""
    keypoint_bones: tuple[tuple[int, int], ...] = _each(_tuple_of(tuple, int, int))
    """Pairs of keypoints that are joined by a line when drawn."""
    joints: tuple[str, ...] = _each(_plain(str))
    """Their names, in the order of every `joints_m` array."""
    joint_parents: tuple[int, ...] = _each(_plain(int))
    """The parent of each joint; -1 for the root."""
    pipeline: Session = made(_tuple_of(Session, int, str, str), default=Session(0, "", ""))
    """The session to which frame numbers and times belong; empty if the board does not tell."""


@dataclass(frozen=True)
class Refused:
    """The board's other answer to Hello."""

    why: str
    """One line for the user."""


@dataclass(frozen=True)
class Want:
    """What pictures a viewer wants; none until it says so."""

    width_px: int
    """Wider pictures are scaled down to this; the board's limit applies."""
    quality: int
    """Of JPEG, 1 to 100; the board's limit applies."""
    rate_hz: float
    """At most so many a second; 0 for none."""


@dataclass(frozen=True)
class Taken:
    """A viewer acknowledges what it has received in a session, which makes room for more."""

    session: int
    messages: int
    """How many messages since the session's Welcome, which does not count. Each piece of a picture is one."""
    pictures: int
    """How many whole pictures. At most two may be in flight."""


@dataclass(frozen=True)
class Picture:
    """A picture, or a piece of one. Pieces are sent in order, those of one picture before those of the next."""

    frame: int
    t_ns: int
    width_px: int
    """Of this JPEG, not of the camera's picture."""
    height_px: int
    total_bytes: int
    """Length of the whole JPEG."""
    offset_bytes: int
    """Where this piece begins in it."""
    jpeg: bytes
    trace: tuple[Stamp, ...]
    """The frame's trace."""


@dataclass(frozen=True)
class Missed:
    """What this viewer did not get, in this session."""

    drops: dict[str, int]
    """How many messages and pictures, by reason."""


@dataclass(frozen=True)
class Ping:
    """A viewer is alive, and asks for the board's time."""

    sent_ns: int
    """The viewer's monotonic clock."""


@dataclass(frozen=True)
class Pong:
    """The answer to a Ping."""

    sent_ns: int
    """That of the Ping."""
    board_ns: int
    """The board's monotonic clock, in which traces are stamped, at some time between Ping and Pong."""


FromViewer = Union[Hello, Want, Taken, Ping, Control]
FromBoard = Union[Welcome, Refused, Picture, Missed, Pong, Pose2D, Pose3D, Health, Answer, End]
FROM_VIEWER: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Hello, Want, Taken, Ping, Control)}
FROM_BOARD: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (Welcome, Refused, Picture, Missed, Pong, Pose2D, Pose3D, Health, Answer, End)
}


def from_viewer(data: bytes) -> FromViewer:
    """Decode a viewer's message. Raises MessageError if it is none that viewers send, OtherSchema if its schema is another."""
    return decode_as(data, FROM_VIEWER, oldest=SCHEMA)  # type: ignore[no-any-return]


def from_board(data: bytes) -> FromBoard:
    """Decode a board's message. Raises as `from_viewer` does."""
    return decode_as(data, FROM_BOARD, oldest=SCHEMA)  # type: ignore[no-any-return]
