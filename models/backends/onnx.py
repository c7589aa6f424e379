"""Runs `.onnx` files with ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from poselift.common.arrays import Array
from poselift.common.errors import ModelError
from poselift.models.backends.backend import Tensor

try:
    import onnxruntime as ort
except ImportError as error:  # an extra: a board has none
    raise ModelError(f"an .onnx network needs ONNX Runtime, which is not here ({error}); type: pip install 'poselift[cpu]'") from error

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(double)": np.float64,
}
"""What is in a tensor; anything else is an object."""


class OnnxModel:
    """One ONNX Runtime session. Threads do not spin between runs: the other workers need those cores."""

    device = "cpu"

    def __init__(self, path: Path, threads: int, _device: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own types, which differ between versions
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{path}: ONNX Runtime cannot read this model ({reason}); get it anew (poselift models pull, if it is poselift's)"
            ) from error
        self.inputs = tuple(map(_tensor, self._session.get_inputs()))
        self.outputs = tuple(map(_tensor, self._session.get_outputs()))
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self._names = [tensor.name for tensor in self.outputs]

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, for one tensor per input."""
        return dict(zip(self._names, self._session.run(self._names, tensors)))

    def carrying(self, states: Mapping[str, str], rows: int) -> OnnxStates:
        """The network with its past in the host's memory: see `poselift.models.backends.backend.Model`."""
        return OnnxStates(self, states, rows)

    def close(self) -> None:
        """Free the session's memory."""
        del self._session


class OnnxStates:
    """A network and its past: what it gave is the next run's input as it is, nothing is copied.

    Binding preallocated buffers instead was measured and gains nothing that repeats.
    """

    def __init__(self, model: OnnxModel, states: Mapping[str, str], rows: int) -> None:
        self._model = model
        self._states = states
        self._past: dict[str, Array] = {
            tensor.name: np.zeros((rows, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs if tensor.name in states
        }

    def run(self, tensors: Mapping[str, Array], keep: bool) -> dict[str, Array]:
        """See `poselift.models.backends.backend.Carrying`."""
        outputs = self._model.run({**tensors, **self._past})
        past = {now: outputs.pop(then) for now, then in self._states.items()}
        if keep:
            self._past = past
        return outputs

    def close(self) -> None:
        """Forget the past."""
        self._past.clear()


def _tensor(node: ort.NodeArg) -> Tensor:
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return Tensor(node.name, np.dtype(DTYPES.get(node.type, np.object_)), shape)
