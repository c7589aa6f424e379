"""Runs `.om` files on an Ascend NPU through pyACL.

A network's tensors lie in the device's memory, taken and zeroed once. A network that carries a past has two sets of buffers for it, and
each step swaps them: the past never visits the host. Steps are executed asynchronously and waited for without the interpreter's lock.
Not run on hardware: checked against tests/sim_acl.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from poselift.common.arrays import Array
from poselift.common.errors import DeviceError, ModelError
from poselift.models.backends import pyacl
from poselift.models.backends.ascend_device import Releases, acquire, release
from poselift.models.backends.backend import Tensor
from poselift.models.backends.om_card import OmCard, read_card
from poselift.models.backends.om_file import why_not
from poselift.models.backends.pyacl_codes import UNLOADABLE

DTYPES = {
    pyacl.FLOAT: np.float32,
    pyacl.FLOAT16: np.float16,
    pyacl.INT8: np.int8,
    pyacl.INT32: np.int32,
    pyacl.UINT8: np.uint8,
    pyacl.BOOL: np.bool_,
}


class Port(NamedTuple):
    """One tensor of a network, as the host and as the device have it."""

    tensor: Tensor
    """As the card says: what the caller gives and gets."""
    dtype: np.dtype[np.generic]
    """As the device has it: what is copied."""
    size_bytes: int
    """Of its buffer."""


class Binding(NamedTuple):
    """A place in the device's memory for each tensor."""

    addresses: Mapping[str, int]
    """By name."""
    inputs: int
    """Dataset."""
    outputs: int
    """Dataset."""


class AscendModel:
    """One loaded `.om` file. To be closed in the end, also after an error."""

    device = "npu"

    def __init__(self, path: Path, _threads: int, device: int) -> None:
        """Raises ModelError where the file is not what its card says or this NPU cannot load it; DeviceError."""
        card = read_card(path)
        self.inputs, self.outputs, self.metadata = card.inputs, card.outputs, card.metadata
        self._device = acquire(device)
        self._releases = Releases()
        self._failed = False
        self._binding: Binding | None = None
        try:
            with self._device.lock:
                self._device.enter()
                self._load(path, card)
        except BaseException:
            self._failed = True
            self.close()
            raise

    def run(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, for one tensor per input."""
        if self._binding is None:
            self._binding = self.bind({}, self._releases)
        return self.execute(self._binding, tensors, [port.tensor.name for port in self._out])

    def carrying(self, states: Mapping[str, str], rows: int) -> AscendStates:
        """The network with its past in the device's memory: see `poselift.models.backends.backend.Model`."""
        return AscendStates(self, states)

    def bind(self, places: Mapping[str, int], releases: Releases) -> Binding:
        """Buffers for all tensors, new ones but for those that have a place already."""
        with self._device.lock:
            self._device.enter()
            addresses = {name: places.get(name) or self._device.allocate(port.size_bytes, releases) for name, port in self.ports.items()}
            return Binding(addresses, _dataset(self._in, addresses, releases), _dataset(self._out, addresses, releases))

    def place(self, size_bytes: int, releases: Releases) -> int:
        """A new buffer of zeros."""
        with self._device.lock:
            self._device.enter()
            return self._device.allocate(size_bytes, releases)

    def give_back(self, releases: Releases) -> None:
        """Of a device that has failed everything is given back too, and what it says to that is not told: the first error was."""
        with self._device.lock:
            releases.add(lambda _: self._device.enter(), 0)
            try:
                releases.run()
            except DeviceError:
                if not self._failed:
                    raise

    def execute(self, binding: Binding, tensors: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Copy `tensors` to their places, run the network, and copy those that are wanted back. Raises DeviceError."""
        with self._device.lock:
            try:
                self._device.enter()
                for port in self._in:
                    if port.tensor.name in tensors:
                        array = np.ascontiguousarray(tensors[port.tensor.name], port.dtype)
                        _require_shape(port.tensor, array)
                        self._device.upload(array, binding.addresses[port.tensor.name])
                self._device.execute(self._model, binding.inputs, binding.outputs)
                return {port.tensor.name: self._fetch(port, binding) for port in self._out if port.tensor.name in wanted}
            except DeviceError:
                self._failed = True
                raise

    def close(self) -> None:
        """Give back the model and its memory, and the device where no other network of this process uses it."""
        try:
            self.give_back(self._releases)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        try:
            release(self._device)
        except DeviceError:
            if not self._failed:
                raise

    def _load(self, path: Path, card: OmCard) -> None:
        try:
            self._model = self._releases.add(pyacl.unload, pyacl.load(str(path)))
        except pyacl.AclError as error:
            reason = why_not(path, card, self._device.soc) or (error.code in UNLOADABLE and f"{path}: {error}")
            if reason:
                raise ModelError(reason) from None
            raise
        description = self._releases.add(pyacl.destroy_description, pyacl.create_description())
        pyacl.describe(description, self._model)
        self._in = _ports(path, "takes", card.inputs, pyacl.inputs(description))
        self._out = _ports(path, "gives", card.outputs, pyacl.outputs(description))
        self.ports = {port.tensor.name: port for port in (*self._in, *self._out)}

    def _fetch(self, port: Port, binding: Binding) -> Array:
        array = np.empty(port.tensor.shape, port.dtype)
        self._device.download(binding.addresses[port.tensor.name], array)
        return array.astype(port.tensor.dtype, copy=False)


class AscendStates:
    """A network and its past, which lies in two sets of buffers: one is read, one is written, and what is kept swaps them."""

    def __init__(self, model: AscendModel, states: Mapping[str, str]) -> None:
        self._model = model
        self._releases = Releases()
        self._wanted = [tensor.name for tensor in model.outputs if tensor.name not in states.values()]
        try:
            self._reads, self._writes = self._bind(states)
        except BaseException:
            self.close()
            raise

    def _bind(self, states: Mapping[str, str]) -> tuple[Binding, Binding]:
        here, there = {}, {}
        for now, then in states.items():
            pair = self._model.ports[now], self._model.ports[then]
            if pair[0].dtype != pair[1].dtype:
                raise ModelError(
                    f"{now} is {pair[0].dtype} in this network and {then} {pair[1].dtype}; convert it anew (poselift models atc)"
                )
            size_bytes = max(port.size_bytes for port in pair)
            here[now], here[then] = (self._model.place(size_bytes, self._releases) for _ in pair)
            there[now], there[then] = here[then], here[now]
        reads = self._model.bind(here, self._releases)
        return reads, self._model.bind({**reads.addresses, **there}, self._releases)

    def run(self, tensors: Mapping[str, Array], keep: bool) -> dict[str, Array]:
        """See `poselift.models.backends.backend.Carrying`."""
        outputs = self._model.execute(self._reads, tensors, self._wanted)
        if keep:
            self._reads, self._writes = self._writes, self._reads
        return outputs

    def close(self) -> None:
        """Forget the past, and give back its memory."""
        self._model.give_back(self._releases)


def _dataset(ports: Sequence[Port], addresses: Mapping[str, int], releases: Releases) -> int:
    dataset = releases.add(pyacl.destroy_dataset, pyacl.create_dataset())
    for port in ports:
        buffer = pyacl.create_data_buffer(addresses[port.tensor.name], port.size_bytes)
        pyacl.add_data_buffer(dataset, releases.add(pyacl.destroy_data_buffer, buffer))
    return dataset


def _ports(path: Path, verb: str, card: Sequence[Tensor], found: Sequence[pyacl.Tensor]) -> list[Port]:
    """The card's tensors in the model's order. Raises ModelError where the two do not agree."""
    known = {tensor.name: tensor for tensor in card}
    named = [next((name for name in _names(tensor.name) if name in known), _names(tensor.name)[1]) for tensor in found]
    if sorted(named) != sorted(known):
        raise ModelError(
            f"{path}: this network {verb} {', '.join(named)}, but its card says {', '.join(known)}; "
            "the two are not of one conversion: copy both again, or type: poselift models atc"
        )
    return [_port(path, known[name], tensor) for name, tensor in zip(named, found)]


def _names(name: str) -> tuple[str, ...]:
    """What an output may be: CANN calls it 'tensor', 'node:0' or 'node:0:tensor', by version. Our nodes bear their tensor's name."""
    parts = name.split(":")
    return name, parts[-1], parts[0]


def _port(path: Path, tensor: Tensor, found: pyacl.Tensor) -> Port:
    if found.dims != tensor.shape:
        raise ModelError(
            f"{path}: its {tensor.name} is {_by(found.dims)}, but its card says {_by(tensor.shape)}; "
            "the two are not of one conversion: copy both again, or type: poselift models atc"
        )
    if found.dtype not in DTYPES:
        raise ModelError(f"{path}: its {tensor.name} has the data type {found.dtype}, which poselift does not use; convert it anew")
    dtype = np.dtype(DTYPES[found.dtype])
    return Port(tensor, dtype, max(found.size_bytes, dtype.itemsize * int(np.prod(tensor.shape))))


def _require_shape(tensor: Tensor, array: Array) -> None:
    if array.shape != tensor.shape:
        raise ValueError(f"{tensor.name} is {_by(tensor.shape)} in this network, not {_by(array.shape)}")


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
