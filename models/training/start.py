"""A network that goes on from an earlier lifter of ours: of 17 keypoints and joints, or with fewer blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from poselift.common.arrays import Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import COCO_KEYPOINTS, FEET, H36M_JOINTS, JOINTS, KEYPOINTS, PARENTS
from poselift.models.lifting import person_camera
from poselift.models.training.network import BLOCK_WIDTHS, FEATURES, WIDTH, Network

FADED = 0.1
"""Part of their usual size at which weights begin that the earlier lifter does not have."""
_OTHER_FEATURES = person_camera.FEATURES[len(COCO_KEYPOINTS)] - 3 * len(COCO_KEYPOINTS)


def start_from(path: Path, network: Network) -> None:
    """Give `network` the weights of the lifter at `path`, a file that `export` wrote.

    What is new begins so that it hardly matters: weights of new features and blocks are small, heels and toes begin as their ankles.
    Raises ModelError where the file holds no lifter of this kind.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no lifter to go on from; leave out --start to begin afresh")
    graph = onnx.load(str(path)).graph
    *layers, (shrink, shrink_bias) = _layers(graph)
    heads = ["spread", *(output.name for output in graph.output if output.name == "contact")]
    blocks, rest = divmod(len(layers) - 1 - len(heads), 2)
    widest = network.channels
    if rest or not 0 < blocks <= len(BLOCK_WIDTHS) or layers[0][0].shape[1] != widest:
        raise ModelError(f"{path}: its {len(layers)} layers are none to go on from; give --start a lifter of {widest} channels")
    names = ["expand", *(f"{layer}{i}" for i in range(blocks) for layer in ("conv", "mix")), *heads]
    with torch.no_grad():
        for i in range(blocks, len(BLOCK_WIDTHS)):
            network.weights[f"mix{i}"] *= FADED
        for name, (weight, bias) in zip(names, layers):
            _put(network, name, weight, bias)
        _put(network, "shrink", shrink[:widest], shrink_bias)
        _put(network, "linear", shrink[widest:], None)


def _put(network: Network, name: str, weight: Floats, bias: Floats | None) -> None:
    if name in ("shrink", "linear", "spread"):
        weight = _with_feet(weight)
        bias = None if bias is None else _with_feet(bias[None])[0]
    if name in ("expand", "linear"):
        weight = _with_new_features(weight, FADED * network.weights[name].detach().numpy())
    network.weights[name].copy_(torch.tensor(weight))
    if bias is not None:
        network.biases[name].copy_(torch.tensor(bias))


def _with_new_features(weight: Floats, new: Floats) -> Floats:
    """Rows [WIDTH * FEATURES, C]: those of the features that were there, and `new` ones of the others."""
    if weight.shape == new.shape:
        return weight
    of_body, of_all = 3 * len(COCO_KEYPOINTS), 3 * len(KEYPOINTS)
    known = np.r_[:of_body, of_all : of_all + _OTHER_FEATURES]
    rows = new.reshape(WIDTH, FEATURES, -1).copy()
    rows[:, known] = weight.reshape(WIDTH, len(known), -1)
    return rows.reshape(new.shape)


def _with_feet(columns: Floats) -> Floats:
    """Columns [..., 63] of the joints' coordinates; feet that are not there yet are as their ankles."""
    joints = columns.reshape(len(columns), -1, 3)
    if joints.shape[1] == len(H36M_JOINTS):
        joints = np.concatenate([joints, joints[:, list(PARENTS[-len(FEET) :])]], 1)
    return joints.reshape(len(columns), 3 * len(JOINTS))


def _layers(graph: onnx.GraphProto) -> list[tuple[Floats, Floats]]:
    """Weight [in, out] and bias of every layer, in the graph's order."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    layers = [node.input for node in graph.node if node.op_type == "Conv" and len(node.input) == 3]
    return [(numpy_helper.to_array(tensors[weight])[..., 0, 0].T, numpy_helper.to_array(tensors[bias])) for _, weight, bias in layers]
