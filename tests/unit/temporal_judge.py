"""The judge of every form of the lifter: the published network, column by column in float64, on edge-padded input.

Written from Pavllo et al. (2019), section 3 and figures 2 and 3: a symmetric convolution looks as far ahead as back, a causal one
(section 5.4) only back; the input is padded with copies of its ends, and a residual is cut to the columns that the block
beside it gives. It imports nothing of the project; weights come as plain arrays, in a layout of its own words: tap 0 is the oldest.
"""

from __future__ import annotations

import numpy as np


def judge(expand, blocks, shrink, linear, causal, columns):
    """Outputs [T, D] for `columns` [T, F], the first of which has been there for ever, and the last of which stays.

    `expand` is (weight [w, F, C], bias), each block (weight [w, C, C], bias, weight [C, C], bias), `shrink` (weight [C, D],
    bias), `linear` a weight [w, F, D] or None (for causal networks only).
    """
    outputs = last_hidden(expand, blocks, causal, columns) @ shrink[0].astype(np.float64) + shrink[1]
    if linear is not None:
        outputs = outputs + convolution(edge_padded(columns, len(linear) - 1, 0), linear, 1)
    assert len(outputs) == len(columns)
    return outputs


def judge_sigma(expand, blocks, spread, causal, columns):
    """Standard deviations [T, D]: `spread` (weight [C, D], bias) gives their logarithms, which are kept between -8 and 4."""
    return np.exp(np.clip(last_hidden(expand, blocks, causal, columns) @ spread[0].astype(np.float64) + spread[1], -8, 4))


def last_hidden(expand, blocks, causal, columns):
    """What the last block gives [T, C]."""
    others = len(expand[0]) * int(np.prod([len(block[0]) for block in blocks])) - 1
    hidden = edge_padded(columns, others, 0) if causal else edge_padded(columns, others // 2, others // 2)
    hidden = relu(convolution(hidden, expand[0], 1) + expand[1])
    dilation = len(expand[0])
    for weight, bias, mix_weight, mix_bias in blocks:
        change = relu(convolution(hidden, weight, dilation) + bias)
        change = relu(change @ mix_weight.astype(np.float64) + mix_bias)
        lost = (len(weight) - 1) * dilation
        residual = hidden[lost:] if causal else hidden[lost // 2 : len(hidden) - lost // 2]
        hidden = residual + change
        dilation *= len(weight)
    return hidden


def edge_padded(columns, before, after):
    """So many copies of the first column before all, and of the last one after."""
    columns = np.asarray(columns, np.float64)
    return np.concatenate([np.tile(columns[:1], (before, 1)), columns, np.tile(columns[-1:], (after, 1))])


def convolution(columns, weight, dilation):
    """Every output that needs no padding: the sum over taps of a column times the tap's matrix."""
    weight = weight.astype(np.float64)
    newest = len(weight) - 1
    times = np.arange(newest * dilation, len(columns))
    return sum(columns[times - (newest - tap) * dilation] @ weight[tap] for tap in range(len(weight)))


def relu(values):
    return np.where(values > 0, values, 0)
