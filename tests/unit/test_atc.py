"""`poselift models atc`: what it writes, the commands it gives to a stand-in for CANN's atc, and what it says when something is amiss.

The stand-in knows the options that Huawei's "ATC" guide documents and refuses all others. What it makes is no network: that is not tested.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from demo_clip import pulled
from random_lifter import random_lifter
from spot_people import spot_network

from poselift.app.cli import atc as command
from poselift.app.cli.atc import atc
from poselift.common.errors import ModelError, UserError
from poselift.models import store
from poselift.models.backends.om_card import read_card
from poselift.models.convert.lifter import build

FOR_ONE = ("blazepose_detector", "blazepose_landmarks", "lifter")
NAMES = ("efficientdet_lite0", "blazepose_landmarks", "lifter")
METADATA = {"rate_hz": "30", "normalisation": "person_camera", "flip": "yes", "licence": "none"}

STAND_IN = r"""#!PYTHON -S
import json, re, sys
from pathlib import Path

DOCUMENTED = {
    "--framework": "5",
    "--model": r"\w+\.onnx",
    "--output": r"\w+",
    "--input_format": "NCHW|NCDHW|ND",
    "--input_shape": r"\w+:\d+(,\d+)*(;\w+:\d+(,\d+)*)*",
    "--out_nodes": r"\w+:\d+(;\w+:\d+)*",
    "--output_type": "FP32|FP16|UINT8|INT8",
    "--precision_mode": "force_fp16|allow_fp32_to_fp16|must_keep_origin_dtype|allow_mix_precision",
    "--soc_version": r"Ascend310|Ascend310B\d",
    "--log": "debug|info|warning|error|null",
}
REQUIRED = {"--framework", "--model", "--output", "--soc_version"}
options = dict(argument.split("=", 1) for argument in sys.argv[1:])
wrong = [name for name, value in options.items() if not re.fullmatch(DOCUMENTED.get(name, "(?!)"), value)]
print("ATC start working now, please wait for a moment.")
if wrong or not REQUIRED <= options.keys() or len(options) < len(sys.argv) - 1 or not Path(options["--model"]).is_file():
    print("ATC run failed, Please check the detail log, Try 'atc --help' for more information")
    print(f"E10001: Value [{wrong}] for parameter is invalid.")
    sys.exit(1)
Path(options["--output"] + ".om").write_bytes(json.dumps(options).encode())
print("ATC run success, welcome to the next use.")
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def put_atc(folder, text=STAND_IN):
    (folder / "atc").write_text(text.replace("PYTHON", sys.executable))
    (folder / "atc").chmod(0o755)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Networks that take no time to convert, in place of the pulled ones."""
    model = build(random_lifter((3, 1), 8, 20, spread=True), METADATA)
    picture = build(random_lifter((1,), 8, 20), {}, slots=1)
    for name in {*NAMES, *FOR_ONE}:
        onnx.save(model if name == "lifter" else picture, tmp_path / f"{name}.onnx")
    monkeypatch.setattr(store, "path_of", lambda name, folder=None: tmp_path / f"{name}.onnx")
    return tmp_path


def settings(folder, **tree):
    path = folder / "config.yaml"
    path.write_text(json.dumps(tree))  # is YAML, too
    return path


def test_the_real_networks_are_written_whole_and_a_stand_in_for_atc_takes_their_commands(path, capsys):
    originals = {name: onnx.load(pulled(name)) for name in NAMES}
    put_atc(path)
    atc("Ascend310B4", 2, None, False, None)
    folder = Path("om/Ascend310B4")
    assert {of.name for of in folder.iterdir()} == {
        "convert.sh",
        *(f"{name}.{end}" for name in NAMES for end in ("onnx", "json", "om", "atc.log")),
    }
    for name, original in originals.items():
        card = read_card(folder / f"{name}.om")
        options = json.loads((folder / f"{name}.om").read_bytes())
        assert (card.name, card.soc) == (name, options["--soc_version"]) == (name, "Ascend310B4")
        assert card.onnx_sha256 == hashlib.sha256((folder / f"{name}.onnx").read_bytes()).hexdigest()
        assert card.metadata == {entry.key: entry.value for entry in original.metadata_props}
        assert card.metadata["licence"] == "Apache-2.0"
        shapes = ";".join(f"{tensor.name}:{','.join(map(str, tensor.shape))}" for tensor in card.inputs)
        assert options["--input_shape"] == shapes
        assert options["--out_nodes"] == ";".join(f"{tensor.name}:0" for tensor in card.outputs)
        assert (options["--output_type"], options["--input_format"]) == ("FP32", "ND")
    lifter, landmarks = (read_card(folder / f"{name}.om") for name in ("lifter", "blazepose_landmarks"))
    assert [(tensor.dtype, tensor.shape) for tensor in lifter.inputs[:2]] == [(np.float32, (4, 67)), (np.bool_, (4,))]
    assert [(tensor.dtype, tensor.shape) for tensor in landmarks.inputs] == [(np.uint8, (1, 256, 256, 3))]
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in said[1:4]] == [["converted", f"{folder}/{name}.om"] for name in NAMES]
    assert said[-1] == "the config needs detect: {people: 2} there, too"


def test_without_atc_it_says_what_to_do_and_the_script_does_it(path, small, capsys):
    atc("Ascend310", None, Path("out"), False, None)
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == [
        "there is no atc here: copy out to where CANN's toolkit is, and type there: sh convert.sh",
        "then copy the .om and .json files to the board, and name their folder there in its config: npu: {folder: ...}",
    ]
    assert not list(Path("out").glob("*.om"))
    assert read_card(Path("out/lifter.om")).inputs[0].shape == (8, 20)  # four people, and their mirror images
    script = ["/bin/sh", "out/convert.sh"]
    missing = subprocess.run(script, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr == "convert.sh: there is no atc here; source set_env.sh of the CANN toolkit first\n"
    put_atc(path)
    done = subprocess.run(script, env={"PATH": f"{path}:/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done: a board needs the .om and .json files of this folder"
    assert {of.stem for of in Path("out").glob("*.om")} == {*NAMES}
    put_atc(path, "#!/bin/sh\nexit 0\n")
    nothing = subprocess.run(script, env={"PATH": f"{path}:/usr/bin:/bin"}, capture_output=True, text=True)
    assert (nothing.returncode, nothing.stderr) == (1, "convert.sh: atc wrote no efficientdet_lite0.om\n")


def test_for_one_person_another_network_finds_them(path, small, capsys):
    atc("Ascend310", 1, Path("out"), False, None)
    assert {of.stem for of in Path("out").glob("*.onnx")} == {*FOR_ONE}
    assert read_card(Path("out/lifter.om")).inputs[0].shape == (2, 20)
    assert capsys.readouterr().err.splitlines()[-1] == "the config needs detect: {people: 1} there, too"


def test_a_pose_network_of_the_users_own_is_written_for_one_picture_at_a_time(path, small, capsys):
    own = spot_network(small / "own.onnx", "simcc", batch="batch")
    atc("Ascend310", 2, Path("out"), False, settings(small, detect={"model": str(own)}))
    assert {of.stem for of in Path("out").glob("*.onnx")} == {"efficientdet_lite0", "pose", "lifter"}
    card = read_card(Path("out/pose.om"))
    assert [tensor.shape for tensor in (*card.inputs, *card.outputs)] == [(1, 3, 256, 192), (1, 17, 384), (1, 17, 512)]
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "the config needs detect: {model: .../pose.om} there, too",
        "the config needs detect: {people: 2} there, too",
    ]


def test_a_pose_network_of_an_open_size_cannot_be_converted(path, small):
    own = spot_network(small / "own.onnx", "heatmaps", told=False)
    with pytest.raises(
        ModelError, match=r"own\.onnx: more than the first axis of its inputs and outputs is open; export it with fixed sizes$"
    ):
        atc("Ascend310", None, Path("out"), False, settings(small, detect={"model": str(own)}))


@pytest.mark.parametrize("code", ["E10001", "EZ3002"])
def test_what_atc_says_when_it_fails_is_kept_and_told(code, path, small):
    put_atc(path, f"#!/bin/sh\necho 'ATC run failed'\necho '{code}: Value [x] is invalid.'\nexit 255\n")
    with pytest.raises(UserError) as failure:
        atc("Ascend310", None, Path("out"), False, None)
    assert str(failure.value) == (
        f"atc left with code 255 for efficientdet_lite0 ({code}: Value [x] is invalid.); "
        "what it said is in out/efficientdet_lite0.atc.log, its own log under ~/ascend/log"
    )
    assert "ATC run failed" in Path("out/efficientdet_lite0.atc.log").read_text()


def test_an_atc_that_makes_nothing_has_failed(path, small):
    put_atc(path, "#!/bin/sh\nexit 0\n")
    with pytest.raises(UserError, match=r"atc wrote no efficientdet_lite0\.om for efficientdet_lite0; "):
        atc("Ascend310", None, Path("out"), False, None)


def test_what_was_converted_from_something_else_does_not_stay_beside_the_new_card(path, small, capsys):
    atc("Ascend310", None, Path("out"), False, None)
    for name in NAMES:
        (Path("out") / f"{name}.om").write_bytes(b"converted")
    atc("Ascend310", None, Path("out"), False, None)
    assert {of.stem for of in Path("out").glob("*.om")} == {*NAMES}
    capsys.readouterr()
    atc("Ascend310", 3, Path("out"), False, None)
    assert {of.stem for of in Path("out").glob("*.om")} == {*NAMES} - {"lifter"}
    assert "removed out/lifter.om: it was converted from something else" in capsys.readouterr().err


def test_the_config_names_the_lifter_and_the_people(path, small):
    onnx.save(build(random_lifter((3, 3), 8, 20), {**METADATA, "flip": "no"}), "other.onnx")
    atc("Ascend310", None, Path("out"), False, settings(small, lift={"model": "other.onnx"}, detect={"people": 3}))
    card = read_card(Path("out/lifter.om"))
    assert [tensor.shape for tensor in card.inputs] == [(3, 20), (3,), (3, 1, 1), (3, 3, 20), (3, 7, 8)]
    assert card.metadata["flip"] == "no"


@pytest.mark.parametrize(
    ("soc", "own", "message"),
    [
        (None, None, "for which chip? Give --soc and its name: Ascend310 (Atlas 200 DK), Ascend310B1, Ascend310B4 (Atlas 200I DK A2)"),
        (None, "Ascend910B3", "--soc Ascend910B3: this chip is not known; known are: Ascend310 (Atlas 200 DK)"),
        ("ascend310", "Ascend310", "--soc ascend310: this chip is not known; known are: Ascend310 (Atlas 200 DK)"),
    ],
)
def test_a_chip_that_is_not_known_is_told(soc, own, message, path, small, monkeypatch):
    monkeypatch.setattr(command, "_own_chip", lambda: own)
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        atc(soc, None, None, False, None)
    assert not Path("om").exists()


def test_a_board_converts_for_itself(path, small, monkeypatch):
    monkeypatch.setattr(command, "_own_chip", lambda: "Ascend310B1")
    atc(None, None, None, False, None)
    assert read_card(Path("om/Ascend310B1/lifter.om")).soc == "Ascend310B1"


def test_a_folder_that_cannot_be_written_is_one_line(path, small):
    Path("file").write_text("here")
    with pytest.raises(UserError, match=r"^file/out: cannot be written \(.*\); name another folder with -o$"):
        atc("Ascend310", None, Path("file/out"), False, None)


def test_models_that_are_not_pulled_are_one_line(path, tmp_path):
    with pytest.raises(ModelError, match=r"efficientdet_lite0\.onnx: this file is missing; type: poselift models pull$"):
        atc("Ascend310", None, None, False, settings(tmp_path, models_folder=str(tmp_path / "none")))


def test_a_missing_package_is_one_line(path, small, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith(("onnx.", "poselift.models.convert.atc")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"^the conversion needs the package 'onnx'; type: pip install 'poselift\[convert\]'$"):
        atc("Ascend310", None, None, False, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "lift.model: other.onnx is no .onnx file to convert; name one, or null for poselift's own"),
        (b"this is no network", "other.onnx: this ONNX file cannot be read ("),
        (b"", "other.onnx: this ONNX file cannot be read ("),
        (build(random_lifter((3,), 8, 20), {}), "other.onnx: this network's metadata says no normalisation"),
        (build(random_lifter((3,), 8, 20), METADATA, slots=3), "other.onnx: this network's features was built for 3 rows, not 8"),
    ],
)
def test_a_lifter_that_cannot_be_converted_is_one_line(content, message, path, small):
    if content is not None:
        Path("other.onnx").write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    with pytest.raises((UserError, ModelError)) as refusal:
        atc("Ascend310", None, Path("out"), False, settings(small, lift={"model": "other.onnx"}))
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
    assert not Path("out").exists()


def test_a_lifter_that_cann_does_not_take_is_refused_before_anything_is_written(path, small, capsys):
    model = build(random_lifter((3,), 8, 20), METADATA)
    model.opset_import[0].version = 12
    onnx.save(model, "other.onnx")
    with pytest.raises(ModelError, match=r"^other\.onnx: CANN does not take this network, for the reason above; nothing was written$"):
        atc("Ascend310", None, Path("out"), False, settings(small, lift={"model": "other.onnx"}))
    assert capsys.readouterr().err.startswith("lifter: the graph is of opset 12; opset 11 is what every CANN takes [ATC 5.0.4")
    assert not Path("out").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_networks_that_are_read_are_never_written_over(path, small, overwrite):
    before = {file.name: file.read_bytes() for file in small.glob("*.onnx")}
    (small / "link").symlink_to(small)
    for out in (small, small / "link"):
        with pytest.raises(UserError, match=r"efficientdet_lite0\.onnx: this file is read, and would be lost"):
            atc("Ascend310", None, out, overwrite, None)
    assert {file.name: file.read_bytes() for file in small.glob("*.onnx")} == before


def test_files_of_others_stay_where_networks_would_go(path, small):
    (small / "out").mkdir()
    (small / "out" / "lifter.json").write_text("somebody's own")
    with pytest.raises(UserError, match=r"lifter\.json: not written by 'models atc'; name another folder with -o, or give --overwrite"):
        atc("Ascend310", None, Path("out"), False, None)
    assert (small / "out" / "lifter.json").read_text() == "somebody's own"
    for overwrite in (True, False):  # from then on they are ours
        atc("Ascend310", None, Path("out"), overwrite, None)
    assert read_card(small / "out" / "lifter.om").name == "lifter"
