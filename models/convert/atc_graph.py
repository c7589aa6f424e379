"""A network's ONNX graph in the form that ATC is given: the same numbers, said in the plainest words.

- Every axis has a size, and no Reshape leaves one open.
- Inputs are float32: of ONNX models ATC documents FP32, FP16, and UINT8 with a preprocessing of its own (AIPP) only ("ATC, Command-Line
  Options", general restrictions). A flag is above 0.5 where it is set, and a picture has its 0 to 255 as float32; both are cast on the way
  to the device. The card keeps what the host gives.
- An output is output 0 of the node of its name, so that 'pose', 'pose:0' and 'pose:0:pose' are one, whichever of them CANN calls it.
  Identity nodes at the end are gone: a node that ATC fuses away cannot be an output ("ATC, --out_nodes").
- A picture is divided by 256 and the weights that read it are multiplied: they bring 0 to 255 to 0 to 1, and in half precision some of
  them would be subnormal, with few digits or none. Both are powers of two, so single precision gives the same bits.
- A Slice takes rows that follow each other: one with a step is a Slice for each row and a Concat. CANN takes steps, by a kernel for which
  there are users' reports of failures (of sgl-kernel-npu and qwen-ascend-llm).
- Resize says `pytorch_half_pixel`, which is `half_pixel` for more than one pixel: the published parser of CANN's first ONNX years
  (resize_plugin.cc) knows the former alone, and takes the latter for asymmetric without a word.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poselift.common.errors import ModelError
from poselift.models.backends.backend import Tensor

PICTURE_SCALE = 256.0


def atc_form(model: onnx.ModelProto, rows: int | None = None) -> onnx.ModelProto:
    """`model` as ATC is given it. `rows`: how many people a lifter is for, where its first axis is open.

    Raises ModelError where the graph was built for another number, or reads an input in a way that has no such form.
    """
    model = _copied(model)
    graph = model.graph
    _fix_rows(graph, rows)
    _name_outputs(graph)
    _say_shapes(model)
    _compare_flags(graph)
    _take_pictures_as_floats(graph)
    _slice_without_steps(model)
    _say_pytorch_half_pixel(model)
    _drop_unused(graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def host_tensors(values: Iterable[onnx.ValueInfoProto], rows: int | None = None) -> tuple[Tensor, ...]:
    """Inputs or outputs of the graph before `atc_form`, as the host gives or gets them."""
    return tuple(
        Tensor(
            value.name,
            np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
            tuple(dim.dim_value or rows or -1 for dim in value.type.tensor_type.shape.dim),
        )
        for value in values
    )


def inferred(model: onnx.ModelProto) -> dict[str, onnx.TypeProto.Tensor]:
    """Type and shape of every tensor whose shape can be told from the graph."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
    for constant in graph.initializer:
        types[constant.name] = helper.make_tensor_type_proto(constant.data_type, constant.dims).tensor_type
    return types


def shape_of(tensor: onnx.TypeProto.Tensor) -> tuple[int, ...]:
    """Its sizes, -1 where one is open."""
    return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)


def _copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]  # of the open axis
    return copy


def _fix_rows(graph: onnx.GraphProto, rows: int | None) -> None:
    if rows is None:
        return
    for value in (*graph.input, *graph.output):
        if not value.type.tensor_type.shape.dim:
            raise ModelError(f"this network's {value.name} has no axis of people, so it is no lifter of this project")
        first = value.type.tensor_type.shape.dim[0]
        if first.HasField("dim_value") and first.dim_value != rows:
            raise ModelError(f"this network's {value.name} was built for {first.dim_value} rows, not {rows}: build it for as many people")
        first.dim_value = rows


def _name_outputs(graph: onnx.GraphProto) -> None:
    fixed = {value.name for value in (*graph.input, *graph.output)} | {constant.name for constant in graph.initializer}
    for output in graph.output:
        node = _producer(graph, output.name)
        if node is not None and node.op_type == "Identity" and node.input[0] not in fixed:
            source = node.input[0]
            graph.node.remove(node)
            _rename(graph, source, output.name)
            node = _producer(graph, output.name)
        if node is not None and len(node.output) == 1:
            node.name = output.name


def _say_shapes(model: onnx.ModelProto) -> None:
    """Write every Reshape's sizes out."""
    graph, types = model.graph, inferred(model)
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants and constants[node.input[1]].min(initial=1) < 1:
            shape = shape_of(types[node.output[0]]) if node.output[0] in types else (-1,)
            if min(shape, default=1) > 0:
                node.input[1] = f"{node.name}_sizes"
                graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), node.input[1]))


def _compare_flags(graph: onnx.GraphProto) -> None:
    """Bool inputs become float32."""
    for value in graph.input:
        if value.type.tensor_type.elem_type == TensorProto.BOOL:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
            is_set, half = f"{value.name}_is_set", f"{value.name}_half"
            _rename(graph, value.name, is_set)
            graph.initializer.append(numpy_helper.from_array(np.float32(0.5), half))
            graph.node.insert(0, helper.make_node("Greater", [value.name, half], [is_set], is_set))


def _take_pictures_as_floats(graph: onnx.GraphProto) -> None:
    """Uint8 inputs become float32, and the Cast that made them so is gone."""
    pictures = [value for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8]
    uint8, casts = {value.name for value in pictures}, []
    for node in graph.node:
        if uint8.isdisjoint(node.input):
            continue
        if node.op_type in ("Reshape", "Transpose"):
            uint8.update(node.output)
        elif node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
            casts.append(node)
        else:
            raise ModelError(f"node '{node.name}' ({node.op_type}) reads a uint8 input; it has to be cast to float32 first")
    for value in pictures:
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in casts:
        _scale_weights_of_pictures(graph, node.output[0])
        graph.node.remove(node)
        _rename(graph, node.output[0], node.input[0])


def _scale_weights_of_pictures(graph: onnx.GraphProto, picture: str) -> None:
    """Of the convolution that reads the picture, or the picture to which a number was added."""
    constants = {constant.name: constant for constant in graph.initializer}
    pictures = {picture}
    for place, node in enumerate(list(graph.node)):
        if node.input[0] not in pictures:
            continue
        if node.op_type == "Add" and node.input[1] in constants:
            pictures.update(node.output)
        elif node.op_type == "Conv" and node.input[1] in constants:
            weights = constants[node.input[1]]
            scale, scaled = f"{node.name}_scale", f"{node.name}_scaled"
            graph.node.insert(place, helper.make_node("Mul", [node.input[0], scale], [scaled], scaled))
            graph.initializer.append(numpy_helper.from_array(np.float32(1 / PICTURE_SCALE), scale))
            larger = numpy_helper.to_array(weights) * np.float32(PICTURE_SCALE)
            graph.initializer.append(numpy_helper.from_array(larger, f"{weights.name}_scaled"))
            node.input[:2] = [scaled, f"{weights.name}_scaled"]
            return


def _slice_without_steps(model: onnx.ModelProto) -> None:
    graph, types = model.graph, inferred(model)
    constants = {constant.name: numpy_helper.to_array(constant).tolist() for constant in graph.initializer if constant.dims == [1]}
    nodes = []
    for node in graph.node:
        settings = [constants.get(name, []) for name in node.input[1:]] if node.op_type == "Slice" else []
        if len(settings) < 4 or [] in settings or settings[3] == [1]:
            nodes.append(node)
            continue
        (start,), (end,), (axis,), (step,) = settings
        parts = []
        for row in range(*slice(start, end, step).indices(shape_of(types[node.input[0]])[axis])):
            parts.append(f"{node.name}_{row}")
            bounds = [f"{parts[-1]}_start", f"{parts[-1]}_end"]
            graph.initializer.extend(numpy_helper.from_array(np.array([at]), name) for name, at in zip(bounds, (row, row + 1)))
            nodes.append(helper.make_node("Slice", [node.input[0], *bounds, node.input[3]], parts[-1:], parts[-1]))
        nodes.append(helper.make_node("Concat", parts, node.output, node.name, axis=axis))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]  # the graph's own go with the list
    del graph.node[:]
    graph.node.extend(nodes)


def _say_pytorch_half_pixel(model: onnx.ModelProto) -> None:
    types = inferred(model)
    for node in model.graph.node:
        if node.op_type != "Resize" or node.output[0] not in types or min(shape_of(types[node.output[0]])[2:], default=0) < 2:
            continue
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if attributes.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel":
            attributes["coordinate_transformation_mode"] = b"pytorch_half_pixel"
            del node.attribute[:]
            node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _producer(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    return next((node for node in graph.node if name in node.output), None)


def _rename(graph: onnx.GraphProto, name: str, new: str) -> None:
    """Also where it is written; a graph's own inputs and outputs keep their names."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if tensor == name else tensor for tensor in names]
