"""Makes simulated `.om` files of ONNX files, as `atc` makes real ones: in half precision, of fixed shapes, with other names for outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from sim_acl.acl_simulator.om_file import Io, OmFile, pack
from sim_acl.half import to_half

from poselift.models.backends.backend import Tensor
from poselift.models.backends.om_card import OmCard, write_card

OUTPUT_NAMES: Mapping[str, Callable[[str, int, str], str]] = {
    "node:0:tensor": lambda node, index, tensor: f"{node}:{index}:{tensor}",
    "node:0": lambda node, index, tensor: f"{node}:{index}",
    "tensor": lambda node, index, tensor: tensor,
}
"""What `mdl.get_output_name_by_index` tells; which of them depends on the version of CANN."""


def make_om(
    onnx_path: Path,
    om_path: Path,
    soc: str = "Ascend310B4",
    half: bool = True,
    dtypes: Mapping[str, str] | None = None,
    output_names: str = "node:0:tensor",
    card_soc: str | None = None,
) -> OmCard:
    """Write `om_path` and its card `NAME.json`; returns the card.

    `half`: weights and every operator's result are rounded to float16. `dtypes`: what inputs and outputs hold in the .om instead of the
    graph's dtypes, by the graph's names, such as {"pose": "float16", "reset": "uint8"}. `output_names`: a key of OUTPUT_NAMES.
    `card_soc`: a chip to write into the card in place of `soc`. Raises ValueError where a shape is not fixed.
    """
    model = onnx.load(onnx_path)
    inputs, outputs = _tensors(model.graph.input), _tensors(model.graph.output)
    for tensor in (*inputs, *outputs):
        if min(tensor.shape, default=1) < 1:
            raise ValueError(f"{onnx_path}: {tensor.name} has the shape {tensor.shape}; an .om has fixed shapes")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    shown = dict(zip((tensor.name for tensor in outputs), _shown_names(model.graph, OUTPUT_NAMES[output_names])))
    kinds = {tensor.name: np.dtype((dtypes or {}).get(tensor.name, tensor.dtype)).name for tensor in (*inputs, *outputs)}
    graph = _with_dtypes(to_half(model) if half else model, kinds).SerializeToString()
    om = OmFile(
        name=om_path.stem,
        soc=soc,
        inputs=tuple(Io(tensor.name, kinds[tensor.name], tensor.shape) for tensor in inputs),
        outputs=tuple(Io(shown[tensor.name], kinds[tensor.name], tensor.shape) for tensor in outputs),
        graph=graph,
    )
    om_path.write_bytes(pack(om))
    card = OmCard(om_path.stem, card_soc or soc, inputs, outputs, metadata, hashlib.sha256(onnx_path.read_bytes()).hexdigest())
    write_card(card, om_path)
    return card


def _tensors(values: list[onnx.ValueInfoProto]) -> tuple[Tensor, ...]:
    return tuple(Tensor(value.name, _dtype(value), tuple(size.dim_value for size in value.type.tensor_type.shape.dim)) for value in values)


def _dtype(value: onnx.ValueInfoProto) -> np.dtype:
    return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _shown_names(graph: onnx.GraphProto, shown: Callable[[str, int, str], str]) -> list[str]:
    """As `atc` names outputs: by the node that makes them; it names a nameless node by its operator and number."""
    makers = {}
    for number, node in enumerate(graph.node):
        for index, tensor in enumerate(node.output):
            makers[tensor] = shown(node.name or f"{node.op_type}_{number}", index, tensor)
    return [makers[output.name] for output in graph.output]


def _with_dtypes(model: onnx.ModelProto, kinds: Mapping[str, str]) -> onnx.ModelProto:
    """The same graph with a Cast behind each input and before each output that is to hold something else."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    before, after = [], []
    for value in (*graph.input, *graph.output):
        inside, outside = value.type.tensor_type.elem_type, helper.np_dtype_to_tensor_dtype(np.dtype(kinds[value.name]))
        if inside == outside:
            continue
        value.type.tensor_type.elem_type = outside
        name = f"{value.name}_inside"
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [name if tensor == value.name else tensor for tensor in names]
        if value in graph.input:
            before.append(helper.make_node("Cast", [value.name], [name], to=inside))
        else:
            after.append(helper.make_node("Cast", [name], [value.name], to=outside))
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(changed, full_check=True)
    return changed
