"""The TFLite converter, judged by TensorFlow Lite's own interpreter and by a naive sparse encoder."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from demo_clip import pulled

from poselift.common.errors import ModelError
from poselift.models import store
from poselift.models.backends.backend import open_model
from poselift.models.convert.tflite_sparse import DenseLevel, SparseLevel, densify

tflite = pytest.importorskip("tflite", reason="needs the extra `convert`")
onnx = pytest.importorskip("onnx", reason="needs the extra `convert`")

from tiny_tflite import PICTURE_SIZE, Tiny  # noqa: E402

from poselift.models.convert.tflite import convert  # noqa: E402

# --- Sparse tensors


def encode(dense, order, sparse, block_map=(), block_sizes=()):
    """The storage tree of `dense`, one node at a time: (values, levels). `sparse` tells for each level whether it is sparse."""
    rank = dense.ndim
    sizes = [
        *(size // np.prod([b for d, b in zip(block_map, block_sizes) if d == i], dtype=int) for i, size in enumerate(dense.shape)),
        *block_sizes,
    ]

    def at(storage):
        index = [storage[d] for d in range(rank)]
        for block, dimension in enumerate(block_map):
            index[dimension] = index[dimension] * block_sizes[block] + storage[rank + block]
        return dense[tuple(index)]

    def any_below(storage):
        free = [d for d in range(len(order)) if d not in storage]
        return any(at({**storage, **dict(zip(free, rest))}) for rest in itertools.product(*(range(sizes[d]) for d in free)))

    nodes, levels = [{}], []
    for dimension, is_sparse in zip(order, sparse):
        children = [[{**node, dimension: i} for i in range(sizes[dimension])] for node in nodes]
        if is_sparse:
            children = [[child for child in family if any_below(child)] for family in children]
            segments = np.cumsum([0, *map(len, children)])
            levels.append(SparseLevel(segments, np.array([child[dimension] for family in children for child in family], np.uint8)))
        else:
            levels.append(DenseLevel(sizes[dimension]))
        nodes = [child for family in children for child in family]
    return np.array([at(node) for node in nodes], dense.dtype), levels


@pytest.mark.parametrize(
    ("shape", "order", "sparse", "block_map", "block_sizes"),
    [
        ((4, 6), (0, 1), (False, True), (), ()),
        ((4, 6), (1, 0), (False, True), (), ()),
        ((4, 6), (0, 1), (True, True), (), ()),
        ((5, 1, 2, 7), (0, 1, 2, 3), (False, False, False, True), (), ()),
        ((3, 2, 4), (2, 0, 1), (True, False, True), (), ()),
        ((8, 12), (0, 1, 2, 3), (False, True, False, False), (0, 1), (2, 3)),
        ((4, 8), (1, 0, 2), (False, True, False), (1,), (4,)),
    ],
)
def test_a_sparse_tensor_is_what_was_encoded(shape, order, sparse, block_map, block_sizes):
    rng = np.random.default_rng(1)
    dense = rng.integers(1, 100, shape).astype(np.float16) * (rng.random(shape) < 0.2)
    values, levels = encode(dense, order, sparse, block_map, block_sizes)
    assert len(values) < dense.size, "nothing was left out; the case tests nothing"
    np.testing.assert_array_equal(densify(values, shape, levels, order, block_map), dense)


def test_a_sparse_tensor_written_out_by_hand():
    levels = [DenseLevel(3), SparseLevel(np.array([0, 2, 2, 3]), np.array([1, 3, 0]))]
    dense = densify(np.array([5.0, 6.0, 7.0]), (3, 4), levels, (0, 1))
    np.testing.assert_array_equal(dense, [[0, 5, 0, 6], [0, 0, 0, 0], [7, 0, 0, 0]])


# --- Operators, each in a network of a few tensors


def pooled(tiny, source):
    return tiny.operator(
        "MAX_POOL_2D", [source], (1, 5, 6, 4), "Pool2DOptions",
        Padding=tflite.Padding.SAME, StrideH=2, StrideW=2, FilterHeight=3, FilterWidth=2,
    )  # fmt: skip


def padded(tiny, source, shape, top=1, bottom=2, left=0, right=3):
    amounts = tiny.constant(np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
    return tiny.operator("PAD", [source, amounts], shape)


def depthwise(tiny, source, kernel, shape, multiplier, **fields):
    return tiny.operator(
        "DEPTHWISE_CONV_2D", [source, tiny.weights(*kernel), tiny.weights(kernel[3])], shape, "DepthwiseConv2DOptions",
        StrideH=2, StrideW=2, DilationHFactor=1, DilationWFactor=1, DepthMultiplier=multiplier, **fields,
    )  # fmt: skip


def resized(tiny, size, **fields):
    sizes = tiny.constant(np.array(size, np.int32))
    return tiny.operator("RESIZE_BILINEAR", [tiny.features, sizes], (1, *size, 4), "ResizeBilinearOptions", **fields)


def nearest(tiny, size, **fields):
    sizes = tiny.constant(np.array(size, np.int32))
    return tiny.operator("RESIZE_NEAREST_NEIGHBOR", [tiny.features, sizes], (1, *size, 4), "ResizeNearestNeighborOptions", **fields)


def quantized_weights(tiny, scale, zero, dimension=0):
    """As dequantized by TFLite itself, which knows of no convolution with such weights and other numbers."""
    stored = tiny.quantized(tiny.rng.integers(-128, 128, (5, 3, 3, 4)).astype(np.int8), scale, zero, dimension)
    weights = tiny.operator("DEQUANTIZE", [stored], (5, 3, 3, 4), "DequantizeOptions")
    return tiny.convolution(tiny.features, (5, 3, 3, 4), (1, 7, 10, 5), weights=weights)


def activated(tiny, activation):
    return tiny.convolution(tiny.features, (5, 3, 3, 4), (1, 7, 10, 5), activation=activation)


def added(tiny):
    return tiny.operator(
        "ADD", [tiny.features, tiny.features], (1, *PICTURE_SIZE, 4), "AddOptions",
        FusedActivationFunction=tflite.ActivationFunctionType.RELU6,
    )  # fmt: skip


def half_precision_weights(tiny):
    half = tiny.constant(tiny.rng.normal(size=(5, 3, 3, 4)).astype(np.float16))
    weights = tiny.operator("DEQUANTIZE", [half], (5, 3, 3, 4), "DequantizeOptions")
    return tiny.convolution(tiny.features, (5, 3, 3, 4), (1, 7, 10, 5), weights=weights)


def sparse_weights(tiny):
    dense = tiny.rng.normal(size=(4, 1, 1, 4)).astype(np.float32) * (tiny.rng.random((4, 1, 1, 4)) < 0.4)
    order, sparse, block_map, block_sizes = (0, 1, 2, 3, 4), (False, False, False, True, False), (3,), (2,)
    values, levels = encode(dense, order, sparse, block_map, block_sizes)
    stored = tiny.tensor(dense.shape, values, (levels, order, block_map))
    weights = tiny.operator("DENSIFY", [stored], dense.shape, "DensifyOptions")
    return tiny.convolution(tiny.features, dense.shape, (1, *PICTURE_SIZE, 4), weights=weights)


def concatenated(tiny, axis, shape):
    other = tiny.convolution(tiny.features, (4, 1, 1, 4), (1, *PICTURE_SIZE, 4))
    return tiny.operator("CONCATENATION", [tiny.features, other], shape, "ConcatenationOptions", Axis=axis)


def flattened(tiny):
    shape = tiny.constant(np.array([1, 54, 8], np.int32))
    return tiny.operator("RESHAPE", [tiny.features, shape], (1, 54, 8))


CASES = {
    "the picture, padded": lambda t: t.convolution(
        padded(t, t.picture, (1, 12, 15, 3)), (5, 3, 3, 3), (1, 5, 7, 5), stride=(2, 2)
    ),
    "the picture, SAME": lambda t: t.convolution(t.picture, (5, 5, 4, 3), (1, 5, 6, 5), stride=(2, 2), padding="SAME"),
    "stride 2, SAME, odd and even size": lambda t: t.convolution(
        t.features, (5, 3, 3, 4), (1, 5, 6, 5), stride=(2, 2), padding="SAME"
    ),
    "unequal kernel and strides, then a dilation": lambda t: t.convolution(
        t.convolution(t.features, (5, 4, 2, 4), (1, 9, 4, 5), stride=(1, 3), padding="SAME"),
        (2, 3, 3, 5), (1, 9, 4, 2), dilation=(2, 2), padding="SAME",
    ),
    "relu": lambda t: activated(t, "RELU"),
    "relu6": lambda t: activated(t, "RELU6"),
    "relu -1 to 1": lambda t: activated(t, "RELU_N1_TO_1"),
    "depthwise": lambda t: depthwise(t, t.features, (1, 3, 3, 4), (1, 5, 6, 4), 1, Padding=tflite.Padding.SAME),
    "depthwise with a multiplier": lambda t: depthwise(t, t.features, (1, 3, 3, 8), (1, 5, 6, 8), 2, Padding=tflite.Padding.SAME),
    "pad before a convolution": lambda t: depthwise(
        t, padded(t, t.features, (1, 12, 15, 4)), (1, 3, 3, 4), (1, 5, 7, 4), 1, Padding=tflite.Padding.VALID
    ),
    "pad before another reader": lambda t: t.operator("LOGISTIC", [padded(t, t.features, (1, 12, 15, 4))], (1, 12, 15, 4)),
    "pad before a SAME convolution": lambda t: t.convolution(
        padded(t, t.features, (1, 12, 15, 4)), (2, 3, 3, 4), (1, 6, 8, 2), stride=(2, 2), padding="SAME"
    ),
    "max pool": lambda t: pooled(t, t.features),
    "resize, half pixel": lambda t: resized(t, (18, 24), HalfPixelCenters=True),
    "resize, align corners": lambda t: resized(t, (17, 25), AlignCorners=True),
    "resize, asymmetric": lambda t: resized(t, (18, 24)),
    "resize, smaller": lambda t: resized(t, (5, 7), HalfPixelCenters=True),
    "resize to the nearest": lambda t: nearest(t, (18, 24)),
    "resize to the nearest, odd": lambda t: nearest(t, (5, 20)),
    "int8 weights": lambda t: quantized_weights(t, 0.01, 3),
    "depth to space": lambda t: t.operator("DEPTH_TO_SPACE", [t.features], (1, 18, 24, 2), "DepthToSpaceOptions", BlockSize=2),
    "add": added,
    "logistic": lambda t: t.operator("LOGISTIC", [t.features], (1, *PICTURE_SIZE, 4)),
    "concatenate channels": lambda t: concatenated(t, 3, (1, *PICTURE_SIZE, 8)),
    "concatenate rows": lambda t: concatenated(t, -3, (1, 18, 12, 4)),
    "reshape": flattened,
    "float16 weights": half_precision_weights,
    "sparse weights": sparse_weights,
}  # fmt: skip


def run_tflite(file, picture, picture_range, kernels="BUILTIN"):
    """The outputs of the original network for a uint8 picture, by their TFLite names.

    `BUILTIN_REF` are the slow and plain kernels; the fast ones of some versions (2.1.0) get a dilated convolution wrong.
    """
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert, which has no wheel for this Python")
    interpreter = litert.Interpreter(
        model_content=file, num_threads=1, experimental_op_resolver_type=getattr(litert.OpResolverType, kernels)
    )
    interpreter.allocate_tensors()
    low, high = picture_range
    normalised = picture.astype(np.float32) / np.float32(255) * np.float32(high - low) + np.float32(low)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], normalised)
    interpreter.invoke()
    return {output["name"]: channels_first(interpreter.get_tensor(output["index"])) for output in interpreter.get_output_details()}


def channels_first(values):
    """As ours are: a map as [1, channels, H, W]."""
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def run_onnx(model, picture, folder):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return open_model(path).run({"picture": picture})


@pytest.mark.parametrize("case", CASES)
def test_an_operator_does_what_tflite_does(case, tmp_path):
    tiny = Tiny(channels=8 if case == "depth to space" else 4)
    output = CASES[case](tiny)
    file = tiny.file()
    picture = np.random.default_rng(3).integers(0, 256, (1, *PICTURE_SIZE, 3), np.uint8)
    expected = run_tflite(file, picture, (-1, 1), "BUILTIN_REF")[f"tensor {output}"]
    found = run_onnx(convert(file, {f"tensor {output}": "out"}, (-1, 1), {}), picture, tmp_path)["out"]
    assert expected.shape == found.shape
    assert np.ptp(expected) > 0, "a constant answer tests nothing"
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=5e-5)


# --- The file as a whole


def test_what_only_other_outputs_need_is_gone(tmp_path):
    tiny = Tiny()
    kept = added(tiny)
    tiny.operator("FLOOR", [tiny.features], (1, *PICTURE_SIZE, 4))  # which cannot be converted, and need not be
    tiny.outputs = [kept, len(tiny.tensors) - 1]
    model = convert(tiny.file(), {f"tensor {kept}": "out"}, (0, 1), {})
    assert sorted({node.op_type for node in model.graph.node} - {"Reshape", "Cast"}) == ["Add", "Clip", "Conv", "Identity"]


def anchored(tiny):
    """Two heads of different maps, each with 3 anchors of 4 classes in a cell, as one list: [1, 3 x (9 x 12 + 5 x 6), 4]."""
    kernel, rows, shape = (12, 1, 1, 4), [], (1, 5, 6, 4)
    for source, (height, width) in ((tiny.features, PICTURE_SIZE), (pooled(tiny, tiny.features), shape[1:3])):
        cells = tiny.convolution(source, kernel, (1, height, width, 12))
        flat = (1, 3 * height * width, 4)
        rows.append(tiny.operator("RESHAPE", [cells, tiny.constant(np.array(flat, np.int32))], flat))
    whole = (1, 3 * (108 + 30), 4)
    return tiny.operator("LOGISTIC", [tiny.operator("CONCATENATION", rows, whole, "ConcatenationOptions", Axis=1)], whole)


@pytest.mark.parametrize("channels", [[0], [2], [3, 1]])
def test_some_channels_of_an_output_alone(channels, tmp_path):
    tiny = Tiny()
    name, file = f"tensor {anchored(tiny)}", tiny.file()
    picture = np.random.default_rng(3).integers(0, 256, (1, *PICTURE_SIZE, 3), np.uint8)
    whole, some = (convert(file, {name: "out"}, (0, 1), {}, only) for only in ({}, {name: channels}))
    np.testing.assert_allclose(
        run_onnx(some, picture, tmp_path)["out"], run_onnx(whole, picture, tmp_path)["out"][..., channels], rtol=1e-5
    )
    sizes = [sum(np.prod(weights.dims) for weights in model.graph.initializer if len(weights.dims) == 4) for model in (whole, some)]
    assert sizes[0] - sizes[1] == 2 * 3 * 4 * (4 - len(channels)), "what computes the other channels is gone"


def test_channels_that_come_from_no_convolution_are_refused():
    tiny = Tiny()
    name = f"tensor {pooled(tiny, tiny.features)}"
    with pytest.raises(ModelError, match=f"MAX_POOL_2D '{name}' cannot be converted for some of its channels alone"):
        convert(tiny.file(), {name: "out"}, (0, 1), {}, {name: [0]})


def test_weights_with_a_scale_for_each_channel(tmp_path):
    """By an independent formula: TFLite's own interpreter dequantizes such weights only within an all-integer network."""
    tiny, scale = Tiny(), np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    stored = tiny.rng.integers(-128, 128, (5, 1, 1, 4)).astype(np.int8)
    plain = tiny.convolution(tiny.features, (5, 1, 1, 4), (1, *PICTURE_SIZE, 5), weights=tiny.quantized(stored, scale, [0] * 5))
    tiny.outputs = [tiny.features, plain]
    picture = np.random.default_rng(3).integers(0, 256, (1, *PICTURE_SIZE, 3), np.uint8)
    bias = tiny.tensors[tiny.operators[-1][1][2]][1]
    found = run_onnx(convert(tiny.file(), {f"tensor {number}": str(number) for number in tiny.outputs}, (0, 1), {}), picture, tmp_path)
    expected = np.einsum("bchw,oc->bohw", found[str(tiny.features)], stored[:, 0, 0] * scale[:, None]) + bias[:, None, None]
    np.testing.assert_allclose(found[str(plain)], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("field", ["AlignCorners", "HalfPixelCenters"])
def test_a_grid_that_is_laid_in_another_way_is_refused(field):
    tiny = Tiny()
    output = nearest(tiny, (18, 24), **{field: True})
    with pytest.raises(ModelError, match=r"RESIZE_NEAREST_NEIGHBOR 'tensor .*' lays its grids"):
        convert(tiny.file(), {f"tensor {output}": "out"}, (0, 1), {})


def test_an_unsupported_operator_is_named():
    tiny = Tiny()
    output = tiny.operator("FLOOR", [tiny.features], (1, *PICTURE_SIZE, 4))
    with pytest.raises(ModelError, match="operator FLOOR is not supported"):
        convert(tiny.file(), {f"tensor {output}": "out"}, (0, 1), {})


def test_an_unknown_output_is_named():
    with pytest.raises(ModelError, match=r"no output heatmap; it has tensor \d"):
        convert(Tiny().file(), {"heatmap": "out"}, (0, 1), {})


def test_a_network_that_does_not_start_with_a_convolution_is_refused():
    tiny = Tiny()
    output = tiny.operator("LOGISTIC", [tiny.picture], (1, *PICTURE_SIZE, 3))
    with pytest.raises(ModelError, match="must be read by CONV_2D"):
        convert(tiny.file(), {f"tensor {output}": "out"}, (0, 1), {})


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(ModelError, match="not a TFLite file"):
        convert(b"<!DOCTYPE html><html>", {}, (0, 1), {})


# --- The two networks that are used, on the demo clip

NETWORKS = ("blazepose_detector", "blazepose_landmarks")
CLOSE_UPS = ((20, 382, 0, 500), (100, 748, 434, 560), (200, 946, 594, 400))
"""Squares around a person: frame, left, top, size in pixels."""


@pytest.fixture(scope="module")
def squares():
    """RGB squares of the clip: a man stands with raised arms, a woman walks, a man crouches; and each whole height."""
    clip = cv2.VideoCapture(str(pulled("demo_clip")))
    cut = []
    for number in range(CLOSE_UPS[-1][0] + 1):
        assert clip.grab()
        for frame, left, top, size in CLOSE_UPS:
            if frame == number:
                picture = cv2.cvtColor(clip.retrieve()[1], cv2.COLOR_BGR2RGB)
                cut += [picture[top : top + size, left : left + size], picture[:, 300 : 300 + len(picture)]]
    return cut


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A store made now, from what was pulled: originals only, so that the converter of this commit is what is judged."""
    folder = tmp_path_factory.mktemp("store")
    for name in (*NETWORKS, "efficientdet_lite0", "demo_clip"):
        pulled(name)
        original = store.original_path(store.read_manifest()[name], store.default_folder())
        (folder / original.name).symlink_to(original)
    store.pull(folder)
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_as_the_original(name, squares, converted):
    entry = store.read_manifest()[name].conversion
    original = store.original_path(store.read_manifest()[name], converted).read_bytes()
    model = open_model(store.path_of(name, converted))
    tolerance = {"landmarks": 0.01, "boxes": 0.01, "scores": 0.01, "flag": 1e-4, "world": 1e-4, "heatmap": 0.01}
    people = 0
    for square in squares:
        picture = cv2.resize(square, entry.picture[1:3], interpolation=cv2.INTER_AREA)[None]
        expected, found = run_tflite(original, picture, entry.picture_range), model.run({"picture": picture})
        # Without a person the landmarks mean nothing, lie hundreds of pixels outside and carry the rounding errors of either side.
        means_something = "flag" not in found or found["flag"].item() > 0.5
        people += means_something
        for output, values in found.items():
            assert values.shape == tuple(entry.outputs[output].shape)
            if means_something or output == "flag":
                np.testing.assert_allclose(values, expected[entry.outputs[output].source], rtol=0, atol=tolerance[output])
    assert people >= len(CLOSE_UPS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_suits_the_npu_compiler(name, converted):
    entry = store.read_manifest()[name]
    model = onnx.load(store.path_of(name, converted))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 11)]
    assert [(tensor.name, tensor.type.tensor_type.elem_type) for tensor in model.graph.input] == [("picture", onnx.TensorProto.UINT8)]
    outputs = {tensor.name: [size.dim_value for size in tensor.type.tensor_type.shape.dim] for tensor in model.graph.output}
    assert outputs == {output: of.shape for output, of in entry.conversion.outputs.items()}
    transposed = [node.output[0] for node in model.graph.node if node.op_type == "Transpose"]
    assert len(transposed) == {"blazepose_detector": 6, "blazepose_landmarks": 0}[name], "only the detector's six heads are transposed"
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    assert (metadata["source_sha256"], metadata["licence"]) == (entry.sha256, "Apache-2.0")
