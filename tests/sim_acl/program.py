"""A program that runs an `.om` as CANN's documentation says: for the simulator's own tests, in this process or another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np


@contextmanager
def device(acl: ModuleType) -> Iterator[int]:
    """pyACL initialised, the device in use; gives a stream. All of it is given back in the right order."""
    assert acl.init() == 0
    assert acl.rt.set_device(0) == 0
    stream, ret = acl.rt.create_stream()
    assert ret == 0
    try:
        yield stream
    finally:
        acl.rt.destroy_stream(stream)
        acl.rt.reset_device(0)
        acl.finalize()


class Loaded:
    """An `.om` that is loaded, with a buffer in device memory for each tensor, until it is closed."""

    def __init__(self, acl: ModuleType, path: str) -> None:
        self._acl = acl
        self.id, ret = acl.mdl.load_from_file(path)
        assert ret == 0, ret
        self.desc = acl.mdl.create_desc()
        assert acl.mdl.get_desc(self.desc, self.id) == 0
        self.sizes = [acl.mdl.get_input_size_by_index(self.desc, index) for index in range(acl.mdl.get_num_inputs(self.desc))]
        self._inputs = inputs = len(self.sizes)
        self.sizes += [acl.mdl.get_output_size_by_index(self.desc, index) for index in range(acl.mdl.get_num_outputs(self.desc))]
        self.addresses = [acl.rt.malloc(size, 0)[0] for size in self.sizes]
        self.buffers = [acl.create_data_buffer(address, size) for address, size in zip(self.addresses, self.sizes)]
        self.inputs, self.outputs = self.dataset(self.buffers[:inputs]), self.dataset(self.buffers[inputs:])
        self.y = self.addresses[inputs]

    def dataset(self, buffers: list[int]) -> int:
        dataset = self._acl.mdl.create_dataset()
        for buffer in buffers:
            assert self._acl.mdl.add_dataset_buffer(dataset, buffer) == (dataset, 0)
        return dataset

    def put(self, index: int, array: np.ndarray) -> None:
        """Fill an input."""
        copy(self._acl, self.addresses[index], array.ctypes.data, array.nbytes, "h2d")

    def get(self, index: int, dtype: str = "float32") -> np.ndarray:
        """What an output's buffer holds."""
        dims, _ = self._acl.mdl.get_output_dims(self.desc, index)
        array = np.zeros(dims["dims"], dtype)
        copy(self._acl, array.ctypes.data, self.addresses[self._inputs + index], array.nbytes, "d2h")
        return array

    def close(self) -> None:
        acl = self._acl
        acl.mdl.unload(self.id)
        acl.mdl.destroy_desc(self.desc)
        for dataset in (self.inputs, self.outputs):
            acl.mdl.destroy_dataset(dataset)
        for buffer in self.buffers:
            acl.destroy_data_buffer(buffer)
        for address in self.addresses:
            acl.rt.free(address)

    def __enter__(self) -> Loaded:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def copy(acl: ModuleType, target: int, source: int, count: int, direction: str) -> None:
    """With the kind that the run mode wants."""
    kind = {"h2d": 1, "d2h": 2, "d2d": 3}[direction] if acl.rt.get_run_mode() == (1, 0) else 3
    assert acl.rt.memcpy(target, count, source, count, kind) == 0
