"""Reading npz files whose object arrays are pickles, Python 2's too: numpy arrays and plain containers come out, nothing is ever called."""

from __future__ import annotations

import io
import math
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

from poselift.common.errors import UserError
from poselift.common.pickles import Call, Name, Persistent, Pickle, Refused, raw

MAX_BYTES = 512 << 20
MAX_OPERATIONS = 5_000_000
MAX_DEEP = 100

_PLAIN_DTYPE = re.compile("[fiu][1248]|b1")


def read_npz(path: Path, max_bytes: Optional[int] = None) -> dict[str, Any]:
    """Every array of an npz file by name: an ndarray, an `Array`, or for an object array of no dimension what it holds.

    Raises UserError where the file is none, unpacks to more than `max_bytes` (None: MAX_BYTES), or holds anything but arrays of numbers and
    plain containers.
    """
    try:
        with zipfile.ZipFile(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, of headers that Python 2 wrote
            size_bytes = sum(member.file_size for member in file.infolist())
            limit_bytes = MAX_BYTES if max_bytes is None else max_bytes
            if size_bytes > limit_bytes:
                raise UserError(f"{path}: unpacks to {size_bytes >> 20} MiB; at most {limit_bytes >> 20} are read")
            return {name[: -len(".npy")]: _array(file.read(name)) for name in file.namelist() if name.endswith(".npy")}
    except OSError as error:
        raise UserError(f"{path}: cannot read this file ({error.strerror or error})") from None
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: not an npz file ({error})") from None
    except UserError:
        raise
    except Exception as error:  # what damaged data makes of zipfile, numpy and pickle is not of one kind
        raise UserError(f"{path}: refused: {' '.join(str(error).split())}") from None


class Array:
    """An array of a pickle; an object array holds further Arrays and containers."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.array = array


def _array(data: bytes) -> Any:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise ValueError(f"an array of the unknown npy version {version}")
    shape, fortran, dtype = read_header(file)
    rest = data[file.tell() :]
    if dtype == np.dtype(object):
        found = _unpickled(rest)
        if not isinstance(found, Array) or found.array.shape != shape:
            raise ValueError("an object array that is none")
        return found.array.item() if shape == () else found
    if len(rest) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} in {len(rest)} bytes")
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")


def _unpickled(data: bytes) -> Any:
    return _Maker().made(Pickle(io.BytesIO(data), _CALLS.__contains__, MAX_OPERATIONS).content)


class _Maker:
    """Makes what a pickle describes: arrays, numbers and containers, each once, however often it is in another."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}

    def made(self, value: Any, deep: int = 0) -> Any:
        """Raises Refused where it is anything else, or has too many containers in one another, such as itself."""
        if deep > MAX_DEEP:
            raise Refused(f"its pickle has more than {MAX_DEEP} containers in one another")
        if id(value) not in self._done:
            self._done[id(value)] = value, self._make(value, deep + 1)  # with the value, so that no other one gets its id
        return self._done[id(value)][1]

    def _make(self, value: Any, deep: int) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(self.made(item, deep) for item in value)
        if isinstance(value, dict):
            return {key: self.made(item, deep) for key, item in value.items()}
        if isinstance(value, Call):
            return _CALLS[value.function](self, value, deep)
        if isinstance(value, (Name, Persistent)):
            raise Refused("its pickle holds more than arrays of numbers and plain containers")
        return value

    def array(self, call: Call, deep: int) -> Array:
        """An array of numbers or objects; its state is what numpy writes: version, shape, dtype, order, content."""
        _, shape, kind, fortran, data = call.state
        dtype, count = _dtype(kind), math.prod(shape)
        if dtype is None:
            if not isinstance(data, list) or len(data) != count:
                raise Refused("an object array without its objects")
            flat = np.empty(count, object)
            for place, item in enumerate(data):
                flat[place] = self.made(item, deep)
            return Array(flat.reshape(shape))
        data = self.made(raw(data), deep)
        if not isinstance(data, bytes) or len(data) != count * dtype.itemsize:
            raise Refused("an array whose bytes do not fill its shape")
        return Array(np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C"))

    def number(self, call: Call, deep: int) -> Any:
        """A number of a dtype."""
        kind, data = call.arguments
        dtype, data = _dtype(kind), self.made(raw(data), deep)
        if dtype is None or not isinstance(data, bytes) or len(data) != dtype.itemsize:
            raise Refused("a number without its bytes")
        return np.frombuffer(data, dtype)[0].item()

    def encoded(self, call: Call, _: int) -> bytes:
        """How Python writes bytes where a pickle's protocol has none."""
        text, encoding = call.arguments
        if encoding != "latin1":
            raise Refused(f"bytes written in {encoding!r}")
        return bytes(text.encode("latin1"))

    def nothing(self, call: Call, _: int) -> None:
        """What is only part of an array."""
        raise Refused(f"a call of {call.function} that writes no array")


_CALLS: dict[str, Callable[[_Maker, Call, int], Any]] = {
    **{f"numpy.{core}.multiarray._reconstruct": _Maker.array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Maker.number for core in ("core", "_core")},
    "numpy.ndarray": _Maker.nothing,
    "numpy.dtype": _Maker.nothing,
    "_codecs.encode": _Maker.encoded,
}


def _dtype(call: Any) -> Optional[np.dtype[Any]]:
    """Of plain numbers; None for objects. What numpy would believe of a dtype's state, such as that raw bytes are objects, is not."""
    if not isinstance(call, Call) or call.function != "numpy.dtype":
        raise Refused("an array without a dtype")
    name = call.arguments[0]
    if name not in ("O8", "O4") and not _PLAIN_DTYPE.fullmatch(name):
        raise Refused(f"an array of {name!r}, not of plain numbers")
    order = "|"
    if call.state is not None:
        _, order, *parts = call.state
        if order not in ("<", ">", "|", "=") or parts[:3] != [None, None, None]:
            raise Refused("an array with a dtype that is not of plain numbers")
    if name.startswith("O"):
        return None
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype.newbyteorder(">" if order == ">" else "<") if order in "<>" else dtype
