"""The graph of nearest neighbours among latents, and shortest walks along it.

Straight lines between latents cross regions where there are no data; a path
from neighbour to neighbour stays on them (Tenenbaum, de Silva & Langford,
"A Global Geometric Framework for Nonlinear Dimensionality Reduction", Science
2000, whose geodesic distances these are).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.optional import require

_ROWS = 4096


@dataclass(frozen=True)
class Walk:
    """A path along the graph: `nodes` int64 [m], from A to B, and how far each is from A.

    `distances` float64 [m] are cumulative: the first is 0, the last the length of the path.
    """

    nodes: NDArray[np.int64]
    distances: NDArray[np.float64]


def graph(latents: NDArray[Any], k: int) -> Any:
    """The k-nearest-neighbour graph of latents [n, D]: scipy.sparse.csr_array float64 [n, n].

    i and j are joined where j is among the k nearest of i, or i among those of j; the entries
    (i, j) and (j, i) are both there and hold the Euclidean distance. Equal latents are
    joined by an explicit zero, which scipy.sparse.csgraph takes for an edge of
    length 0. Raises ConfigError for a k that is not below n.
    """
    points = np.asarray(latents)
    if points.ndim != 2 or 0 in points.shape:
        raise ConfigError(f"latents: expected shape (n, D), got {points.shape}")
    if not 1 <= k < len(points):
        raise ConfigError(
            f"k: expected 1 to {len(points) - 1}, one less than the number of images, got {k}"
        )
    points = np.ascontiguousarray(points, dtype=np.float32)
    search = require("sklearn.neighbors").NearestNeighbors(n_neighbors=k).fit(points)
    found = search.kneighbors(return_distance=False)
    ends = np.stack([np.repeat(np.arange(len(points)), k), found.ravel()])
    # Each edge once for either end that has it, then once in all.
    keys = np.unique(ends.min(axis=0) * len(points) + ends.max(axis=0))
    pairs = np.stack(np.divmod(keys, len(points)), axis=1)
    lengths = _lengths(points, pairs)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    entries = (np.concatenate([lengths, lengths]), (rows, columns))
    joined: Any = require("scipy.sparse").csr_array(entries, shape=(len(points), len(points)))
    joined.sort_indices()
    return joined


def components(joined: Any) -> NDArray[np.int64]:
    """The connected component of each node, int64 [n], numbered from the largest down."""
    csgraph = require("scipy.sparse.csgraph")
    _, found = csgraph.connected_components(joined, directed=False)
    order = np.argsort(-np.bincount(found), kind="stable")
    return np.argsort(order)[found].astype(np.int64)


def walk(joined: Any, a: int, b: int) -> Walk:
    """The shortest path from node a to node b along the graph of `graph` (Dijkstra 1959).

    Raises ConfigError for a node that is not there, and for nodes of different components,
    with the components' sizes.
    """
    count = joined.shape[0]
    for name, node in (("a", a), ("b", b)):
        if not 0 <= node < count:
            raise ConfigError(f"{name}: expected a node, 0 to {count - 1}, got {node}")
    csgraph = require("scipy.sparse.csgraph")
    away, previous = csgraph.dijkstra(joined, indices=a, return_predecessors=True)
    if not np.isfinite(away[b]):
        found = components(joined)
        sizes = np.bincount(found)
        raise ConfigError(
            f"no path leads from {a} to {b}: they are in components of {sizes[found[a]]:,} and "
            f"{sizes[found[b]]:,} of the {count:,} images ({len(sizes)} components); a larger k "
            "joins them"
        )
    nodes = [b]
    while nodes[-1] != a:
        nodes.append(int(previous[nodes[-1]]))
    path = np.array(nodes[::-1], np.int64)
    return Walk(path, away[path])


def evenly(points: NDArray[Any], count: int) -> NDArray[np.float32]:
    """`count` points at equal distances along the broken line through points [m, D], ends included.

    float32 [count, D]; count is at least 2.
    """
    line = np.asarray(points, dtype=np.float64)
    steps = np.sqrt(np.square(np.diff(line, axis=0)).sum(axis=1))
    away = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, away[-1], count)
    placed = np.stack([np.interp(wanted, away, column) for column in line.T], axis=1)
    return placed.astype(np.float32)


def _lengths(points: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Euclidean distance of each pair [m, 2] of rows, in double precision."""
    lengths = np.empty(len(pairs))
    for start in range(0, len(pairs), _ROWS):
        ends = points[pairs[start : start + _ROWS]].astype(np.float64)
        lengths[start : start + _ROWS] = np.sqrt(np.square(ends[:, 0] - ends[:, 1]).sum(axis=1))
    return lengths


__all__ = ["Walk", "components", "evenly", "graph", "walk"]
