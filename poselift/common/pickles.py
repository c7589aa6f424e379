"""Reading a pickle as data. A pickle is a program that may call anything; here each call is only noted, and none is made.

There is no unpickler below this: the operations are read one by one, and what they do is done to plain Python values. So a name stays a
name, and a call stays a `Call` with its arguments and the state that the pickle would put into what it makes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection
from typing import IO, Any, Callable

_PUSHED = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_PYTHON_2 = {"BINSTRING", "SHORT_BINSTRING"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_CONTAINERS: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KEYS = (str, int, float, bytes, bool, type(None))
_MARK = object()


class Refused(ValueError):
    """The pickle holds what is not read; a line for people, without the file's name."""


class Name:
    """A function or class that the pickle names, such as 'collections.OrderedDict'."""

    def __init__(self, text: str) -> None:
        self.text = text


class Call:
    """What the pickle would make by calling `function` with `arguments`; `entries` and `state` are what it would then set in it."""

    def __init__(self, function: str, arguments: Any) -> None:
        self.function = function
        self.arguments = arguments
        self.entries: dict[Any, Any] = {}
        self.state: Any = None


class Persistent:
    """A reference to something outside the pickle."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


class Pickle:
    """One pickle, read from where the file stands; the file then stands behind it.

    `content` is made of plain values, lists, tuples, dictionaries, `Name`, `Call` and `Persistent`; `persistent` has every reference in it.
    Python 2's str is text that is read as UTF-8, in which bytes that are none are lone surrogates: `raw` gives them back.
    """

    def __init__(self, file: IO[bytes], is_known: Callable[[str], bool], max_operations: int) -> None:
        """Raises Refused where it names what `is_known` does not know, has more operations, or uses such as no such file needs.

        Damage raises whatever reading it raises: ValueError, IndexError and others.
        """
        self.persistent: list[Persistent] = []
        self._is_known = is_known
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        for number, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if number > max_operations:
                raise Refused(f"its pickle has more than {max_operations} operations")
            self._do(operation.name, argument)
        self.content = self._stack.pop()

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _PUSHED:
            stack.append(argument)
        elif name in _PYTHON_2:
            stack.append(argument.encode("latin-1").decode("utf-8", "surrogateescape"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            stack.append(_CONTAINERS[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(self._popped(_TUPLES[name], keep=True))]
        elif name in _OTHERS:
            _OTHERS[name](self, argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise Refused(f"its pickle uses {name}; it is not read")

    def _popped(self, count: int, keep: bool = False) -> list[Any]:
        """The uppermost values, lowest first."""
        if len(self._stack) < count:
            raise IndexError("the stack is empty")
        values = self._stack[-count:]
        if not keep:
            del self._stack[-count:]
        return values

    def _since_mark(self) -> list[Any]:
        """The values above the newest mark; they and the mark are taken away."""
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _tuple(self, _: Any) -> None:
        values = tuple(self._since_mark())
        self._stack.append(values)

    def _refer(self, _: Any) -> None:
        reference = Persistent(self._stack.pop())
        self.persistent.append(reference)
        self._stack.append(reference)

    def _name(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        text = f"{module}.{name}"
        if not self._is_known(text):
            raise Refused(f"its pickle asks for {text!r:.80}, which no such file needs; nothing of it was run. Is it malicious?")
        self._stack.append(Name(text))

    def _name_on_stack(self, _: Any) -> None:
        module, name = self._popped(2)
        self._name(f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else "? ?")

    def _call(self, _: Any) -> None:
        function, arguments = self._popped(2)
        if not isinstance(function, Name):
            raise Refused("its pickle calls something that is not a name; it is not read")
        self._stack.append(Call(function.text, arguments))

    def _call_with_keywords(self, _: Any) -> None:
        self._stack.pop()
        self._call(None)

    def _set_state(self, _: Any) -> None:
        target, state = self._popped(2)
        if isinstance(target, Call):
            target.state = state
        self._stack.append(target)

    def _append(self, _: Any) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: Collection[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Call):
            raise ValueError("something is appended to what is no list")

    def _set_item(self, _: Any) -> None:
        self._set(self._popped(2))

    def _set_items(self, _: Any) -> None:
        self._set(self._since_mark())

    def _set(self, values: list[Any]) -> None:
        """Keys that are no plain values are left out: nothing that is wanted has such, and to hash them may never end."""
        target = self._stack[-1]
        entries = target.entries if isinstance(target, Call) else target
        if not isinstance(entries, dict):
            raise ValueError("an entry is set in what is no dictionary")
        entries.update((key, value) for key, value in zip(values[::2], values[1::2]) if isinstance(key, _KEYS))


_OTHERS: dict[str, Callable[[Pickle, Any], None]] = {
    "MEMOIZE": Pickle._memoize,
    "TUPLE": Pickle._tuple,
    "FROZENSET": Pickle._tuple,
    "BINPERSID": Pickle._refer,
    "GLOBAL": Pickle._name,
    "STACK_GLOBAL": Pickle._name_on_stack,
    "REDUCE": Pickle._call,
    "NEWOBJ": Pickle._call,
    "NEWOBJ_EX": Pickle._call_with_keywords,
    "BUILD": Pickle._set_state,
    "APPEND": Pickle._append,
    "APPENDS": Pickle._appends,
    "ADDITEMS": Pickle._appends,
    "SETITEM": Pickle._set_item,
    "SETITEMS": Pickle._set_items,
}


def raw(data: Any) -> Any:
    """The bytes of what Python 2 wrote as its str; anything else as it is."""
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
