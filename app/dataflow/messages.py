"""Every message: fields, units, frame of reference. On the wire and on disk each is one MessagePack map.

Times: `t_ns` is the time of the picture (the camera's clock live, media time from a file), stamped once by capture. What processing
takes is measured by the machine's monotonic clock, in each message's `trace`. Arrays travel as raw little-endian bytes; the type fixes
their dtype and shape.

Schema evolution: `SCHEMA` goes up when a field changes its meaning or goes away; a reader refuses a newer schema and says so. A field
that is added has a default, which is what a message from before means: `decode` fills it in. Schema 1 had no feet: `decode` adds them,
as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from inspect import cleandoc
from math import inf, nan
from typing import Any, NamedTuple, TypeVar, Union

import msgpack
import numpy as np

from poselift.common.arrays import Array
from poselift.common.people import Detected2D, People3D
from poselift.common.sizes import Size
from poselift.common.skeleton import FEET

SCHEMA = 2
SCHEMA_WITHOUT_FEET = 1

T = TypeVar("T")


class MessageError(Exception):
    """Bytes that are no message of this schema."""


class OtherSchema(MessageError):
    """A message of another schema than is read here: `schema`."""

    def __init__(self, schema: int) -> None:
        super().__init__(
            f"the message has schema {schema}, this poselift knows {SCHEMA}: update {'this' if schema > SCHEMA else 'the other'} side"
        )
        self.schema = schema


class Stamp(NamedTuple):
    """When a stage had its input in hand and when its output was ready, ns of the machine's monotonic clock.

    Capture's begins when the picture was taken, as far as that is known: by the camera's stamp, else on arrival; from a file when it was
    due, or, where nothing waits for that, when its decoding began. From there on a pose's age is counted.
    """

    stage: str
    received_ns: int
    done_ns: int


def made(convert: Callable[[Any], Any], default: Any = MISSING) -> Any:
    """A field that `convert` makes of what MessagePack had. It raises TypeError or ValueError where it cannot."""
    return field(default=default, metadata={"convert": convert})


def plain(value: Any, kind: type) -> Any:
    """`value`, which must be of that kind: 64 bits where it is an integer, which True is not; text without what would steer a terminal.

    Raises TypeError or ValueError.
    """
    if not isinstance(value, (int, float) if kind is float else kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{type(value).__name__}, not {kind.__name__}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} does not fit into 64 bits")
    return _shown(value) if isinstance(value, str) else value


@dataclass(frozen=True)
class Header:
    """Which picture a message is about.

    frame: running number, from 0, also when capture was restarted; without gaps but for `skipped`.
    t_ns: time of the picture, ns.
    width_px, height_px: its size.
    """

    frame: int
    t_ns: int
    width_px: int
    height_px: int

    @property
    def size_px(self) -> Size:
        """Width and height of the picture, px."""
        return self.width_px, self.height_px


@dataclass(frozen=True)
class Passed:
    """How a message came about.

    skipped: frames that did not come so far since the sender's message before, by reason; in a program, also the poses that it was not
        given since the one before.
    incarnation: wall time at which the sending process started, ns: tells a restarted sender from a running one.
    trace: a Stamp for each stage so far, capture first.
    left_out: people who were seen lately beyond those who are followed, of whom there are `detect.people` at most.
    """

    skipped: dict[str, int] = field(default_factory=dict)
    incarnation: int = 0
    trace: tuple[Stamp, ...] = ()
    left_out: int = 0


def _whole(kind: type[T]) -> type[T]:
    """The class with the fields of those that it is made of in its docstring, where `help()` shows them."""
    parts = (cleandoc(of.__doc__ or "").partition("\n\n")[2] for of in reversed(kind.__mro__) if of is not object)
    kind.__doc__ = "\n\n".join((cleandoc(kind.__doc__ or "").partition("\n\n")[0], "\n".join(filter(None, parts))))
    return kind


@_whole
@dataclass(frozen=True)
class Frame(Header):
    """One picture. Between processes its pixels lie in the ring of frames, on disk they are in `pixels`.

    fps: the source's nominal rate, frames per second; 0 where it has none.
    ring: number of the ring file that holds the pixels, uint8 [height, width, 3] BGR.
    slot, generation: where in that ring, and which of the pictures that were there.
    encoding: 'ring' while the pixels are in shared memory; 'jpeg', 'png' or 'none' in a recording.
    pixels: the encoded picture in a recording, else empty.
    incarnation: wall time at which the sending process started, ns: tells a restarted sender from a running one.
    trace: a Stamp for each stage so far, capture first.
    skipped: frames that the source lost since the one before, by reason; they have numbers, too.
    """

    fps: float
    ring: int
    slot: int
    generation: int
    encoding: str
    pixels: bytes
    incarnation: int
    trace: tuple[Stamp, ...]
    skipped: dict[str, int] = field(default_factory=dict)


@_whole
@dataclass(frozen=True)
class Pose2D(Passed, Detected2D, Header):
    """The people found in one frame; one message per processed frame, also when nobody is there. K people."""


@_whole
@dataclass(frozen=True)
class Pose3D(Passed, People3D, Header):
    """The people of one frame in 3D: the answer to one Pose2D, with its keypoints. K people."""


@dataclass(frozen=True)
class Health:
    """How a worker is: sent about once a second by every worker.

    worker, pid: its name and process id.
    incarnation: wall time at which the process started, ns.
    monotonic_ns: when this was said, ns of the machine's monotonic clock.
    state: 'starting', 'running', 'waiting' (nothing comes in) or 'ending'.
    note: a line for people, such as why a camera is not there; may be empty.
    messages: outputs since the start (record: messages written).
    rate_hz: outputs per second, over the last second or so.
    age_p50_ms, age_p95_ms: age of the data when this worker was done with it, since its picture was taken (see Stamp); NaN where
        there was none.
    drops: what did not go on, by reason, since the start.
    memory_bytes: resident memory that is the process's own (not shared).
    recording: the recorder alone: name of the recording that is being written, such as 'session.mcap'; empty while there is none.
    network_p50_ms, network_p95_ms: what the worker's networks took for one output, all runs together; NaN where none has run.
    device: where its networks run: 'cpu' or 'npu'; empty where it has none.
    viewers: the worker that serves alone: viewers elsewhere that are connected.
    people, left_out: the worker that detects alone: people in its last picture, and how many more were seen lately (see Passed).
    """

    worker: str
    pid: int
    incarnation: int
    monotonic_ns: int
    state: str
    note: str
    messages: int
    rate_hz: float
    age_p50_ms: float
    age_p95_ms: float
    drops: dict[str, int]
    memory_bytes: int
    recording: str = ""
    network_p50_ms: float = nan
    network_p95_ms: float = nan
    device: str = ""
    viewers: int = 0
    people: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class Control:
    """An order to one worker.

    command: 'stop': finish what is in hand, say End, leave. 'status': answer only. The recorder's others are in app/recording/orders.py.
    """

    command: str


@dataclass(frozen=True)
class Answer:
    """A worker's answer to a Control.

    ok: whether it was done.
    text: a line for people.
    """

    ok: bool
    text: str


@dataclass(frozen=True)
class End:
    """The sender's last message.

    sender: the worker.
    frames: frames captured in all, as far as the sender knows.
    note: a warning for people (such as a truncated video); may be empty.
    skipped: frames left out since the sender's message before, by reason.
    broken: the worker that left without an End, for good, so that the others had to stop; empty where the pipeline ended in order.
    """

    sender: str
    frames: int
    note: str
    skipped: dict[str, int] = field(default_factory=dict)
    broken: str = ""


Numbered = Union[Frame, Pose2D, Pose3D]
NUMBERED = (Frame, Pose2D, Pose3D)
"""The messages about a picture; each needs an answer."""
Message = Union[Numbered, Health, Control, Answer, End]
TYPES: dict[str, type[Message]] = {kind.__name__: kind for kind in (Frame, Pose2D, Pose3D, Health, Control, Answer, End)}

MAX_ITEMS = 1000
"""No message's list or map is longer: a few bytes must not make the reader allocate much."""

_LEAST = {"frame": 0, "width_px": 1, "height_px": 1, "fps": 0}
"""What these fields cannot be below, nor NaN or infinite: what comes after counts and divides by them."""

_PLAIN: dict[str, type] = {kind.__name__: kind for kind in (int, float, str, bytes, bool)}


def instead_of(older: Iterable[Message], newest: Any) -> Any:
    """The newest, taken instead of older ones of its stream: it declares what they declared as skipped, too."""
    skipped: dict[str, int] = {}
    for message in (*older, newest):
        for reason, count in getattr(message, "skipped", {}).items():
            skipped[reason] = skipped.get(reason, 0) + count
    return replace(newest, skipped=skipped) if skipped else newest


def encode(message: Any) -> bytes:
    """The message, an instance of a message's class, as one MessagePack map."""
    packed: dict[str, Any] = {"schema": SCHEMA, "type": type(message).__name__}
    for item in fields(message):
        value = getattr(message, item.name)
        dtype = item.metadata.get("dtype")
        packed[item.name] = value if dtype is None else np.ascontiguousarray(value, dtype).tobytes()
    return msgpack.packb(packed)  # type: ignore[no-any-return]


def decode(data: bytes) -> Message:
    """The message in `data`; its arrays are read-only, and a field that is missing has its default.

    Raises MessageError where it is none, where a field without a default is missing, or of a newer schema.
    """
    return decode_as(data, TYPES)  # type: ignore[no-any-return]


def decode_as(data: bytes, types: Mapping[str, type[Any]], oldest: int = 0) -> Any:
    """The message in `data`, which must be of one of these types by its name, and of a schema from `oldest` on; else as `decode`."""
    try:
        packed = msgpack.unpackb(data, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS)
    except Exception as error:  # msgpack raises several unrelated types
        raise MessageError(f"not MessagePack: {error}") from None
    if not isinstance(packed, dict) or type(packed.get("schema")) is not int:
        raise MessageError("not a message: it has no schema version")
    if not oldest <= packed["schema"] <= SCHEMA:
        raise OtherSchema(packed["schema"])
    if packed["schema"] <= SCHEMA_WITHOUT_FEET:
        packed = {"contact": b"", **packed}
    kind = types.get(str(packed.get("type")))
    if kind is None:
        raise MessageError(f"unknown message type {packed.get('type')!r:.80}")
    values = {item.name: _unpack(kind, item, packed) for item in fields(kind) if item.name in packed or _required(item)}
    people = {len(value) for value in values.values() if isinstance(value, np.ndarray)}
    if len(people) > 1:
        raise MessageError(f"{kind.__name__} has arrays of {' and '.join(map(str, sorted(people)))} people")
    return kind(**values)


def _required(item: Any) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _unpack(kind: type[Any], item: Any, packed: dict[str, Any]) -> Any:
    if item.name not in packed:
        raise MessageError(f"{kind.__name__} without {item.name}")
    value = packed[item.name]
    try:
        if "dtype" in item.metadata:
            return _array(item.metadata, value, packed)
        if "convert" in item.metadata:
            return item.metadata["convert"](value)
        if item.name == "trace":
            return tuple(Stamp(plain(stage, str), plain(received, int), plain(done, int)) for stage, received, done in value)
        if item.type == "dict[str, int]":
            return {plain(reason, str): plain(count, int) for reason, count in value.items()}
        value = plain(value, _PLAIN[item.type])
        if kind in NUMBERED and item.name in _LEAST and not _LEAST[item.name] <= value < inf:
            raise ValueError(f"{value} cannot be")
        return value
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise MessageError(f"{kind.__name__}.{item.name}: {error}") from None


def _array(facts: Mapping[str, Any], value: Any, packed: Mapping[str, Any]) -> Array:
    """The rows of a field with these `facts` (`poselift.common.people.rows`), read-only."""
    found, shape = np.frombuffer(value, facts["dtype"]), facts["shape"]
    if facts["feet"] is None or packed["schema"] > SCHEMA_WITHOUT_FEET:
        return found.reshape(-1, *shape)
    people = np.frombuffer(packed["person"], np.int64).size
    before = found.reshape(people, shape[0] - len(FEET), *shape[1:])
    rows = np.concatenate([before, np.full((people, len(FEET), *shape[1:]), facts["feet"], facts["dtype"])], 1)
    rows.flags.writeable = False
    return rows


def _shown(text: str) -> str:
    """`text` without what would steer the terminal or break the log line that it ends up in."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
