"""pyACL, call by call: each function here makes one call of the `acl` module and checks what it answers.

The calls and what they return are those of the CANN reference, "pyACL API Reference" (5.0.4 to 9). `acl` takes positional arguments only,
plain `int` for handles, addresses and sizes, and has no constants of its own. Not run on hardware: checked against tests/sim_acl.
"""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple

from poselift.common.errors import DeviceError, ModelError
from poselift.models.backends.pyacl_codes import BAD_ALLOC, REPEAT_INIT, SUCCESS, meaning

HUGE_FIRST = 0
"""Memory policy: large pages where there are enough, else normal ones."""
RUN_ON_DEVICE, RUN_ON_HOST = 0, 1
"""Run modes: this program runs beside the NPU and shares its memory, or on a host that copies to and from it."""
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
"""Kinds of copies."""
FLOAT, FLOAT16, INT8, INT32, UINT8, BOOL = 0, 1, 2, 3, 4, 12
"""The dtypes of those tensors that networks of this project have."""


class AclError(DeviceError):
    """A call that was refused: which one, and with what code."""

    def __init__(self, call: str, code: int) -> None:
        words, remedy = meaning(code)
        super().__init__(f"the NPU: acl.{call} answered {code} ({words}); {remedy}")
        self.call, self.code = call, code


def _import_acl() -> Any:
    """CANN's module. Raises ModelError where it is missing, cannot be loaded, or is something else of that name."""
    spec = importlib.util.find_spec("acl")
    if spec is None:
        raise ModelError(
            "an .om network needs an Ascend board's pyACL, and there is no module 'acl' here: on a board, type "
            "'source /usr/local/Ascend/ascend-toolkit/set_env.sh' (or where CANN is); elsewhere leave npu.folder empty"
        )
    try:
        import acl
    except ImportError as error:  # such as a library of CANN's that is not on LD_LIBRARY_PATH
        raise ModelError(
            f"pyACL is here ({spec.origin}) but cannot be loaded: {error}; source CANN's set_env.sh, and on an Atlas 200 DK "
            "add /usr/lib64 to LD_LIBRARY_PATH after it"
        ) from None
    except SyntaxError:  # PyPI's package is written for Python 2
        acl = None
    if not all(hasattr(acl, part) for part in ("rt", "mdl", "init")):
        raise ModelError(
            f"the module 'acl' at {spec.origin} is not CANN's: it has no rt and mdl; "
            "PyPI's package of that name has nothing to do with it: type 'pip uninstall acl' and source CANN's set_env.sh"
        )
    return acl


acl = _import_acl()


class Tensor(NamedTuple):
    """One input or output, as the model's description has it."""

    name: str
    dtype: int
    dims: tuple[int, ...]
    size_bytes: int
    """The least size of its buffer."""


# The process and its device


def init() -> bool:
    """Whether pyACL was initialised by this call, and is this caller's to finalise; False where it had been before."""
    code = acl.init()
    if code == REPEAT_INIT:
        return False
    _check("init", code)
    return True


def finalize() -> None:
    """The last call of a process; may take 2 s."""
    _check("finalize", acl.finalize())


def soc_name() -> str | None:
    """The chip, such as Ascend310B4; None where this CANN does not tell."""
    return acl.get_soc_name() if hasattr(acl, "get_soc_name") else None


def device_count() -> int:
    """How many devices there are."""
    return int(_value("rt.get_device_count", acl.rt.get_device_count()))


def set_device(device: int) -> None:
    """Use a device in this process; to be paired with `reset_device`."""
    _check("rt.set_device", acl.rt.set_device(device))


def reset_device(device: int) -> None:
    """Let go of a device."""
    _check("rt.reset_device", acl.rt.reset_device(device))


def run_mode() -> int:
    """RUN_ON_DEVICE or RUN_ON_HOST."""
    return int(_value("rt.get_run_mode", acl.rt.get_run_mode()))


def create_context(device: int) -> int:
    """A context, which becomes this thread's."""
    return int(_value("rt.create_context", acl.rt.create_context(device)))


def set_context(context: int) -> None:
    """Make a context this thread's."""
    _check("rt.set_context", acl.rt.set_context(context))


def destroy_context(context: int) -> None:
    """Let go of a context."""
    _check("rt.destroy_context", acl.rt.destroy_context(context))


def create_stream() -> int:
    """A stream of this thread's context."""
    return int(_value("rt.create_stream", acl.rt.create_stream()))


def synchronize_stream(stream: int) -> None:
    """Wait until all that was given to the stream is done, without holding the interpreter's lock. What failed there is raised here."""
    _check("rt.synchronize_stream", acl.rt.synchronize_stream(stream))


def destroy_stream(stream: int) -> None:
    """Let go of a stream."""
    _check("rt.destroy_stream", acl.rt.destroy_stream(stream))


# Memory


def malloc(size_bytes: int) -> int:
    """The address of so many bytes in the device's memory, which hold anything."""
    return int(_value("rt.malloc", acl.rt.malloc(size_bytes, HUGE_FIRST)))


def free(address: int) -> None:
    """Give back what `malloc` gave."""
    _check("rt.free", acl.rt.free(address))


def zero(address: int, size_bytes: int) -> None:
    """Fill device memory with zeros."""
    _check("rt.memset", acl.rt.memset(address, size_bytes, 0, size_bytes))


def copy(to: int, room_bytes: int, source: int, size_bytes: int, kind: int) -> None:
    """Copy memory; done when this returns."""
    _check("rt.memcpy", acl.rt.memcpy(to, room_bytes, source, size_bytes, kind))


# Models


def load(path: str) -> int:
    """The id of the model in an .om file."""
    return int(_value("mdl.load_from_file", acl.mdl.load_from_file(path)))


def unload(model: int) -> None:
    """Let go of a model."""
    _check("mdl.unload", acl.mdl.unload(model))


def create_description() -> int:
    """An empty description."""
    return _handle("mdl.create_desc", acl.mdl.create_desc())


def describe(description: int, model: int) -> None:
    """Have a description tell of a loaded model."""
    _check("mdl.get_desc", acl.mdl.get_desc(description, model))


def destroy_description(description: int) -> None:
    """Let go of a description."""
    _check("mdl.destroy_desc", acl.mdl.destroy_desc(description))


def inputs(description: int) -> list[Tensor]:
    """The inputs of a model, in its order."""
    mdl = acl.mdl
    return [
        Tensor(
            mdl.get_input_name_by_index(description, index),
            mdl.get_input_data_type(description, index),
            _dims("mdl.get_input_dims", mdl.get_input_dims(description, index)),
            mdl.get_input_size_by_index(description, index),
        )
        for index in range(mdl.get_num_inputs(description))
    ]


def outputs(description: int) -> list[Tensor]:
    """The outputs of a model, in its order."""
    mdl = acl.mdl
    return [
        Tensor(
            mdl.get_output_name_by_index(description, index),
            mdl.get_output_data_type(description, index),
            _dims("mdl.get_output_dims", mdl.get_output_dims(description, index)),
            mdl.get_output_size_by_index(description, index),
        )
        for index in range(mdl.get_num_outputs(description))
    ]


def create_data_buffer(address: int, size_bytes: int) -> int:
    """A handle for device memory, for datasets; it does not own the memory."""
    return _handle("create_data_buffer", acl.create_data_buffer(address, size_bytes))


def destroy_data_buffer(buffer: int) -> None:
    """Let go of a handle."""
    _check("destroy_data_buffer", acl.destroy_data_buffer(buffer))


def create_dataset() -> int:
    """An empty list of data buffers."""
    return _handle("mdl.create_dataset", acl.mdl.create_dataset())


def add_data_buffer(dataset: int, buffer: int) -> None:
    """Append a data buffer to a dataset, which does not own it."""
    _value("mdl.add_dataset_buffer", acl.mdl.add_dataset_buffer(dataset, buffer))


def destroy_dataset(dataset: int) -> None:
    """Let go of a dataset."""
    _check("mdl.destroy_dataset", acl.mdl.destroy_dataset(dataset))


def execute_async(model: int, inputs: int, outputs: int, stream: int) -> None:
    """Have a stream run a model on the buffers of two datasets."""
    _check("mdl.execute_async", acl.mdl.execute_async(model, inputs, outputs, stream))


def _dims(call: str, answer: Any) -> tuple[int, ...]:
    return tuple(_value(call, answer)["dims"])


def _handle(call: str, answer: int) -> int:
    """What a call gave that tells no code: 0 is a failure, and its cause can only be that there was no room."""
    _check(call, SUCCESS if answer else BAD_ALLOC)
    return answer


def _value(call: str, answer: Any) -> Any:
    value, code = answer
    _check(call, code)
    return value


def _check(call: str, code: int) -> None:
    if code != SUCCESS:
        raise AclError(call, code)
