"""People of 17 coloured spots, and made-up networks in ONNX that see them, in the forms that top-down pose networks are published in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLOURS = np.array([colour for colour in product((0, 128, 255), repeat=3) if len({*colour}) > 1][:17])
"""[17, 3]: each keypoint's red, green and blue."""
GREY = 60
SPOT = 0.022
"""Radius of a spot, in heights of a person."""
SPREAD = 60.0
"""A colour so far from a keypoint's is not that keypoint's any more."""
HALF = [(0.1, -0.48), (0.2, -0.42), (0.13, -0.3), (0.24, -0.16), (0.26, 0), (0.09, 0.02), (0.1, 0.25), (0.11, 0.5)]
LAYOUT = np.array([(0, -0.5), *((side * x, y) for x, y in HALF for side in (1, -1))])
"""[17, 2]: the keypoints of a person of height 1 around (0, 0)."""
BLUR_PX = 2.5
"""Sigma of the Gaussian that makes a spot's middle its top, px of the network's picture."""
MEAN, DEVIATION = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def keypoints_px(x_px: float, y_px: float, height_px: float) -> np.ndarray:
    """[17, 2]: the keypoints of a person with their middle there."""
    return LAYOUT * height_px + [x_px, y_px]


def paint(picture: np.ndarray, points_px: np.ndarray, height_px: float, hidden: Sequence[int] = ()) -> np.ndarray:
    """Put a person's spots, but for those that are hidden, into a BGR picture."""
    for number, point in enumerate(points_px):
        if number not in hidden:
            centre = [round(float(16 * of)) for of in point]
            cv2.circle(picture, centre, round(16 * SPOT * height_px), COLOURS[number][::-1].tolist(), -1, cv2.LINE_8, 4)
    return picture


def spot_network(path: Path, form: str, height: int = 256, width: int = 192, batch: int | str = 1, told: bool = True) -> Path:
    """A network that finds each keypoint by its colour: heatmaps of a quarter of the size, or SimCC with two values a pixel.

    Whether the sizes of its outputs are told: some exports leave them open.
    """
    nodes, constants = [], []

    def constant(values: object, dtype: type = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.array(values, dtype), f"c{len(constants)}"))
        return constants[-1].name

    def node(operator: str, *inputs: str, name: str = "", **attributes: object) -> str:
        name = name or f"n{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    rgb = node("Add", node("Mul", "input", constant(np.reshape(DEVIATION, (1, 3, 1, 1)))), constant(np.reshape(MEAN, (1, 3, 1, 1))))
    colours = COLOURS.astype(np.float32)
    inner = node("Conv", rgb, constant(-2 * colours[..., None, None]), constant((colours**2).sum(-1)))
    away = node("Add", node("ReduceSum", node("Mul", rgb, rgb), axes=[1]), inner)
    near = node("Relu", node("Sub", constant([1.0]), node("Mul", away, constant([SPREAD**-2]))))
    blur = np.tile(np.exp(-(np.arange(-8, 9) ** 2) / (2 * BLUR_PX**2)) / (BLUR_PX * np.sqrt(2 * np.pi)), (17, 1, 1, 1))
    across = node("Conv", near, constant(blur), group=17, pads=[0, 8, 0, 8])
    peaks = node("Mul", node("Conv", across, constant(blur.transpose(0, 1, 3, 2)), group=17, pads=[8, 0, 8, 0]), constant([1.8]))

    def resized(x: str, factors: Sequence[float], mode: str, name: str = "") -> str:
        return node("Resize", x, constant([]), constant([1, 1, *factors]), name=name, mode="linear", coordinate_transformation_mode=mode)

    if form == "heatmaps":
        resized(peaks, (0.25, 0.25), "align_corners", "heatmaps")
        outputs = {"heatmaps": [batch, 17, height // 4, width // 4]}
    else:
        node("Squeeze", resized(node("ReduceMax", peaks, axes=[2]), (1, 2), "asymmetric"), name="simcc_x", axes=[2])
        node("Squeeze", resized(node("ReduceMax", peaks, axes=[3]), (2, 1), "asymmetric"), name="simcc_y", axes=[3])
        outputs = {"simcc_x": [batch, 17, 2 * width], "simcc_y": [batch, 17, 2 * height]}
    sizes = {name: shape if told else [f"{name}_{axis}" for axis in range(len(shape))] for name, shape in outputs.items()}
    return save(path, nodes, constants, [batch, 3, height, width], sizes)


def fixed_network(
    path: Path, outputs: dict[str, np.ndarray], shape: Sequence[int | str] = (1, 3, 256, 192), dtype: int = TensorProto.FLOAT
) -> Path:
    """A network that gives these arrays whatever it sees."""
    constants = [numpy_helper.from_array(array, f"{name}_value") for name, array in outputs.items()]
    nodes = [helper.make_node("Identity", [f"{name}_value"], [name]) for name in outputs]
    return save(path, nodes, constants, shape, {name: array.shape for name, array in outputs.items()}, dtype, outputs)


def save(path: Path, nodes, constants, shape, outputs, dtype=TensorProto.FLOAT, arrays=None) -> Path:
    types = {name: helper.np_dtype_to_tensor_dtype(arrays[name].dtype) if arrays else TensorProto.FLOAT for name in outputs}
    graph = helper.make_graph(
        nodes,
        "made up",
        [helper.make_tensor_value_info("input", dtype, shape)],
        [helper.make_tensor_value_info(name, types[name], sizes) for name, sizes in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path
