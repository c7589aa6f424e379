"""The temporal network in its plain form over whole sequences: what the fast forms of it are compared with."""

from __future__ import annotations

import numpy as np

from poselift.common.arrays import Floats
from poselift.models.lifting.temporal import SPREAD_LIMITS, Outputs, TemporalWeights, delay, dilations, receptive_field, residual_tap


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
