"""A published VideoPose3D network runs here as it is published: same poses from every form, and another network is told in one line."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from published_network import published
from torch_files import FORMS, checkpoint, random_model, write

from bench.plain_network import lift_sequence
from poselift.common.errors import ModelError
from poselift.models.backends.backend import open_model
from poselift.models.convert.videopose3d import convert, to_weights
from poselift.models.lifting.stateful import StatefulNetwork

TOLERANCE = 1e-5
ARCHITECTURES = [((3, 3), 16), ((3, 3, 3), 24), ((1, 3), 8), ((5, 3), 16), ((3, 1, 5), 16), ((7,), 8), ((1, 1, 1), 12)]


def some_keypoints(frames: int, people: int = 1) -> Any:
    """Normalised screen coordinates [T, N, 17, 2]."""
    return np.random.default_rng(3).normal(0, 0.4, (frames, people, 17, 2)).astype(np.float32)


@pytest.mark.parametrize(("widths", "channels"), ARCHITECTURES)
@pytest.mark.parametrize("causal", [True, False])
def test_folded_weights_give_the_published_network_s_poses(widths: Any, channels: int, causal: bool) -> None:
    model = random_model(widths, channels)
    keypoints = some_keypoints(2 * int(np.prod(widths)) + 5)[:, 0]
    expected = published(model, widths, causal, keypoints)
    poses = lift_sequence(to_weights(model, widths, causal), keypoints.reshape(-1, 34)).pose.reshape(-1, 17, 3)
    assert np.abs(poses - expected).max() < TOLERANCE
    assert expected.std() > 0.1 and expected.std(0).min() > 0.01, "the tolerance would mean little"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("widths", "channels"), ARCHITECTURES)
@pytest.mark.parametrize("causal", [True, False])
def test_the_stateful_graph_gives_the_published_network_s_poses(
    tmp_path: Path, widths: Any, channels: int, causal: bool, form: str
) -> None:
    model = random_model(widths, channels)
    path = write(tmp_path / "c.bin", checkpoint(model), form)
    onnx.save(convert(path, widths, causal, Fraction(50)), tmp_path / "lifter.onnx")
    field = int(np.prod(widths))
    delay = 0 if causal else field // 2
    keypoints = some_keypoints(2 * field + 5, people=2)
    expected = np.stack([published(model, widths, causal, keypoints[:, person]) for person in range(2)], 1)
    network = StatefulNetwork(open_model(tmp_path / "lifter.onnx"), 2)
    columns = [*keypoints, *[keypoints[-1]] * delay]
    poses = [network.commit(column, np.full(2, frame == 0)).pose for frame, column in enumerate(columns)]
    assert poses[0].shape == (2, 17, 3)
    assert np.abs(np.array(poses[delay:]) - expected).max() < TOLERANCE


@pytest.mark.parametrize("causal", [True, False])
def test_the_plain_form_of_these_tests_is_pytorch_s(causal: bool) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch's own layers")
    function, widths = torch.nn.functional, (3, 5, 3)
    model = random_model(widths, 8)
    tensors = {name: torch.from_numpy(np.array(array, np.float64)) for name, array in model.items()}

    def layer(x: Any, convolution: str, normalisation: str, dilation: int = 1) -> Any:
        y = function.conv1d(x, tensors[f"{convolution}.weight"], dilation=dilation)
        scale = [tensors[f"{normalisation}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return function.relu(function.batch_norm(y, *scale))

    keypoints = some_keypoints(60)[:, 0]
    pads = (44, 0) if causal else (22, 22)
    x = function.pad(torch.from_numpy(keypoints.reshape(1, 60, 34).astype(np.float64)).transpose(1, 2), pads, "replicate")
    x, dilation = layer(x, "expand_conv", "expand_bn"), 3
    for block, width in enumerate(widths[1:]):
        y = layer(x, f"layers_conv.{2 * block}", f"layers_bn.{2 * block}", dilation)
        y = layer(y, f"layers_conv.{2 * block + 1}", f"layers_bn.{2 * block + 1}")
        lost = x.shape[2] - y.shape[2]
        x = (x[:, :, lost:] if causal else x[:, :, lost // 2 : -lost // 2]) + y
        dilation *= width
    poses = function.conv1d(x, tensors["shrink.weight"], tensors["shrink.bias"])[0].T.reshape(60, 17, 3)
    np.testing.assert_allclose(published(model, widths, causal, keypoints), poses.numpy(), atol=1e-9)


def test_what_the_file_says_of_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "pretrained.bin", checkpoint(random_model((3, 5), 8)))
    graph = convert(path, (3, 5), False, Fraction(50))
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert facts["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "CC BY-NC 4.0" in facts["licence"]
    expected = {"source": "pretrained.bin", "architecture": "3,5", "kind": "symmetric", "rate_hz": "50", "normalisation": "screen"}
    assert {**facts, **expected, "receptive_field": "15", "delay": "7"} == facts
    shapes = {tensor.name: [size.dim_value for size in tensor.type.tensor_type.shape.dim][1:] for tensor in graph.graph.input}
    assert shapes["keypoints"] == [17, 2] and shapes["reset"] == []


def test_names_of_a_network_trained_on_several_gpus() -> None:
    model = random_model((3,), 8)
    parallel = {f"module.{name}": array for name, array in model.items()}
    np.testing.assert_array_equal(to_weights(parallel, (3,), True).expand_weight, to_weights(model, (3,), True).expand_weight)


def test_weights_of_half_precision_are_folded_in_double(tmp_path: Path) -> None:
    halves = {name: array.astype(np.float16) if array.dtype.kind == "f" else array for name, array in random_model((3, 3), 8).items()}
    keypoints = some_keypoints(20)[:, 0]
    poses = lift_sequence(to_weights(halves, (3, 3), True), keypoints.reshape(-1, 34)).pose.reshape(-1, 17, 3)
    assert np.abs(poses - published(halves, (3, 3), True, keypoints)).max() < TOLERANCE


def changed(**arrays: Any) -> dict[str, Any]:
    model = {**random_model((3, 3, 3), 8), **{name.replace("__", "."): array for name, array in arrays.items()}}
    return {name: array for name, array in model.items() if array is not None}


NAN = np.full(8, np.nan, np.float32)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another network": ({"conv1.weight": np.zeros((3, 3))}, "expand_conv and shrink are missing; its model_pos holds conv1.weight"),
    "nothing": ({}, "expand_conv and shrink are missing"),
    "15 joints": (random_model((3, 3, 3), 8, keypoints=15, joints=15), "takes 30 numbers a frame and gives 45; needed are 34"),
    "a trajectory": (random_model((3, 3, 3), 8, joints=1), "takes 34 numbers a frame and gives 3"),
    "confidences too": (random_model((3, 3, 3), 8, values=3), "takes 51 numbers a frame"),
    "shorter": (random_model((3, 3), 8), "of another architecture: try --architecture 3,3, not 3,3,3"),
    "longer": (random_model((3, 3, 3, 3, 3), 8), "try --architecture 3,3,3,3,3, not 3,3,3"),
    "wider": (random_model((3, 5, 3), 8), "try --architecture 3,5,3"),
    "no normalisation": (changed(layers_bn__1__running_mean=None), "its layers_bn.1.running_mean is missing"),
    "unequal channels": (changed(layers_bn__2__bias=np.zeros(9, np.float32)), r"its layers_bn.2.bias is float32 \(9,\); float \(8,\)"),
    "a wide mixing": (changed(layers_conv__3__weight=np.zeros((8, 8, 3), np.float32)), r"layers_conv.3.weight is float32 \(8, 8, 3\)"),
    "a number": (changed(layers_conv__2__weight=np.zeros((), np.float32)), "another architecture"),
    "whole numbers": (changed(expand_bn__bias=np.zeros(8, np.int64)), r"expand_bn.bias is int64 \(8,\)"),
    "NaN": (changed(layers_bn__3__weight=NAN), "layers_bn.3.weight holds values that no trained network has"),
    "infinite": (changed(shrink__bias=np.full(51, np.inf, np.float32)), "shrink.bias holds values"),
    "no variance": (changed(expand_bn__running_var=-np.ones(8, np.float32)), "expand_bn.running_var holds values"),
    "too large": (changed(expand_bn__weight=np.full(8, 1e300)), "beyond what float32 can hold"),
}


@pytest.mark.parametrize("case", WRONG)
def test_another_network_is_told_in_one_line(tmp_path: Path, case: str) -> None:
    model, said = WRONG[case]
    path = write(tmp_path / "c.bin", checkpoint(OrderedDict(model)))
    with pytest.raises(ModelError, match=said) as error:
        convert(path, (3, 3, 3), False, Fraction(50))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
