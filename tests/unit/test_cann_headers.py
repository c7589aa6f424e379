"""What we say of pyACL against CANN's C headers, which pyACL wraps: constants, codes, and the signature of every call.

For development: `make headers` fetches the headers, and without them these tests are skipped.

How pyACL makes a call of a C function: what a function gets back through a pointer comes back in a tuple, before the code; handles and
addresses are numbers; a function that tells no code gives its value alone.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from poselift.models.backends import pyacl_codes
from poselift.models.backends.pyacl_codes import MEANINGS

FOLDER = Path(__file__).parents[2] / ".venv" / "cann-headers"
VERSIONS = sorted(FOLDER.glob("*")) if FOLDER.is_dir() else []
NONE = f"for development: CANN's headers are not in {FOLDER}; 'make headers' fetches them"

CODES = {
    "ACL_ERROR_INVALID_PARAM": ("invalid parameter", "INVALID_PARAM"),
    "ACL_ERROR_UNINITIALIZE": ("pyACL is not initialised", "UNINITIALISED"),
    "ACL_ERROR_REPEAT_INITIALIZE": ("pyACL was initialised before", "REPEAT_INITIALISE"),
    "ACL_ERROR_INVALID_FILE": ("invalid file", ""),
    "ACL_ERROR_INVALID_MODEL_ID": ("invalid model id", ""),
    "ACL_ERROR_REPEAT_FINALIZE": ("pyACL was finalised before", "REPEAT_FINALIZE"),
    "ACL_ERROR_COMPILING_STUB_MODE": ("a stub of CANN's library was loaded", ""),
    "ACL_ERROR_RT_PARAM_INVALID": ("invalid runtime parameter", "RUNTIME_PARAM"),
    "ACL_ERROR_RT_INVALID_DEVICEID": ("there is no such device", "INVALID_DEVICE"),
    "ACL_ERROR_RT_CONTEXT_NULL": ("no context in this thread", "NO_CONTEXT"),
    "ACL_ERROR_RT_STREAM_CONTEXT": ("the stream is of another context", "STREAM_CONTEXT"),
    "ACL_ERROR_RT_INVALID_HANDLE": ("invalid handle", "INVALID_HANDLE"),
    "ACL_ERROR_GE_PARAM_INVALID": ("invalid parameter of the graph engine", "EXEC_PARAM"),
    "ACL_ERROR_GE_EXEC_NOT_INIT": ("the executor is not initialised", ""),
    "ACL_ERROR_GE_EXEC_MODEL_PATH_INVALID": ("the model's path is wrong, or its file cannot be read", "MODEL_PATH"),
    "ACL_ERROR_GE_EXEC_MODEL_ID_INVALID": ("invalid model id", "MODEL_ID"),
    "ACL_ERROR_GE_EXEC_MODEL_DATA_SIZE_INVALID": ("the model's file has another size than it says", "MODEL_DATA_SIZE"),
    "ACL_ERROR_BAD_ALLOC": ("out of memory", ""),
    "ACL_ERROR_API_NOT_SUPPORT": ("not supported by this version or chip", "NOT_SUPPORTED"),
    "ACL_ERROR_RT_MEMORY_ALLOCATION": ("memory allocation failed", "MEMORY_ALLOCATION"),
    "ACL_ERROR_RT_NO_DEVICE": ("there is no device", ""),
    "ACL_ERROR_RT_NO_PERMISSION": ("no permission for the device", ""),
    "ACL_ERROR_RT_DEVICE_OOM": ("the device is out of memory", ""),
    "ACL_ERROR_GE_MEMORY_ALLOCATION": ("memory allocation of the graph engine failed", ""),
    "ACL_ERROR_STORAGE_OVER_LIMIT": ("storage over its limit", ""),
    "ACL_ERROR_GE_FAILURE": ("failure in the graph engine", "ENGINE_FAILURE"),
    "ACL_ERROR_RT_SOC_VERSION": ("the chip and its driver disagree", ""),
    "ACL_ERROR_RT_LOST_HEARTBEAT": ("the device's heartbeat was lost", ""),
    "ACL_ERROR_RT_MODEL_EXECUTE": ("the model's execution failed", ""),
    "ACL_ERROR_RT_AICORE_TIMEOUT": ("the NPU's core took too long", ""),
    "ACL_ERROR_RT_AICORE_EXCEPTION": ("exception in the NPU's core", "CORE_EXCEPTION"),
    "ACL_ERROR_RT_AICPU_TIMEOUT": ("the NPU's CPU took too long", ""),
    "ACL_ERROR_RT_AICPU_EXCEPTION": ("exception in the NPU's CPU", ""),
    "ACL_ERROR_RT_DEV_SETUP_ERROR": ("the device could not be set up", "DEVICE_SETUP"),
    "ACL_ERROR_RT_DRV_INTERNAL_ERROR": ("internal error of the driver", "DRIVER"),
    "ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT": ("execution took too long", ""),
}
"""CANN's name of a code, our words for it, and the simulator's name, if it answers it."""
NEWER = {"ACL_ERROR_RT_DEVICE_OOM", "ACL_ERROR_GE_MODEL_EXECUTE_TIMEOUT", "aclmdlExecuteAsync"}
"""Not in the older headers, of which the package has not all."""

DIFFERS = {"mdl.add_dataset_buffer": "value"}
"""pyACL gives the dataset back."""
RENAMED = {"get_soc_name": "aclrtGetSocName", "rt.set_context": "aclrtSetCurrentContext", "rt.get_context": "aclrtGetCurrentContext"}


class Function(NamedTuple):
    """One of C's, as pyACL is to wrap it."""

    takes: tuple[type, ...]
    gives: str
    """'ret': a code; 'value', 'values', 'dict': that many before it; 'handle', 'bare': no code."""


class Headers(NamedTuple):
    """All that is declared in one version's headers."""

    constants: dict[str, int]
    functions: dict[str, Function]


@pytest.fixture(params=VERSIONS or [None], ids=[version.name for version in VERSIONS] or ["none"])
def headers(request: pytest.FixtureRequest) -> Headers:
    """One version's."""
    return read(request.param or pytest.skip(NONE))


def read(version: Path) -> Headers:
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(version.rglob("*.h")))
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    return Headers(_constants(text), _functions(text))


def _constants(text: str) -> dict[str, int]:
    found = re.findall(r"(?:static const u?int\d*(?:_t)?|#define)\s+(ACL_\w+)\s*=?\s*(-?\d+)U?\b", text)
    constants = {name: int(value) for name, value in found}
    for body in re.findall(r"enum\s*\w*\s*\{([^}]*)\}", text):
        number = -1
        for name, value in re.findall(r"(\w+)\s*(?:=\s*(-?\w+))?\s*(?:,|$)", body):
            number = int(value.rstrip("U"), 0) if value else number + 1
            constants[name] = number
    return constants


OUT = re.compile(r"^(?:u?int\d+_t|size_t|aclrtRunMode|aclrtContext|aclrtStream|void \*|aclmdlIODims) ?\*$")
"""The types of what is filled in: pointers to plain values, and to handles."""


def _functions(text: str) -> dict[str, Function]:
    functions = {}
    for result, name, parameters in re.findall(r"ACL_FUNC_VISIBILITY\s+([\w\s*]+?)\b(acl\w+)\s*\(([^)]*)\)\s*;", text):
        written = (" ".join(part.split()) for part in parameters.split(","))
        kinds = [re.sub(r" ?\w+$", "", part) for part in written if part not in ("", "void")]
        filled = [kind for kind in kinds if OUT.match(kind)]
        takes = tuple(str if kind == "const char *" else int for kind in kinds if kind not in filled)
        if result.strip() == "aclError":
            gives = "dict" if filled == ["aclmdlIODims *"] else ("ret", "value", "values")[min(len(filled), 2)]
        else:
            gives = "handle" if "*" in result and "char" not in result else "bare"
        functions[name] = Function(takes, gives)
    return functions


def in_c(call: str) -> str:
    """The C function behind `acl.CALL`."""
    *module, name = call.split(".")
    return RENAMED.get(call) or f"acl{''.join(module)}{''.join(word.capitalize() for word in name.split('_'))}"


def test_codes_are_what_the_headers_say(headers: Headers, npu: Any) -> None:
    from acl_simulator import codes

    known = {name: headers.constants[name] for name in CODES if name in headers.constants}
    assert {*CODES} - {*known} <= NEWER
    for name, value in known.items():
        words, simulated = CODES[name]
        assert MEANINGS[value].words == words, name
        assert not simulated or getattr(codes, simulated) == value, name
    assert len({*MEANINGS} - {*known.values()}) == len(CODES) - len(known), "a code that this test does not know"
    named = {simulated for _, simulated in CODES.values() if simulated}
    assert {name for name, value in vars(codes).items() if name.isupper() and isinstance(value, int) and value >= 100000} == named
    assert headers.constants["ACL_ERROR_NONE"] == pyacl_codes.SUCCESS


def test_what_the_older_headers_lack_the_newest_have() -> None:
    everything = [read(version) for version in VERSIONS] or pytest.skip(NONE)
    assert any({*of.constants, *of.functions} >= NEWER for of in everything)


def test_constants_are_what_the_headers_say(headers: Headers, npu: Any) -> None:
    from acl_simulator import codes

    from poselift.models.backends import pyacl

    def of(*names: str) -> tuple[int, ...]:
        return tuple(headers.constants[f"ACL_{name}"] for name in names)

    kinds = of("MEMCPY_HOST_TO_HOST", "MEMCPY_HOST_TO_DEVICE", "MEMCPY_DEVICE_TO_HOST", "MEMCPY_DEVICE_TO_DEVICE")
    assert of("MEM_MALLOC_HUGE_FIRST", "DEVICE", "HOST") == (pyacl.HUGE_FIRST, pyacl.RUN_ON_DEVICE, pyacl.RUN_ON_HOST)
    assert kinds[1:] == (pyacl.HOST_TO_DEVICE, pyacl.DEVICE_TO_HOST, pyacl.DEVICE_TO_DEVICE)
    assert kinds == (codes.H2H, codes.H2D, codes.D2H, codes.D2D)
    assert of("DEVICE", "HOST", "FORMAT_ND") == (codes.DEVICE, codes.HOST, codes.FORMAT_ND)
    dtypes = ("FLOAT", "FLOAT16", "INT8", "INT32", "UINT8", "BOOL")
    assert tuple(getattr(pyacl, name) for name in dtypes) == of(*dtypes)
    names = {"float32": "FLOAT", "float64": "DOUBLE"}
    assert tuple(codes.DTYPES.values()) == of(*(names.get(name, name.upper()) for name in codes.DTYPES))


def test_the_simulator_has_the_signatures_of_the_headers(headers: Headers, npu: Any) -> None:
    import acl
    from acl_simulator import entry

    shapes = {entry.RET: "ret", entry.VALUE_RET: "value", entry.TWO_VALUES_RET: "values", entry.DICT_RET: "dict"}
    calls = {name: call for module, prefix in ((acl, ""), (acl.rt, "rt."), (acl.mdl, "mdl.")) for name, call in _entries(module, prefix)}
    assert len(calls) > 40
    assert {in_c(name) for name in calls} - {*headers.functions} <= NEWER
    for name, call in calls.items():
        function = headers.functions.get(in_c(name))
        if function is None:
            continue
        gives = shapes.get(call.gives, "bare")
        assert call.kinds == function.takes, name
        assert gives == DIFFERS.get(name, "bare" if function.gives == "handle" else function.gives), name


def _entries(module: Any, prefix: str) -> list[tuple[str, Any]]:
    return [(f"{prefix}{name}", call) for name, call in vars(module).items() if hasattr(call, "kinds")]


def test_our_calls_are_those_of_the_headers(headers: Headers, npu: Any) -> None:
    """As many arguments, and what comes back is taken apart as it is put together."""
    from poselift.models.backends import pyacl

    tree = ast.parse(inspect.getsource(pyacl))
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    checked = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not re.match(r"(acl|mdl)\.", ast.unparse(node.func)):
            continue
        name = re.sub(r"^acl\.", "", ast.unparse(node.func))
        parent = parents[node]
        wrapper = parent.func.id if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) else ""
        taken = {"_check": "ret", "_value": "value", "_handle": "handle", "_dims": "dict"}.get(wrapper, "bare")
        function = headers.functions.get(in_c(name))
        if function is None:
            assert in_c(name) in NEWER
            continue
        if name == "init":  # its argument, a path, may be left out; and its code is looked at by the function itself
            assert (len(function.takes), function.gives, len(node.args)) == (1, "ret", 0)
        else:
            assert len(node.args) == len(function.takes), name
            assert taken == DIFFERS.get(name, function.gives), name
        if taken in ("ret", "value", "handle", "dict"):
            assert isinstance(parent, ast.Call) and ast.literal_eval(parent.args[0]) == name
        checked += 1
    assert checked > 30
