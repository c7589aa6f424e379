"""A PyTorch checkpoint's weights as numpy arrays: the zip form and the older one, read without PyTorch and without running anything.

The zip form holds NAME/data.pkl, a pickle, and NAME/data/KEY, the raw numbers of each storage. The older form is a row of pickles (a magic
number, a protocol version, facts of the writing machine, the object, the storages' keys), then for each key an int64 count and the numbers,
little-endian. In both, the object's pickle refers to a storage as ('storage', its type, key, location, count, ...), and a tensor is a call
of torch._utils._rebuild_tensor_v2 with a storage, an offset, a shape and strides in elements (torch/serialization.py, torch/_utils.py).
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, Callable, NamedTuple

import numpy as np

from poselift.common.arrays import Array
from poselift.common.errors import ModelError
from poselift.common.pickles import Call, Name, Persistent, Pickle, Refused

MAX_BYTES = 2 << 30
MAX_DIMENSIONS = 8
MAX_OPERATIONS = 1_000_000
"""A checkpoint's pickle has some thousands: its numbers lie outside it."""

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_REBUILD = "torch._utils._rebuild_tensor_v2"
_STORAGES = {
    **{"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "V2", "BoolStorage": "?"},
    **{"LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1"},
    **{"ComplexFloatStorage": "c8", "ComplexDoubleStorage": "c16"},
}
_KNOWN = re.compile(
    r"torch\.((cuda\.)?\w+Storage|Size|device|dtype|Tensor|[a-z]+\d+|_utils\._rebuild_\w+|nn\.parameter\.Parameter)"
    r"|numpy\.(ndarray|dtype|dtypes\.\w+|_?core\.(multiarray\.(_reconstruct|scalar)|numeric\._frombuffer))"
    r"|numpy\.random(\.\w+)+|collections\.(OrderedDict|defaultdict|Counter|deque)|_codecs\.encode|argparse\.Namespace|copy_?reg\._reconstructor"
    r"|(builtins|__builtin__)\.(object|set|frozenset|list|dict|tuple|slice|range|complex|bytearray|bytes|int|float|bool|str)"
)
"""What checkpoints of training programs name. Only storages, tensors and OrderedDict are understood; the rest is passed over."""


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    size: int


_Load = Callable[[_Storage], bytes]


def read_checkpoint(path: Path, part: str = "model_pos") -> dict[str, Array]:
    """The tensors of `part`, a state dict in the checkpoint's dictionary, by name; everything else in the file is passed over.

    Raises ModelError where the file is no such checkpoint, is damaged, or asks for what no checkpoint needs. Nothing of it is ever called,
    and memory is bounded by the file's size.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_BYTES:
            raise ModelError(f"it has {size_bytes >> 20} MiB; checkpoints of at most {MAX_BYTES >> 20} MiB are read")
        return _tensors(path.read_bytes(), part)
    except OSError as error:
        raise ModelError(f"{path}: cannot read this file ({error.strerror or error})") from None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except Refused as error:
        raise ModelError(f"{path}: {error}; if it is yours, save it anew with model_pos alone") from None
    except Exception as error:  # what damaged data makes of zipfile and pickletools is not of one kind
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"{path}: no PyTorch checkpoint, or a truncated or damaged one ({reason}); fetch or save it anew") from None


def _tensors(data: bytes, part: str) -> dict[str, Array]:
    content, load = _zipped(data) if data.startswith(b"PK") else _older(data)
    whole = _entries(content)
    if part not in whole:
        names = ", ".join(sorted(map(_printable, whole)))
        raise ModelError(f"holds no {part}, but {(names or type(content).__name__):.200}; a checkpoint of VideoPose3D is needed")
    found = {_printable(name): value for name, value in _entries(whole[part]).items()}
    return {name: _tensor(f"{part}.{name}", value, load) for name, value in found.items()}


def _zipped(data: bytes) -> tuple[Any, _Load]:
    file = zipfile.ZipFile(io.BytesIO(data))
    members = file.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or sum(member.file_size for member in members) > len(data):
        raise ModelError("a zip file whose members are compressed or overlap, which PyTorch's never are")
    pickles = [name for name in file.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise ModelError(f"a zip file with {len(pickles)} data.pkl, so no PyTorch checkpoint")
    folder = pickles[0][: -len("data.pkl")]
    order = file.read(f"{folder}byteorder") if f"{folder}byteorder" in file.namelist() else b"little"

    @cache
    def load(storage: _Storage) -> bytes:
        numbers = file.read(f"{folder}data/{storage.key}")
        swapped: bytes = np.frombuffer(numbers, storage.dtype).byteswap().tobytes() if order == b"big" else numbers
        return swapped

    return _pickle(io.BytesIO(file.read(pickles[0]))).content, load


def _older(data: bytes) -> tuple[Any, _Load]:
    file = io.BytesIO(data)
    if _pickle(file).content != _MAGIC or _pickle(file).content != _PROTOCOL:
        raise ModelError("a pickle, but no PyTorch checkpoint")
    _pickle(file)  # facts of the machine that wrote it: the numbers are little-endian on all
    whole = _pickle(file)
    known = {storage.key: storage for storage in map(_storage, whole.persistent)}
    numbers: dict[str, bytes] = {}
    for key in _pickle(file).content:
        (count,) = struct.unpack("<q", file.read(8))
        if not isinstance(key, str) or key not in known or count != known[key].size:
            raise ModelError("truncated or damaged: its storages are not those that its tensors need")
        numbers[key] = file.read(count * known[key].dtype.itemsize)
    return whole.content, lambda storage: numbers[storage.key]


def _pickle(file: IO[bytes]) -> Pickle:
    return Pickle(file, lambda name: _KNOWN.fullmatch(name) is not None, MAX_OPERATIONS)


def _entries(value: Any) -> Mapping[Any, Any]:
    """A dictionary, or an OrderedDict, whose entries Python 2 gave as an argument."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, Call) or value.function != "collections.OrderedDict":
        return {}
    given = value.arguments[0] if value.arguments else []
    return {**{key: item for key, item in given if isinstance(key, str)}, **value.entries}


def _printable(name: Any) -> str:
    """Fit for a line that people read, and a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(name)[:100])


def _tensor(name: str, value: Any, load: _Load) -> Array:
    if not isinstance(value, Call) or value.function != _REBUILD:
        raise ModelError(f"{name} is no tensor")
    reference, offset, shape, strides, *_ = value.arguments
    storage = _storage(reference)
    numbers = [offset, *shape, *strides]
    if any(type(number) is not int or number < 0 for number in numbers) or not len(shape) == len(strides) <= MAX_DIMENSIONS:
        raise ModelError(f"{name} has an impossible shape")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if not 0 < count <= storage.size or last >= storage.size:
        raise ModelError(f"{name} has {count} numbers; its storage has {storage.size}")
    data = load(storage)
    if len(data) != storage.size * storage.dtype.itemsize:
        raise ModelError(f"truncated or damaged: {len(data)} bytes where {name} has {storage.size} numbers of {storage.dtype}")
    flat = np.frombuffer(data, storage.dtype)[offset:]
    return np.lib.stride_tricks.as_strided(flat, shape, [stride * flat.itemsize for stride in strides])


def _storage(value: Any) -> _Storage:
    if not isinstance(value, Persistent) or not isinstance(value.reference, tuple) or len(value.reference) not in (5, 6):
        raise ModelError("a tensor without a storage")
    kind, which, key, _, count, *view = value.reference
    code = _STORAGES.get(which.text.rpartition(".")[2]) if isinstance(which, Name) else None
    if kind != "storage" or not isinstance(key, str) or type(count) is not int or count < 0 or any(part is not None for part in view):
        raise ModelError("a tensor with an impossible storage")
    if code is None:
        raise ModelError(f"a tensor of {getattr(which, 'text', 'an unknown type')!r:.60}, which is not read; save it as float32")
    return _Storage(key, np.dtype(code).newbyteorder("<"), count)
