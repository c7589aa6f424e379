"""What a network's file says of itself is read without the packages that could open it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from poselift.app.config import Config
from poselift.common.errors import ModelError, UserError
from poselift.models.backends.file_metadata import file_metadata
from poselift.models.detection import DETECTORS
from poselift.models.weights import FOLDER, read_manifest
from poselift.workers.cards import model_cards
from poselift.workers.networks import networks


def test_it_is_what_onnx_itself_reads() -> None:
    onnx = pytest.importorskip("onnx")
    path = FOLDER / "lifter.onnx"
    assert file_metadata(path) == {entry.key: entry.value for entry in onnx.load(path).metadata_props} != {}


@pytest.mark.parametrize("content", [b"", b"\x08\x07"])
def test_a_file_without_any(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    assert file_metadata(tmp_path / "x.onnx") == {}


def test_what_is_no_onnx_file_is_a_model_error_at_most(tmp_path: Path) -> None:
    rng = random.Random(1)
    good, refused = (FOLDER / "lifter.onnx").read_bytes()[-3000:], 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "x.onnx").write_bytes(data)
        try:
            file_metadata(tmp_path / "x.onnx")
        except ModelError as error:
            refused += "no ONNX file" in str(error)
    assert refused > 100


def test_the_cards_of_the_networks_in_use() -> None:
    cards = {card.name: card for card in model_cards(Config())}
    assert cards["poselift-lifter"][1:] == ("Apache-2.0", 27)
    assert cards["efficientdet_lite0"][1:] == ("Apache-2.0", 1)
    assert [card.name for card in model_cards(Config().changed(workers=["capture", "detect"]))] == [
        "efficientdet_lite0",
        "blazepose_landmarks",
    ]


def test_a_lifter_that_cannot_be_read_is_still_named() -> None:
    (card,) = model_cards(Config().changed(workers=["lift"], lift={"model": "/nowhere/mine.onnx"}))
    assert card == ("mine", "unknown", 0)


def test_the_users_own_networks_are_named_by_their_files() -> None:
    config = Config().changed(workers=["detect", "lift"], detect={"model": "/nowhere/rtmpose.onnx"}, lift={"model": "/nowhere/mine.onnx"})
    assert [card.name for card in model_cards(config)] == ["efficientdet_lite0", "rtmpose", "mine"]


def test_every_detector_has_its_networks_in_the_manifest() -> None:
    assert [name for detector in DETECTORS.values() for name in detector.networks if name not in read_manifest()] == []


def test_a_detector_that_there_is_not() -> None:
    with pytest.raises(UserError, match=r"detect\.detector: yolo: there is no such detector; known: blazepose"):
        networks(Config().changed(detect={"detector": "yolo"}))


@pytest.mark.parametrize(
    ("detect", "message"),
    [
        (
            {"detector": "blazepose", "model": "a.onnx"},
            "detect.model and detect.detector: blazepose takes no network of yours; leave out one",
        ),
        ({"detector": "top_down"}, "detect.detector: top_down needs a network of yours; name it in detect.model"),
    ],
)
def test_a_detector_and_a_network_that_do_not_fit(detect, message: str) -> None:
    with pytest.raises(UserError, match=message):
        networks(Config().changed(detect=detect))
