"""The messages: what goes in comes out, and nothing but MessageError comes of anything else."""

from __future__ import annotations

import pydoc
import re
import tracemalloc
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from poselift.app.dataflow.messages import (
    SCHEMA,
    TYPES,
    Answer,
    Control,
    End,
    Frame,
    Health,
    Message,
    MessageError,
    Pose2D,
    Pose3D,
    Stamp,
    decode,
    encode,
)
from poselift.app.export.npz import write_poses
from poselift.app.export.video import render

TRACE = (Stamp("capture", 1, 2), Stamp("detect", 3, 2**62))
SKIPPED = {"newer_frame": 3, "overwritten": 1}


def a_pose2d(people: int) -> Pose2D:
    rng = np.random.default_rng(people)
    keypoints = rng.normal(size=(people, 21, 3)).astype(np.float32)
    return Pose2D(7, -(2**62), 640, 480, np.arange(people) + 2**40, keypoints, None, SKIPPED, 2**60, TRACE)


def a_pose3d(people: int) -> Pose3D:
    rng = np.random.default_rng(people)
    arrays = {
        item.name: rng.normal(size=(people, *item.metadata["shape"])).astype(item.metadata["dtype"])
        for item in fields(Pose3D)
        if "dtype" in item.metadata
    }
    pose = Pose3D(7, 1, 640, 480, **arrays, skipped=SKIPPED, incarnation=5, trace=TRACE)
    pose.sigma_m[...] = np.nan
    return pose


MESSAGES: tuple[Message, ...] = (
    Frame(2**40, 5, 1920, 1080, 29.97, 3, 7, 2**40, "ring", b"", 9, TRACE),
    Frame(0, 0, 1, 1, 0, 0, 0, 0, "jpeg", bytes(range(256)), 0, ()),
    *(a_pose2d(people) for people in (0, 1, 3)),
    *(a_pose3d(people) for people in (0, 1, 3)),
    Health("lift", 1, 2, 3, "running", "a note: \u00e9", 4, 30.0, float("nan"), float("nan"), SKIPPED, 2**33),
    Control("stop"),
    Answer(True, ""),
    End("capture", 12, "cut short"),
)


def assert_same(one: Message, other: Message) -> None:
    assert type(one) is type(other)
    for item in fields(one):
        a, b = getattr(one, item.name), getattr(other, item.name)
        if "dtype" in item.metadata:
            assert b.dtype == item.metadata["dtype"] and b.shape == a.shape, item.name
            np.testing.assert_array_equal(a, b)
        elif a == a:  # NaN is not itself
            assert a == b and type(a) is type(b), item.name
        else:
            assert b != b, item.name


def broken(**changes: Any) -> bytes:
    packed = msgpack.unpackb(encode(a_pose2d(1)))
    packed.update(changes)
    return msgpack.packb({key: value for key, value in packed.items() if value is not ...})


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_round_trip(message: Message) -> None:
    assert_same(message, decode(encode(message)))
    assert encode(decode(encode(message))) == encode(message)


def test_every_type_is_tried_here() -> None:
    assert {type(message) for message in MESSAGES} == set(TYPES.values())


def test_arrays_are_read_only() -> None:
    pose = decode(encode(a_pose3d(2)))
    for item in fields(pose):
        if "dtype" in item.metadata:
            with pytest.raises(ValueError, match="read-only"):
                getattr(pose, item.name)[0] = 0


def test_arrays_of_other_types_and_layouts_are_sent_as_the_type_says() -> None:
    pose = a_pose2d(3)
    other = replace(pose, keypoints=np.asfortranarray(pose.keypoints.astype(">f8")), person=pose.person.astype(np.uint64))
    assert encode(other) == encode(pose)


def test_arrays_are_little_endian_on_the_wire() -> None:
    packed = msgpack.unpackb(encode(replace(a_pose2d(1), person=np.array([258], np.int64))))
    assert packed["person"] == b"\x02\x01\0\0\0\0\0\0"
    assert len(packed["keypoints"]) == 21 * 3 * 4


def test_a_newer_schema_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(MessageError, match=f"schema {SCHEMA + 1}, this poselift knows {SCHEMA}: update"):
        decode(broken(schema=SCHEMA + 1))


@pytest.mark.parametrize("people", [0, 1, 3])
@pytest.mark.parametrize("made", [a_pose2d, a_pose3d])
def test_a_message_from_before_there_were_feet_has_none(made: Any, people: int) -> None:
    pose = made(people)
    packed = {**msgpack.unpackb(encode(pose)), "schema": 1}
    expected = {}
    for name, missing in (("keypoints", 0), ("joints_m", np.nan), ("sigma_m", np.nan), ("confidence", 0)):
        if name in packed:
            packed[name] = np.ascontiguousarray(getattr(pose, name)[:, :17]).tobytes()
            expected[name] = getattr(pose, name).copy()
            expected[name][:, 17:] = missing
    if packed.pop("contact", None) is not None:
        expected["contact"] = np.zeros((people, 4), bool)
    old = decode(msgpack.packb(packed))
    assert_same(old, replace(pose, **expected))
    assert not any(getattr(old, name).flags.writeable for name in expected)
    assert_same(decode(encode(old)), old)


@pytest.mark.parametrize(
    "changes", [{"keypoints": a_pose2d(1).keypoints.tobytes()}, {"person": ...}, {"person": b"\0" * 16}, {"keypoints": 1}]
)
def test_a_message_from_before_there_were_feet_is_as_broken_as_any(changes: dict[str, Any]) -> None:
    old = {"keypoints": b"\0" * 17 * 3 * 4, **changes}
    with pytest.raises(MessageError, match=r"Pose2D.keypoints: |Pose2D without person"):
        decode(broken(schema=1, **old))


def test_a_field_that_this_side_does_not_know_is_no_harm() -> None:
    assert_same(decode(broken(colour="red")), a_pose2d(1))


def test_a_field_that_an_older_sender_does_not_know_has_its_default() -> None:
    packed = msgpack.unpackb(encode(replace(a_pose3d(2), delay_ns=7, skipped={})))
    assert decode(msgpack.packb(packed)).delay_ns == 7
    del packed["delay_ns"], packed["skipped"]
    assert_same(decode(msgpack.packb(packed)), replace(a_pose3d(2), delay_ns=0, skipped={}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": ...}, "no schema"),
        ({"schema": "1"}, "no schema"),
        ({"type": "Pose4D"}, "unknown message type 'Pose4D'"),
        ({"type": ["Pose2D"]}, "unknown message type"),
        ({"frame": ...}, "Pose2D without frame"),
        ({"keypoints": ...}, "Pose2D without keypoints"),
        ({"frame": 1.0}, "Pose2D.frame: float, not int"),
        ({"frame": None}, "Pose2D.frame: NoneType, not int"),
        ({"person": b"1234567"}, "Pose2D.person"),
        ({"person": "12345678"}, "Pose2D.person"),
        ({"person": None}, "Pose2D.person"),
        ({"keypoints": b"\0" * 16}, "Pose2D.keypoints"),
        ({"person": b"\0" * 16}, "arrays of 1 and 2 people"),
        ({"trace": 1}, "Pose2D.trace"),
        ({"trace": [["capture", 1]]}, "Pose2D.trace"),
        ({"trace": [["capture", 1, float("inf")]]}, "Pose2D.trace"),
        ({"trace": [["capture", 1, float("nan")]]}, "Pose2D.trace"),
        ({"skipped": [1]}, "Pose2D.skipped"),
        ({"skipped": {"late": "many"}}, "Pose2D.skipped"),
        ({"skipped": {"late": float("-inf")}}, "Pose2D.skipped"),
    ],
)
def test_a_broken_field_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(MessageError) as caught:
        decode(broken(**changes))
    assert said in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x00", msgpack.packb([1]), msgpack.packb({1: 2}), b"\xc7\xff", b"\x91" * 10_000])
def test_other_bytes_are_no_message(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode(data)


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(changed) + 1))
        kind = rng.integers(4)
        if kind == 0:
            changed[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            del changed[at : at + int(rng.integers(1, 20))]
        elif kind == 2:
            changed[at:at] = rng.bytes(int(rng.integers(1, 20)))
        else:  # a number, a length or a type of MessagePack
            changed[at : at + 1] = bytes([0xC0 + int(rng.integers(32))]) + rng.bytes(int(rng.integers(9)))
    return bytes(changed)


def test_garbage_gives_message_errors_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    originals = [encode(message) for message in MESSAGES]
    refused = 0
    for number in range(12_000):
        data = rng.bytes(int(rng.integers(64))) if number % 4 == 0 else mutated(rng, originals[number % len(originals)])
        try:
            decode(data)
        except MessageError as error:
            refused += 1
            assert len(str(error)) < 1000
    assert 6_000 < refused < 12_000


TOO_LARGE = (2**63, 2**64 - 1)
BELOW = {"frame": -1, "width_px": 0, "height_px": 0, "fps": float("nan")}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_an_integer_of_any_field_that_does_not_fit_is_refused(message: Any) -> None:
    """MessagePack has unsigned ones of 64 bits; arrays and files of results have not."""
    packed = msgpack.unpackb(encode(message))
    tried = 0
    for item in fields(message):
        kept = packed[item.name]
        if item.type in ("int", "float"):
            wrong = [*TOO_LARGE, *([BELOW[item.name]] if item.name in BELOW else [])]
        elif item.name == "trace":
            wrong = [[["capture", *pair]] for large in (*TOO_LARGE, 1.0, "1", True) for pair in ((large, 0), (0, large))]
        elif item.type == "dict[str, int]":
            wrong = [{"late": value} for value in (*TOO_LARGE, 1.0, "1", True)]
        else:
            continue
        for value in wrong:
            packed[item.name] = value
            with pytest.raises(MessageError, match=f"{type(message).__name__}.{item.name}: "):
                decode(msgpack.packb(packed))
            tried += 1
        packed[item.name] = kept
    assert tried or isinstance(message, (Control, Answer))
    assert encode(decode(msgpack.packb(packed))) == encode(message)


def test_whatever_is_decoded_can_be_encoded_and_exported(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    poses = [message for message in MESSAGES if isinstance(message, Pose3D)]
    decoded = []
    for number in range(2_000):
        packed = msgpack.unpackb(encode(poses[number % len(poses)]))
        for key in rng.choice(list(packed), int(rng.integers(1, 3)), replace=False):
            packed[str(key)] = other(rng, packed[str(key)])
        with suppress(MessageError):
            decoded.append(decode(msgpack.packb(packed)))
    assert len(decoded) > 20
    for pose in decoded:
        assert encode(decode(encode(pose))) == encode(pose)
    write_poses(tmp_path / "poses.npz", decoded, fps=30.0, body_height_m=1.7)
    assert render([(None, pose, number * 10**7) for number, pose in enumerate(decoded[:20])], tmp_path / "poses.mp4", 30.0) == 20


def other(rng: np.random.Generator, value: Any) -> Any:
    """Another value of MessagePack, of any type."""
    strange = [
        None,
        True,
        -1,
        0,
        2**63,
        2**64 - 1,
        1e300,
        float("inf"),
        float("nan"),
        "",
        "x" * 99,
        b"",
        b"\xff" * 204,
        [],
        [[]],
        {},
        {"a": []},
    ]
    strange += [
        [value],
        {"a": value},
        [["a", float("inf"), 0]],
        {"a": float("inf")},
        [[value] * 3],
        msgpack.Timestamp(1),
        msgpack.ExtType(5, b"x"),
    ]
    return strange[int(rng.integers(len(strange)))]


def test_fields_of_the_wrong_type_give_message_errors_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    refused = 0
    for number in range(6_000):
        packed = msgpack.unpackb(encode(MESSAGES[number % len(MESSAGES)]))
        for key in rng.choice(list(packed), int(rng.integers(1, 3)), replace=False):
            packed[str(key)] = other(rng, packed[str(key)])
        try:
            decode(msgpack.packb(packed))
        except MessageError:
            refused += 1
    assert 3_000 < refused < 6_000


def test_a_short_message_cannot_make_the_reader_allocate_much() -> None:
    length = 200_000
    bomb = (b"\xdd" + length.to_bytes(4, "big")) * 500 + b"\xc0" * length
    promise = b"\xdf\xff\xff\xff\xff"
    tracemalloc.start()
    try:
        for data in (bomb, promise, b"\xc6\xff\xff\xff\xff"):
            with pytest.raises(MessageError):
                decode(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(bomb)
    finally:
        tracemalloc.stop()


def test_text_that_would_steer_a_terminal_comes_without_what_steers() -> None:
    text = "\x1b[2J\x1b]0;a title\x07 two\nlines \u202e \u00e9 \u4eba"
    shown = "\ufffd[2J\ufffd]0;a title\ufffd two\ufffdlines \ufffd \u00e9 \u4eba"
    health = decode(encode(Health("lift", 1, 2, 3, "running", text, 4, 30.0, 1.0, 1.0, {text: 1}, 5)))
    assert (health.note, health.drops) == (shown, {shown: 1})
    assert decode(encode(replace(MESSAGES[0], trace=(Stamp(text, 1, 2),)))).trace[0].stage == shown


@pytest.mark.parametrize(("key", "value"), [("pid", True), ("rate_hz", False), ("note", b"x"), ("state", True)])
def test_a_truth_is_no_number(key: str, value: Any) -> None:
    packed = msgpack.unpackb(encode(Health("lift", 1, 2, 3, "running", "", 4, 30.0, 1.0, 1.0, {}, 5)))
    with pytest.raises(MessageError, match=f"Health.{key}: {type(value).__name__}, not "):
        decode(msgpack.packb({**packed, key: value}))


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_help_tells_of_every_field(kind: type[Message]) -> None:
    told = pydoc.render_doc(kind, renderer=pydoc.plaintext).partition(" Methods defined here:")[0]
    lines = [match[1] for match in re.finditer(r"^ \|  ([a-z0-9_, ]+): \S", told, re.MULTILINE)]
    assert {name for line in lines for name in line.split(", ")} == {item.name for item in fields(kind)}
