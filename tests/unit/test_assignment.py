"""The cheapest pairs, against all that there are."""

from __future__ import annotations

from itertools import permutations
from math import inf

import numpy as np
import pytest

from poselift.models.tracking.assignment import pairs


def cheapest(costs: np.ndarray) -> tuple[int, float]:
    """How many pairs there are at most, and the least that so many cost, of all choices."""
    rows, columns = costs.shape
    padded = np.full((rows, columns + rows), inf)
    padded[:, :columns] = costs
    best = (0, 0.0)
    for choice in permutations(range(columns + rows), rows):
        chosen = [padded[row, column] for row, column in enumerate(choice) if padded[row, column] < inf]
        best = max(best, (len(chosen), -sum(chosen)))
    return best[0], -best[1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 3), (2, 4), (4, 3)])
@pytest.mark.parametrize("forbidden", [0.0, 0.4, 0.8])
def test_no_other_pairs_are_cheaper(shape, forbidden):
    rng = np.random.default_rng(0)
    for _ in range(8):
        costs = rng.choice([*rng.normal(0, 10, 3), 1.0, 2.0], shape)
        costs[rng.random(shape) < forbidden] = inf
        found = pairs(costs)
        assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
        total = sum(costs[row, column] for row, column in found)
        count, least = cheapest(costs)
        assert len(found) == count and total == pytest.approx(least, abs=1e-9), costs


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nobody_goes_with_nobody(shape):
    assert pairs(np.empty(shape)) == []


def test_sixteen_of_each_go_back_into_their_order():
    rng = np.random.default_rng(0)
    order = rng.permutation(16)
    costs = rng.uniform(1, 2, (16, 16))
    costs[np.arange(16), order] = 0
    assert pairs(costs) == [*enumerate(order.tolist())]
