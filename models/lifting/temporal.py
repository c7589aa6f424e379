"""The temporal convolutional network: its weights as data, and what follows from their shapes.

The architecture is VideoPose3D's (Pavllo et al., "3D human pose estimation in video with temporal convolutions and
semi-supervised training", 2019), causal or symmetric: dilated convolutions whose dilation grows by the filter width from layer
to layer, in residual blocks. `models/convert/lifter.py` writes the same network as a graph that carries state.
"""

from __future__ import annotations

import math
from itertools import accumulate
from operator import mul
from typing import NamedTuple

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
    contact_weight: Floats | None = None
    """[C, 4]: from the same hidden layer, to the logit that each part of the feet (`skeleton.FEET`) touches the floor."""
    contact_bias: Floats | None = None
    """[4]; None without `contact_weight`."""


class Outputs(NamedTuple):
    """What a network gives, one row a column (or a slot), in its own unit and axes."""

    pose: Floats
    """[rows, D]"""
    sigma: Floats | None = None
    """[rows, D]: the standard deviation of each of them; None where the network does not tell."""
    contact: Floats | None = None
    """[rows, 4]: logits that heels and toes (`skeleton.FEET`) touch the floor; None where the network does not tell."""


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
