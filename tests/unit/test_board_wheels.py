"""pip finds a wheel for everything that a board installs, with no compiler there: on the oldest Python and glibc, and on the newer board.

What pip would take was asked by `make board` (tests/board_wheels.py); here it is read, and judged by the tags and markers of the board.
"""

from __future__ import annotations

import json

import pytest
from board_wheels import BOARDS, REPOSITORY, Board
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

REPORTS = REPOSITORY / ".venv/wheels"
UNREACHABLE = ("onnection", "Retrying", "timed out", "esolution", "Network is unreachable", "ProxyError", "SSLError")
"""What pip says where there is no way to a package index."""


@pytest.fixture(params=BOARDS, ids=lambda board: board.name)
def board(request: pytest.FixtureRequest) -> Board:
    return request.param


@pytest.fixture
def packages(board: Board) -> dict[str, dict]:
    """What pip would install there, by name."""
    path, complaint = REPORTS / f"{board.name}.json", REPORTS / f"{board.name}.txt"
    if complaint.is_file():
        text = complaint.read_text()
        if any(words in text for words in UNREACHABLE):
            pytest.skip(f"pip reached no package index: {text.strip().splitlines()[-1]}")
        pytest.fail(f"pip finds no wheels for {board.name}:\n{text}")
    if not path.is_file():
        pytest.skip(f"pip was not asked yet: no {path}; type: make board")
    report = json.loads(path.read_text())
    return {canonicalize_name(package["metadata"]["name"]): package for package in report["install"]}


def tags(board: Board) -> set[Tag]:
    """All that fit, the way pip has it."""
    interpreter = "cp{}{}".format(*board.python)
    return {
        *cpython_tags(board.python, [interpreter], board.platforms),
        *compatible_tags(board.python, interpreter, board.platforms),
    }


def test_every_wheel_fits(board: Board, packages: dict[str, dict]):
    fitting = tags(board)
    for name, package in packages.items():
        if name == "poselift":
            continue
        assert "archive_info" in package["download_info"], f"{name} is no archive"
        file = package["download_info"]["url"].rsplit("/", 1)[-1]
        assert parse_wheel_filename(file)[3] & fitting, f"{file} does not fit {board}"
        python = SpecifierSet(package["metadata"].get("requires_python", ""))
        assert python.contains("{}.{}.18".format(*board.python)), f"{file} wants Python {python}"


def test_nothing_is_left_out(board: Board, packages: dict[str, dict]):
    """pip judges markers by the machine that it runs on, so whatever the board's own markers ask for has to be in the report too."""
    version = "{}.{}".format(*board.python)
    there = {
        **default_environment(),
        "python_version": version,
        "python_full_version": f"{version}.18",
        "implementation_version": f"{version}.18",
        "platform_machine": "aarch64",
        "extra": "",
    }
    for name, package in packages.items():
        for line in package["metadata"].get("requires_dist", ()):
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate(there):
                continue
            needed = canonicalize_name(requirement.name)
            assert needed in packages, f"{name} needs {line} on {board.name}"
            assert requirement.specifier.contains(packages[needed]["metadata"]["version"]), f"{name} needs {line} on {board.name}"


def test_it_is_what_the_workers_import_and_no_more(packages: dict[str, dict]):
    assert {"numpy", "opencv-python-headless", "pyzmq", "msgpack", "pydantic-core", "mcap", "lz4", "zstandard", "av", "psutil"} <= set(
        packages
    )
    assert not {"onnxruntime", "onnx", "torch", "tflite", "vispy", "matplotlib", "pytest"} & set(packages)


def test_numpy_1_can_be_had_where_cann_wants_it():
    (board,) = (board for board in BOARDS if board.constraint)
    path = REPORTS / f"{board.name}.json"
    if not path.is_file():
        pytest.skip(f"pip was not asked yet: no {path}; type: make board")
    versions = {package["metadata"]["name"]: package["metadata"]["version"] for package in json.loads(path.read_text())["install"]}
    assert versions["numpy"].startswith("1.")


def test_a_board_without_a_fitting_wheel_would_be_noticed():
    """The judge of the tests above, on wheels that do not fit."""
    old, new = BOARDS[0], BOARDS[-1]
    file = "av-17.1.0-cp311-cp311-manylinux_2_28_aarch64.whl"
    assert parse_wheel_filename(file)[3] & tags(new) and not parse_wheel_filename(file)[3] & tags(old)
    assert not parse_wheel_filename(file.replace("aarch64", "x86_64"))[3] & tags(new)
    assert not parse_wheel_filename(file.replace("_2_28_", "_2_36_"))[3] & tags(new)
    assert parse_wheel_filename("mcap-1.6.0-py3-none-any.whl")[3] & tags(old)
