"""Pairing true and found speakers so that as little as possible is wrong. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

One = TypeVar("One", bound=Hashable)
Other = TypeVar("Other", bound=Hashable)


def best_pairs(
    ones: Sequence[One], others: Sequence[Other], gains: Mapping[tuple[One, Other], float]
) -> dict[One, Other]:
    """Pair each of `ones` with at most one of `others`, so that the sum of the gains is greatest.

    Args:
        ones: distinct; equal gains are decided by their order.
        others: distinct, likewise.
        gains: of pairs, none negative; what is absent is 0. Pairs without a gain are not made.
    """
    size = max(len(ones), len(others))
    costs = [[0.0] * size for _ in range(size)]
    for row, one in enumerate(ones):
        for column, other in enumerate(others):
            costs[row][column] = -gains.get((one, other), 0.0)
    columns = assignment(costs)
    pairs = ((one, others[column]) for one, column in zip(ones, columns, strict=False) if column < len(others))
    return {one: other for one, other in pairs if gains.get((one, other), 0.0) > 0}


def assignment(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return for each row of a square matrix a column of its own, so that the sum of the costs is least.

    Source: the Hungarian method as shortest augmenting paths: R. Jonker, A. Volgenant, Computing 38, 1987.
    """
    size = len(costs)
    row_price, column_price = [0.0] * size, [0.0] * (size + 1)
    row_of: list[int] = [-1] * (size + 1)  # the last column is the root of each search
    for row in range(size):
        row_of[size] = row
        came_from, column = [size] * size, size
        slack, visited = [float("inf")] * size, [False] * (size + 1)
        while row_of[column] != -1:
            visited[column] = True
            current = row_of[column]
            open_columns = [j for j in range(size) if not visited[j]]
            for j in open_columns:
                reduced = costs[current][j] - row_price[current] - column_price[j]
                if reduced < slack[j]:
                    slack[j], came_from[j] = reduced, column
            nearest = min(open_columns, key=slack.__getitem__)
            step = slack[nearest]
            for j in range(size + 1):
                if visited[j]:
                    row_price[row_of[j]] += step
                    column_price[j] -= step
                elif j < size:
                    slack[j] -= step
            column = nearest
        while column != size:
            row_of[column] = row_of[came_from[column]]
            column = came_from[column]
    return [row_of.index(row, 0, size) for row in range(size)]
