"""Lifters with random weights, for tests that need a network and not a good one."""

import numpy as np

from poselift.common.skeleton import FEET, JOINTS, KEYPOINTS
from poselift.models.lifting.temporal import Block, TemporalWeights

WITH_FEET = {"keypoints": " ".join(KEYPOINTS), "joints": " ".join(JOINTS)}
"""What a lifter's metadata says that takes and gives feet."""


def random_lifter(widths, channels, features, outputs=51, linear=True, spread=False, causal=True, contact=False):
    """Weights whose outputs, and standard deviations, are about as large as poses are in the networks' units."""
    rng = np.random.default_rng(0)

    def matrix(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    def bias(size):
        return matrix(1, size)[0]

    first, *others = widths
    return TemporalWeights(
        matrix(first, features, channels),
        bias(channels),
        tuple(Block(matrix(width, channels, channels), bias(channels), matrix(channels, channels), bias(channels)) for width in others),
        0.3 * matrix(channels, outputs),
        bias(outputs),
        0.3 * matrix(first, features, outputs) if linear else None,
        0.3 * matrix(channels, outputs) if spread else None,
        bias(outputs) - 1 if spread else None,
        causal,
        matrix(channels, len(FEET)) if contact else None,
        bias(len(FEET)) if contact else None,
    )


def weights_for_judge(weights):
    """The same weights as `temporal_judge.judge` takes them."""
    return (
        (weights.expand_weight, weights.expand_bias),
        weights.blocks,
        (weights.shrink_weight, weights.shrink_bias),
        weights.linear_weight,
        weights.causal,
    )


def spread_for_judge(weights):
    """The same weights as `temporal_judge.judge_sigma` takes them."""
    return (weights.expand_weight, weights.expand_bias), weights.blocks, (weights.spread_weight, weights.spread_bias), weights.causal
