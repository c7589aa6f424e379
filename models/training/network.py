"""The causal network in torch, in the shape that `poselift.models.lifting.temporal` runs: what is trained here is exported as it is.

Weights are plain tensors, taps lie one after another in the rows (oldest first), and every convolution is one matrix product
over its concatenated taps: on a CPU in bfloat16 that is 1.6 times as fast as torch's own dilated convolution.
"""

from __future__ import annotations

import math
from itertools import accumulate
from operator import mul
from typing import NamedTuple

import numpy as np
import torch

from poselift.common.arrays import Floats
from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS
from poselift.models.lifting import person_camera
from poselift.models.lifting.temporal import Block, TemporalWeights

WIDTH = 3
BLOCK_WIDTHS = (3, 3, 1, 1, 1)
"""Taps of each residual block. Those of one tap see no more of the past; they come last, where a sequence has the fewest columns, so
depth costs least there: the same training time went further with them than without."""
DILATIONS = tuple(accumulate((WIDTH, *BLOCK_WIDTHS[:-1]), mul))
RECEPTIVE_FIELD = WIDTH * math.prod(BLOCK_WIDTHS)
OUTPUTS = 3 * len(JOINTS)
FEATURES = person_camera.FEATURES[len(KEYPOINTS)]

FIRST_SPREAD = 0.07
"""Standard deviation that an untrained network states, in body scales."""
SPREADS = (math.log(0.002), math.log(2.0))
"""Least and greatest logarithm of a standard deviation in training."""


class Prediction(NamedTuple):
    """What the network says of N sequences of T columns."""

    poses: torch.Tensor
    """[N, T, 21, 3]: the root stays at 0."""
    log_spread: torch.Tensor
    """[N, T, 21, 3]: natural logarithm of each coordinate's standard deviation; of no meaning at the root."""
    contact: torch.Tensor
    """[N, T, 4]: logits that heels and toes (FEET) touch the floor."""


class Network:
    """A causal temporal network of receptive field 27 beside a linear path from the newest three columns."""

    def __init__(self, channels: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)

        def weight(rows: int, gain: float) -> torch.Tensor:
            return torch.randn(rows, channels, generator=generator) * gain * (2 / rows) ** 0.5

        self.channels = channels
        self.weights: dict[str, torch.Tensor] = {"expand": weight(WIDTH * FEATURES, 1.0)}
        for i, width in enumerate(BLOCK_WIDTHS):
            self.weights[f"conv{i}"] = weight(width * channels, 1.0)
            self.weights[f"mix{i}"] = weight(channels, 0.5)
        self.weights["shrink"] = torch.zeros(channels, OUTPUTS)
        self.weights["spread"] = torch.zeros(channels, OUTPUTS)
        self.weights["contact"] = torch.zeros(channels, len(FEET))
        self.weights["linear"] = torch.zeros(WIDTH * FEATURES, OUTPUTS)
        self.biases = {name: torch.zeros(weight.shape[1]) for name, weight in self.weights.items() if name != "linear"}
        self.biases["spread"] += math.log(FIRST_SPREAD)
        for tensor in self.parameters():
            tensor.requires_grad_()

    def parameters(self) -> list[torch.Tensor]:
        """Every tensor that is learnt."""
        return [*self.weights.values(), *self.biases.values()]

    def __call__(self, features: torch.Tensor) -> Prediction:
        """What is said of the last T columns of `features` [N, RECEPTIVE_FIELD - 1 + T, FEATURES]."""
        newest = _taps(features, WIDTH, 1)
        hidden = self._layer("expand", newest)
        for i, (width, dilation) in enumerate(zip(BLOCK_WIDTHS, DILATIONS)):
            mixed = self._layer(f"mix{i}", self._layer(f"conv{i}", _taps(hidden, width, dilation)))
            hidden = hidden[:, (width - 1) * dilation :] + mixed
        linear = newest[:, -hidden.shape[1] :] @ self.weights["linear"]
        outputs = hidden @ self.weights["shrink"] + self.biases["shrink"] + linear
        log_spread = hidden @ self.weights["spread"] + self.biases["spread"]
        poses = torch.nn.functional.pad(_joints(outputs)[:, :, 1:], (0, 0, 1, 0))
        contact = (hidden @ self.weights["contact"] + self.biases["contact"]).float()
        return Prediction(poses, _joints(log_spread).clamp(*SPREADS), contact)

    def start_linear(self, features: Floats, poses: Floats, penalty: float = 1.0) -> None:
        """Set the linear path, and the output's bias, to the ridge regression of poses [N, T, 21, 3] on the newest three columns."""
        taps = _taps(torch.from_numpy(features), WIDTH, 1)[:, -poses.shape[1] :].flatten(0, 1).double().numpy()
        columns = np.concatenate([taps, np.ones((len(taps), 1))], 1)
        squares = columns.T @ columns + penalty * np.eye(columns.shape[1])
        solution = torch.from_numpy(np.linalg.solve(squares, columns.T @ poses.reshape(len(taps), OUTPUTS))).float()
        with torch.no_grad():
            self.weights["linear"].copy_(solution[:-1])
            self.biases["shrink"].copy_(solution[-1])

    def widen_spread(self, factor: float, joints: slice = slice(None)) -> None:
        """Multiply every standard deviation that the network states of these joints."""
        with torch.no_grad():
            self.biases["spread"].view(-1, 3)[joints] += math.log(factor)

    def _layer(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.nn.functional.linear(inputs, self.weights[name].T, self.biases[name]))


def to_weights(network: Network) -> TemporalWeights:
    """The same network as `poselift.models.lifting.temporal` and the exporter know it. There is no normalisation layer to fold."""
    weights = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in network.weights.items()}
    biases = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in network.biases.items()}
    for last in (weights["shrink"], weights["linear"], biases["shrink"]):
        last[..., :3] = 0  # the root, which the network leaves at 0
    blocks = tuple(
        Block(_split(weights[f"conv{i}"], width), biases[f"conv{i}"], weights[f"mix{i}"], biases[f"mix{i}"])
        for i, width in enumerate(BLOCK_WIDTHS)
    )
    return TemporalWeights(
        _split(weights["expand"], WIDTH),
        biases["expand"],
        blocks,
        weights["shrink"],
        biases["shrink"],
        linear_weight=_split(weights["linear"], WIDTH),
        spread_weight=weights["spread"],
        spread_bias=biases["spread"],
        contact_weight=weights["contact"],
        contact_bias=biases["contact"],
    )


def _taps(columns: torch.Tensor, width: int, dilation: int) -> torch.Tensor:
    if width == 1:
        return columns
    length = columns.shape[1] - (width - 1) * dilation
    return torch.cat([columns[:, k * dilation : k * dilation + length] for k in range(width)], -1)


def _joints(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.float().unflatten(-1, (len(JOINTS), 3))


def _split(stacked: Floats, width: int) -> Floats:
    return stacked.reshape(width, -1, stacked.shape[1])
