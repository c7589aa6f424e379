"""What board and viewer say to each other comes out as it went in; nothing but what that side may say is believed, and nothing crashes."""

from __future__ import annotations

import random
from typing import Any

import msgpack
import numpy as np
import pytest

from poselift.app.dataflow.messages import SCHEMA, Answer, Control, End, Frame, Health, MessageError, OtherSchema, Pose2D, Stamp, encode
from poselift.app.remote.wire import (
    FROM_BOARD,
    FROM_VIEWER,
    Camera,
    Hello,
    Missed,
    ModelCard,
    Picture,
    Ping,
    Pong,
    Refused,
    Taken,
    Want,
    Welcome,
    from_board,
    from_viewer,
)

CAMERA = Camera(640, 480, 30.0, 704.0, True, 1.7)
WELCOME = Welcome(
    7, "board", "0.1.0", True, 1280, 85, 15.0, CAMERA, (ModelCard("lifter", "Apache-2.0", 27),), ("nose", "eye"), ((0, 1),), ("hip",), (-1,)
)
VIEWER_SAYS = [Hello("0.1.0", "laptop", 2**62), Want(640, 80, 12.5), Taken(7, 100, 3), Ping(2**62), Control("status")]
BOARD_SAYS = [
    WELCOME,
    Refused("full"),
    Picture(3, 4, 320, 240, 5, 0, b"\xff\xd8abc", (Stamp("capture", 1, 2),)),
    Missed({"no_room:Pose3D": 3}),
    Pong(1, 2),
    Health("lift", 1, 2, 3, "running", "", 4, 30.0, 1.0, 2.0, {}, 5, network_p50_ms=3.0, network_p95_ms=4.0),
    Answer(True, "yes"),
    End("serve", 3, ""),
]


@pytest.mark.parametrize("message", VIEWER_SAYS)
def test_what_a_viewer_says(message: Any) -> None:
    assert from_viewer(encode(message)) == message


@pytest.mark.parametrize("message", BOARD_SAYS)
def test_what_a_board_says(message: Any) -> None:
    assert from_board(encode(message)) == message


def test_poses_pass_too() -> None:
    pose = Pose2D(1, 2, 640, 480, np.arange(2), np.ones((2, 21, 3), np.float32))
    assert (from_board(encode(pose)).keypoints == pose.keypoints).all()


@pytest.mark.parametrize("message", [*BOARD_SAYS, Frame(0, 0, 1, 1, 0, 0, 0, 0, "ring", b"", 0, ())])
def test_a_viewer_may_not_say_what_boards_say(message: Any) -> None:
    if type(message).__name__ not in FROM_VIEWER:
        with pytest.raises(MessageError, match="unknown message type"):
            from_viewer(encode(message))


@pytest.mark.parametrize("message", [*VIEWER_SAYS, Frame(0, 0, 1, 1, 0, 0, 0, 0, "ring", b"", 0, ())])
def test_a_board_may_not_say_what_viewers_say(message: Any) -> None:
    assert type(message).__name__ not in FROM_BOARD
    with pytest.raises(MessageError, match="unknown message type"):
        from_board(encode(message))


@pytest.mark.parametrize(("schema", "side"), [(SCHEMA + 1, "this"), (SCHEMA - 1, "the other")])
def test_another_schema_says_which_side_is_to_be_updated(schema: int, side: str) -> None:
    data = msgpack.packb({**msgpack.unpackb(encode(Ping(1))), "schema": schema})
    with pytest.raises(OtherSchema, match=f"update {side} side") as caught:
        from_viewer(data)
    assert caught.value.schema == schema


@pytest.mark.parametrize(
    "wrong",
    [
        {"camera": (1, 2, 3.0, 4.0, True)},
        {"camera": (1, 2, 3.0, 4.0, "no", 1.7)},
        {"camera": None},
        {"models": ((1, "x", 2),)},
        {"models": 5},
        {"keypoint_bones": ((0, 1, 2),)},
        {"joint_parents": ("x",)},
        {"session": "1"},
    ],
)
def test_a_welcome_of_another_form_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        from_board(msgpack.packb({**msgpack.unpackb(encode(WELCOME)), **wrong}))


def test_nothing_but_a_message_error_comes_of_anything_else() -> None:
    rng = random.Random(5)
    refused = 0
    for _ in range(3000):
        data = bytearray(encode(rng.choice([*VIEWER_SAYS, *BOARD_SAYS])))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        for read in (from_viewer, from_board):
            try:
                read(bytes(data[: rng.randint(1, len(data))]))
            except MessageError:
                refused += 1
    assert refused > 3000
