"""Made-up bytes: noise, damaged messages, and whole messages with values that nobody would send. The same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import msgpack
import numpy as np

from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, Frame, Health, Pose2D, Pose3D, Stamp, encode
from poselift.app.remote.wire import FROM_VIEWER, Camera, Hello, Missed, ModelCard, Picture, Ping, Pong, Refused, Taken, Want, Welcome

TRACE = (Stamp("capture", 1, 2),)
EXTREME: tuple[Any, ...] = (
    *(0, -1, 1, 2**63 - 1, 2**64 - 1, -(2**63), 1e308, 5e-324, -0.0, float("nan"), float("inf"), -float("inf")),
    *(None, True, False, "", "x" * 3000, "\x1b[2J\n", "record start", "status", b"", b"\xff" * 3000),
    *([], [[]], [1, 2, 3], ["a", 1, 2], {}, {"a": 1}, {1: 2}, {"a": {}}, msgpack.ExtType(1, b"x"), msgpack.Timestamp(1, 2)),
)


def whole() -> tuple[Any, ...]:
    """One message of each kind."""
    rows = {item.name: np.ones((1, *item.metadata["shape"]), item.metadata["dtype"]) for item in fields(Pose3D) if "dtype" in item.metadata}
    return (
        Frame(1, 5, 640, 480, 30.0, 1, 1, 1, "ring", b"", 9, TRACE),
        Pose2D(1, 2, 640, 480, rows["person"], rows["keypoints"], np.ones((1, 21), np.float32), {"newer_frame": 1}, 5, TRACE),
        Pose3D(1, 2, 640, 480, **rows, trace=TRACE),
        Health("lift", 1, 2, 3, "running", "", 4, 30.0, 1.0, 2.0, {}, 5),
        *(Control("record start"), Control("status"), Answer(True, "yes"), End("serve", 5, "")),
        *(Hello("0.1.0", "laptop", 77), Want(320, 70, 5.0), Taken(1, 2, 1), Ping(5), Pong(5, 6), Missed({"x": 1}), Refused("no")),
        Picture(1, 2, 32, 32, 4, 0, b"jpeg", TRACE),
        Welcome(
            1, "b", "0.1", True, 1280, 85, 15.0, Camera(1, 2, 3.0, 4.0, True, 1.7), (ModelCard("a", "b", 1),), ("x",), ((0, 1),), (), ()
        ),
    )


def noise(seed: int, count: int) -> Iterator[bytes]:
    """So many messages: of four, one is noise, two are damaged, one is whole but for one value."""
    chance = random.Random(seed)
    seeds = [encode(message) for message in whole()]
    trees = [msgpack.unpackb(data, strict_map_key=False) for data in seeds]
    for number in range(count):
        if number % 4 == 0:
            yield chance.randbytes(chance.randrange(200))
        elif number % 4 == 3:
            yield _strange(chance, dict(chance.choice(trees)))
        else:
            yield _damaged(chance, bytearray(chance.choice(seeds)))


def strange_words(seed: int, count: int) -> Iterator[bytes]:
    """So many messages of the kinds that a viewer sends, of the right types, with extreme values."""
    chance = random.Random(seed)
    values = {
        "int": [it for it in EXTREME if type(it) is int],
        "float": [it for it in EXTREME if type(it) in (int, float)],
        "str": [it for it in EXTREME if type(it) is str],
    }
    for _ in range(count):
        kind = chance.choice(list(FROM_VIEWER.values()))
        yield encode(kind(**{item.name: chance.choice(values[str(item.type)]) for item in fields(kind)}))


def _damaged(chance: random.Random, data: bytearray) -> bytes:
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(data) + 1)
        what = chance.randrange(5)
        if what == 0:
            del data[place:]
        elif what == 1:
            data[place:place] = chance.randbytes(chance.randrange(1, 9))
        elif what == 2:
            del data[place : place + chance.randrange(1, 20)]
        elif what == 3 and place < len(data):
            data[place] = chance.choice(b"\x00\x7f\x80\x8f\x9f\xc0\xc6\xc9\xcb\xcf\xd3\xdb\xdd\xdf\xff")
        elif place < len(data):
            data[place] ^= 1 << chance.randrange(8)
    return bytes(data)


def _strange(chance: random.Random, tree: dict[Any, Any]) -> bytes:
    key = chance.choice(list(tree))
    if chance.random() < 0.2:
        del tree[key]
    else:
        tree[key] = chance.choice(EXTREME)
    tree.setdefault("schema", SCHEMA)
    return bytes(msgpack.packb(tree))
