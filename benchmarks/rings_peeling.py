"""How dense a block of accounts and attributes can be peeled out? The greedy of FRAUDAR."""

import heapq

import numba
import numpy as np

__all__ = ["dense_block"]


@numba.njit
def _peel(
    starts: np.ndarray, to: np.ndarray, per_edge: np.ndarray, n_nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Remove the node with least weight again and again; return the order and the densities."""
    load = np.zeros(n_nodes)
    for node in range(n_nodes):
        for i in range(starts[node], starts[node + 1]):
            load[node] += per_edge[i]
    total, left = load.sum() / 2, n_nodes
    heap = [(load[node], node) for node in range(n_nodes)]
    heapq.heapify(heap)
    gone = np.zeros(n_nodes, dtype=np.bool_)
    order, density = np.zeros(n_nodes, dtype=np.int64), np.zeros(n_nodes)
    while left:
        weight, node = heapq.heappop(heap)
        if gone[node] or weight > load[node] + 1e-12:
            continue
        density[n_nodes - left] = total / left
        order[n_nodes - left] = node
        gone[node] = True
        left -= 1
        for i in range(starts[node], starts[node + 1]):
            other = to[i]
            if not gone[other]:
                total -= per_edge[i]
                load[other] -= per_edge[i]
                heapq.heappush(heap, (load[other], other))
    return order, density


def dense_block(
    row: np.ndarray, column: np.ndarray, weight: np.ndarray, n_rows: int
) -> tuple[np.ndarray, float]:
    """Return which rows are in the densest block that peeling meets, and its density.

    Hooi et al. (2016), FRAUDAR, KDD, algorithm 1; columns weigh what the caller says.
    """
    n_nodes = n_rows + len(weight)
    ends = np.concatenate([row, column + n_rows])
    others = np.concatenate([column + n_rows, row])
    per_edge = np.concatenate([weight[column], weight[column]])
    by_node = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[by_node], np.arange(n_nodes + 1))
    order, density = _peel(starts, others[by_node], per_edge[by_node], n_nodes)
    inside = np.zeros(n_nodes, dtype=bool)
    inside[order[int(np.argmax(density)) :]] = True
    return inside[:n_rows], float(density.max())
