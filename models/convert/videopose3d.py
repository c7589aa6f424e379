"""VideoPose3D's published networks -> weights and files that run here, for whoever may use them: they are CC BY-NC 4.0.

The names of the tensors and the network's form are those of TemporalModel in VideoPose3D's common/model.py (Pavllo et al., 2019):
`expand_conv` and `expand_bn`, for block i `layers_conv.2i`, `layers_bn.2i` (dilated) and `layers_conv.2i+1`, `layers_bn.2i+1` (of width 1),
and `shrink`. No convolution but the last has a bias: batch normalisation follows, which in use is a scale and a shift, and is folded in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx

from poselift.common.arrays import Array, Doubles, Floats
from poselift.common.errors import ModelError
from poselift.common.skeleton import COCO_KEYPOINTS, H36M_JOINTS
from poselift.models.convert.checkpoint import read_checkpoint
from poselift.models.convert.lifter import build
from poselift.models.lifting.temporal import Block, TemporalWeights

LICENCE = "CC BY-NC 4.0 applies to the weights published with VideoPose3D; yours may differ"
NORMALISATION_EPSILON = 1e-5
"""Beside the variance in the denominator: PyTorch's BatchNorm1d."""
INPUTS, OUTPUTS = 2 * len(COCO_KEYPOINTS), 3 * len(H36M_JOINTS)


def convert(path: Path, widths: Sequence[int], causal: bool, rate_hz: Fraction) -> onnx.ModelProto:
    """The stateful graph of the checkpoint at `path`, with its metadata.

    It takes `keypoints` [N, 17, 2], COCO order in normalised screen coordinates, and gives `pose` [N, 17, 3]: Human3.6M order, metres in
    the camera's axes. `widths` are the filters' widths, first layer first; `causal` is what the network was trained as, which the file
    does not say; `rate_hz` is how many columns a second it was trained on.
    Raises ModelError where the file is no such checkpoint, of another architecture, or not all finite.
    """
    model = read_checkpoint(path)
    try:
        weights = to_weights(model, widths, causal)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return build(weights, describe(path, widths, causal, rate_hz), as_points=True)


def describe(path: Path, widths: Sequence[int], causal: bool, rate_hz: Fraction) -> dict[str, str]:
    """The metadata of the file: all that `poselift.models.lifting.lifter` needs, and where the weights come from."""
    return {
        "name": "videopose3d",
        "licence": LICENCE,
        "source": path.name,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "architecture": ",".join(map(str, widths)),
        "kind": "causal" if causal else "symmetric",
        "rate_hz": str(rate_hz),
        "keypoints": " ".join(COCO_KEYPOINTS),
        "joints": " ".join(H36M_JOINTS),
        "normalisation": "screen",
        "output": "root-relative, in the camera's axes, in metres of the people it was trained on, whatever the height of those it sees",
    }


def to_weights(model: Mapping[str, Array], widths: Sequence[int], causal: bool) -> TemporalWeights:
    """The state dict `model` with batch normalisation folded in. Raises ModelError as `convert` does."""
    tensors = _checked({name[len("module.") :] if name.startswith("module.") else name: array for name, array in model.items()}, widths)
    expand_weight, expand_bias = _folded(tensors, "expand_conv", "expand_bn")
    blocks = []
    for i in range(0, 2 * (len(widths) - 1), 2):
        conv_weight, conv_bias = _folded(tensors, f"layers_conv.{i}", f"layers_bn.{i}")
        mix_weight, mix_bias = _folded(tensors, f"layers_conv.{i + 1}", f"layers_bn.{i + 1}")
        blocks.append(Block(conv_weight, conv_bias, mix_weight[0], mix_bias))
    shrink_weight, shrink_bias = tensors["shrink.weight"][..., 0].T, tensors["shrink.bias"]
    return TemporalWeights(expand_weight, expand_bias, tuple(blocks), _single(shrink_weight), _single(shrink_bias), causal=causal)


def _checked(model: Mapping[str, Array], widths: Sequence[int]) -> dict[str, Doubles]:
    """The tensors that a network of these widths has, of the shapes that they have there."""
    _check_kind(model)
    found = _widths(model)
    if found != tuple(widths):
        raise ModelError(f"of another architecture: try --architecture {','.join(map(str, found))}, not {','.join(map(str, widths))}")
    tensors: dict[str, Doubles] = {}
    for name, shape in _shapes(widths, len(model["expand_conv.weight"])).items():
        array = model.get(name)
        if array is None or array.shape != shape or array.dtype.kind != "f":
            has = "is missing" if array is None else f"is {array.dtype} {array.shape}"
            raise ModelError(f"no network of VideoPose3D: its {name} {has}; float {shape} is needed")
        values: Doubles = array.astype(np.float64)
        if not np.isfinite(values).all() or (name.endswith("running_var") and values.min(initial=0.0) < 0):
            raise ModelError(f"its {name} holds values that no trained network has (NaN, infinite, or a variance below 0)")
        tensors[name] = values
    return tensors


def _check_kind(model: Mapping[str, Array]) -> None:
    first, last = (model.get(name, np.zeros(0)) for name in ("expand_conv.weight", "shrink.bias"))
    if first.ndim != 3 or last.ndim != 1:
        names = ", ".join(sorted(model))
        raise ModelError(f"no network of VideoPose3D: expand_conv and shrink are missing; its model_pos holds {names:.200}")
    if (first.shape[1], len(last)) != (INPUTS, OUTPUTS):
        raise ModelError(
            f"takes {first.shape[1]} numbers a frame and gives {len(last)}; needed are {INPUTS} (17 keypoints of x and y, in COCO order) "
            f"and {OUTPUTS} (17 joints of Human3.6M)"
        )


def _widths(model: Mapping[str, Array]) -> tuple[int, ...]:
    """The widths of the filters that are there."""
    names = ["expand_conv.weight"]
    while (name := f"layers_conv.{2 * len(names) - 2}.weight") in model:
        names.append(name)
    return tuple(model[name].shape[-1] if model[name].ndim else 0 for name in names)


def _shapes(widths: Sequence[int], channels: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"expand_conv.weight": (channels, INPUTS, widths[0])}
    normalisations = ["expand_bn"]
    for block, width in enumerate(widths[1:]):
        shapes[f"layers_conv.{2 * block}.weight"] = (channels, channels, width)
        shapes[f"layers_conv.{2 * block + 1}.weight"] = (channels, channels, 1)
        normalisations += [f"layers_bn.{2 * block}", f"layers_bn.{2 * block + 1}"]
    for name in normalisations:
        shapes.update({f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})
    return {**shapes, "shrink.weight": (OUTPUTS, channels, 1), "shrink.bias": (OUTPUTS,)}


def _folded(tensors: Mapping[str, Doubles], convolution: str, normalisation: str) -> tuple[Floats, Floats]:
    """Weight [width, in, out] and bias [out] of a convolution [out, in, width] and the normalisation after it."""
    gain, shift, mean, variance = (tensors[f"{normalisation}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
    scale = gain / np.sqrt(variance + NORMALISATION_EPSILON)
    weight = tensors[f"{convolution}.weight"] * scale[:, None, None]
    return _single(weight.transpose(2, 1, 0)), _single(shift - mean * scale)


def _single(values: Doubles) -> Floats:
    if np.abs(values).max() > np.finfo(np.float32).max:
        raise ModelError("its weights, with batch normalisation folded in, are beyond what float32 can hold")
    return np.ascontiguousarray(values, np.float32)
