"""Who goes with whom: pairs of rows and columns at the least cost in all."""

from __future__ import annotations

from math import inf

from poselift.common.arrays import Doubles


def pairs(costs: Doubles) -> list[tuple[int, int]]:
    """The rows and columns of `costs` [R, C] that belong together: as many as can be, and of those choices the one of least cost in all.

    A cost of infinity forbids a pair. Rows come in order. The Hungarian algorithm by shortest augmenting paths (Jonker, Volgenant: "A
    shortest augmenting path algorithm for dense and sparse linear assignment problems", Computing 38, 1987). A row that finds no
    column may stay alone at a cost above all others.
    """
    count, width = costs.shape
    finite = [cost for cost in costs.ravel().tolist() if cost < inf]
    alone = 1 + (max(finite) - min(finite)) * min(count, width) + max(finite) if finite else 1.0
    table = [[*row, *(alone if place == at else inf for at in range(count))] for place, row in enumerate(costs.tolist())]
    columns = width + count
    row_price, column_price = [0.0] * count, [0.0] * columns
    owner = [-1] * columns
    for start in range(count):
        distance, came_from, done = [inf] * columns, [-1] * columns, [False] * columns
        row, column = start, -1
        while row >= 0:
            base = distance[column] if column >= 0 else 0.0
            for at in range(columns):
                further = base + table[row][at] - row_price[row] - column_price[at]
                if not done[at] and further < distance[at]:
                    distance[at], came_from[at] = further, column
            column = min((at for at in range(columns) if not done[at]), key=distance.__getitem__)
            done[column], row = True, owner[column]
        length = distance[column]
        row_price[start] += length
        for at in range(columns):
            if done[at] and at != column:
                row_price[owner[at]] += length - distance[at]
                column_price[at] += distance[at] - length
        while column >= 0:
            before = came_from[column]
            owner[column] = owner[before] if before >= 0 else start
            column = before
    return sorted((row, at) for at, row in enumerate(owner[:width]) if row >= 0)
