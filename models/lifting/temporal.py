"""The temporal convolutional network: its weights as data, and its plain form over whole sequences.

The architecture is VideoPose3D's (Pavllo et al., "3D human pose estimation in video with temporal convolutions and
semi-supervised training", 2019), causal or symmetric: dilated convolutions whose dilation grows by the filter width from layer
to layer, in residual blocks. `models/convert/lifter.py` writes the same network as a graph that carries state.
"""

from __future__ import annotations

import math
from itertools import accumulate
from operator import mul
from typing import NamedTuple

import numpy as np

from poselift.common.arrays import Floats

SPREAD_LIMITS = (-8.0, 4.0)
"""Least and greatest natural logarithm of a standard deviation: 0.4 mm and 70 m, where the unit is a body scale of 1.3 m. Beyond
lies nothing that a pose can mean, and no exponential overflows, in half precision either."""


class Block(NamedTuple):
    """One residual block of `C` channels, batch normalisation folded in; a ReLU follows each of its two convolutions."""

    conv_weight: Floats
    """[width, C, C]: taps (oldest to newest) x in x out; block i has dilation 3 ** (i + 1) where all widths are 3."""
    conv_bias: Floats
    """[C]"""
    mix_weight: Floats
    """[C, C]: in x out, the convolution of width 1."""
    mix_bias: Floats
    """[C]"""


class TemporalWeights(NamedTuple):
    """Weights of a network from `F` features a column to `D` outputs a column, `C` channels wide."""

    expand_weight: Floats
    """[width, F, C]: taps (oldest to newest) x in x out, dilation 1, followed by a ReLU."""
    expand_bias: Floats
    """[C]"""
    blocks: tuple[Block, ...]
    shrink_weight: Floats
    """[C, D]"""
    shrink_bias: Floats
    """[D]"""
    linear_weight: Floats | None = None
    """[width, F, D]: a linear path from the input columns that the first layer sees to the output; None without one."""
    spread_weight: Floats | None = None
    """[C, D]: from the same hidden layer as `shrink_weight`, to the natural logarithm of each output's standard deviation."""
    spread_bias: Floats | None = None
    """[D]; None without `spread_weight`."""
    causal: bool = True
    """A causal network's outputs belong to its newest column, and the residual of a block is the newest tap of its input. False:
    a symmetric one's belong to the middle of its receptive field, and the residual is the middle tap. Its widths are odd, and
    it has no linear path."""


class Outputs(NamedTuple):
    """What a network gives, one row a column (or a slot), in its own unit and axes."""

    pose: Floats
    """[rows, D]"""
    sigma: Floats | None
    """[rows, D]: the standard deviation of each of them; None where the network does not tell."""


def filter_widths(weights: TemporalWeights) -> tuple[int, ...]:
    """Number of taps of the first layer and of every block's dilated convolution."""
    return (len(weights.expand_weight), *(len(block.conv_weight) for block in weights.blocks))


def dilations(weights: TemporalWeights) -> tuple[int, ...]:
    """Columns between two taps, of the first layer and of every block: 1, 3, 9, ... where all widths are 3."""
    return tuple(accumulate((1, *filter_widths(weights)[:-1]), mul))


def receptive_field(weights: TemporalWeights) -> int:
    """How many input columns an output depends on: 3 ** (number of blocks + 1) where all widths are 3."""
    return math.prod(filter_widths(weights))


def delay(weights: TemporalWeights) -> int:
    """How many columns lie after the one that an output belongs to, before the output can be computed: 0 where causal."""
    return 0 if weights.causal else (receptive_field(weights) - 1) // 2


def residual_tap(weights: TemporalWeights, width: int) -> int:
    """Which tap of a block of that width, counted from the oldest, is its residual."""
    return width - 1 if weights.causal else (width - 1) // 2


def convolve(weights: TemporalWeights, features: Floats) -> Outputs:
    """Outputs of the T - receptive_field + 1 columns of `features` [T, F] that have a whole history; one for one window."""
    _, *block_dilations = dilations(weights)
    hidden = _relu(_taps(features, weights.expand_weight, 1) + weights.expand_bias)
    for block, dilation in zip(weights.blocks, block_dilations):
        mixed = _relu(_taps(hidden, block.conv_weight, dilation) + block.conv_bias)
        mixed = _relu(mixed @ block.mix_weight + block.mix_bias)
        skipped = residual_tap(weights, len(block.conv_weight)) * dilation
        hidden = hidden[skipped : skipped + len(mixed)] + mixed
    pose = hidden @ weights.shrink_weight + weights.shrink_bias
    if weights.linear_weight is not None:
        pose = pose + _taps(features, weights.linear_weight, 1)[-len(pose) :]
    return Outputs(pose, _sigma(weights, hidden))


def lift_sequence(weights: TemporalWeights, features: Floats) -> Outputs:
    """Outputs of T rows, one for every column of `features` [T, F].

    Before the first column stands the first one, and after the last, where the network is symmetric, the last one.
    """
    after = delay(weights)
    before = receptive_field(weights) - 1 - after
    return convolve(weights, np.concatenate([features[:1].repeat(before, 0), features, features[-1:].repeat(after, 0)]))


def _sigma(weights: TemporalWeights, hidden: Floats) -> Floats | None:
    if weights.spread_weight is None or weights.spread_bias is None:
        return None
    log_sigma = hidden @ weights.spread_weight + weights.spread_bias
    return np.asarray(np.exp(np.clip(log_sigma, *SPREAD_LIMITS)), np.float32)


def _taps(columns: Floats, weight: Floats, dilation: int) -> Floats:
    length = len(columns) - (len(weight) - 1) * dilation
    taps = [columns[k * dilation : k * dilation + length] @ tap for k, tap in enumerate(weight)]
    return np.asarray(sum(taps), np.float32)


def _relu(values: Floats) -> Floats:
    return np.maximum(values, 0, dtype=np.float32)
