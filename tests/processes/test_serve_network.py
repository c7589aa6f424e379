"""Over a link with delay, loss and a cut: a viewer recovers by itself, says what happened, and knows how old its data is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from intruder import introduce, make_keys
from pipeline_run import running
from viewers import Process, free_port

ONE_WAY_MS, LOSS = 40, 0.02
AGE_WITHIN_MS = 20.0
CUT_LINES = 15
"""The viewer tells five times a second how it is."""
BOARD, LAPTOP = "10.231.77.1", "10.231.77.2"


class Link(NamedTuple):
    """A namespace for the viewer, and this machine's end of the link to it."""

    namespace: str
    end: str


def do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture
def link() -> Iterator[Link]:
    """A link that takes 80 ms there and back and loses 2 %. Skips where this machine does not let us make one."""
    if os.getuid() or not shutil.which("ip") or not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("needs root, ip and /dev/net/tun, to make a network namespace and a link to it")
    name = f"pl{os.getpid()}"
    here, there = f"{name}a", f"{name}b"
    try:
        do("ip", "netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    script = str(Path(__file__).with_name("slow_link.py"))
    process = subprocess.Popen([sys.executable, script, here, there, str(ONE_WAY_MS), str(LOSS)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        do("ip", "link", "set", there, "netns", name)
        for inside, end, mine, other in ((("ip",), here, BOARD, LAPTOP), (("ip", "-n", name), there, LAPTOP, BOARD)):
            do(*inside, "addr", "add", mine, "peer", other, "dev", end)
            do(*inside, "link", "set", end, "up")
        yield Link(name, here)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        do("ip", "netns", "del", name)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of keys of a board and of a viewer that it admits."""
    board, laptop = make_keys(tmp_path / "board", "attic"), make_keys(tmp_path / "laptop", "laptop")
    introduce(board, laptop)
    return board, laptop


def test_a_viewer_recovers_says_what_happened_and_knows_how_old_its_data_is(configure: Any, link: Link, keys: tuple[Path, Path]) -> None:
    address = f"{BOARD}:{free_port()}"
    path, config = configure(serve={"address": address, "keys_folder": str(keys[0])})
    viewer = None
    try:
        with running(config, path, "test:320x240@15"):
            viewer = Process(address, str(keys[1]), before=("ip", "netns", "exec", link.namespace))
            seen = viewer.until(lambda seen: seen["poses"] > 30 and seen["pictures"] > 3 and seen["error_ms"], "poses and pictures")
            check_age(seen)

            do("ip", "link", "set", link.end, "down")
            cut = viewer.until(lambda seen: not seen["connected"], "the cut to be noticed")
            assert cut["why"].startswith(f"nothing heard from {address} for ") and cut["why"].endswith(" s; trying again")
            for _ in range(CUT_LINES):
                cut = viewer.until(lambda _: True, "more of the cut")
            assert not cut["connected"]
            do("ip", "link", "set", link.end, "up")

            again = viewer.until(lambda seen: seen["connected"] and seen["poses"] > cut["poses"] + 30 and seen["error_ms"], "new poses")
            assert again["age_ms"] < 2000, "what was meant for before the cut is not shown now"
            check_age(again)
    finally:
        if viewer:
            viewer.close()


def check_age(seen: dict[str, Any]) -> None:
    """Both clocks are this machine's own: the true offset is 0, and the true age known."""
    assert seen["error_ms"] < AGE_WITHIN_MS
    assert seen["off_ms"] <= seen["bound_ms"]
