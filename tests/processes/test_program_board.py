"""127.0.0.1 may be this machine's pipeline, with keys or without, or a tunnel to a board: each is reached, or what is missing is said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

import pytest
from intruder import introduce, make_keys
from patience import PATIENCE_S
from pipeline_run import poselift, write_config
from viewers import free_port

import poselift as public
from poselift.app.cli.view import opened
from poselift.app.config import Config
from poselift.app.processes.process import lock
from poselift.app.remote import keys
from poselift.app.remote.key_strings import Role, key_string
from poselift.app.remote.keys import Permission, folder_of
from poselift.common.errors import UserError

Serve = Callable[..., tuple[str, subprocess.Popen[str]]]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where this user's own keys would be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    return folder_of(None)


@pytest.fixture
def serve(runtime_folder: Path, tmp_path: Path) -> Iterator[Serve]:
    """A function that starts a real serve: where it is reached on this machine, and its process."""
    with ExitStack() as stack:

        def start(host: str = "127.0.0.1", keys_folder: Optional[Path] = None) -> tuple[str, subprocess.Popen[str]]:
            port = free_port()
            settings = {"address": f"{host}:{port}", **({"keys_folder": str(keys_folder)} if keys_folder else {})}
            tree = {"runtime_folder": str(runtime_folder / "run"), "workers": ["lift", "serve"], "serve": settings}
            command = [sys.executable, "-m", "poselift", "run", "serve", "--config", str(write_config(tmp_path / "serve.yaml", tree))]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stderr and "serving viewers" in process.stderr.readline()
            return f"127.0.0.1:{port}", process

        yield start


def reached(address: str, **options: Any) -> bool:
    public.connect(address, **options).close()
    return True


def test_through_a_tunnel_a_board_is_reached_with_the_users_keys(serve: Serve, user: Path, board: Path) -> None:
    make_keys(user, "laptop")
    introduce(board, user)
    assert reached(serve(keys_folder=board)[0])


def test_the_right_one_of_several_boards_is_found(serve: Serve, user: Path, board: Path, tmp_path: Path) -> None:
    make_keys(user, "laptop")
    introduce(make_keys(tmp_path / "other", "other"), user)
    introduce(board, user)
    assert reached(serve(keys_folder=board)[0])


def test_who_has_keys_reaches_what_uses_none(serve: Serve, user: Path, board: Path) -> None:
    make_keys(user, "laptop")
    introduce(board, user)
    assert reached(serve()[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_what_this_machine_serves_for_others_is_reached_on_loopback_too(serve: Serve, user: Path, runtime_folder: Path, host: str) -> None:
    make_keys(user, "atlas")
    address, _ = serve(host)
    assert reached(address)
    with public.connect(address, config=write_config(runtime_folder / "c.yaml", {"runtime_folder": str(runtime_folder / "elsewhere")})):
        pass


def test_without_keys_it_is_said_that_there_have_to_be_some(serve: Serve, user: Path, board: Path) -> None:
    address, _ = serve(keys_folder=board)
    with pytest.raises(UserError, match=rf"{address} .*uses keys.* type: poselift keys new") as caught:
        public.connect(address)
    assert "\n" not in str(caught.value)
    make_keys(user, "laptop")  # but nobody knows it
    with pytest.raises(UserError, match=r"uses keys.* this machine has"):
        public.connect(address)


def test_a_key_that_the_board_does_not_admit_is_said(serve: Serve, user: Path, board: Path) -> None:
    make_keys(user, "laptop")
    keys.admit(user, Role.BOARD, "atlas", keys.own_pair(board).public, Permission.LOOK)
    with pytest.raises(UserError, match="does not admit this machine's key"):
        public.connect(serve(keys_folder=board)[0])


def test_keys_for_what_serves_without_any_are_said(serve: Serve, user: Path, board: Path, laptop: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", {"serve": {"keys_folder": str(laptop)}})
    with pytest.raises(UserError, match=r"serves without keys|is no poselift, or has another key .* or none"):
        public.connect(serve()[0], config=config)


def test_that_nobody_is_admitted_is_said_with_what_to_type(serve: Serve, board: Path, laptop: Path, tmp_path: Path) -> None:
    alone = make_keys(tmp_path / "alone", "alone")
    for folder, says in ((alone, True), (board, False)):
        _, process = serve(keys_folder=folder)
        process.terminate()
        assert process.stderr
        lines = [line for line in process.stderr if "no viewer is admitted yet" in line]
        assert len(lines) == says and all("poselift keys new" in line for line in lines)
        process.wait(PATIENCE_S)


def test_ones_own_key_is_not_admitted(board: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.yaml", {"serve": {"keys_folder": str(board)}})
    for role in Role:
        done = poselift("keys", "admit", key_string(role, "me", keys.own_pair(board).public), "--config", config)
        assert done.returncode == 2 and "is the key of this machine itself" in done.stderr and len(done.stderr.splitlines()) == 1
    assert "me" not in poselift("keys", "show", "--config", config).stdout.split()


def test_a_window_on_nothing_says_what_to_type(runtime_folder: Path) -> None:
    config = Config().changed(runtime_folder=str(runtime_folder))
    with pytest.raises(UserError, match=r"no poselift is running here .* poselift up SOURCE --serve"):
        opened(None, config)
    opened(None, config, wait=True).close()
    held = lock(runtime_folder, "lift")
    with pytest.raises(UserError, match="poselift runs here, but serves no viewers"):
        opened(None, config)
    os.close(held)


def test_poselift_view_on_nothing_leaves_at_once(runtime_folder: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path / "c.yaml", {"runtime_folder": str(runtime_folder)})
    begin_s = time.monotonic()
    done = poselift("view", "--config", path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and time.monotonic() - begin_s < PATIENCE_S
