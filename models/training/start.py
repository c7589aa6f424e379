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
    """Give `network` the weights of the lifter at `path`, a file that `export` wrote, of as many channels.

    What is new begins so that it hardly matters: weights of new features and blocks are small, heels and toes begin as their ankles.
    Raises ModelError where the file holds no lifter of this kind.
    """
    layers = _read(path)
    widest = layers["expand"][0].shape[1]
    if widest != network.channels:
        raise ModelError(f"{path}: a lifter of {widest} channels; give --start one of {network.channels}")
    with torch.no_grad():
        for i in range(len(BLOCK_WIDTHS)):
            if f"mix{i}" not in layers:
                network.weights[f"mix{i}"] *= FADED
        for name, (weight, bias) in layers.items():
            if name in ("expand", "linear"):
                weight = _with_new_features(weight, FADED * network.weights[name].detach().numpy())
            network.weights[name].copy_(torch.tensor(weight))
            if bias is not None:
                network.biases[name].copy_(torch.tensor(bias))


def keep_beside(path: Path, network: Network) -> list[torch.Tensor]:
    """Put the lifter at `path` into the first channels of a wider `network`, where it says of the 17 joints what it said before.

    The other channels see these and all features, and tell the feet and their contact. Returns a mask for each of the network's parameters:
    1 where it may be trained, 0 where that would change what is kept. Raises ModelError as `start_from`.
    """
    layers = _read(path)
    old, wide = layers["expand"][0].shape[1], network.channels
    blocks = sum(name.startswith("mix") for name in layers)
    if old >= wide or blocks != len(BLOCK_WIDTHS):
        raise ModelError(
            f"{path}: a lifter of {old} channels and {blocks} blocks; beside it fits a network of as many blocks and more channels"
        )
    masks = {id(tensor): torch.ones_like(tensor) for tensor in network.parameters()}
    with torch.no_grad():
        for name, (weight, bias) in layers.items():
            tensor = network.weights[name]
            if name in ("expand", "linear"):
                rows, kept = _with_new_features(weight, np.zeros((len(tensor), weight.shape[1]), np.float32)), weight.shape[1]
            else:
                taps = weight.reshape(-1, old, weight.shape[1])
                rows = np.concatenate([taps, np.zeros((len(taps), wide - old, weight.shape[1]), np.float32)], 1).reshape(len(tensor), -1)
                kept = weight.shape[1]
            of_body = min(kept, 3 * len(H36M_JOINTS)) if name in ("shrink", "spread", "linear") else kept
            tensor[:, :kept] = torch.tensor(rows)
            masks[id(tensor)][:, :of_body] = 0
            if bias is not None:
                network.biases[name][:kept] = torch.tensor(bias)
                masks[id(network.biases[name])][:of_body] = 0
    return [masks[id(tensor)] for tensor in network.parameters()]


def _read(path: Path) -> dict[str, tuple[Floats, Floats | None]]:
    """Weight [in, out] and bias of every layer by its name in `Network`; of all joints. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"{path}: no lifter to go on from; leave out --start to begin afresh")
    graph = onnx.load(str(path)).graph
    *layers, (shrink, shrink_bias) = _layers(graph)
    heads = ["spread", *(output.name for output in graph.output if output.name == "contact")]
    blocks, rest = divmod(len(layers) - 1 - len(heads), 2)
    if rest or not 0 < blocks <= len(BLOCK_WIDTHS):
        raise ModelError(f"{path}: its {len(layers)} layers are none to go on from")
    names = ["expand", *(f"{layer}{i}" for i in range(blocks) for layer in ("conv", "mix")), *heads]
    found: dict[str, tuple[Floats, Floats | None]] = dict(zip(names, layers))
    channels = found["expand"][0].shape[1]
    found["shrink"], found["linear"] = (shrink[:channels], shrink_bias), (shrink[channels:], None)
    for name in ("shrink", "linear", "spread"):
        weight, bias = found[name]
        found[name] = _with_feet(weight), None if bias is None else _with_feet(bias[None])[0]
    return found


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
