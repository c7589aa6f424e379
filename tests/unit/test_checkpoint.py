"""PyTorch checkpoints are read without PyTorch: the weights come out, nothing of the file ever runs, and damage is one clear line."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import tracemalloc
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_files import FORMS, Python2Dict, Raw, Tensor, as_raw, checkpoint, older, random_model, write, zipped

from poselift.common.errors import ModelError
from poselift.models.convert.checkpoint import read_checkpoint

MODEL = random_model((3, 3), 8)


def assert_is(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("form", FORMS)
def test_the_weights_of_both_forms_come_out(tmp_path: Path, form: str) -> None:
    assert_is(read_checkpoint(write(tmp_path / "c.bin", checkpoint(MODEL), form)), MODEL)


@pytest.mark.parametrize("new", [True, False])
def test_what_pytorch_itself_writes_is_read(tmp_path: Path, new: bool) -> None:
    torch = pytest.importorskip("torch", reason="compares with what PyTorch writes")
    weight = torch.nn.Parameter(torch.randn(4, 3))
    weight.grad = torch.randn(4, 3)
    optimizer = torch.optim.Adam([weight], amsgrad=True)
    optimizer.step()
    shared = torch.randn(6, 5, dtype=torch.float64)
    tensors = {
        **{name: torch.from_numpy(np.array(array)) for name, array in MODEL.items()},
        **{"half": torch.randn(3).half(), "turned": shared.T, "part": shared[2:4, 1:], "one": shared[3, 2], "flags": torch.ones(2) > 0},
    }
    whole = {"model_pos": OrderedDict(tensors), "optimizer": optimizer.state_dict(), "random_state": np.random.RandomState(3), "lr": 1e-3}
    torch.save(whole, tmp_path / "c.bin", _use_new_zipfile_serialization=new)
    assert_is(read_checkpoint(tmp_path / "c.bin"), {name: tensor.numpy() for name, tensor in tensors.items()})


@pytest.mark.parametrize("form", FORMS)
def test_a_tensor_may_be_any_part_of_its_storage(tmp_path: Path, form: str) -> None:
    numbers = np.arange(40, dtype=np.float64)
    parts = {
        "turned": Tensor(numbers, 3, (5, 2, 3), (1, 5, 10)),
        "wide": Tensor(numbers, 0, (3, 4), (0, 1)),
        "one": Tensor(numbers, 7, (), ()),
    }
    expected = {"turned": numbers[3:33].reshape(3, 2, 5).T, "wide": np.tile(numbers[:4], (3, 1)), "one": numbers[7].reshape(())}
    assert_is(read_checkpoint(write(tmp_path / "c.bin", {"model_pos": parts}, form)), expected)


def test_numbers_of_a_big_endian_machine(tmp_path: Path) -> None:
    (tmp_path / "c.bin").write_bytes(zipped(checkpoint(MODEL), "big"))
    assert_is(read_checkpoint(tmp_path / "c.bin"), MODEL)


def test_an_ordered_dict_of_python_2(tmp_path: Path) -> None:
    assert_is(read_checkpoint(write(tmp_path / "c.bin", {"model_pos": Python2Dict(MODEL)}, "older")), MODEL)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_lies_beside_the_weights_is_passed_over(tmp_path: Path, form: str, protocol: int) -> None:
    import argparse
    import random

    beside = [
        np.random.RandomState(1), np.random.default_rng(2), np.float64(3), np.arange(5), {1, 2}, frozenset("ab"), OrderedDict(a=1),
        argparse.Namespace(epochs=80), random.getstate(), complex(1, 2), slice(3), 2**70, b"bytes", "text", [None, True], {(1, 2): 3},
    ]  # fmt: skip
    for value in beside:
        raw = as_raw(value, protocol)
        content = {"beside": Raw(raw[9:]) if raw[:1] == b"\x95" else raw, "model_pos": MODEL}  # a frame is no part of a larger pickle
        assert_is(read_checkpoint(write(tmp_path / "c.bin", content, form)), MODEL)


class Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def gadgets(canary: Path) -> dict[str, Any]:
    """Ways to write the file `canary` by being unpickled, each with what must be said of it."""
    write_it = f"open({str(canary)!r}, 'w').close()"
    return {
        "system": (Calls(os.system, f"touch {canary}"), "asks for '(posix|nt).system'"),
        "eval": (Calls(eval, write_it), "asks for '(__builtin__|builtins).eval'"),
        "exec": (Calls(exec, write_it), "exec"),
        "subprocess": (Calls(subprocess.getoutput, f"touch {canary}"), "getoutput"),
        "path": (Calls(Path.touch, canary), "getattr|Path"),
        "numpy": (Calls(np.savetxt, str(canary), [0]), "numpy.savetxt"),
        "a chain of getattr": (Calls(getattr(os, "sys" + "tem"), f"touch {canary}"), "system"),
        "a pickle within": (Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {canary}"))), "pickle.loads"),
    }


HIDINGS = {
    "instead of the checkpoint": lambda call: call,
    "beside the weights": lambda call: {**checkpoint(MODEL), "random_state": call},
    "before them, in a list": lambda call: {"optimizer": {"state": [call]}, "model_pos": MODEL},
    "among the weights": lambda call: checkpoint(OrderedDict({**MODEL, "expand_conv.weight": call})),
    "as a shape": lambda call: checkpoint(OrderedDict(a=Tensor(np.zeros(4, np.float32), 0, (call,), (1,)))),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("hiding", HIDINGS)
@pytest.mark.parametrize("gadget", gadgets(Path("canary")))
def test_programs_are_refused_and_never_run(tmp_path: Path, gadget: str, hiding: str, form: str) -> None:
    canary = tmp_path / "canary"
    call, said = gadgets(canary)[gadget]
    raw = as_raw(call)
    path = write(tmp_path / "evil.bin", HIDINGS[hiding](raw), form)
    with pytest.raises(ModelError, match=said) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert not canary.exists()
    pickle.loads(b"\x80\x02" + raw + b".")
    assert canary.exists(), "this is no exploit, so the test shows nothing"


class Trap:
    """Tells whether anything was done with it."""

    touched = False

    def __init__(self, *arguments: Any) -> None:
        Trap.touched = True

    def __setstate__(self, state: Any) -> None:
        Trap.touched = True


def test_even_known_names_are_never_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is known may stand for anything where the file is read; here it is a trap."""
    name = b"ccollections\nOrderedDict\n"
    evils = [Raw(name + call) for call in (b")R}b", b")\x81}b", b")}\x92", b")RNa", b")RNNs")]
    data = [zipped({"random_state": evil, "model_pos": dict(MODEL)}) for evil in evils]
    monkeypatch.setattr("collections.OrderedDict", Trap)
    pickle.loads(b"\x80\x02" + evils[0] + b".")
    assert Trap.touched, "this is no trap, so the test shows nothing"
    Trap.touched = False
    for content in data:
        (tmp_path / "c.bin").write_bytes(content)
        # The tensors' own hooks are an OrderedDict too.
        assert_is(read_checkpoint(tmp_path / "c.bin"), MODEL)
    assert not Trap.touched


DEEP = 100_000
TRICKS = {
    "a call of what a call made": (Raw(b"ccollections\nOrderedDict\n)R)R"), "calls something that is not a name"),
    "a call of text": (Raw(b"U\x01a)R"), "calls something that is not a name"),
    "a name made of parts": (Raw(b"\x8c\x05posix\x8c\x06system\x93"), "posix.system"),
    "a name of no text": (Raw(b"K\x01K\x02\x93"), "asks for"),
    "an old instance": (Raw(b"(U\x01aios\nsystem\n"), "uses INST"),
    "an extension": (Raw(b"\x82\x01"), "uses EXT1"),
    "a reference in words": (Raw(b"Pstorage\n"), "uses PERSID"),
    "a number in words": (Raw(b"I123\n"), "uses INT"),
    "a buffer from elsewhere": (Raw(b"\x97"), "uses NEXT_BUFFER"),
    "too many operations": (Raw(b"N0" * 600_000), "uses POP"),
    "very many operations": (Raw(b"]" + b"Na" * 600_000), "more than 1000000 operations"),
    "a wild place in the memo": (Raw(b"Nr\xff\xff\xff\x7f"), None),
    "text that promises more than there is": (Raw(b"X\xff\xff\xff\x7fa"), "truncated or damaged"),
    "bytes that promise more than there is": (Raw(b"\x8e" + b"\xff" * 7 + b"\x7fa"), "truncated or damaged"),
    "a deep tuple": (Raw(b")" + b"\x85" * DEEP), None),
    "a deep list": (Raw(b"]" * DEEP + b"a" * (DEEP - 1)), None),
    "a deep key": (Raw(b"})" + b"\x85" * 4 * DEEP + b"Ns"), None),  # to hash it would end the process
    "deep calls": (Raw(b"ccollections\nOrderedDict\n" * 50_000 + b")" + b"R" * 50_000), None),
    "itself": (Raw(b"]q\x01h\x01a"), None),
    "an empty stack": (Raw(b"aaaa"), "truncated or damaged"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_with_the_pickle_itself(tmp_path: Path, trick: str) -> None:
    raw, said = TRICKS[trick]
    path = write(tmp_path / "c.bin", {"random_state": raw, "model_pos": MODEL})
    if said is None:
        assert_is(read_checkpoint(path), MODEL)
    else:
        with pytest.raises(ModelError, match=said):
            read_checkpoint(path)


FLAT = np.arange(12, dtype=np.float32)
IMPOSSIBLE = {
    "huge by repetition": Tensor(FLAT, 0, (10**9, 10**9), (0, 0)),
    "beyond its storage": Tensor(FLAT, 1, (3, 4), (4, 1)),
    "before its storage": Tensor(FLAT, -1, (3, 4), (4, 1)),
    "backwards": Tensor(FLAT, 11, (12,), (-1,)),
    "of negative size": Tensor(FLAT, 0, (-3, -4), (4, 1)),
    "of no size": Tensor(FLAT, 0, (0, 10**18), (1, 1)),
    "of many dimensions": Tensor(FLAT, 0, (1,) * 1000, (1,) * 1000),
    "of unequal strides": Tensor(FLAT, 0, (3, 4), (1,)),
    "of fractions": Tensor(FLAT, 0, (1.5,), (1,)),
    "of text": Tensor(FLAT, 0, ("3",), (1,)),
    "of a larger storage": Tensor(FLAT, 0, (12,), (1,), size=13),
    "of a negative storage": Tensor(FLAT, 0, (12,), (1,), size=-1),
    "of a huge storage": Tensor(FLAT, 0, (2**60,), (1,), size=2**60),
    "of a storage elsewhere": Tensor(FLAT, key="../../../etc/passwd", size=3),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_tensor_that_cannot_be_is_refused(tmp_path: Path, case: str, form: str) -> None:
    path = write(tmp_path / "c.bin", {"model_pos": {"expand_conv.weight": IMPOSSIBLE[case]}}, form)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match=r"impossible|storage|numbers|damaged"):
            read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_many_tensors_of_one_storage_do_not_multiply_it(tmp_path: Path) -> None:
    big = np.zeros(100_000, np.float32)
    path = write(tmp_path / "c.bin", {"model_pos": {str(i): Tensor(big, key="0") for i in range(200)}})
    tracemalloc.start()
    try:
        assert len(read_checkpoint(path)) == 200
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


WRONG = {
    "empty": (b"", "no PyTorch checkpoint"),
    "text": (b"hello", "no PyTorch checkpoint"),
    "another pickle": (pickle.dumps({"model_pos": 1}, 2), "no PyTorch checkpoint"),
    "without model_pos": (zipped({"epoch": 3, "state_dict": 4}), "holds no model_pos, but epoch, state_dict"),
    "a bare state dict": (older(random_model((1,), 2)), "holds no model_pos, but expand_bn.bias"),
    "a list": (zipped([MODEL]), "holds no model_pos, but list"),
    "names for a terminal": (zipped({"\x1b[2Ja\nb": 3, "\u202e": 4}), r"but \?, \?\[2Ja\?b; a checkpoint"),
    "a tensor's name for a terminal": (zipped({"model_pos": {"a\nb\x07": 3}}), r"model_pos.a\?b\? is no tensor"),
    "no tensors": (zipped({"model_pos": {"expand_conv.weight": 3}}), "model_pos.expand_conv.weight is no tensor"),
    "compressed": (zipped(checkpoint(MODEL), compression=zipfile.ZIP_DEFLATED), "compressed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_another_file_is_told_in_one_line(tmp_path: Path, case: str) -> None:
    data, said = WRONG[case]
    (tmp_path / "c.bin").write_bytes(data)
    with pytest.raises(ModelError, match=said) as error:
        read_checkpoint(tmp_path / "c.bin")
    assert str(error.value).startswith(f"{tmp_path / 'c.bin'}: ") and "\n" not in str(error.value)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.bin"):
        with pytest.raises(ModelError, match="cannot read this file"):
            read_checkpoint(path)


def test_members_that_lie_in_each_other_are_refused(tmp_path: Path) -> None:
    """A zip file may name the same bytes many times: a small file, and much to read."""
    path = write(tmp_path / "c.bin", checkpoint(MODEL))
    numbers = np.zeros(10_000, np.uint8).tobytes()
    within = io.BytesIO()
    with zipfile.ZipFile(within, "w") as file:
        file.writestr("archive/data/within", numbers)
    with zipfile.ZipFile(path, "a") as file:
        start = file.fp.tell() + 30 + len("archive/data/around")
        file.writestr("archive/data/around", within.getvalue())
        member = zipfile.ZipInfo("archive/data/within")
        member.file_size = member.compress_size = len(numbers)
        member.CRC, member.header_offset = zlib.crc32(numbers), start
        file.filelist.append(member)
    with zipfile.ZipFile(path) as file:
        assert len(file.namelist()) > 20
    with pytest.raises(ModelError, match="members are compressed or overlap"):
        read_checkpoint(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_truncated_file_says_so_wherever_it_was_cut(tmp_path: Path, form: str) -> None:
    data = FORMS[form](checkpoint(MODEL))
    rng = np.random.default_rng(0)
    for cut in [*range(12), *rng.integers(12, len(data), 60), len(data) - 1]:
        (tmp_path / "c.bin").write_bytes(data[:cut])
        with pytest.raises(ModelError, match=r"truncated or damaged|no PyTorch checkpoint"):
            read_checkpoint(tmp_path / "c.bin")


@pytest.mark.parametrize("form", FORMS)
def test_damage_gives_model_errors_and_nothing_else(tmp_path: Path, form: str) -> None:
    data = FORMS[form](checkpoint(random_model((1,), 2)))
    rng = np.random.default_rng(1)
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(300):
            (tmp_path / "c.bin").write_bytes(mutated(rng, data))
            try:
                read_checkpoint(tmp_path / "c.bin")
            except ModelError as error:
                refused += 1
                assert len(str(error)) < 1000 and "\n" not in str(error)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert 100 < refused < 300


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """The file with a few bytes changed, lost, added or moved."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at, size = int(rng.integers(len(changed))), int(rng.integers(1, 20))
        kind = rng.integers(4)
        if kind == 0:
            changed[at] = rng.integers(256)
        elif kind == 1:
            del changed[at : at + size]
        elif kind == 2:
            changed[at:at] = rng.bytes(size)
        else:  # operations of pickles among themselves
            there = int(rng.integers(len(changed)))
            changed[at : at + size] = changed[there : there + size]
    return bytes(changed)
