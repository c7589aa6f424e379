"""The store of weights: fetching with the real pip from a folder of made-up wheels, and every way in which it can go wrong."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from poselift.common.atomic import PREFIX
from poselift.common.errors import ModelError
from poselift.models import store
from poselift.models.weights import FOLDER, MANIFEST, Conversion, Entry, Output, Wheel, read_manifest
from poselift.models.weights.fetch import download

CLIP, NETWORK = b"frames" * 1000, b"a network of others" * 500


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder with one wheel in it, which stands in for pip: what pip does is what the tests with `real_pip` are about."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "poselift_fake-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("fake/clip.mp4", CLIP)
        wheel.writestr("fake/network.tflite", NETWORK)
        info = "poselift_fake-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: poselift-fake\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr("poselift.models.weights.fetch.download", lambda wheel, _: folder / wheel.file)
    return folder


@pytest.fixture
def real_pip(wheels, monkeypatch):
    """Pip itself, which knows no other place than the folder."""
    monkeypatch.setattr("poselift.models.weights.fetch.download", download)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))


@pytest.fixture
def manifest(wheels):
    path = wheels / "poselift_fake-1.0-py3-none-any.whl"
    arguments = ("--no-deps", "--only-binary=:all:")
    wheel = Wheel("poselift-fake==1.0", path.name, path.stat().st_size, sha256(path.read_bytes()), arguments)
    conversion = Conversion(1, [1, 8, 8, 3], (0.0, 1.0), {"pose": Output("Identity", [1, 51])})
    of_network = ("MIT", "someone", len(NETWORK), sha256(NETWORK), wheel, "fake/network.tflite", conversion)
    of_clip = ("MIT", "someone", len(CLIP), sha256(CLIP), wheel, "fake/clip.mp4")
    shipped = MANIFEST.read_bytes()
    entries = (
        Entry("network", "converted", "network.onnx", *of_network),
        Entry("clip", "copied", "clip.mp4", *of_clip),
        Entry("own", "shipped", MANIFEST.name, "Apache-2.0", "poselift", len(shipped), sha256(shipped)),
    )
    return {entry.name: entry for entry in entries}


@pytest.fixture(autouse=True)
def converter(monkeypatch):
    """Stands in for the conversion, which has tests of its own: turns the bytes round."""
    monkeypatch.setattr(store, "_converter", lambda: lambda original, entry: original[::-1])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def pulled(folder, manifest, monkeypatch):
    """The folder after a pull; from here on, fetching again is a failure."""
    store.pull(folder, manifest=manifest)
    monkeypatch.setattr(store, "fetch", lambda wheel, entries: pytest.fail(f"fetches {wheel.requirement} again"))
    return folder


def states(folder, manifest):
    return {status.entry.name: status.state for status in store.status(folder, manifest)}


def test_pull_fetches_converts_and_tells(folder, manifest, real_pip):
    said = []
    assert states(folder, manifest) == {"network": "missing", "clip": "missing", "own": "present"}
    result = store.pull(folder, said.append, manifest)
    assert {status.entry.name: status.state for status in result} == {"network": "present", "clip": "present", "own": "present"}
    assert store.path_of("network", folder, manifest).read_bytes() == NETWORK[::-1]
    assert store.original_path(manifest["network"], folder).read_bytes() == NETWORK
    assert store.path_of("clip", folder, manifest) == folder / "clip.mp4"
    assert (folder / "clip.mp4").read_bytes() == CLIP
    assert said == ["fetching poselift-fake==1.0 (0 MB)", "converting network.tflite to network.onnx"]


def test_a_second_pull_does_nothing(pulled, manifest):
    before = {path.name: path.stat().st_mtime_ns for path in pulled.iterdir()}
    said = []
    store.pull(pulled, said.append, manifest)
    assert not said
    assert {path.name: path.stat().st_mtime_ns for path in pulled.iterdir()} == before


def test_a_missing_file_says_what_to_type(folder, manifest):
    with pytest.raises(ModelError, match=r"network\.onnx: this file is missing; type: poselift models pull"):
        store.path_of("network", folder, manifest)


@pytest.mark.parametrize("name", ["network", "clip"])
def test_a_changed_byte_is_noticed_and_pull_mends_it(name, folder, manifest):
    store.pull(folder, manifest=manifest)
    path = store.path_of(name, folder, manifest)
    whole = path.read_bytes()
    broken = b"\0" + whole[1:]
    path.write_bytes(broken)
    with pytest.raises(ModelError, match=f"{sha256(broken)[:12]}.*{sha256(whole)[:12]}.*poselift models pull"):
        store.path_of(name, folder, manifest)
    store.pull(folder, manifest=manifest)
    assert store.path_of(name, folder, manifest).read_bytes() == whole


@pytest.mark.parametrize("record", [None, b"", b"[]", b"{}", b'{"recipe": "'])
def test_a_bad_record_is_made_again(record, pulled, manifest):
    path = pulled / "network.onnx.json"
    path.unlink() if record is None else path.write_bytes(record)
    with pytest.raises(ModelError, match=r"its record network\.onnx\.json is missing or damaged"):
        store.path_of("network", pulled, manifest)
    store.pull(pulled, manifest=manifest)
    assert store.path_of("network", pulled, manifest)


def test_a_new_revision_converts_again_without_fetching(pulled, manifest):
    old = manifest["network"]
    new = {**manifest, "network": replace(old, conversion=replace(old.conversion, revision=2))}
    with pytest.raises(ModelError, match="another version of poselift; type: poselift models pull"):
        store.path_of("network", pulled, new)
    with (pulled / "network.onnx").open() as in_use:
        store.pull(pulled, manifest=new)
        assert (pulled / "network.onnx").stat().st_ino != os.fstat(in_use.fileno()).st_ino, "who reads the old file keeps it whole"
    assert states(pulled, new)["network"] == "present"


@pytest.mark.parametrize("what", ["wheel", "member"])
def test_what_is_not_the_pinned_file_is_refused(what, folder, manifest):
    wrong = "0" * 64
    network = manifest["network"]
    if what == "wheel":
        network = replace(network, wheel=replace(network.wheel, sha256=wrong))
    else:
        network = replace(network, sha256=wrong)
    with pytest.raises(ModelError, match=r"sha256 [0-9a-f]{12}\.\.\., instead of \d+ bytes, sha256 000000000000"):
        store.pull(folder, manifest={"network": network})
    assert not folder.exists()


def test_a_wheel_of_the_wrong_size_is_refused(folder, manifest):
    clip = replace(manifest["clip"], size=len(CLIP) + 1)
    with pytest.raises(ModelError, match=f"{len(CLIP)} bytes.* instead of {len(CLIP) + 1} bytes"):
        store.pull(folder, manifest={"clip": clip})


def test_pip_that_fails_is_one_line_with_its_reason(folder, manifest, wheels, real_pip):
    (wheels / manifest["clip"].wheel.file).unlink()
    with pytest.raises(ModelError, match=r"pip cannot fetch poselift-fake==1\.0: ERROR: No matching distribution") as caught:
        store.pull(folder, manifest=manifest)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def test_pip_that_fetches_another_file_is_told(folder, manifest, real_pip):
    clip = replace(manifest["clip"], wheel=replace(manifest["clip"].wheel, file="poselift_fake-1.0-cp311-abi3-any.whl"))
    with pytest.raises(ModelError, match=r"pip fetched poselift_fake-1\.0-py3-none-any\.whl .* not poselift_fake-1\.0-cp311"):
        store.pull(folder, manifest={"clip": clip})


def test_an_interrupted_conversion_leaves_nothing_half_written(folder, manifest, monkeypatch):
    def interrupted(original, entry):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "_converter", lambda: interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.pull(folder, manifest=manifest)
    assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "network.tflite"]
    assert states(folder, manifest)["network"] == "missing"
    monkeypatch.setattr(store, "fetch", lambda wheel, entries: pytest.fail("fetches again what is there"))
    store.pull(folder, manifest=manifest)
    assert states(folder, manifest)["network"] == "present"


def test_a_full_disk_leaves_the_old_file(pulled, manifest, monkeypatch):
    def full(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    old = manifest["network"]
    new = {"network": replace(old, conversion=replace(old.conversion, revision=2))}
    before = {path.name: path.read_bytes() for path in pulled.iterdir()}
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ModelError, match=r"cannot write .*network\.onnx: No space left on device"):
        store.pull(pulled, manifest=new)
    assert {path.name: path.read_bytes() for path in pulled.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_one_line(folder, manifest):
    folder.write_text("in the way")
    with pytest.raises(ModelError, match="cannot write"):
        store.pull(folder, manifest=manifest)


def test_a_missing_converter_is_told_before_anything_is_fetched(folder, manifest, monkeypatch):
    monkeypatch.undo()  # back to the real converter
    monkeypatch.setattr(store, "fetch", lambda wheel, entries: pytest.fail("fetches what cannot be converted"))
    for module in [name for name in sys.modules if name.startswith("poselift.models.convert.tflite")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"needs the package 'onnx'; type: pip install 'poselift\[convert\]'"):
        store.pull(folder, manifest=manifest)


def test_an_unknown_name_lists_those_there_are(folder, manifest):
    with pytest.raises(ModelError, match="no model 'blazepost'; known are network, clip, own"):
        store.path_of("blazepost", folder, manifest)


def test_a_shipped_file_is_verified_too(folder, manifest):
    assert store.path_of("own", folder, manifest) == MANIFEST
    broken = {"own": replace(manifest["own"], sha256="0" * 64)}
    with pytest.raises(ModelError, match=r"is damaged.*install poselift again"):
        store.path_of("own", folder, broken)
    store.pull(folder, manifest=broken)  # which cannot mend it and must not try
    assert states(folder, broken) == {"own": "damaged"}


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("POSELIFT_MODELS", str(tmp_path))
    assert store.default_folder() == tmp_path
    monkeypatch.delenv("POSELIFT_MODELS")
    assert store.default_folder().parts[-2:] == ("poselift", "models")


def test_the_manifest_pins_everything():
    entries = read_manifest()
    assert {"blazepose_detector", "blazepose_landmarks", "demo_clip"} <= set(entries)
    for entry in entries.values():
        assert len(entry.sha256) == 64 and entry.size > 0 and entry.licence and entry.author
        assert (entry.wheel is None) == (entry.kind == "shipped")
        assert (entry.conversion is None) == (entry.kind != "converted")
        if entry.wheel:
            assert len(entry.wheel.sha256) == 64 and "==" in entry.wheel.requirement
    assert "://" not in MANIFEST.read_text(encoding="utf-8"), "where packages come from is the user's own pip setting"


def test_what_we_ship_is_in_the_manifest_and_whole():
    pinned = {entry.file: entry for entry in read_manifest().values() if entry.kind == "shipped"}
    shipped = {path.name: path.read_bytes() for path in FOLDER.glob("*.onnx")}
    assert set(pinned) == set(shipped)
    for name, content in shipped.items():
        assert (len(content), sha256(content)) == (pinned[name].size, pinned[name].sha256)


def test_notice_names_everything_that_is_fetched():
    notice = (Path(__file__).parents[2] / "NOTICE").read_text(encoding="utf-8")
    for entry in read_manifest().values():
        if entry.wheel:
            assert str(entry.member) in notice
            assert entry.wheel.requirement.replace("==", " ") in notice


def test_what_a_killed_pull_left_goes_with_the_next(folder, manifest):
    folder.mkdir()
    (folder / f"{PREFIX}left").write_bytes(b"half")
    with (folder / f"{PREFIX}held").open("wb") as held:  # by another, who is at work
        fcntl.flock(held, fcntl.LOCK_EX)
        store.pull(folder, manifest=manifest)
        assert [path.name for path in folder.glob(".*")] == [f"{PREFIX}held"]
