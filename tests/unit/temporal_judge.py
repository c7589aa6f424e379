"""The judge of every form of the lifter: the published network, column by column in float64, on edge-padded input.

Written from Pavllo et al. (2019), section 3 and figure 2, in its causal form (section 5.4): a convolution looks only back. It
imports nothing of the project; weights come as plain arrays, in a layout of its own words: tap 0 is the oldest.
"""

from __future__ import annotations

import numpy as np


def judge(expand, blocks, shrink, linear, columns):
    """Outputs [T, D] for `columns` [T, F], the first of which has been there for ever.

    `expand` is (weight [w, F, C], bias), each block (weight [w, C, C], bias, weight [C, C], bias), `shrink` (weight [C, D],
    bias), `linear` a weight [w, F, D] or None.
    """
    outputs = last_hidden(expand, blocks, columns) @ shrink[0].astype(np.float64) + shrink[1]
    if linear is not None:
        outputs = outputs + convolution(edge_padded(columns, len(linear)), linear, 1)
    assert len(outputs) == len(columns)
    return outputs


def judge_sigma(expand, blocks, spread, columns):
    """Standard deviations [T, D]: `spread` (weight [C, D], bias) gives their logarithms, which are kept between -8 and 4."""
    return np.exp(np.clip(last_hidden(expand, blocks, columns) @ spread[0].astype(np.float64) + spread[1], -8, 4))


def last_hidden(expand, blocks, columns):
    """What the last block gives [T, C]."""
    field = len(expand[0]) * int(np.prod([len(block[0]) for block in blocks]))
    padded = edge_padded(columns, field)
    dilation = len(expand[0])
    hidden = relu(convolution(padded, expand[0], 1) + expand[1])
    for weight, bias, mix_weight, mix_bias in blocks:
        change = relu(convolution(hidden, weight, dilation) + bias)
        change = relu(change @ mix_weight.astype(np.float64) + mix_bias)
        skipped = (len(weight) - 1) * dilation
        hidden = hidden[skipped:] + change
        dilation *= len(weight)
    return hidden


def edge_padded(columns, field):
    """So many copies of the first column before it that windows of `field` columns end at every column."""
    columns = np.asarray(columns, np.float64)
    return np.concatenate([np.tile(columns[:1], (field - 1, 1)), columns])


def convolution(columns, weight, dilation):
    """Every output that needs no padding: the sum over taps of a past column times the tap's matrix."""
    weight = weight.astype(np.float64)
    newest = len(weight) - 1
    outputs = []
    for time in range(newest * dilation, len(columns)):
        outputs.append(sum(columns[time - (newest - tap) * dilation] @ weight[tap] for tap in range(len(weight))))
    return np.array(outputs)


def relu(values):
    return np.where(values > 0, values, 0)
