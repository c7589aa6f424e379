"""Keys on disk and on the way: what was copied whole is taken, and nothing that others could read or change is used."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from poselift.app.remote import keys
from poselift.app.remote.authenticator import new_pair
from poselift.app.remote.key_files import ADMITTED, OWN
from poselift.app.remote.key_strings import Role, good_name, host_name, key_string, key_text, parse_key_string
from poselift.app.remote.keys import KeyPair, Permission
from poselift.common.errors import UserError

PUBLIC = bytes(range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config" / "keys"


def a_pair(number: int = 0, name: str = "atlas") -> KeyPair:
    return KeyPair(name, bytes([number]) * 32, bytes([number + 1]) * 32)


def test_a_word_is_one_word_to_every_shell_and_comes_back_as_it_was() -> None:
    for key in (PUBLIC, bytes(32), b"\xff" * 32, *(os.urandom(32) for _ in range(50))):
        text = key_string(Role.VIEWER, "my-laptop.home_2", key)
        assert (
            shlex.split(text) == [text] == subprocess.run(["sh", "-c", f"printf %s {text}"], capture_output=True, text=True).stdout.split()
        )
        for copied in (text, f" {text}\n", f"'{text}'", f'"{text}"'):
            assert parse_key_string(copied) == (Role.VIEWER, "my-laptop.home_2", key)


def test_every_wrong_character_of_a_key_is_found() -> None:
    text = key_string(Role.BOARD, "atlas", PUBLIC)
    start = text.rindex(":") + 1
    for place in range(start, len(text)):
        wrong = text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]
        for broken in (wrong, text[:place], text[:place] + text[place + 1 :]):
            with pytest.raises(UserError, match="not copied whole"):
                parse_key_string(broken)


@pytest.mark.parametrize("text", ["", ":", "::", "viewer", "viewer:", "boss:a:b", "viewer::key", "\x1b[31m", "a" * 5000, "viewer:\n:x"])
def test_what_is_no_key_is_said_in_one_short_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_key_string(text)
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["", "a b", "\x1b[2J", "-x", "a" * 64, "a\n", "é", "a/b", "$HOME", "a;b", "."])
def test_names_that_could_deceive_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be a name"):
        keys.admit(folder, Role.VIEWER, name, PUBLIC, Permission.LOOK)
    with pytest.raises(UserError, match="cannot be a name"):
        keys.save_pair(folder, a_pair(name=name))
    assert not folder.exists() or not list(folder.iterdir())


def test_this_machine_has_a_name_that_can_be_one() -> None:
    assert good_name(host_name())


def test_a_pair_is_made_once_and_only_its_owner_can_read_it(folder: Path) -> None:
    mask = os.umask(0)
    try:
        keys.save_pair(folder, a_pair())
    finally:
        os.umask(mask)
    assert keys.own_pair(folder) == a_pair()
    assert stat.S_IMODE((folder / OWN).stat().st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = (folder / OWN).read_bytes()
    with pytest.raises(UserError, match="has a key pair already"):
        keys.save_pair(folder, a_pair(5))
    assert (folder / OWN).read_bytes() == before and len(list(folder.iterdir())) == 1


def test_a_new_pair_belongs_together() -> None:
    import zmq
    from zmq.utils import z85

    pair = new_pair("laptop")
    assert z85.decode(zmq.curve_public(z85.encode(pair.secret))) == pair.public
    assert new_pair("laptop").secret != pair.secret


def test_without_a_pair_it_is_said_how_to_get_one(folder: Path) -> None:
    with pytest.raises(UserError, match="type: poselift keys new"):
        keys.own_pair(folder)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_keys_that_others_can_get_at_are_refused_until_what_is_said_was_typed(folder: Path, mode: int) -> None:
    keys.save_pair(folder, a_pair())
    keys.admit(folder, Role.VIEWER, "laptop", PUBLIC, Permission.LOOK)
    for path in (folder / OWN, folder / ADMITTED, folder):
        rights = path.stat().st_mode
        path.chmod(mode | (rights & 0o700))
        with pytest.raises(UserError, match="others than you") as caught:
            (keys.admitted if path.name == ADMITTED else keys.own_pair)(folder)
        command = str(caught.value).split("type: ")[1]
        subprocess.run(command, shell=True, check=True)
        assert path.stat().st_mode == rights and keys.own_pair(folder) and keys.admitted(folder)


def test_the_command_to_type_is_right_for_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "my $keys"
    keys.save_pair(folder, a_pair())
    (folder / OWN).chmod(0o644)
    with pytest.raises(UserError) as caught:
        keys.own_pair(folder)
    subprocess.run(str(caught.value).split("type: ")[1], shell=True, check=True)
    assert keys.own_pair(folder) == a_pair()


def test_somebody_elses_keys_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.save_pair(folder, a_pair())
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(UserError, match="not to you"):
        keys.own_pair(folder)
    with pytest.raises(UserError, match="not to you"):
        keys.admit(folder, Role.VIEWER, "laptop", PUBLIC, Permission.LOOK)


def test_a_link_a_pipe_and_a_folder_are_no_files_of_keys(folder: Path, tmp_path: Path) -> None:
    keys.save_pair(folder, a_pair())
    real = (folder / OWN).rename(tmp_path / "elsewhere")
    (folder / OWN).symlink_to(real)
    with pytest.raises(UserError, match="it is a link"):
        keys.own_pair(folder)
    (folder / OWN).unlink()
    os.mkfifo(folder / OWN, 0o600)  # which would keep us waiting
    with pytest.raises(UserError, match="should be a file"):
        keys.own_pair(folder)
    (folder / OWN).unlink()
    (folder / OWN).mkdir(0o700)
    with pytest.raises(UserError, match="should be a file"):
        keys.own_pair(folder)


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-10], lambda data: data.replace(b"atlas", b"other", 1), os.urandom]
)
def test_a_damaged_pair_is_refused_and_its_key_is_not_shown(folder: Path, damage) -> None:
    keys.save_pair(folder, a_pair())
    path = folder / OWN
    data = path.read_bytes()
    path.write_bytes(damage(data if damage is not os.urandom else 500))
    with pytest.raises(UserError, match="damaged") as caught:
        keys.own_pair(folder)
    assert key_text(a_pair().secret)[:20] not in str(caught.value)


def test_the_private_key_is_never_admitted_by_mistake(folder: Path) -> None:
    keys.save_pair(folder, a_pair())
    line = (folder / OWN).read_text().splitlines()[-1]
    with pytest.raises(UserError, match=r"private key.*stays where it is") as caught:
        parse_key_string(line)
    assert line.rpartition(":")[2] not in str(caught.value)


def test_who_is_admitted_is_known_with_its_right_until_it_is_revoked(folder: Path) -> None:
    assert keys.admitted(folder) == ()
    keys.admit(folder, Role.VIEWER, "laptop", PUBLIC, Permission.LOOK)
    keys.admit(folder, Role.BOARD, "laptop", PUBLIC, Permission.LOOK)  # one machine in both roles
    keys.admit(folder, Role.VIEWER, "desk", bytes(32), Permission.CONTROL)
    assert [(entry.name, entry.role, entry.permission) for entry in keys.admitted(folder)] == [
        ("laptop", Role.VIEWER, Permission.LOOK),
        ("laptop", Role.BOARD, Permission.LOOK),
        ("desk", Role.VIEWER, Permission.CONTROL),
    ]
    keys.admit(folder, Role.VIEWER, "lap", PUBLIC, Permission.CONTROL)  # the same key: another name and right
    assert {(entry.name, entry.permission) for entry in keys.admitted(folder) if entry.role is Role.VIEWER} == {
        ("lap", Permission.CONTROL),
        ("desk", Permission.CONTROL),
    }
    assert [entry.role for entry in keys.revoke(folder, key_text(PUBLIC))] == [Role.BOARD, Role.VIEWER]
    assert [entry.name for entry in keys.revoke(folder, key_string(Role.VIEWER, "desk", bytes(32)))] == ["desk"]
    assert keys.admitted(folder) == ()
    with pytest.raises(UserError, match="nothing was revoked"):
        keys.revoke(folder, "desk")


def test_ones_own_key_needs_no_leave(folder: Path) -> None:
    pair = a_pair()
    keys.save_pair(folder, pair)
    for role in Role:
        with pytest.raises(UserError, match="is the key of this machine itself"):
            keys.admit(folder, role, "me", pair.public, Permission.LOOK)
    assert keys.admitted(folder) == ()


def test_all_keys_that_may_fit_are_the_boards_and_ones_own(folder: Path) -> None:
    assert keys.all_client_keys(folder, "127.0.0.1") == ()
    pair = a_pair()
    keys.save_pair(folder, pair)
    keys.admit(folder, Role.VIEWER, "desk", PUBLIC, Permission.LOOK)
    assert [trust.board for trust in keys.all_client_keys(folder, "127.0.0.1")] == [pair.public]
    keys.admit(folder, Role.BOARD, "attic", PUBLIC, Permission.LOOK)
    keys.admit(folder, Role.BOARD, "localhost", bytes([7]) * 32, Permission.LOOK)
    assert [trust.board for trust in keys.all_client_keys(folder, "127.0.0.1")] == [PUBLIC, bytes([7]) * 32, pair.public]
    assert [trust.board for trust in keys.all_client_keys(folder, "localhost")] == [bytes([7]) * 32, pair.public]


def test_a_name_is_not_taken_over_by_another_key(folder: Path) -> None:
    keys.admit(folder, Role.VIEWER, "laptop", PUBLIC, Permission.LOOK)
    with pytest.raises(UserError, match="poselift keys revoke laptop"):
        keys.admit(folder, Role.VIEWER, "laptop", bytes(32), Permission.CONTROL)
    assert [entry.public for entry in keys.admitted(folder)] == [PUBLIC]


def test_a_damaged_line_admits_nobody_and_the_others_stay(folder: Path) -> None:
    keys.admit(folder, Role.VIEWER, "laptop", PUBLIC, Permission.LOOK)
    path = folder / ADMITTED
    good = path.read_text()
    line = good.splitlines()[1]
    for bad in (
        line[3:],
        line[:-20],
        line.replace("look", "all"),
        line.replace("viewer", "root"),
        line.replace(" look", ""),
        f"{line} x",
        "\0\xff",
    ):
        path.write_bytes(good.encode() + bad.encode("latin-1") + b"\n")
        entries, problems = keys.read_admitted(folder)
        assert (
            [entry.name for entry in entries] == ["laptop"] and len(problems) == 1 and "line 3" in problems[0] and "\n" not in problems[0]
        )
        with pytest.raises(UserError, match="line 3"):
            keys.admit(folder, Role.VIEWER, "desk", bytes(32), Permission.LOOK)  # which would lose the line
        assert path.read_bytes().startswith(good.encode())


def test_admitting_at_the_same_time_loses_nobody(folder: Path) -> None:
    def admit(number: int) -> None:
        keys.admit(folder, Role.VIEWER, f"laptop{number}", bytes([number]) * 32, Permission.LOOK)

    threads = [threading.Thread(target=admit, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.name for entry in keys.admitted(folder)} == {f"laptop{number}" for number in range(12)}


def test_the_signature_changes_with_the_list(folder: Path) -> None:
    seen = [keys.admitted_version(folder)]
    keys.admit(folder, Role.VIEWER, "laptop", PUBLIC, Permission.LOOK)
    seen.append(keys.admitted_version(folder))
    keys.admit(folder, Role.VIEWER, "desk_1", bytes(32), Permission.LOOK)
    seen.append(keys.admitted_version(folder))
    (folder / ADMITTED).chmod(0o644)
    seen.append(keys.admitted_version(folder))
    assert seen[0] is None and len(set(seen)) == 4 and keys.admitted_version(folder) == seen[-1]


def test_a_viewer_finds_its_board_by_name_or_because_there_is_only_one(folder: Path) -> None:
    keys.save_pair(folder, a_pair(name="laptop"))
    with pytest.raises(UserError, match=r"192.168.1.7: no board is admitted here.*poselift keys show"):
        keys.client_keys(folder, "192.168.1.7")
    keys.admit(folder, Role.VIEWER, "elsewhere", bytes([9]) * 32, Permission.CONTROL)
    keys.admit(folder, Role.BOARD, "atlas", PUBLIC, Permission.LOOK)
    assert keys.client_keys(folder, "192.168.1.7") == (a_pair(name="laptop"), PUBLIC)
    keys.admit(folder, Role.BOARD, "192.168.1.9", bytes([3]) * 32, Permission.LOOK)
    for host, key in (("atlas", PUBLIC), ("ATLAS.local", PUBLIC), ("192.168.1.9", bytes([3]) * 32)):
        assert keys.client_keys(folder, host).board == key
    for host in ("192.168.1.7", "192", "at"):
        with pytest.raises(UserError, match=f"{host}: which board is that.*atlas, 192.168.1.9.*--name {host}"):
            keys.client_keys(folder, host)


def test_where_keys_are_needed() -> None:
    assert keys.folder_for(True, None) is None
    assert keys.folder_for(True, "/keys") == keys.folder_for(False, "/keys") == Path("/keys")
    assert keys.folder_for(False, None) == keys.folder_of(None)
    assert keys.folder_of(None).name == "keys" and keys.folder_of(None).parent.name == "poselift"
