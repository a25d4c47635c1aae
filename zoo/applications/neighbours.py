"""Nearest-neighbour graphs of latents, and shortest paths along them.

Straight lines between latents cross regions without data, whereas a path from neighbour to
neighbour stays near data. Path lengths are the geodesic distances of Tenenbaum, de Silva &
Langford, "A Global Geometric Framework for Nonlinear Dimensionality Reduction", Science 2000.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.images import atomic, rows
from zoo.images.gather import gather
from zoo.images.rows import Row
from zoo.inference.inputs import Selection, Source, report_skipped
from zoo.inference.latents import embed
from zoo.inference.pairs import Pair
from zoo.optional import require

_ROWS = 4096


@dataclass(frozen=True)
class Walk:
    """Path along the graph: `nodes` int64 [m] from A to B, and cumulative `distances` float64 [m].

    The first distance is 0, the last one the length of the path.
    """

    nodes: NDArray[np.int64]
    distances: NDArray[np.float64]


def graph(latents: NDArray[Any], k: int) -> Any:
    """Return the k-nearest-neighbour graph of latents [n, D], a csr_array float64 [n, n].

    i and j are connected if j is among the k nearest of i, or i among those of j. Both entries
    (i, j) and (j, i) are stored, with the Euclidean distance. Equal latents are connected by an
    explicit zero, which scipy.sparse.csgraph treats as an edge of length 0. Raises ConfigError for
    a k that is not below n.
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
    neighbours = search.kneighbors(return_distance=False)
    ends = np.stack([np.repeat(np.arange(len(points)), k), neighbours.ravel()])
    # An edge occurs once for either end that has it; keep one of them.
    keys = np.unique(ends.min(axis=0) * len(points) + ends.max(axis=0))
    pairs = np.stack(np.divmod(keys, len(points)), axis=1)
    lengths = _lengths(points, pairs)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    entries = (np.concatenate([lengths, lengths]), (rows, columns))
    joined: Any = require("scipy.sparse").csr_array(entries, shape=(len(points), len(points)))
    joined.sort_indices()
    return joined


def components(joined: Any) -> NDArray[np.int64]:
    """Return the connected component of each node, int64 [n], numbered from the largest down."""
    csgraph = require("scipy.sparse.csgraph")
    _, labels = csgraph.connected_components(joined, directed=False)
    order = np.argsort(-np.bincount(labels), kind="stable")
    return np.argsort(order)[labels].astype(np.int64)


def walk(joined: Any, a: int, b: int) -> Walk:
    """Find the shortest path from node a to node b of a graph from `graph` (Dijkstra 1959).

    Raises ConfigError for an unknown node, and for nodes of different components, with their sizes.
    """
    count = joined.shape[0]
    for name, node in (("a", a), ("b", b)):
        if not 0 <= node < count:
            raise ConfigError(f"{name}: expected a node, 0 to {count - 1}, got {node}")
    csgraph = require("scipy.sparse.csgraph")
    away, previous = csgraph.dijkstra(joined, indices=a, return_predecessors=True)
    if not np.isfinite(away[b]):
        labels = components(joined)
        sizes = np.bincount(labels)
        raise ConfigError(
            f"no path leads from {a} to {b}: they are in components of {sizes[labels[a]]:,} and "
            f"{sizes[labels[b]]:,} of the {count:,} images ({len(sizes)} components); a larger k "
            "joins them"
        )
    nodes = [b]
    while nodes[-1] != a:
        nodes.append(int(previous[nodes[-1]]))
    path = np.array(nodes[::-1], np.int64)
    return Walk(path, away[path])


def resample(points: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Return `count` >= 2 equidistant points float32 [count, D] on the polyline of points [m, D].

    Both ends are included.
    """
    line = np.asarray(points, dtype=np.float64)
    steps = np.sqrt(np.square(np.diff(line, axis=0)).sum(axis=1))
    away = np.concatenate([[0.0], np.cumsum(steps)])
    even = np.linspace(0, away[-1], count)
    return np.stack([np.interp(even, away, column) for column in line.T], axis=1).astype(np.float32)


def _lengths(points: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Euclidean distance of each pair [m, 2] of rows, in double precision."""
    lengths = np.empty(len(pairs))
    for start in range(0, len(pairs), _ROWS):
        ends = points[pairs[start : start + _ROWS]].astype(np.float64)
        lengths[start : start + _ROWS] = np.sqrt(np.square(ends[:, 0] - ends[:, 1]).sum(axis=1))
    return lengths


def draw_walk(
    selection: Selection,
    engine: str,
    *,
    k: int = 10,
    between: tuple[str, str] | None = None,
    steps: int = 10,
    out: str | None = None,
    save: str | None = None,
    **options: Any,
) -> list[str]:
    """Build the neighbour graph of the selected images, and draw a walk between two of them.

    The arguments are the options of `zoo.neighbours`, `options` those of runtime.Generator. Returns
    lines of text. Raises ConfigError, DataError, OutputError, and the errors of Pair.
    """
    if out is not None and between is None:
        raise ConfigError("--out requires --walk")
    out = out or "walk.png"
    atomic.check_suffix(out if between else None, ".png", "the picture of a walk must be a .png")
    atomic.check_suffix(save, ".npz", "the graph must be written to an .npz")
    with Pair(engine, **options) as pair:
        source = selection.open(pair.encoder.image_shape)

        points, names = embed(pair.encoder, source)
        ends = [_find_node(end, names) for end in between or ()]
        if between and ends[0] == ends[1]:
            raise ConfigError(f"--walk: expected two images, got {between[0]} and {between[1]}")
        joined = graph(points, k)
        path = walk(joined, *ends) if between else None
        report_skipped(source)
        lines = [_describe_graph(joined, source, k)]
        if between and path:
            straight = _distance(points[ends[0]], points[ends[1]])
            lines.append(_compare_lengths(path, straight, between))
            title = f"{pair.title}  ·  {source.name}  ·  {between[0]} to {between[1]}  ·  k = {k}"
            picture = rows.draw(_rows(pair, source, points, path, straight, steps), title)
    with ExitStack() as outputs:
        if save is not None:
            _write(outputs.enter_context(atomic.replace_file(save)), joined)
        if between:
            picture.save(outputs.enter_context(atomic.replace_file(out)), format="PNG")
    written = [path for path in (out if between else None, save) if path]
    return [*lines, ", ".join(written)] if written else lines


def _find_node(text: str, names: list[str]) -> int:
    """Return the index of an image by its name or index. Raises ConfigError."""
    matches = [i for i, name in enumerate(names) if name == text]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(
            f"--walk {text}: {len(matches)} images have this name; give the index of one, "
            f"such as {matches[0]}"
        )
    if text.isascii() and text.isdecimal() and len(text) < 19 and int(text) < len(names):
        return int(text)
    raise ConfigError(
        f"--walk {text}: expected the name of an image, such as {names[0]}, or its index, "
        f"0 to {len(names) - 1}"
    )


def _describe_graph(joined: Any, source: Source, k: int) -> str:
    sizes = np.bincount(components(joined))
    parts = "connected" if len(sizes) == 1 else f"{len(sizes)} components, the largest {sizes[0]:,}"
    return (
        f"{joined.shape[0]:,} images of {source.name}, each with its {k} nearest: "
        f"{joined.nnz // 2:,} edges of mean length {joined.data.mean():.3f}, {parts}"
    )


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b))


def _compare_lengths(path: Walk, straight: float, walk: tuple[str, str]) -> str:
    steps, length = len(path.nodes) - 1, path.distances[-1]
    times = f", {length / straight:.2f} times as far" if straight else ""
    return (
        f"{walk[0]} to {walk[1]}: {steps} step{'s' if steps > 1 else ''}, {length:.3f} in all; "
        f"{straight:.3f} in a straight line{times}"
    )


def _rows(
    pair: Pair,
    source: Source,
    points: NDArray[np.float32],
    path: Walk,
    straight: float,
    steps: int,
) -> list[Row]:
    """Return rows of the images on the path and, with a generator, of decoded points."""
    length = path.distances[-1]
    real = gather(source, path.nodes)
    result = [
        Row(
            f"images from neighbour to neighbour: {len(real) - 1} steps, {length:.2f} in all",
            list(real),
            _labels(path.distances),
        )
    ]
    if pair.generator is None:
        return result
    along = pair.generator.decode(resample(points[path.nodes], steps + 1))
    line = pair.generator.interpolate(points[path.nodes[0]], points[path.nodes[-1]], steps)
    result.append(
        Row(
            "decoded, at even distances along that path",
            list(along),
            _labels(np.linspace(0, length, steps + 1)),
        )
    )
    result.append(
        Row(
            f"decoded, at even distances along the straight line: {straight:.2f} in all",
            list(line),
            _labels(np.linspace(0, straight, steps + 1)),
        )
    )
    return result


def _labels(distances: NDArray[np.float64]) -> list[str]:
    return [f"{distance:.2f}" for distance in distances]


def _write(path: Path, joined: Any) -> None:
    with path.open("xb") as file:
        require("scipy.sparse").save_npz(file, joined)
