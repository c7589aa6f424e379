"""Models that are loaded, their descriptions, and their execution."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acl_simulator import codes, om_file
from acl_simulator.errors import AclError
from acl_simulator.handles import Handles
from acl_simulator.memory import GARBAGE
from acl_simulator.network import Network, size_bytes
from acl_simulator.om_file import Io, OmFile
from acl_simulator.streams import Span, Work

if TYPE_CHECKING:
    from acl_simulator.npu import Npu

SLACK_BYTES = 64
"""A buffer may say that it is so much smaller than the tensor; the graph engine refuses only what is smaller still."""


@dataclass(frozen=True)
class Model:
    name: str
    om: OmFile
    network: Network
    context: int
    size_bytes: int


class Models:
    """All loaded models and all descriptions."""

    def __init__(self, npu: Npu) -> None:
        self._npu = npu
        self._models: dict[int, Model] = {}
        self._last_id = 0
        self._descriptions: Handles[list[OmFile]] = Handles(npu.report, "desc")

    # loading

    def load_from_file(self, path: str) -> int:
        name = Path(path).stem
        self._npu.faults.strike("mdl.load_from_file", name)
        return self.load(_content(path), name)

    def load(self, content: bytes, name: str) -> int:
        context = self._npu.contexts.current()
        om = _unpacked(content)
        if _family(om.soc) != _family(self._npu.settings.soc):
            raise AclError(codes.ENGINE_FAILURE)
        self._npu.memory.reserve(len(content))
        self._last_id += 1
        self._models[self._last_id] = Model(name, om, Network(om), context, len(content))
        self._npu.report.apply("model")
        return self._last_id

    def query_size(self, path: str) -> tuple[int, int]:
        """Bytes of workspace and of weights."""
        om = _unpacked(_content(path))
        return sum(map(size_bytes, (*om.inputs, *om.outputs))), len(om.graph)

    def unload(self, model_id: int) -> None:
        model = self._find(model_id)
        self._same_context(model, "mdl.unload")
        if self._npu.flight.threads(model_id):
            self._npu.report.violation("mdl.unload while an execution was in flight")
        self._npu.memory.reserve(-model.size_bytes)
        del self._models[model_id]
        self._npu.report.release("model")

    def in_context(self, context: int) -> bool:
        return any(model.context == context for model in self._models.values())

    # descriptions

    def create_description(self) -> int:
        return self._descriptions.add([])

    def destroy_description(self, handle: int) -> None:
        self._descriptions.remove(handle, codes.INVALID_PARAM)

    def describe(self, handle: int, model_id: int) -> None:
        description = self._descriptions.find(handle, codes.INVALID_PARAM)
        description[:] = [self._find(model_id).om]

    def tensors(self, handle: int, side: str) -> tuple[Io, ...]:
        """The 'inputs' or 'outputs' that a description tells."""
        description = self._descriptions.find(handle, codes.INVALID_PARAM)
        if not description:
            self._npu.report.violation("a model description was read before mdl.get_desc filled it")
            raise AclError(codes.INVALID_PARAM)
        return getattr(description[0], side)

    # execution

    def execute(self, model_id: int, inputs: int, outputs: int) -> None:
        """At once, without the lock."""
        with self._npu.lock:
            work = self._work(model_id, inputs, outputs)
            self._npu.flight.start(work)
        try:
            self._npu.faults.strike("mdl.execute", work.model)
            work.do()
        finally:
            with self._npu.lock:
                self._npu.flight.land(work)

    def execute_async(self, model_id: int, inputs: int, outputs: int, stream: int) -> None:
        """When somebody waits for the stream."""
        work = self._work(model_id, inputs, outputs)
        self._npu.streams.check(stream)
        self._npu.faults.strike("mdl.execute_async", work.model)
        for span in work.writes:
            if not self._npu.flight.reads(*span):
                self._npu.memory.bytes_at(*span).fill(GARBAGE)
        self._npu.streams.put(stream, work)

    def _work(self, model_id: int, inputs: int, outputs: int) -> Work:
        self._npu.contexts.current()
        model = self._find(model_id)
        self._same_context(model, "an execution")
        if self._npu.flight.threads(model_id) - {threading.get_ident()}:
            self._npu.report.violation("two threads executed one model id at the same time")
        reads = self._spans(inputs, model.om.inputs)
        writes = self._spans(outputs, model.om.outputs)
        for index, span in enumerate(writes):
            if any(span.meets(other) for other in (*reads, *writes[:index])):
                self._npu.report.violation(f"output {index} shares its memory with another tensor of the same execution")
        datasets = self._npu.datasets
        handles = (inputs, outputs, *datasets.buffers(inputs), *datasets.buffers(outputs))
        return Work(lambda: self._run(model.network, reads, writes), reads, writes, handles, model_id, model.name)

    def _spans(self, dataset: int, tensors: tuple[Io, ...]) -> tuple[Span, ...]:
        spans = [self._npu.datasets.span(buffer) for buffer in self._npu.datasets.buffers(dataset)]
        if len(spans) != len(tensors):
            raise AclError(codes.EXEC_PARAM)
        for span, tensor in zip(spans, tensors):
            needed = size_bytes(tensor)
            if span.size < needed - SLACK_BYTES:
                raise AclError(codes.EXEC_PARAM)
            if span.size > needed:
                self._npu.report.warning(f"{tensor.name}: a buffer of {span.size} bytes for {needed}")
            if not self._npu.memory.on_device(span.address):
                self._npu.report.violation(f"{tensor.name}: its buffer is no memory of the device")
                raise AclError(codes.CORE_EXCEPTION)
        return tuple(Span(span.address, size_bytes(tensor)) for span, tensor in zip(spans, tensors))

    def _run(self, network: Network, reads: tuple[Span, ...], writes: tuple[Span, ...]) -> None:
        with self._npu.lock:
            inputs = [np.array(self._npu.memory.bytes_at(*span)) for span in reads]
            for span in writes:
                self._npu.memory.bytes_at(*span).fill(GARBAGE)
        results = network.run(inputs)
        with self._npu.lock:
            for span, result in zip(writes, results):
                self._npu.memory.bytes_at(*span)[:] = result

    def _find(self, model_id: int) -> Model:
        if model_id not in self._models:
            raise AclError(codes.MODEL_ID)
        return self._models[model_id]

    def _same_context(self, model: Model, what: str) -> None:
        if model.context != self._npu.contexts.current():
            self._npu.report.violation(f"{what} in another context than the model was loaded in")
            raise AclError(codes.NO_CONTEXT)


def _content(path: str) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError:
        content = b""
    if not content:
        raise AclError(codes.MODEL_PATH)
    return content


def _unpacked(content: bytes) -> OmFile:
    try:
        return om_file.unpack(content)
    except ValueError:
        raise AclError(codes.MODEL_DATA_SIZE) from None


def _family(soc: str) -> str:
    """Ascend310B of Ascend310B4: the variants of one chip run the same files."""
    return re.sub(r"(?<=[A-Z])\d+$", "", soc)
