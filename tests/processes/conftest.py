"""Real processes need the real networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
from intruder import introduce, make_keys
from pipeline_run import write_config

from poselift.app.config import Config, load
from poselift.common.errors import ModelError
from poselift.models.store import path_of


@pytest.fixture
def pulled() -> None:
    """Skips the test where the networks and the clip were not pulled."""
    for name in ("blazepose_detector", "blazepose_landmarks", "efficientdet_lite0", "demo_clip"):
        try:
            path_of(name)
        except ModelError as error:
            pytest.skip(str(error))


@pytest.fixture
def configure(runtime_folder: Path, tmp_path: Path, pulled: None) -> Any:
    """A function that makes a config file with a runtime folder of this test's own: its path, and what it says.

    One person is followed unless a test says otherwise (`detect={}`: as many as by default): the finder of more is a fifth of what a
    pipeline costs.
    """

    def make(**sections: Any) -> tuple[Path, Config]:
        settings = {"runtime_folder": str(runtime_folder / "run"), "detect": {"people": 1}, **sections}
        path = write_config(tmp_path / "config.yaml", settings)
        return path, load(path)

    return make


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """The folder of a board's keys."""
    return make_keys(tmp_path / "board", "atlas")


@pytest.fixture
def laptop(tmp_path: Path, board: Path) -> Path:
    """The folder of a laptop's keys, which board and laptop have admitted of each other."""
    folder = make_keys(tmp_path / "laptop", "laptop")
    introduce(board, folder)
    return folder


@pytest.fixture
def clip_pictures(pulled: None, tmp_path: Path) -> Path:
    """A folder with the first 45 pictures of the demo clip, small, as PNG: the same pixels however they are read."""
    return pictures_of_the_clip(tmp_path / "pictures", 0)


@pytest.fixture
def pictures_of_two(pulled: None, tmp_path: Path) -> Path:
    """The same of 45 pictures with two people."""
    return pictures_of_the_clip(tmp_path / "two", 75)


def pictures_of_the_clip(folder: Path, first: int) -> Path:
    folder.mkdir()
    capture = cv2.VideoCapture(str(path_of("demo_clip")))
    for number in range(first + 45):
        _, picture = capture.read()
        if number >= first:
            cv2.imwrite(str(folder / f"{number - first:03}.png"), cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA))
    return folder
