"""Reading npz files whose object arrays are pickles, Python 2's too: numpy arrays and plain containers come out, nothing is ever called.

A pickle is a program. This reader knows the few names that numpy writes for an array, and puts stand-ins of its own in their place, which
check what they are given: numpy's own ones would believe a dtype that says that raw bytes are no objects.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

from poselift.common.errors import UserError

MAX_BYTES = 512 << 20
MAX_OPERATIONS = 5_000_000
MAX_TUPLES_DEEP = 100

_PLAIN_DTYPE = re.compile("[fiu][1248]|b1")
_OPERATIONS = {
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("BINSTRING", "SHORT_BINSTRING"),  # Python 2's str: text, or an array's bytes
}


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
    """Stands for a numpy array while a pickle is read; `array` is what it holds, in an object array further Arrays and containers."""

    def __init__(self) -> None:
        self.array: Optional[npt.NDArray[Any]] = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        count = math.prod(shape)
        if dtype.plain is None:
            if not isinstance(data, list) or len(data) != count:
                raise pickle.UnpicklingError("an object array without its objects")
            flat = np.empty(count, object)
            for place, value in enumerate(data):
                flat[place] = value
            self.array = flat.reshape(shape)
        else:
            data = _bytes(data)
            if not isinstance(data, bytes) or len(data) != count * dtype.plain.itemsize:
                raise pickle.UnpicklingError("an array whose bytes do not fill its shape")
            self.array = np.frombuffer(data, dtype.plain).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands for a dtype: of a plain number, or of objects (`plain` is None)."""

    def __init__(self, name: str, *_: Any) -> None:
        if name not in ("O8", "O4") and not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"an array of {name!r}, not of plain numbers")
        self.plain = None if name.startswith("O") else np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *parts = state
        if order not in ("<", ">", "|", "=") or parts[:3] != [None, None, None]:
            raise pickle.UnpicklingError("an array with a dtype that is not of plain numbers")
        if self.plain is not None and order in "<>":
            self.plain = self.plain.newbyteorder(order)


class _Name:
    """Stands for a global of numpy. A pickle can call it, and do nothing else with it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("an attempt to change a function")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Name:
        stand_in = _NAMES.get(f"{module}.{name}")
        if stand_in is None:
            raise pickle.UnpicklingError(f"its pickle asks for {module}.{name}; only arrays of numbers and plain containers are read")
        return stand_in


def _reconstruct(kind: Any, *_: Any) -> Array:
    if kind is not _NAMES["numpy.ndarray"]:
        raise pickle.UnpicklingError("an array of an unknown kind")
    return Array()


def _scalar(dtype: Any, data: Any) -> Any:
    data = _bytes(data)
    if not isinstance(dtype, _Dtype) or dtype.plain is None or len(data) != dtype.plain.itemsize:
        raise pickle.UnpicklingError("a number without its bytes")
    return np.frombuffer(data, dtype.plain)[0].item()


def _bytes(data: Any) -> Any:
    """Python 2 does not tell bytes from text, so they were read as text from which they come back as they were."""
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data


def _encode(text: str, encoding: str) -> bytes:
    """How Python writes bytes where a pickle's protocol has none."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes written in {encoding!r}")
    return text.encode("latin1")


def _uncallable(*_: Any) -> Any:
    raise pickle.UnpicklingError("a call that writes no array")


_NAMES = {
    **{f"numpy.{core}.multiarray._reconstruct": _Name(_reconstruct) for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Name(_scalar) for core in ("core", "_core")},
    "numpy.ndarray": _Name(_uncallable),
    "numpy.dtype": _Name(_Dtype),
    "_codecs.encode": _Name(_encode),
}


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
        if not isinstance(found, Array) or found.array is None or found.array.shape != shape:
            raise ValueError("an object array that is none")
        return found.array.item() if shape == () else found
    if len(rest) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} in {len(rest)} bytes")
    return np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")


def _unpickled(data: bytes) -> Any:
    # Beforehand, without doing any of it: only the operations that arrays and containers need, no place in the reader's memo beyond
    # those a writer can have used (the reader makes room for as many as the largest number says), and no tuple deeper than any writer's
    # (as a dictionary's key, one of a million levels would overflow the stack).
    tuples = _TupleDepths()
    for number, (operation, argument, _) in enumerate(pickletools.genops(data)):
        if operation.name not in _OPERATIONS:
            raise pickle.UnpicklingError(f"its pickle uses {operation.name}")
        if number > MAX_OPERATIONS or (operation.name == "LONG_BINPUT" and (argument or 0) > number):
            raise pickle.UnpicklingError("its pickle holds too much")
        tuples.follow(operation, argument)
    return _Reader(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").load()


class _TupleDepths:
    """How many tuples lie in one another in what a pickle puts together; anything else counts as 0, for nothing else is hashed in depth."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._marks: list[int] = []
        self._memo: dict[int, int] = {}

    def follow(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        """Take the pickle's next operation. Raises UnpicklingError where it makes a tuple that is too deep."""
        name, stack = operation.name, self._stack
        if name == "MARK":
            self._marks.append(len(stack))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        else:
            taken = operation.stack_before
            first = self._marks.pop() if pickletools.markobject in taken else len(stack)
            first = max(first - sum(item not in (pickletools.markobject, pickletools.stackslice) for item in taken), 0)
            depth = max(stack[first:], default=0) + 1 if name.startswith("TUPLE") else 0
            if depth > MAX_TUPLES_DEEP:
                raise pickle.UnpicklingError(f"its pickle has more than {MAX_TUPLES_DEEP} tuples in one another")
            stack[first:] = [depth] * len(operation.stack_after)
