"""The network in a simulated `.om`, run by ONNX Runtime, which the simulator brings itself: the board's own Python has none."""

from __future__ import annotations

import math
import os
import sys
from functools import lru_cache
from types import ModuleType

import numpy as np

from acl_simulator.om_file import Io, OmFile


def size_bytes(io: Io) -> int:
    return math.prod(io.shape) * np.dtype(io.dtype).itemsize


class Network:
    """One thread of the CPU stands for the NPU."""

    def __init__(self, om: OmFile) -> None:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._om = om
        self._session = ort.InferenceSession(om.graph, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Bytes in, bytes out."""
        pairs = zip(self._om.inputs, self._session.get_inputs(), inputs)
        arrays = {node.name: content.view(io.dtype).reshape(io.shape) for io, node, content in pairs}
        return [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in self._session.run(self._names, arrays)]


@lru_cache
def _onnxruntime() -> ModuleType:
    """From the folder in SIM_ACL_PACKAGES, if need be, which nothing else is imported from."""
    folder = os.environ.get("SIM_ACL_PACKAGES")
    path = list(sys.path)
    if folder:
        sys.path.append(folder)
    try:
        import onnxruntime
    finally:
        sys.path[:] = path
    return onnxruntime
