"""What is wrong with an .om file, with pyACL or with the board is told apart, in one line each that says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sim_acl.fixtures import FOLDER
from test_ascend import picture_graph, stateful_graph, write

from poselift.common.errors import DeviceError, ModelError
from poselift.models.backends.backend import open_model
from poselift.models.backends.om_card import card_path
from poselift.models.backends.pyacl_codes import MEANINGS


def refused(path: Path, device: int = 0) -> str:
    """The one line with which a network is refused."""
    with pytest.raises(ModelError) as error, closing(open_model(path, device=device)):
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("size_bytes", [0, 100, 256, 1000])
def test_a_truncated_file(npu, tmp_path, size_bytes):
    path = write(picture_graph(), tmp_path)
    whole = path.stat().st_size
    os.truncate(path, size_bytes)
    line = refused(path)
    assert line.startswith(f"{path}: this file is truncated: ") and line.endswith("; copy it again")
    assert (f"{size_bytes} of {whole} bytes" in line) == (size_bytes >= 256)


def test_a_file_of_another_kind(npu, tmp_path):
    path = write(picture_graph(), tmp_path)
    path.write_bytes(path.with_suffix(".onnx").read_bytes() * 9)
    assert refused(path) == f"{path}: this is no .om file; give one that ATC made (poselift models atc)"


def test_a_damaged_file_of_the_right_size(npu, tmp_path):
    path = write(picture_graph(), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:256] + bytes(len(content) - 256))
    assert refused(path).startswith(f"{path}: the NPU: acl.mdl.load_from_file answered ")


def test_a_network_of_another_chip(npu, tmp_path):
    path = write(picture_graph(), tmp_path, soc="Ascend310")
    expected = (
        f"{path}: this network was converted for Ascend310, and this board has Ascend310B4; type: poselift models atc --soc Ascend310B4"
    )
    assert refused(path) == expected


def test_chips_of_one_family_share_networks(npu, tmp_path):
    closing(open_model(write(picture_graph(), tmp_path, soc="Ascend310B1"))).__exit__()


def test_chips_of_one_family_are_not_blamed(npu, tmp_path):
    path = write(picture_graph(), tmp_path, soc="Ascend310B1")
    content = path.read_bytes()
    path.write_bytes(content[:256] + bytes(len(content) - 256))
    assert "converted for" not in refused(path)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (107001, "npu.device 0: the driver shows 1, numbered from 0"),
        (207004, "npu.device 0: the driver shows 1, numbered from 0"),
        (207006, "npu.device 0: the NPU: acl.rt.set_device answered 207006 (no permission for the device); join the group"),
        (507008, "npu.device 0: the NPU: acl.rt.set_device answered 507008 (the chip and its driver disagree); install"),
        (
            100039,
            "npu.device 0: the NPU: acl.rt.set_device answered 100039 (a stub of CANN's library was loaded); take",
        ),
    ],
)
def test_a_device_that_the_user_must_mend_first(npu, tmp_path, code, says):
    path = write(picture_graph(), tmp_path)
    with npu.faults.begin(code, on="rt.set_device", times=None):
        assert refused(path).startswith(says)


@pytest.mark.parametrize("code", [507033, 507899, 507010])
def test_a_device_that_may_do_better_for_whoever_tries_again(npu, tmp_path, code):
    """Such as one that another program has, or whose driver is not up yet: a worker is started again, up to five times in a minute."""
    path = write(picture_graph(), tmp_path)
    with npu.faults.begin(code, on="rt.set_device"), pytest.raises(DeviceError, match=f"set_device answered {code} .*/var/log/npu/slog"):
        open_model(path)


@pytest.mark.parametrize("code", [100039, 207004, 207006, 507008, 507010, 507017, 507033, 507899])
def test_what_a_board_answers_often_has_words_and_a_remedy_of_its_own(code):
    assert code in MEANINGS
    assert "~/ascend" not in "".join(of.remedy for of in MEANINGS.values()), "no board has its logs there"


def test_a_data_type_that_is_not_used_here(npu, tmp_path):
    line = refused(write(picture_graph(), tmp_path, dtypes={"colour": "float64"}))
    assert line.endswith(": its colour has the data type 11, which poselift does not use; convert it anew")


def test_a_network_with_other_names_than_its_card(npu, tmp_path):
    path = write(picture_graph(), tmp_path)
    card = json.loads(card_path(path).read_bytes())
    card["outputs"][1]["name"] = "light"
    card_path(path).write_text(json.dumps(card))
    assert refused(path).startswith(f"{path}: this network gives colour, bright, but its card says colour, light; the two are not of one")


def test_a_network_of_other_shapes_than_its_card(npu, tmp_path):
    path = write(picture_graph(), tmp_path)
    card = json.loads(card_path(path).read_bytes())
    card["inputs"][0]["shape"] = [1, 16, 16, 3]
    card_path(path).write_text(json.dumps(card))
    assert refused(path).startswith(f"{path}: its picture is 1 x 8 x 8 x 3, but its card says 1 x 16 x 16 x 3; the two are not of one")


def test_a_past_that_is_read_and_written_in_different_dtypes(npu, tmp_path):
    path = write(stateful_graph(), tmp_path, dtypes={"state_1": "float16"})
    with closing(open_model(path)) as model, pytest.raises(ModelError, match="state_1 is float16 in this network and next_state_1 float32"):
        model.carrying({f"state_{layer}": f"next_state_{layer}" for layer in (0, 1, "age")}, 2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "the card of network.om is missing"),
        (b"", "this card cannot be read"),
        (b"\xff\xfe", "this card cannot be read"),
        (b"[]", "this is no card of a converted network"),
        (b'{"name": "lifter"}', "this is no card of a converted network"),
    ],
)
def test_a_missing_or_damaged_card(npu, tmp_path, content, reason):
    path = write(picture_graph(), tmp_path)
    card_path(path).unlink()
    if content is not None:
        card_path(path).write_bytes(content)
    line = refused(path)
    assert line.startswith(f"{card_path(path)}: {reason}") and line.endswith("copy the whole folder that `poselift models atc` wrote")


def test_a_missing_file(npu, tmp_path):
    assert refused(tmp_path / "lifter.om") == f"{tmp_path}/lifter.om: this model is missing; type: poselift models atc"


@pytest.mark.parametrize(
    ("devices", "says"), [(0, "this machine's driver shows no NPU; poselift doctor"), (2, "the driver shows 2, numbered")]
)
def test_no_device_of_that_number(npu, tmp_path, devices, says):
    npu.start(devices=devices)
    assert refused(write(picture_graph(), tmp_path), device=5).startswith(f"npu.device 5: {says}")
    assert not any(npu.report.held.values())


def test_one_process_uses_one_device(npu, tmp_path):
    npu.start(devices=2)
    path = write(picture_graph(), tmp_path)
    with closing(open_model(path, device=1)):
        assert "this process uses NPU 1 already" in refused(path, device=0)


def opened_elsewhere(om: Path, *python_path: Path) -> str:
    """The line with which a process refuses to open a network, with these folders on its path."""
    code = "import sys; from pathlib import Path; from poselift.models.backends.backend import open_model; open_model(Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [Path.cwd(), *python_path]))}
    done = subprocess.run([sys.executable, "-c", code, str(om)], env=environment, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("poselift.common.errors.ModelError: "), done.stderr
    return last.partition(": ")[2]


@pytest.fixture
def om(tmp_path) -> Path:
    return write(picture_graph(), tmp_path)


def test_no_acl_module(om):
    line = opened_elsewhere(om)
    assert line.startswith("an .om network needs an Ascend board's pyACL, and there is no module 'acl' here: ") and "set_env.sh" in line


def test_the_unrelated_package_called_acl(om):
    line = opened_elsewhere(om, FOLDER / "wrong_acl")
    assert "acl.py is not CANN's: it has no rt and mdl; PyPI's package of that name" in line and "pip uninstall acl" in line


def test_an_acl_whose_libraries_are_not_found(om, tmp_path):
    (tmp_path / "acl.py").write_text("raise ImportError('libascendcl.so: cannot open shared object file')")
    line = opened_elsewhere(om, tmp_path)
    assert "but cannot be loaded: libascendcl.so: cannot open shared object file; source CANN's set_env.sh" in line
    assert "on an Atlas 200 DK add /usr/lib64" in line
